from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.api.pages import page, page_of
from commsproject.common.api.serializers import validated
from commsproject.common.errors import FieldError, InvalidInput
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from templates_app import rendering, selectors, services
from templates_app.api.serializers import (
    PreviewInput,
    PreviewOutput,
    TemplateChange,
    TemplateInput,
    TemplateOutput,
    VersionOutput,
)
from templates_app.errors import MissingVariable, TemplateError
from templates_app.models import Template

_WELCOME = OpenApiExample(
    "A welcome",
    value={
        "key": "welcome",
        "name": "Welcome",
        "channels": {
            "email": {
                "subject": "Welcome, {{ name }}",
                "text": "Hello {{ name }}, good to have you.",
                "html": "<p>Hello <b>{{ name }}</b>, good to have you.</p>",
            }
        },
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
        responses=page_of(TemplateOutput),
    )
    def get(self, request: Request) -> Response:
        rows = Template.objects.filter(archived_at__isnull=True).prefetch_related("versions")
        return page(rows, TemplateOutput, request)

    @extend_schema(
        operation_id="templates_create",
        summary="Make a template; its first version is a draft",
        request=TemplateInput,
        responses={201: TemplateOutput},
        examples=[_WELCOME],
    )
    def post(self, request: Request) -> Response:
        fields = validated(TemplateInput, request)
        template = services.create(**fields, author=agent(request).client.name)
        return Response(TemplateOutput(template).data, status=201)


class TemplateByKey(APIView):
    """One template."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.TEMPLATES_READ,
        "PATCH": Scope.TEMPLATES_WRITE,
        "DELETE": Scope.TEMPLATES_WRITE,
    }

    @extend_schema(operation_id="templates_get", summary="One template", responses=TemplateOutput)
    def get(self, request: Request, key: str) -> Response:
        return Response(TemplateOutput(selectors.get(key)).data)

    @extend_schema(
        operation_id="templates_change",
        summary="Change the draft",
        request=TemplateChange,
        responses=TemplateOutput,
    )
    def patch(self, request: Request, key: str) -> Response:
        fields = validated(TemplateChange, request)
        template = services.revise(
            selectors.get(key),
            name=fields.get("name"),
            channels=fields.get("channels"),
            locale=fields.get("locale"),
            author=agent(request).client.name,
        )
        return Response(TemplateOutput(template).data)

    @extend_schema(
        operation_id="templates_archive", summary="Archive a template", responses={204: None}
    )
    def delete(self, request: Request, key: str) -> Response:
        services.archive(selectors.get(key))
        return Response(status=204)


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


class PublishTemplate(APIView):
    """Publishing."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.TEMPLATES_WRITE}

    @extend_schema(
        operation_id="templates_publish",
        summary="Publish the draft: messages use it from now on",
        request=None,
        responses=VersionOutput,
    )
    def post(self, request: Request, key: str) -> Response:
        return Response(VersionOutput(services.publish(selectors.get(key))).data)


class PreviewTemplate(APIView):
    """Rendering without sending."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.TEMPLATES_READ}

    @extend_schema(
        operation_id="templates_preview",
        summary="Render the newest version with your data",
        request=PreviewInput,
        responses=PreviewOutput,
    )
    def post(self, request: Request, key: str) -> Response:
        fields = validated(PreviewInput, request)
        version = selectors.latest(selectors.get(key))
        channels = services.content(version, fields.get("locale", ""))
        wanted = fields.get("channel")
        if wanted is not None and wanted not in channels:
            raise InvalidInput.of(
                "channel", "no_content", f"This template has {', '.join(channels)} only."
            )
        rendered = {
            name: _render(parts, fields["data"])
            for name, parts in channels.items()
            if wanted in (None, name)
        }
        return Response({"channels": rendered})


def _render(parts: Mapping[str, str], data: Mapping[str, object]) -> dict[str, str]:
    try:
        return rendering.render(parts, data)
    except MissingVariable as error:
        raise InvalidInput.of(f"data.{error.name}", "missing_variable", str(error)) from None
    except TemplateError as error:
        raise InvalidInput(
            str(error), errors=[FieldError("data", "template", str(error))]
        ) from None
