"""A message as asked for over HTTP: checked for form here, against what is stored in `plan`."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import TextChoices
from django.utils import timezone
from rest_framework import serializers
from typing_extensions import override

from commsproject.common.api.serializers import JsonObject, Moment, StrictSerializer, Text
from notifications import addresses, timetable, weblinks
from notifications.services import keys
from notifications.services.asked import Submission, Target
from notifications.services.broadcast import Topical
from notifications.services.bulk import BatchRequest
from notifications.types import Channel, Lane

MAX_ATTACHMENT_BYTES = 3 * 1024 * 1024
MAX_ATTACHMENTS = 100
MAX_METADATA = 20
MAX_AHEAD = timedelta(days=366)

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Unicode's Cc, Zl and Zp: what is no part of a line."""


class Line(Text):
    """One line of text: no control characters, so that nothing can be smuggled into a header."""

    @override
    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if CONTROL.search(str(data)):  # at the ends too: not what is left after trimming
            raise serializers.ValidationError(
                "Control characters and line breaks are not allowed here.", code="control_character"
            )
        return value


class AddressField(serializers.CharField):
    """One address in its normal form."""

    def __init__(self, channel: Channel, **kwargs: Any) -> None:
        super().__init__(max_length=320, trim_whitespace=False, **kwargs)
        self.channel = channel

    @override
    def to_internal_value(self, data: Any) -> str:
        try:
            return addresses.normalise(self.channel, super().to_internal_value(data))
        except addresses.BadAddress as error:
            raise serializers.ValidationError(str(error), code="bad_address") from None


class LocaleField(serializers.RegexField):
    """A language tag, with or without a region."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*$", max_length=35, **kwargs)


class ZoneField(Line):
    """A time zone by its IANA name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=64, **kwargs)

    @override
    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if name and name not in timetable.zones():
            raise serializers.ValidationError(
                "There is no such time zone. Give an IANA name, such as Europe/Berlin.",
                code="unknown_time_zone",
            )
        return name


class TargetInput(StrictSerializer):
    user_id = Line(max_length=200, required=False, help_text="As the identity service knows them.")
    email = AddressField(Channel.EMAIL, required=False)
    phone = AddressField(Channel.SMS, required=False, help_text="E.164.")
    device = AddressField(Channel.PUSH, required=False, help_text="Its id.")

    @override
    def validate(self, attrs: Any) -> Target:
        found = {
            channel: attrs[name] for name, channel in addresses.FIELDS.items() if attrs.get(name)
        }
        if not found and not attrs.get("user_id"):
            raise serializers.ValidationError(
                "Say whom: user_id, email, phone or device.", code="required"
            )
        return Target(user_id=attrs.get("user_id", ""), addresses=found)


class ToInput(TargetInput):
    """One person or address, or everybody of a topic."""

    topic = serializers.SlugField(
        max_length=64, required=False, help_text="Everybody of it: the answer names a batch."
    )
    exclude = serializers.ListField(
        child=Line(max_length=200),
        required=False,
        max_length=1000,
        help_text="With a topic: user ids that are left out.",
    )
    exclude_topics = serializers.ListField(
        child=serializers.SlugField(max_length=64),
        required=False,
        max_length=20,
        help_text="With a topic: topics whose people are left out.",
    )

    @override
    def validate(self, attrs: Any) -> Any:
        if "topic" not in attrs:
            for name in ("exclude", "exclude_topics"):
                if name in attrs:
                    raise serializers.ValidationError({name: "Only with a topic."}, code="no_topic")
            return super().validate(attrs)
        if others := sorted(attrs.keys() - {"topic", "exclude", "exclude_topics"}):
            raise serializers.ValidationError(
                {others[0]: "A topic is written to by itself."}, code="topic_or_person"
            )
        return Topical(**attrs)


class ContentInput(StrictSerializer):
    subject = Line(max_length=998, required=False)
    text = serializers.CharField(max_length=500_000, required=False, trim_whitespace=False)
    html = serializers.CharField(max_length=500_000, required=False, trim_whitespace=False)
    title = Line(max_length=998, required=False, help_text="Of push and inbox; else the subject.")
    body = serializers.CharField(
        max_length=5000,
        required=False,
        trim_whitespace=False,
        help_text="Of push and inbox; else the text.",
    )
    link = Line(max_length=2000, required=False, help_text="Of push and inbox.")
    image = Line(max_length=2000, required=False, help_text="Of push and inbox.")


class ActionInput(StrictSerializer):
    """A button of a message in the inbox. One with a link leads there; any other is an answer."""

    class Style(TextChoices):
        PRIMARY = "primary", "Primary"
        SECONDARY = "secondary", "Secondary"
        DANGER = "danger", "Danger"

    key = serializers.SlugField(max_length=40)
    label = Line(max_length=80)  # type: ignore[assignment]  # a field, as DRF has it
    link = Line(max_length=2000, required=False, help_text="https, http, mailto, tel, or a path.")
    style = serializers.ChoiceField(Style.choices, default=Style.SECONDARY)  # type: ignore[assignment]

    def validate_link(self, value: str) -> str:
        if not weblinks.is_link(value):
            raise serializers.ValidationError(
                "A link begins with https://, http://, mailto:, tel: or a single slash.",
                code="bad_link",
            )
        return value


class ActionsField(serializers.ListField):
    """Up to five buttons, each with a key of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=ActionInput(), max_length=5, **kwargs)

    @override
    def to_internal_value(self, data: Any) -> list[Any]:
        found = super().to_internal_value(data)
        if len({action["key"] for action in found}) < len(found):
            raise serializers.ValidationError("Two actions have the same key.", code="same_key")
        return found


class AttachmentInput(StrictSerializer):
    filename = Line(max_length=200)
    content = serializers.CharField(help_text="Base64.")
    content_type = serializers.RegexField(
        r"^(?!multipart/|message/)[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*$",
        max_length=100,
        default="application/octet-stream",
    )

    def validate_filename(self, value: str) -> str:
        if "/" in value or "\\" in value:
            raise serializers.ValidationError("A file name, not a path.", code="path")
        return value

    def validate_content(self, value: str) -> str:
        try:
            base64.b64decode(value, validate=True)
        except ValueError:  # binascii's own, and what is not ASCII
            raise serializers.ValidationError("This is not base64.", code="base64") from None
        return value


class MetadataField(serializers.DictField):
    """A few short texts by name, as the caller's own programs know them."""

    child = Line(max_length=500)

    @override
    def to_internal_value(self, data: Any) -> dict[str, str]:
        if isinstance(data, dict) and (
            len(data) > MAX_METADATA
            or any(len(name) > 64 or not name.isidentifier() for name in data)
        ):
            raise serializers.ValidationError(
                f"At most {MAX_METADATA} entries, each name an identifier of 64 characters at most.",
                code="metadata",
            )
        return super().to_internal_value(data)


class NotificationInput(StrictSerializer):
    """`POST /notifications`."""

    to = ToInput()
    channels = serializers.ListField(
        child=serializers.ChoiceField(Channel.choices),
        required=False,
        min_length=1,
        max_length=len(Channel),
        help_text="Without it: every channel that has both an address and content.",
    )
    template = serializers.SlugField(max_length=100, required=False)
    content = ContentInput(required=False)
    data = JsonObject(  # type: ignore[assignment]  # a field, as DRF has it
        required=False,
        help_text="Fills the template, or inline content. Inline content without data is literal.",
    )
    locale = LocaleField(required=False)
    category = serializers.SlugField(max_length=64, required=False)
    priority = serializers.ChoiceField(Lane.choices, default=Lane.NORMAL)
    send_at = Moment(required=False)
    expires_at = Moment(required=False)
    agent_id = Line(max_length=100, required=False)
    reference = Line(max_length=200, required=False)
    tags = serializers.ListField(child=Line(max_length=64), required=False, max_length=10)
    reply_to = AddressField(Channel.EMAIL, required=False)
    attachments = serializers.ListField(
        child=AttachmentInput(), required=False, max_length=MAX_ATTACHMENTS
    )
    metadata = MetadataField(required=False)
    actions = ActionsField(required=False, help_text="Buttons in the inbox.")
    dry_run = serializers.BooleanField(default=False)

    def validate_attachments(self, value: list[Mapping[str, str]]) -> list[Mapping[str, str]]:
        if sum(len(item["content"]) * 3 // 4 for item in value) > MAX_ATTACHMENT_BYTES:
            raise serializers.ValidationError(
                f"Attachments may have {MAX_ATTACHMENT_BYTES} bytes together.", code="too_large"
            )
        return value

    @override
    def validate(self, attrs: Any) -> Any:
        if ("template" in attrs) == ("content" in attrs):
            raise serializers.ValidationError(
                {"template": "Give either a template or content."}, code="template_or_content"
            )
        if "template" in attrs:
            attrs.setdefault("data", {})
        if isinstance(attrs.get("to"), Topical):
            self._check_for_many(attrs)
        self._check_times(attrs)
        return attrs

    def _check_for_many(self, attrs: Mapping[str, Any]) -> None:
        why = {
            "dry_run": "Try it with one person of the topic.",
            "attachments": "Link to the file: it would be stored for each of them.",
        }
        if wrong := {name: text for name, text in why.items() if attrs.get(name)}:
            raise serializers.ValidationError(wrong, code="not_with_a_topic")

    def _check_times(self, attrs: Mapping[str, Any]) -> None:
        send_at, expires_at = attrs.get("send_at"), attrs.get("expires_at")
        now = timezone.now()
        if send_at and send_at > now + MAX_AHEAD:
            raise serializers.ValidationError({"send_at": "At most a year ahead."}, code="too_far")
        if expires_at and expires_at <= max(send_at or now, now):
            raise serializers.ValidationError(
                {"expires_at": "It must be in the future, and after send_at."}, code="in_the_past"
            )


def submission(
    fields: Mapping[str, Any], *, idempotency_key: str, raw: Any
) -> Submission | tuple[Topical, BatchRequest]:
    """What `NotificationInput` validated, with the fingerprint of the request body `raw`; to a topic,
    a batch.
    """
    fingerprint = keys.fingerprint(raw)
    known = {name: value for name, value in fields.items() if name not in {"to", "dry_run"}}
    known["channels"] = [Channel(name) for name in fields.get("channels", [])]
    known["priority"] = Lane(fields["priority"])
    known["idempotency_key"] = idempotency_key
    if isinstance(fields["to"], Topical):
        return fields["to"], BatchRequest(**known, parameters=fingerprint)
    return Submission(
        **known, to=fields["to"], dry_run=fields.get("dry_run", False), fingerprint=fingerprint
    )
