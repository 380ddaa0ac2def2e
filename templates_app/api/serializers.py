"""Templates in and out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from typing_extensions import override

from commsproject.common.api.serializers import StrictSerializer
from templates_app.models import Template, TemplateVersion

MAX_SOURCE = 64 * 1024


class Source(serializers.CharField):
    """The source of one part, as written: leading and trailing space is kept."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_SOURCE, trim_whitespace=False, **kwargs)


class EmailParts(StrictSerializer):
    subject = Source()
    text = Source(required=False)
    html = Source(required=False)

    @override
    def validate(self, attrs: Any) -> Any:
        if not attrs.get("text") and not attrs.get("html"):
            raise serializers.ValidationError(
                {"text": "An email needs a text or html."}, code="required"
            )
        return attrs


class SmsParts(StrictSerializer):
    text = Source()


class ChannelsInput(StrictSerializer):
    email = EmailParts(required=False)
    sms = SmsParts(required=False)

    @override
    def validate(self, attrs: Any) -> Any:
        if not attrs:
            raise serializers.ValidationError("Give at least one channel.", code="required")
        return attrs


class TemplateInput(StrictSerializer):
    """`POST /templates`."""

    key = serializers.SlugField(max_length=100)
    name = serializers.CharField(max_length=200)
    channels = ChannelsInput()
    locale = serializers.CharField(max_length=35, default="", allow_blank=True)


class TemplateChange(StrictSerializer):
    """`PATCH /templates/{key}`."""

    name = serializers.CharField(max_length=200, required=False)
    channels = ChannelsInput(required=False)
    locale = serializers.CharField(max_length=35, required=False, allow_blank=True)


class PreviewInput(StrictSerializer):
    """`POST /templates/{key}/preview`."""

    data = serializers.DictField(default=dict)  # type: ignore[assignment]  # a field, as DRF has it
    locale = serializers.CharField(max_length=35, required=False)
    channel = serializers.CharField(max_length=10, required=False)


class VersionOutput(serializers.ModelSerializer[TemplateVersion]):
    class Meta:
        model = TemplateVersion
        fields = [
            "number",
            "channels",
            "locale",
            "variables",
            "created_by",
            "created_at",
            "published_at",
        ]


class TemplateOutput(serializers.ModelSerializer[Template]):
    """A template with its newest version: the draft if there is one."""

    latest = serializers.SerializerMethodField()
    published_version = serializers.SerializerMethodField()

    class Meta:
        model = Template
        fields = ["key", "name", "created_at", "published_version", "latest"]

    def get_latest(self, template: Template) -> dict[str, Any]:
        versions = list(template.versions.all())
        return dict(VersionOutput(versions[0]).data) if versions else {}

    def get_published_version(self, template: Template) -> int | None:
        published = [v.number for v in template.versions.all() if v.published_at is not None]
        return max(published, default=None)


class PreviewOutput(serializers.Serializer[Any]):
    """The rendered parts, by channel."""

    channels = serializers.DictField(child=serializers.DictField(child=serializers.CharField()))
