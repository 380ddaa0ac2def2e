"""All templates as one document, out and in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.api.serializers import StrictSerializer, validated
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from templates_app import bundle
from templates_app.bundle import MAX_DOCUMENTS
from templates_app.models import Kind, TemplateVersion


class DocumentOutput(serializers.Serializer[Any]):
    """A template as it was last written: its draft, else the version in use."""

    key = serializers.SlugField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(Kind.choices)
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
        keys = [key for key in request.query_params.getlist("key") if "\0" not in key]
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
