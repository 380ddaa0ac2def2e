from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import prefetch_related_objects
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pages import page, page_of
from commsproject.common.api.serializers import validated
from commsproject.common.errors import InvalidInput
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from templates_app import preview, selectors, services
from templates_app.api.preconditions import IF_MATCH, etag, expected
from templates_app.api.serializers import (
    DiffOutput,
    PreviewInput,
    PreviewOutput,
    PublishedOutput,
    TemplateChange,
    TemplateDetail,
    TemplateInput,
    TemplateOutput,
    VersionOutput,
)
from templates_app.build import invalid
from templates_app.diff import diff
from templates_app.models import Template, TemplateVersion
from templates_app.preview import Shown
from templates_app.services import ChangedMeanwhile, InUse, KeyTaken, NothingToPublish

_WELCOME = OpenApiExample(
    "A welcome",
    value={
        "key": "welcome",
        "name": "Welcome",
        "locale": "en",
        "channels": {
            "email": {
                "subject": "Welcome, {{ name }}",
                "text": "Hello {{ name }}, good to have you.",
                "html": "<p>Hello <b>{{ name }}</b>, good to have you.</p>",
            },
            "push": {"title": "Welcome, {{ name }}", "link": "https://example.org/start"},
        },
        "translations": {"de": {"push": {"title": "Willkommen, {{ name }}"}}},
        "samples": [{"name": "Ada", "data": {"name": "Ada"}}],
    },
    request_only=True,
)


class Templates(APIView):
    """All templates."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.TEMPLATES_READ,
        "POST": Scope.TEMPLATES_WRITE,
    }

    @extend_schema(
        operation_id="templates_list",
        summary="List templates",
        parameters=[OpenApiParameter("archived", bool, description="Those that are archived.")],
        responses=page_of(TemplateOutput),
    )
    def get(self, request: Request) -> Response:
        is_archived = request.query_params.get("archived", "false")
        if is_archived not in ("true", "false"):
            raise InvalidInput.of("archived", "invalid", "true or false.")
        rows = Template.objects.filter(archived_at__isnull=is_archived == "false")
        return page(rows.prefetch_related("versions"), TemplateOutput, request)

    @extend_schema(
        operation_id="templates_create",
        summary="Make a template; its first version is a draft",
        request=TemplateInput,
        responses={201: TemplateDetail},
        examples=[_WELCOME],
    )
    @can_fail(KeyTaken)
    def post(self, request: Request) -> Response:
        fields = validated(TemplateInput, request)
        template = services.create(**fields, author=agent(request).client.name)
        return _told(template, status=201)


class TemplateByKey(APIView):
    """One template."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.TEMPLATES_READ,
        "PATCH": Scope.TEMPLATES_WRITE,
        "DELETE": Scope.TEMPLATES_WRITE,
    }

    @extend_schema(operation_id="templates_get", summary="One template", responses=TemplateDetail)
    def get(self, request: Request, key: str) -> Response:
        return _told(selectors.get(key))

    @extend_schema(
        operation_id="templates_change",
        summary="Change the draft",
        parameters=[IF_MATCH],
        request=TemplateChange,
        responses=TemplateDetail,
    )
    @can_fail(ChangedMeanwhile, KeyTaken)
    def patch(self, request: Request, key: str) -> Response:
        template = selectors.get(key)
        context = {"version": selectors.latest(template)}
        fields = validated(TemplateChange, request, context=context)
        author = agent(request).client.name
        return _told(services.revise(template, author=author, expected=expected(request), **fields))

    @extend_schema(
        operation_id="templates_archive", summary="Archive a template", responses={204: None}
    )
    @can_fail(InUse)
    def delete(self, request: Request, key: str) -> Response:
        services.archive(selectors.get(key))
        return Response(status=204)


class UnarchiveTemplate(APIView):
    """Back from the archive."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.TEMPLATES_WRITE}

    @extend_schema(
        operation_id="templates_unarchive",
        summary="Take a template from the archive: messages can use it again",
        request=None,
        responses=TemplateOutput,
    )
    def post(self, request: Request, key: str) -> Response:
        template = selectors.any_state(key)
        services.unarchive(template)
        return Response(TemplateOutput(template).data)


class TemplateVersions(APIView):
    """The versions of one template."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.TEMPLATES_READ}

    @extend_schema(
        operation_id="templates_versions",
        summary="All versions, newest first",
        responses=page_of(VersionOutput),
    )
    def get(self, request: Request, key: str) -> Response:
        return page(selectors.get(key).versions.all(), VersionOutput, request)


class VersionByNumber(APIView):
    """One version."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.TEMPLATES_READ}

    @extend_schema(operation_id="templates_version", summary="One version", responses=VersionOutput)
    def get(self, request: Request, key: str, number: int) -> Response:
        return Response(VersionOutput(selectors.version(selectors.get(key), number)).data)


class DiffVersions(APIView):
    """What changed."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.TEMPLATES_READ}

    @extend_schema(
        operation_id="templates_diff",
        summary="What differs between two versions, part by part",
        parameters=[
            OpenApiParameter("to", int, description="The other version; without it the newest.")
        ],
        responses=DiffOutput,
    )
    def get(self, request: Request, key: str, number: int) -> Response:
        template = selectors.get(key)
        before = selectors.version(template, number)
        wanted = request.query_params.get("to")
        if wanted is not None and not (wanted.isdecimal() and len(wanted) < 9):
            raise InvalidInput.of("to", "invalid", "The number of a version.")
        after = selectors.version(template, int(wanted)) if wanted else selectors.latest(template)
        changes = [vars(change) for change in diff(before, after)]
        return Response({"before": number, "after": after.number, "changes": changes})


class RestoreVersion(APIView):
    """Back to an earlier version."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.TEMPLATES_WRITE}

    @extend_schema(
        operation_id="templates_restore",
        summary="Make a draft that says what this version said",
        description="A draft that is there is replaced. Nothing is sent of it until it is published.",
        parameters=[IF_MATCH],
        request=None,
        responses=VersionOutput,
    )
    @can_fail(ChangedMeanwhile)
    def post(self, request: Request, key: str, number: int) -> Response:
        template, author = selectors.get(key), agent(request).client.name
        draft = services.restore(template, number, author=author, expected=expected(request))
        return Response(VersionOutput(draft).data, headers=etag(draft.template, draft))


class PublishTemplate(APIView):
    """Publishing."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.TEMPLATES_WRITE}

    @extend_schema(
        operation_id="templates_publish",
        summary="Publish the draft: messages use it from now on",
        description="Every sample is rendered in every channel and language first; one that fails "
        "stops it, with its name, part, line and column.",
        parameters=[IF_MATCH],
        request=None,
        responses=PublishedOutput,
    )
    @can_fail(ChangedMeanwhile, NothingToPublish)
    def post(self, request: Request, key: str) -> Response:
        version = services.publish(selectors.get(key), expected=expected(request))
        return Response(PublishedOutput(version).data, headers=etag(version.template, version))


class PreviewTemplate(APIView):
    """Rendering without sending."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.TEMPLATES_READ}

    @extend_schema(
        operation_id="templates_preview",
        summary="Render a version, or content that is not saved, with your data",
        request=PreviewInput,
        responses=PreviewOutput,
    )
    def post(self, request: Request, key: str) -> Response:
        fields = validated(PreviewInput, request)
        template = selectors.get(key)
        version = _asked(template, fields)
        sample = selectors.sample(template, fields["sample"]) if "sample" in fields else {}
        found = preview.preview(
            version,
            {**sample.get("data", {}), **fields.get("data", {})},
            locale=fields.get("locale") or sample.get("locale", ""),
            time_zone=fields["time_zone"],
            channel=_channel(version, fields.get("channel", "")),
        )
        if found.errors:
            raise invalid(found.errors)
        shown = found.channels
        return Response(
            {
                "channels": {name: _parts(one) for name, one in shown.items()},
                "locales": {name: one.locale for name, one in shown.items()},
                "facts": {name: one.facts for name, one in shown.items() if one.facts},
                "hosted": found.hosted,
                "warnings": [vars(notice) for notice in found.warnings],
            }
        )


def _parts(shown: Shown) -> dict[str, str]:
    preheader = {"preheader": shown.preheader} if shown.preheader else {}
    return {**preheader, **shown.parts}


def _told(template: Template, status: int = 200) -> Response:
    prefetch_related_objects([template], "versions")  # of one moment, as the ETag
    headers = etag(template, template.versions.all()[0])
    return Response(TemplateDetail(template).data, status=status, headers=headers)


def _asked(template: Template, fields: Mapping[str, Any]) -> TemplateVersion:
    """The version, or one that is never saved: with `content` in place of what it says."""
    number = fields.get("version")
    version = selectors.version(template, number) if number else selectors.latest(template)
    if "content" in fields:
        version = TemplateVersion(
            template=template,
            **{name: getattr(version, name) for name in services.CONTENT} | fields["content"],
        )
    return version


def _channel(version: TemplateVersion, wanted: str) -> str:
    having = [*version.channels, *(["email"] if version.hosted else [])]
    if wanted and wanted not in having:
        message = f"This template has {', '.join(having)} only."
        raise InvalidInput.of("channel", "no_content", message)
    return wanted
