"""The simulator's mailbox: what would have gone out, had there been a provider."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import Age, ReadOnlyAdmin, Tone, ago, as_uuid, badge, shorten
from notifications.admin import badges
from notifications.models import Attempt, SimulatedMessage, SimulatorRule
from notifications.types import Channel, EventType


@admin.register(SimulatedMessage)
class MailboxAdmin(ReadOnlyAdmin[SimulatedMessage]):
    """Every message the simulator took, newest first."""

    list_display = ("subject", "to", "channel_badge", "provider", "receipts_badge", "came")
    list_filter = (Age, "channel", "provider")
    list_before_template = "notifications/admin/simulator_links.html"
    search_fields = ("id",)
    search_help_text = "Exact id"
    nothing = "The simulator has carried nothing yet"
    begin = "What is sent on a channel without a provider is shown here."
    change_form_template = "notifications/admin/simulated.html"

    @override
    def named(self, row: SimulatedMessage) -> str:
        return _begins(row)

    @override
    def look_up(self, rows: QuerySet[SimulatedMessage], term: str) -> QuerySet[SimulatedMessage]:
        found = as_uuid(term)
        return rows.filter(id=found) if found else rows.none()

    @override
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        rules = SimulatorRule.objects.count()
        return super().changelist_view(request, {**(extra_context or {}), "rules": rules})

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[SimulatedMessage]:
        return super().get_queryset(request).annotate(is_sensitive=_IS_SENSITIVE)

    @override
    def own_page(self, row: SimulatedMessage) -> dict[str, Any]:
        return {"subtitle": None, "title": _begins(row), **_page(row)}

    @admin.display(description="Subject or text")
    def subject(self, row: SimulatedMessage) -> str:
        return _begins(row)

    @admin.display(description="To")
    def to(self, row: SimulatedMessage) -> str:
        return shorten(row.address, 48)

    @admin.display(description="Channel")
    def channel_badge(self, row: SimulatedMessage) -> SafeString:
        tone = Tone.BUSY if row.channel == Channel.EMAIL else Tone.QUIET
        return badge(Channel(row.channel).label, tone)

    @admin.display(description="Receipts")
    def receipts_badge(self, row: SimulatedMessage) -> SafeString:
        return _receipts(row)

    @admin.display(description="Came in")
    def came(self, row: SimulatedMessage) -> SafeString:
        return ago(row.created_at)


_IS_SENSITIVE = Exists(
    Attempt.objects.filter(
        id=OuterRef("attempt_id"), delivery__notification__category__is_sensitive=True
    )
)
"""Staff never see what such a message says, here neither."""


def _is_sensitive(row: SimulatedMessage) -> bool:
    return bool(getattr(row, "is_sensitive"))  # noqa: B009 - an annotation


def _begins(row: SimulatedMessage) -> str:
    if _is_sensitive(row):
        return "Hidden"
    return shorten(row.parts.get("subject") or row.parts.get("text") or "(no subject)", 72)


def _receipts(row: SimulatedMessage) -> SafeString:
    if row.attempt_id is None:
        return badge("None: plain mail")
    if row.receipts_due_at is None:
        forged = row.manner == SimulatedMessage.Manner.FORGED
        return badge("Forged", Tone.BAD) if forged else badge("Posted", Tone.GOOD)
    waiting = ", ".join(EventType(kind).label.lower() for kind in row.receipts)
    return badge(f"To post: {waiting}", Tone.WARN)


def _attempt(attempt_id: UUID) -> Attempt | None:
    """None where the message itself is no longer kept."""
    return Attempt.objects.filter(id=attempt_id).select_related("delivery").first()


def _page(row: SimulatedMessage) -> dict[str, Any]:
    attempt = _attempt(row.attempt_id) if row.attempt_id else None
    context: dict[str, Any] = {
        "receipts": _receipts(row),
        "channel": Channel(row.channel),
        "is_hidden": _is_sensitive(row),
    }
    if not _is_sensitive(row):
        context["headers"] = {name: str(value) for name, value in row.headers.items()}
        context["metadata"] = {name: str(value) for name, value in row.metadata.items() if value}
    if attempt is not None:
        page = "admin:notifications_notification_change"
        context["message_url"] = reverse(page, args=[attempt.delivery.notification_id])
        context["attempt"] = badges.attempt(Attempt.State(attempt.state))
    return context
