"""All templates as one document, out and in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.serializers import StrictSerializer, validated
from commsproject.common.errors import InvalidInput
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from templates_app import bundle, pages, selectors
from templates_app.api.preconditions import IF_MATCH, etag, expected
from templates_app.bundle import MAX_DOCUMENTS
from templates_app.html_import import MAX_PAGE
from templates_app.models import Kind, TemplateVersion
from templates_app.services import ChangedMeanwhile, KeyTaken


class DocumentOutput(serializers.Serializer[Any]):
    """A template as it was last written: its draft, else the version in use."""

    key = serializers.SlugField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(
        Kind.choices, help_text="Whether messages are made of it, or other templates."
    )
    locale = serializers.CharField()
    layout = serializers.CharField()
    null_is = serializers.ChoiceField(TemplateVersion.NullIs.choices)
    samples = serializers.ListField(child=serializers.DictField())
    schema = serializers.DictField(help_text="Empty where nobody has described the data.")
    hosted = serializers.DictField()
    channels = serializers.DictField(child=serializers.DictField(child=serializers.CharField()))
    translations = serializers.DictField(child=serializers.DictField())


class BundleOutput(serializers.Serializer[Any]):
    templates = DocumentOutput(many=True)


class BundleInput(StrictSerializer):
    """`POST /templates/import`."""

    templates = serializers.ListField(
        max_length=MAX_DOCUMENTS, help_text="Documents, as `GET /templates/export` gives them."
    )
    publish = serializers.BooleanField(default=False, help_text="Publish what has changed, too.")
    prune = serializers.BooleanField(
        default=False, help_text="Archive the templates that are not among these."
    )
    dry_run = serializers.BooleanField(default=False, help_text="Check all and keep nothing.")


class ImportedTemplate(serializers.Serializer[Any]):
    key = serializers.SlugField()
    action = serializers.ChoiceField(["created", "changed", "unchanged", "archived"])
    published = serializers.IntegerField(
        allow_null=True, help_text="The number of the version that was published."
    )


class ImportedOutput(serializers.Serializer[Any]):
    changes = ImportedTemplate(many=True)


class PageInput(StrictSerializer):
    """`POST /templates/{key}/import-html`."""

    html = serializers.CharField(max_length=MAX_PAGE, trim_whitespace=False)
    name = serializers.CharField(
        max_length=200, required=False, help_text="Of the template; of a new one else the key."
    )
    subject = serializers.CharField(
        max_length=998, required=False, help_text="Else the page's title, else as it was."
    )
    publish = serializers.BooleanField(default=False)


class LoadedPage(serializers.Serializer[Any]):
    key = serializers.SlugField(source="template.key")
    action = serializers.ChoiceField(["created", "changed", "unchanged"])
    published = serializers.IntegerField(
        allow_null=True, help_text="The number of the version that was published."
    )
    notices = serializers.ListField(
        child=serializers.CharField(), help_text="What was left out of the page."
    )


class ExportTemplates(APIView):
    """All templates, out."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.TEMPLATES_READ}

    @extend_schema(
        operation_id="templates_export",
        summary="All templates in one document",
        parameters=[OpenApiParameter("key", str, many=True, description="Only these.")],
        responses=BundleOutput,
    )
    def get(self, request: Request) -> Response:
        keys = request.query_params.getlist("key")
        if any("\0" in key for key in keys):
            raise InvalidInput.of("key", "control_character", "NUL is not allowed here.")
        return Response({"templates": bundle.export(keys)})


class ImportTemplates(APIView):
    """All templates, in."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.TEMPLATES_WRITE}

    @extend_schema(
        operation_id="templates_import",
        summary="Make the templates what a document says: all of it or nothing",
        description=(
            "Errors name the template by its place: `templates.3.channels.email.html`, with line "
            "and column where it is in a source."
        ),
        request=BundleInput,
        responses=ImportedOutput,
    )
    def post(self, request: Request) -> Response:
        fields = validated(BundleInput, request)
        documents = fields.pop("templates")
        changes = bundle.load(documents, **fields, author=agent(request).client.name)
        return Response(ImportedOutput({"changes": changes}).data)


class ImportPage(APIView):
    """A page of HTML, in."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.TEMPLATES_WRITE}

    @extend_schema(
        operation_id="templates_import_html",
        summary="Make a page of HTML the email of a template, new or there already",
        description=(
            "What no mail client runs or loads is left out and told. Of a template that is there "
            "only the email changes; where it is in MJML it is in HTML from now on."
        ),
        parameters=[IF_MATCH],
        request=PageInput,
        responses={200: LoadedPage, 201: LoadedPage},
    )
    @can_fail(ChangedMeanwhile, KeyTaken)
    def post(self, request: Request, key: str) -> Response:
        fields = validated(PageInput, request)
        page, author = fields.pop("html"), agent(request).client.name
        found = pages.load(key, page, author=author, expected=expected(request), **fields)
        status = 201 if found.action == "created" else 200
        headers = etag(found.template, selectors.latest(found.template))
        return Response(LoadedPage(found).data, status=status, headers=headers)
