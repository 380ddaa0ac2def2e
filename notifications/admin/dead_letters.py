"""What was given up: looked through, mended, sent again."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import (
    Age,
    BaseAdmin,
    Question,
    Tone,
    ago,
    as_uuid,
    badge,
    link,
    shorten,
)
from commsproject.common.admin.theme import AdminTextareaWidget, AdminTextInputWidget, ModelForm
from commsproject.common.errors import CommsError, InvalidInput
from notifications.admin.selected import ask_first
from notifications.models import DeadLetter, Delivery
from notifications.services import replay
from notifications.types import Channel, ErrorClass


class Replayed(SimpleListFilter):
    title = parameter_name = "replayed"

    @override
    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("no", "Not yet"), ("yes", "Yes")]

    @override
    def queryset(
        self, request: HttpRequest, queryset: QuerySet[DeadLetter]
    ) -> QuerySet[DeadLetter]:
        if self.value() not in ("no", "yes"):
            return queryset
        return queryset.filter(replayed_at__isnull=self.value() == "no")


class TriedBy(SimpleListFilter):
    title = parameter_name = "provider"

    @override
    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(name, name) for name in settings.PROVIDERS]

    @override
    def queryset(
        self, request: HttpRequest, queryset: QuerySet[DeadLetter]
    ) -> QuerySet[DeadLetter]:
        name = self.value()
        known = name in settings.PROVIDERS
        return replay.matching(queryset, {"provider": name}) if known else queryset


class DataField(forms.JSONField):
    """A JSON object, shown again as it was typed."""

    @override
    def prepare_value(self, value: Any) -> Any:
        if value is None or isinstance(value, InvalidJSONInput):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False)

    @override
    def bound_data(self, data: Any, initial: Any) -> Any:
        return InvalidJSONInput(data or "")

    @override
    def validate(self, value: Any) -> None:
        super().validate(value)
        if value is not None and not isinstance(value, dict):
            raise forms.ValidationError("A JSON object, please.", code="not_an_object")
        if r"\u0000" in json.dumps(value):  # PostgreSQL stores no NUL
            raise forms.ValidationError("NUL is not allowed here.", code="control_character")


class EditForm(ModelForm[DeadLetter]):
    """Where a replay goes and what it says."""

    to = forms.CharField(max_length=320, widget=AdminTextInputWidget)
    said = DataField(
        label="Data",
        required=False,
        widget=AdminTextareaWidget(attrs={"class": "comms-source"}),
        help_text="JSON that fills the content. Empty: as before.",
    )

    class Meta:
        model = DeadLetter
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        letter = self.instance
        self.fields["to"].initial = letter.address or letter.delivery.address
        if _is_sensitive(letter):
            del self.fields["said"]
        else:
            self.fields["said"].initial = replay.next_data(letter)

    @override
    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        try:
            replay.checked(self.instance, self.changes())
        except InvalidInput as error:
            for wrong in error.errors:
                self.add_error("to" if wrong.field == "to" else "said", wrong.message)
        return data

    def changes(self) -> dict[str, Any]:
        """What the staff member has changed, as `replay.edit` takes it."""
        names = {"to": "to", "said": "data"}
        return {
            name: self.cleaned_data[field]
            for field, name in names.items()
            if field in self.changed_data and field in self.cleaned_data
        }


@admin.register(DeadLetter)
class DeadLetterAdmin(BaseAdmin[DeadLetter]):
    """What was given up, and why. Changed until it is replayed, then kept as it is."""

    form = EditForm
    list_display = ("given_up", "channel", "kind", "reason", "tried", "replayed", "message")
    list_filter = (
        Age,
        Replayed,
        "error_class",
        "delivery__channel",
        TriedBy,
        "delivery__notification__client",
        "delivery__notification__category",
    )
    list_select_related = ("delivery",)
    nothing = "Nothing was given up"
    begin = "A message comes here when all its retries are used up: mend it, and send it again."
    sortable_by = ()
    readonly_fields = (
        "given_up",
        "channel",
        "kind",
        "code",
        "reason",
        "tried",
        "replayed",
        "message",
    )
    search_fields = ("delivery",)
    search_help_text = "Id of the dead letter, its delivery or its message"
    change_form_template = "notifications/admin/dead_letter.html"
    actions = ("replay_selected",)

    @override
    def named(self, row: DeadLetter) -> str:
        return shorten(row.reason or row.code) or row.get_error_class_display()

    @override
    def look_up(self, rows: QuerySet[DeadLetter], term: str) -> QuerySet[DeadLetter]:
        found = as_uuid(term)
        if found is None:
            return rows.none()
        by_id = rows.filter(id=found)
        by_delivery = rows.filter(delivery_id=found)
        return by_id | by_delivery | rows.filter(delivery__notification_id=found)

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: DeadLetter | None = None) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: DeadLetter | None = None) -> bool:
        """What was replayed stays as it was sent."""
        return self.may_act(request) and (obj is None or obj.replayed_at is None)

    @override
    def get_fields(self, request: HttpRequest, obj: DeadLetter | None = None) -> Any:
        if not self.has_change_permission(request, obj):
            return self.readonly_fields
        hidden = obj is not None and _is_sensitive(obj)
        return (*self.readonly_fields, "to", *(() if hidden else ("said",)))

    @override
    def save_model(self, request: HttpRequest, obj: DeadLetter, form: Any, change: bool) -> None:
        replay.edit(DeadLetter.objects.all(), obj.pk, form.changes())

    # --- Replaying ---------------------------------------------------------------------------

    @override
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.replay_one)
        name = "notifications_deadletter_replay"
        return [path("<uuid:pk>/replay/", view, name=name), *super().get_urls()]

    def replay_one(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        letter = get_object_or_404(DeadLetter, pk=pk)
        if not self.may_act(request):
            raise PermissionDenied

        def act() -> str:
            result = _replay(request, [letter.pk])[letter.pk]
            if isinstance(result, CommsError):
                raise result
            return "Replayed: it is in the queue again."

        question = Question(
            title="Send this message again?",
            text="It goes out as it is saved, as a new delivery of the same message.",
            button="Replay it",
        )
        return self.ask_first(request, letter, question, act)

    def has_act_permission(self, request: HttpRequest) -> bool:
        return self.may_act(request)

    @admin.action(description="Replay the selected dead letters", permissions=["act"])
    def replay_selected(
        self, request: HttpRequest, rows: QuerySet[DeadLetter]
    ) -> HttpResponse | None:
        chosen = {letter.pk: letter for letter in rows.order_by("id")[: replay.LIMIT]}
        question = Question(
            title=f"Send {len(chosen)} messages again?",
            text=f"Each goes out as it is saved. At most {replay.LIMIT} at a time.",
            button="Replay them",
        )
        if asked := ask_first(self, request, question, action="replay_selected", keys=chosen):
            return asked
        results = _replay(request, chosen)
        for key, result in results.items():
            if isinstance(result, Delivery):
                self.log_change(request, chosen[key], "Replayed.")
        self._tell(request, results.values())
        return None

    def _tell(self, request: HttpRequest, results: Collection[object]) -> None:
        refused = [result for result in results if isinstance(result, CommsError)]
        if done := len(results) - len(refused):
            self.message_user(request, f"{done} replayed: in the queue again.", messages.SUCCESS)
        for title in sorted({error.title for error in refused}):
            count = sum(error.title == title for error in refused)
            self.message_user(request, f"{count} not replayed: {title}.", messages.WARNING)

    # --- Columns -----------------------------------------------------------------------------

    @admin.display(description="Given up")
    def given_up(self, letter: DeadLetter) -> SafeString:
        return ago(letter.created_at)

    @admin.display(description="Channel")
    def channel(self, letter: DeadLetter) -> str:
        return Channel(letter.delivery.channel).label

    @admin.display(description="What went wrong")
    def kind(self, letter: DeadLetter) -> SafeString:
        known = letter.error_class in ErrorClass.values
        return badge(ErrorClass(letter.error_class).label if known else "Given up", Tone.BAD)

    @admin.display(description="Providers tried")
    def tried(self, letter: DeadLetter) -> str:
        return ", ".join(letter.providers)

    @admin.display(description="Replayed")
    def replayed(self, letter: DeadLetter) -> SafeString | str:
        return ago(letter.replayed_at) if letter.replayed_at else "no"

    @admin.display(description="Message")
    def message(self, letter: DeadLetter) -> SafeString:
        page = "admin:notifications_notification_change"
        return link(reverse(page, args=[letter.delivery.notification_id]), "Open")


def _is_sensitive(letter: DeadLetter) -> bool:
    """Staff never see what such a message says."""
    category = letter.delivery.notification.category
    return category is not None and category.is_sensitive


def _replay(request: HttpRequest, ids: Collection[UUID]) -> dict[UUID, Delivery | CommsError]:
    by = f"staff {request.user.get_username()}"
    return replay.replay(DeadLetter.objects.all(), ids, by=by)
