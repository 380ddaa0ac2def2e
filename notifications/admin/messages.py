"""Messages: what was sent to whom, how far it got, and what it looked like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Prefetch, QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import Age, Question, ReadOnlyAdmin, ago, as_uuid, link, shorten
from commsproject.common.models import ApiClient
from notifications import selectors, sms
from notifications.admin import badges
from notifications.admin.search import digests
from notifications.admin.selected import ask_first
from notifications.models import Attempt, Category, Delivery, Notification, Recipient
from notifications.services import cancel, render, replay
from notifications.states import PENDING, State
from notifications.types import Channel, Lane
from templates_app.errors import TemplateError
from templates_app.types import Reader

SEARCH_CAP = 1000
"""Messages that one search finds, the newest of them."""


class OnChannel(SimpleListFilter):
    title = parameter_name = "channel"

    @override
    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(channel.value, channel.label) for channel in Channel]

    @override
    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> QuerySet[Notification]:
        if self.value() not in Channel.values:
            return queryset
        going = Delivery.objects.filter(notification=OuterRef("pk"), channel=self.value())
        return queryset.filter(Exists(going))


class InState(SimpleListFilter):
    title = "state"
    parameter_name = "state"

    @override
    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(state.value, state.label) for state in State]

    @override
    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> QuerySet[Notification]:
        value = self.value()
        if value not in State.values:
            return queryset
        return selectors.with_state(queryset, State(value))


@dataclass(frozen=True)
class _Shown:
    """One delivery as the page shows it."""

    delivery: Delivery
    channel: Channel
    badge: SafeString
    attempts: list[tuple[Attempt, SafeString]]
    parts: dict[str, str]
    problem: str


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin[Notification]):
    """One message to one person."""

    list_display = ("what", "status", "to", "channels", "agent", "lane", "created")
    list_filter = (
        Age,
        OnChannel,
        InState,
        "priority",
        ("client", admin.RelatedOnlyFieldListFilter),
        "category",
    )
    search_fields = ("id",)
    search_help_text = "Exact id, reference, user id or address"
    change_form_template = "notifications/admin/notification.html"
    actions = ("resend_unconfirmed",)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        deliveries = Delivery.objects.prefetch_related("attempts")
        return (
            super()
            .get_queryset(request)
            .select_related(
                *("client", "category", "recipient", "batch"),
                *("template_version__template", "variant__experiment"),
            )
            .prefetch_related(Prefetch("deliveries", queryset=deliveries))
        )

    @override
    def look_up(self, rows: QuerySet[Notification], term: str) -> QuerySet[Notification]:
        return rows.filter(id__in=_named(term))

    @override
    def own_page(self, row: Notification) -> dict[str, Any]:
        return {"subtitle": None, "title": _what(row), **_page(row)}

    def has_act_permission(self, request: HttpRequest) -> bool:
        return self.may_act(request)

    @override
    def get_urls(self) -> list[URLPattern]:
        stop = self.admin_site.admin_view(self.stop)
        return [
            path("<uuid:pk>/cancel/", stop, name="notifications_notification_cancel"),
            *super().get_urls(),
        ]

    def stop(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row = get_object_or_404(Notification, pk=pk)
        if not self.may_act(request):
            raise PermissionDenied

        def act() -> str:
            results = cancel.cancel(row, cancel.BY_STAFF)
            return " ".join(
                f"{Channel(result.delivery.channel).label}: {result.outcome.label}"
                for result in results
            )

        question = Question(
            title="Cancel this message?",
            text="What no provider has been called for is not sent. This cannot be undone.",
            button="Cancel the message",
        )
        return self.ask_first(request, row, question, act)

    @admin.action(description="Send again what was never confirmed", permissions=["act"])
    def resend_unconfirmed(
        self, request: HttpRequest, rows: QuerySet[Notification]
    ) -> HttpResponse | None:
        chosen = list(rows.order_by("id").values_list("id", flat=True)[: replay.LIMIT])
        question = Question(
            title="Send again what was never confirmed?",
            text="No provider has said what became of these messages: some may arrive twice.",
            button="Send them again",
        )
        if asked := ask_first(self, request, question, action="resend_unconfirmed", keys=chosen):
            return asked
        by = f"staff {request.user.get_username()}"
        sent = replay.resend(Delivery.objects.filter(notification__in=chosen), by=by)
        self.message_user(request, f"{sent} unconfirmed of {len(chosen)} messages: in the queue.")
        return None

    @admin.display(description="Message")
    def what(self, row: Notification) -> str:
        return _what(row)

    @admin.display(description="Status")
    def status(self, row: Notification) -> SafeString:
        return badges.state(selectors.status(row))

    @admin.display(description="To")
    def to(self, row: Notification) -> str:
        return shorten(", ".join(dict.fromkeys(d.address for d in row.deliveries.all())), 48)

    @admin.display(description="Channel")
    def channels(self, row: Notification) -> str:
        return ", ".join(Channel(delivery.channel).label for delivery in row.deliveries.all())

    @admin.display(description="Agent")
    def agent(self, row: Notification) -> str:
        return row.client.name

    @admin.display(description="Priority")
    def lane(self, row: Notification) -> SafeString:
        return badges.lane(Lane(row.priority))

    @admin.display(description="Created")
    def created(self, row: Notification) -> SafeString:
        return ago(row.created_at)


def _what(row: Notification) -> str:
    """The template's key, or how the message begins."""
    if row.template_version is not None:
        return row.template_version.template.key
    if _is_sensitive(row):
        return f"Message: {row.category}"
    parts = _inline(row)
    text = parts.get("email", {}).get("subject") or parts.get("sms", {}).get("text") or "Message"
    return shorten(text)


def _is_sensitive(row: Notification) -> bool:
    """Staff never see what such a message says."""
    return row.category is not None and row.category.is_sensitive


def _inline(row: Notification) -> render.Content:
    """Its own content, or that of its batch."""
    found: render.Content = row.content or (row.batch.content if row.batch else None) or {}
    return found


def _named(term: str) -> set[UUID]:
    """The messages that `term` could mean, each way through an index."""
    found: set[UUID] = set()
    if (key := as_uuid(term)) is not None:
        found.add(key)
        found.update(Delivery.objects.filter(id=key).values_list("notification_id", flat=True))
    people = list(Recipient.objects.filter(user_id=term).values_list("id", flat=True))
    agents = list(ApiClient.objects.values_list("id", flat=True))
    newest = Notification.objects.order_by("-id").values_list("id", flat=True)
    found.update(newest.filter(recipient__in=people)[:SEARCH_CAP])
    found.update(newest.filter(client__in=agents, reference=term)[:SEARCH_CAP])
    if hashes := digests(term):
        sent_to = Delivery.objects.filter(address_hash__in=hashes).order_by("-id")
        found.update(sent_to.values_list("notification_id", flat=True)[:SEARCH_CAP])
    return found


# --- The detail page -------------------------------------------------------------------------


def _page(row: Notification) -> dict[str, Any]:
    prefetch_related_objects([row], "deliveries__attempts", "deliveries__events")
    deliveries = list(row.deliveries.all())
    edited = replay.data_of(deliveries)
    return {
        "status": badges.state(selectors.status(row)),
        "lane": badges.lane(Lane(row.priority)),
        "deliveries": [_shown(row, one, edited.get(one.id, row.data)) for one in deliveries],
        "story": [(entry, badges.event(entry.type).value) for entry in selectors.story(row)],
        **_given(row),
        "person": _person(row.recipient) if row.recipient else "",
        "is_pending": any(delivery.state in PENDING for delivery in deliveries),
    }


def _given(row: Notification) -> dict[str, Any]:
    if _is_sensitive(row):
        return {"data": "", "files": []}
    return {
        "data": json.dumps(row.data, indent=2, ensure_ascii=False) if row.data else "",
        "files": [str(item.get("filename", "file")) for item in row.attachments],
    }


def _person(recipient: Recipient) -> SafeString:
    page = reverse("admin:notifications_recipient_change", args=[recipient.pk])
    return link(page, recipient.user_id)


def _shown(row: Notification, delivery: Delivery, data: Mapping[str, Any] | None) -> _Shown:
    parts, problem = _rendered(row, delivery.channel, data)
    return _Shown(
        delivery=delivery,
        channel=Channel(delivery.channel),
        badge=badges.state(selectors.shown_state(delivery)),
        attempts=[(a, badges.attempt(Attempt.State(a.state))) for a in delivery.attempts.all()],
        parts=parts,
        problem=problem,
    )


def _rendered(
    row: Notification, channel: str, data: Mapping[str, Any] | None
) -> tuple[dict[str, str], str]:
    """What was sent, made again from version and data; or why it cannot be."""
    if _is_sensitive(row):
        return {}, "Only its reader sees what a message of this category says."
    source = render.of_message(row, Channel(channel))
    if source is None or row.erased_at is not None:
        return {}, "The content of this message is no longer kept."
    shared = row.batch.data if row.batch else None
    both = shared if data is None else {**(shared or {}), **data}
    try:
        parts = source.render(both, Reader(row.locale, row.time_zone))
        if channel == Channel.SMS:
            rule = row.category.long_text if row.category else Category.LongText.SPLIT
            parts["text"] = sms.fit(parts["text"], rule).text
    except (TemplateError, sms.TooLong) as error:
        return {}, str(error)
    return parts, ""
