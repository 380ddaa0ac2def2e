"""Templates in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from typing_extensions import override

from commsproject.common.api.serializers import JsonObject, StrictSerializer
from templates_app import locales, preview
from templates_app.models import Kind, Template, TemplateVersion
from templates_app.preview import MAX_NAME, MAX_SAMPLES

MAX_SOURCE = 64 * 1024


class Source(serializers.CharField):
    """The source of one part, as written: leading and trailing space is kept."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_SOURCE, trim_whitespace=False, required=False, **kwargs)


class Tag(serializers.CharField):
    """A language as a tag: `pt-BR`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=35, **kwargs)

    @override
    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if value and not locales.is_tag(value):
            raise serializers.ValidationError("A language is a tag such as de or pt-BR.")
        return value


class EmailParts(StrictSerializer):
    subject = Source()
    preheader = Source(help_text="The line that mail clients show beside the subject.")
    text = Source(help_text="Without it: made from the HTML.")
    html = Source()
    mjml = Source(help_text="Instead of html.")


class SmsParts(StrictSerializer):
    text = Source()


class InappParts(StrictSerializer):
    title = Source()
    body = Source()
    link = Source(help_text="https, a path, or a scheme of APP_LINK_SCHEMES.")
    image = Source()


class PushParts(InappParts):
    badge = Source()
    collapse_id = Source(help_text="Replaces an earlier notification that has the same one.")


class ChannelsInput(StrictSerializer):
    email = EmailParts(required=False)
    sms = SmsParts(required=False)
    push = PushParts(required=False)
    inapp = InappParts(required=False)


class SampleInput(StrictSerializer):
    name = serializers.CharField(max_length=MAX_NAME)
    data = JsonObject()  # type: ignore[assignment]  # a field, as DRF has it
    locale = Tag(default="", allow_blank=True)


class HostedInput(StrictSerializer):
    id = serializers.CharField(max_length=255)
    variables = serializers.DictField(
        child=serializers.CharField(max_length=1000),
        default=dict,
        help_text="Name in the provider's template to an expression: `user.name|upper`.",
    )


class VersionContentInput(StrictSerializer):
    """What a version says. What is left out of a change stays as it is."""

    channels = ChannelsInput(required=False)
    locale = Tag(required=False, allow_blank=True, help_text="That of `channels`.")
    translations = serializers.DictField(
        child=ChannelsInput(), required=False, help_text="Channels by language."
    )
    layout = serializers.SlugField(max_length=100, required=False, allow_blank=True)
    null_is = serializers.ChoiceField(TemplateVersion.NullIs.choices, required=False)
    hosted = serializers.DictField(
        child=HostedInput(), required=False, help_text="Templates that email providers keep."
    )
    schema = serializers.DictField(
        required=False, help_text="JSON Schema of the data: what was found, described and narrowed."
    )


class TemplateInput(VersionContentInput):
    """`POST /templates`."""

    key = serializers.SlugField(max_length=100)
    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(
        Kind.choices,
        default=Kind.MESSAGE,
        help_text="Whether messages are made of it, or other templates.",
    )
    samples = serializers.ListField(child=SampleInput(), required=False, max_length=MAX_SAMPLES)

    @override
    def validate(self, attrs: Any) -> Any:
        attrs.setdefault("channels", {})
        _check_channels(attrs, is_hosted=bool(attrs.get("hosted")))
        return attrs


class TemplateChange(VersionContentInput):
    """`PATCH /templates/{key}`. `context` has the newest `version`."""

    name = serializers.CharField(max_length=200, required=False)
    samples = serializers.ListField(child=SampleInput(), required=False, max_length=MAX_SAMPLES)

    @override
    def validate(self, attrs: Any) -> Any:
        hosted = attrs.get("hosted", self.context["version"].hosted)
        _check_channels(attrs, is_hosted=bool(hosted))
        return attrs


def _check_channels(content: Mapping[str, Any], *, is_hosted: bool) -> None:
    if content.get("channels") == {} and not is_hosted:
        errors = {"channels": "Give at least one channel."}
        raise serializers.ValidationError(errors, code="required")


class PreviewInput(StrictSerializer):
    """`POST /templates/{key}/preview`."""

    data = JsonObject(required=False)  # type: ignore[assignment]  # as DRF has it
    sample = serializers.CharField(
        max_length=MAX_NAME, required=False, help_text="The name of one; `data` lies over its data."
    )
    locale = Tag(required=False, help_text="The reader's.")
    time_zone = serializers.CharField(max_length=64, default="", help_text="The reader's.")
    channel = serializers.CharField(max_length=10, required=False)
    version = serializers.IntegerField(min_value=1, required=False, help_text="Else the newest.")
    content = VersionContentInput(
        required=False, help_text="Shown in place of what the version says."
    )


class VersionOutput(serializers.ModelSerializer[TemplateVersion]):
    class Meta:
        model = TemplateVersion
        fields = [
            "number",
            "channels",
            "locale",
            "translations",
            "layout",
            "null_is",
            "hosted",
            "schema",
            "variables",
            "pins",
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
        fields = [
            "key",
            "name",
            "kind",
            "samples",
            "archived_at",
            "created_at",
            "published_version",
            "latest",
        ]
        extra_kwargs = {
            "kind": {"help_text": "Whether messages are made of it, or other templates."}
        }

    def get_latest(self, template: Template) -> dict[str, Any]:
        versions = list(template.versions.all())
        return dict(VersionOutput(versions[0]).data) if versions else {}

    def get_published_version(self, template: Template) -> int | None:
        published = [v.number for v in template.versions.all() if v.published_at is not None]
        return max(published, default=None)


class WarningOutput(serializers.Serializer[Any]):
    """Something that works and will disappoint."""

    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class TemplateDetail(TemplateOutput):
    warnings = serializers.SerializerMethodField()

    class Meta(TemplateOutput.Meta):
        fields = [*TemplateOutput.Meta.fields, "warnings"]

    def get_warnings(self, template: Template) -> list[dict[str, str]]:
        return warnings(template.versions.all()[0])


class PublishedOutput(VersionOutput):
    warnings = serializers.SerializerMethodField()

    class Meta(VersionOutput.Meta):
        fields = [*VersionOutput.Meta.fields, "warnings"]

    def get_warnings(self, version: TemplateVersion) -> list[dict[str, str]]:
        return warnings(version)


def warnings(version: TemplateVersion) -> list[dict[str, str]]:
    return [vars(notice) for notice in preview.warnings(version)]


class PreviewOutput(serializers.Serializer[Any]):
    """The rendered parts, by channel."""

    channels = serializers.DictField(child=serializers.DictField(child=serializers.CharField()))
    locales = serializers.DictField(
        child=serializers.CharField(), help_text="The language of the text, by channel."
    )
    facts = serializers.DictField(
        child=serializers.DictField(),
        help_text="Of sms: encoding, segments, costs; of email: bytes and headers.",
    )
    hosted = serializers.DictField(
        child=serializers.DictField(), help_text="What providers are given for their own templates."
    )
    warnings = WarningOutput(many=True)


class PartChangeOutput(serializers.Serializer[Any]):
    """One part that differs, as the lines of a unified diff."""

    locale = serializers.CharField()
    channel = serializers.CharField(help_text="Empty for what is no part: layout, locale.")
    part = serializers.CharField()
    lines = serializers.ListField(child=serializers.CharField())


class DiffOutput(serializers.Serializer[Any]):
    before = serializers.IntegerField()
    after = serializers.IntegerField()
    changes = PartChangeOutput(many=True)
