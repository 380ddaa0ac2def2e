from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import Age, ReadOnlyAdmin, Tone, ago, as_uuid, badge, link
from notifications.models import DeadLetter
from notifications.types import Channel, ErrorClass


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin[DeadLetter]):
    """What was given up, and why."""

    list_display = ("given_up", "channel", "kind", "reason", "tried", "replayed", "message")
    list_filter = (Age, "error_class", "delivery__channel")
    list_select_related = ("delivery",)
    nothing = "Nothing was given up"
    fields = ("given_up", "channel", "kind", "code", "reason", "tried", "replayed", "message")
    search_fields = ("delivery",)
    search_help_text = "Id of the dead letter, its delivery or its message"

    @override
    def look_up(self, rows: QuerySet[DeadLetter], term: str) -> QuerySet[DeadLetter]:
        found = as_uuid(term)
        if found is None:
            return rows.none()
        by_id = rows.filter(id=found)
        by_delivery = rows.filter(delivery_id=found)
        return by_id | by_delivery | rows.filter(delivery__notification_id=found)

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
