"""What staff fill in. Each form makes the body that an agent would send, and has it checked the same way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Exists, OuterRef
from rest_framework.exceptions import ValidationError as RefusedInput
from typing_extensions import override

from commsproject.common.admin.theme import (
    AdminTextareaWidget,
    AdminTextInputWidget,
    CheckboxSelectMultiple,
    Select,
)
from commsproject.common.api import problems, strict_json
from commsproject.common.errors import CommsError
from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications.api import rows
from notifications.api.batch_input import BatchInput, batch_request
from notifications.api.input import NotificationInput, submission
from notifications.models import Batch, Category, Topic
from notifications.services import broadcast, bulk
from notifications.services.asked import Submission
from notifications.services.broadcast import Topical
from notifications.types import Channel, Lane
from templates_app.models import Kind, Template, TemplateVersion


class _Templates(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic in its stub only
    """Templates that can be sent."""

    def __init__(self) -> None:
        published = TemplateVersion.objects.filter(
            template=OuterRef("pk"), published_at__isnull=False
        )
        super().__init__(
            Template.objects.filter(
                Exists(published), kind=Kind.MESSAGE, archived_at__isnull=True
            ).order_by("name"),
            to_field_name="key",
            required=False,
            empty_label="None: write it here",
            widget=Select,
        )

    @override
    def label_from_instance(self, obj: Template) -> str:
        return f"{obj.name} ({obj.key})"


def _line(label: str, help_text: str = "", **more: Any) -> forms.CharField:
    kind = {"required": False, "widget": AdminTextInputWidget, "max_length": 320, **more}
    return forms.CharField(label=label, help_text=help_text, **kind)


class ContentForm(forms.Form):
    """What a message says, and how it goes out."""

    token = forms.UUIDField(widget=forms.HiddenInput, initial=new_id)
    """Of one filling in: pressing the button twice sends once."""
    agent = forms.ModelChoiceField(
        ApiClient.objects.filter(is_active=True),
        label="In the name of",
        empty_label=None,
        widget=Select,
        help_text="The agent whose quota it counts against, and who is told what becomes of it.",
    )
    template = _Templates()
    subject = _line("Subject", "Of an email, and the title in the inbox.", max_length=998)
    text = forms.CharField(
        required=False, widget=AdminTextareaWidget(attrs={"rows": 7}), max_length=500_000
    )
    data = forms.CharField(  # type: ignore[assignment]  # a field, as Django has it
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 7, "spellcheck": "false"}),
        help_text="As JSON: what fills the places in the template.",
    )
    category = forms.ModelChoiceField(
        Category.objects.all(),
        to_field_name="key",
        required=False,
        empty_label="None",
        widget=Select,
        help_text="Its rules hold: opt-outs, quiet hours, caps.",
    )
    channels = forms.MultipleChoiceField(
        choices=Channel.choices,
        required=False,
        widget=CheckboxSelectMultiple,
        help_text="None: those that the category, the content and the person's addresses allow.",
    )
    priority = forms.ChoiceField(choices=Lane.choices, initial=Lane.NORMAL, widget=Select)
    locale = _line("Language", "Such as de or pt-BR. Empty: the person's own.", max_length=35)
    send_at = forms.DateTimeField(
        required=False,
        label="Send at",
        widget=AdminTextInputWidget(attrs={"type": "datetime-local"}),
        help_text="In your time zone. Empty: now.",
    )
    reference = _line("Reference", "A name to find it by.", max_length=200)

    def clean_data(self) -> dict[str, Any] | None:
        text = self.cleaned_data["data"].strip()
        if not text:
            return None
        try:
            found = strict_json.loads(text.encode())
        except (strict_json.BadJSON, UnicodeEncodeError) as bad:
            raise forms.ValidationError(f"This is not JSON. {bad}") from None
        if not isinstance(found, dict):
            raise forms.ValidationError('An object, please: {"name": "Ada"}.')
        return found

    def refuse(self, error: CommsError) -> None:
        """Say each thing that is wrong at its field, where there is one."""
        for one in error.errors:
            self.add_error(self._place(one.field), one.message)
        if not any(one.message in error.detail for one in error.errors):
            self.add_error(None, error.detail)

    def _place(self, path: str) -> str | None:
        """`data.name` is the field `data`; `to.email`, `content.text`, `canary.wait` are their last word."""
        first, _, _ = path.partition(".")
        *_, last = path.split(".")
        return next((name for name in (first, last) if name in self.fields), None)

    def content(self) -> dict[str, Any]:
        """The part of the body that all messages have. Empty fields are left out."""
        given = self.cleaned_data
        found = {name: given[name] for name in ("locale", "priority", "reference", "channels")}
        if given["template"]:
            found["template"] = given["template"].key
        else:
            words = {name: given[name] for name in ("subject", "text") if given[name]}
            found["content"] = words
        if given["category"]:
            found["category"] = given["category"].key
        if given["send_at"]:
            found["send_at"] = given["send_at"].isoformat()
        body = {name: value for name, value in found.items() if value}
        return body if given["data"] is None else {**body, "data": given["data"]}

    def key(self, body: Mapping[str, Any]) -> str:
        """What is changed and sent again is another message."""
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        return f"console-{self.cleaned_data['token']}-{digest[:16]}"


class MessageForm(ContentForm):
    """One message to one person."""

    user_id = _line("User id", "As the identity service knows the person.", max_length=200)
    email = _line("Email address")
    phone = _line("Phone number", "With its country: +14155550132.")

    def submission(self) -> Submission:
        """Raises `CommsError` with all that is wrong with its form."""
        given = self.cleaned_data
        to = {name: given[name] for name in ("user_id", "email", "phone") if given[name]}
        body = {**self.content(), "to": to}
        fields = _checked(NotificationInput(data=body))
        found = submission(fields, idempotency_key=self.key(body), raw=body)
        assert isinstance(found, Submission)  # noqa: S101 - `to` names no topic
        return found


class BatchForm(ContentForm):
    """One message to many: the rows of a file, or the people of a topic."""

    rows = forms.FileField(
        required=False,
        label="CSV file",
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv", "class": "compose-file"}),
        help_text="UTF-8, its first line the columns: email, phone, user_id, reference; every other "
        "one fills the template.",
    )
    topic = forms.ModelChoiceField(
        Topic.objects.all(),
        to_field_name="key",
        required=False,
        empty_label="No topic: a file",
        label="Or everybody of a topic",
        widget=Select,
    )
    pace = forms.FloatField(
        required=False,
        min_value=0.01,
        max_value=100_000,
        widget=AdminTextInputWidget,
        help_text="Messages a second. Empty: as fast as the providers allow.",
    )
    percent = forms.FloatField(
        required=False,
        min_value=0.001,
        max_value=99,
        label="Canary",
        widget=AdminTextInputWidget,
        help_text="Percent that goes first, drawn at random. Empty: none.",
    )
    wait = forms.FloatField(
        required=False,
        min_value=0,
        max_value=7 * 24 * 60,
        initial=10,
        label="Canary's wait",
        widget=AdminTextInputWidget,
        help_text="Minutes before the others follow.",
    )
    max_failures = forms.FloatField(
        required=False,
        min_value=0,
        max_value=100,
        initial=5,
        label="Canary's limit",
        widget=AdminTextInputWidget,
        help_text="Percent that may fail; with more the batch is halted.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["priority"].initial = Lane.BULK
        self.fields["data"].help_text = "As JSON: what all rows have in common."

    @override
    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if bool(given.get("rows")) == bool(given.get("topic")) and "rows" not in self.errors:
            self.add_error("rows", "Choose either a file or a topic.")
        return given

    def receive(self, composer: str) -> Batch:
        """The batch, complete, waiting for approval: nothing goes out. Raises `CommsError`."""
        given = self.cleaned_data
        body = self.content()
        if given["pace"]:
            body["pace"] = given["pace"]
        if given["percent"]:
            body["canary"] = {
                "percent": given["percent"],
                "wait": 60 * (given["wait"] or 0),
                "max_failures": given["max_failures"] or 0,
            }
        fields = _checked(BatchInput(data=body))
        asked = replace(
            batch_request(fields, body, self.key(body)), approval=True, composer=composer
        )
        if given["topic"]:
            return broadcast.send(given["agent"], asked, Topical(given["topic"].key))[0]
        return bulk.receive(given["agent"], asked, _uploaded(given["rows"]))[0]


def _checked(serializer: Any) -> Any:
    try:
        serializer.is_valid(raise_exception=True)
    except RefusedInput as refused:
        raise problems.translate(refused) or problems.InternalError() from refused
    return serializer.validated_data


def _uploaded(file: UploadedFile[bytes]) -> bulk.Upload:
    stream = rows.Stream(file.file, settings.BATCH_UPLOAD_MAX_SIZE)  # type: ignore[arg-type]  # of bytes
    return rows.Uploaded(stream, rows.comma_separated)
