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
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from typing_extensions import override

from commsproject.common.admin import (
    Age,
    Question,
    ReadOnlyAdmin,
    Tone,
    ago,
    as_uuid,
    badge,
    link,
    shorten,
)
from commsproject.common.admin.base import COUNT_CAP
from commsproject.common.models import ApiClient
from notifications import selectors
from notifications.admin import badges, rendering
from notifications.admin.rendering import is_sensitive
from notifications.admin.search import digests
from notifications.admin.selected import ask_first
from notifications.errors import CannotCancel
from notifications.models import Attempt, Delivery, Notification, Recipient
from notifications.policy import Delay, Finding, Refusal
from notifications.services import cancel, explain, render, replay
from notifications.services.explain import Explained
from notifications.states import PENDING, State
from notifications.types import Channel, Lane

SEARCH_CAP = 1000
"""Messages that one search finds, the newest of them."""


_NEED_A_TIME = frozenset({"state", "channel", "priority__exact", "category__id__exact"})
"""Filters by what is in no index."""


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
        since = Age.since(request)
        return queryset.filter(Exists(going.filter(id__gte=since) if since else going))


class InState(SimpleListFilter):
    title = "state"
    parameter_name = "state"
    is_capped = False
    """Whether there are more in this state than it has looked at: other filters then miss some."""

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
        since = Age.since(request)
        if since is None or value == State.SENDING:
            return selectors.with_state(queryset, State(value))
        # As many as the list pages through; a delivery is never older than its message.
        newest = Delivery.objects.filter(id__gte=since, state=value).order_by("-id")
        found = list(newest.values_list("notification", flat=True)[: COUNT_CAP + 1])
        self.is_capped = len(found) > COUNT_CAP
        return queryset.filter(id__in=found)  # looked for once: the list also counts


@dataclass(frozen=True)
class _Said:
    """What one rule says of a delivery."""

    rule: str
    badge: SafeString
    detail: str


def _said(one: Finding) -> _Said:
    match one.answer:
        case Refusal(_, reason):
            return _Said(one.rule, badge("refuses", Tone.BAD), reason)
        case Delay(until, reason):
            when = localtime(until).strftime("%-d %b %H:%M")
            return _Said(one.rule, badge("waits", Tone.WARN), f"{reason}, until {when}")
    return _Said(one.rule, badge("lets it go", Tone.GOOD), one.detail)


@dataclass(frozen=True)
class _Shown:
    """One delivery as the page shows it."""

    delivery: Delivery
    channel: Channel
    badge: SafeString
    attempts: list[tuple[Attempt, SafeString]]
    parts: Mapping[str, str]
    problem: str
    why: Explained | None
    """Only of one that has not gone out yet."""

    @property
    def findings(self) -> list[_Said]:
        return [_said(one) for one in self.why.findings] if self.why else []


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin[Notification]):
    """One message to one person."""

    list_display = ("what", "status", "to", "channels", "agent", "lane", "created")
    list_filter = (
        Age,
        OnChannel,
        InState,
        "priority",
        "client",
        "category",
    )
    nothing = "No messages yet"
    begin = "Compose one, or have an agent send it: POST /api/v1/notifications."
    begin_at = ("compose", "Compose a message", "notifications.add_notification")
    search_fields = ("id",)
    search_help_text = "Exact id, reference, user id or address"
    list_before_template = "notifications/admin/messages_capped.html"
    change_form_template = "notifications/admin/notification.html"
    actions = ("cancel_selected", "resend_unconfirmed")

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
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What no index finds is looked for in a time: of all messages it could take minutes."""
        asked = request.GET
        if asked.keys() & _NEED_A_TIME and not asked.keys() & {Age.parameter_name, "q"}:
            limited = asked.copy()
            limited[Age.parameter_name] = "week"
            return HttpResponseRedirect(f"{request.path}?{limited.urlencode()}")
        page: HttpResponse = super().changelist_view(request, extra_context)
        if isinstance(page, TemplateResponse) and page.context_data and "cl" in page.context_data:
            filters = page.context_data["cl"].filter_specs
            capped = any(getattr(one, "is_capped", False) for one in filters)
            page.context_data["state_cap"] = COUNT_CAP if capped else None
        return page

    @override
    def named(self, row: Notification) -> str:
        return _what(row)

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

    @admin.action(description="Cancel the selected messages", permissions=["act"])
    def cancel_selected(
        self, request: HttpRequest, rows: QuerySet[Notification]
    ) -> HttpResponse | None:
        chosen = list(rows.order_by("id")[: replay.LIMIT])
        question = Question(
            title=f"Cancel {len(chosen)} message{'s' * (len(chosen) != 1)}?",
            text="What no provider has been called for is not sent. This cannot be undone.",
            button="Cancel them",
        )
        keys = [row.pk for row in chosen]
        if asked := ask_first(self, request, question, action="cancel_selected", keys=keys):
            return asked
        stopped = [row for row in chosen if _is_stopped(row)]
        for row in stopped:
            self.log_change(request, row, "Cancelled.")
        late = len(chosen) - len(stopped)
        self.message_user(
            request, f"{len(stopped)} cancelled{f', {late} too late' if late else ''}."
        )
        return None

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


def _is_stopped(row: Notification) -> bool:
    try:
        cancel.cancel(row, cancel.BY_STAFF)
    except CannotCancel:
        return False
    return True


def _what(row: Notification) -> str:
    """The template's key, or how the message begins."""
    if row.template_version is not None:
        return row.template_version.template.key
    if is_sensitive(row):
        return f"Message: {row.category}"
    parts = _inline(row)
    text = parts.get("email", {}).get("subject") or parts.get("sms", {}).get("text") or "Message"
    return shorten(text)


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
    waits = any(delivery.state in PENDING for delivery in deliveries)
    why = explain.notification(row) if waits else {}
    return {
        "status": badges.state(selectors.status(row)),
        "lane": badges.lane(Lane(row.priority)),
        "deliveries": [
            _shown(row, one, edited.get(one.id), why.get(one.id) if one.state in PENDING else None)
            for one in deliveries
        ],
        "story": [(entry, badges.event(entry.type).value) for entry in selectors.story(row)],
        **_given(row),
        "person": _person(row.recipient) if row.recipient else "",
        "is_pending": waits,
    }


def _given(row: Notification) -> dict[str, Any]:
    if is_sensitive(row):
        return {"data": "", "files": []}
    return {
        "data": json.dumps(row.data, indent=2, ensure_ascii=False) if row.data else "",
        "files": [str(item.get("filename", "file")) for item in row.attachments],
    }


def _person(recipient: Recipient) -> SafeString:
    page = reverse("admin:notifications_recipient_change", args=[recipient.pk])
    return link(page, recipient.user_id)


def _shown(
    row: Notification,
    delivery: Delivery,
    data: Mapping[str, Any] | None,
    why: Explained | None,
) -> _Shown:
    content = rendering.parts(row, delivery, data)
    return _Shown(
        delivery=delivery,
        channel=content.channel,
        badge=badges.state(selectors.shown_state(delivery)),
        attempts=[(a, badges.attempt(Attempt.State(a.state))) for a in delivery.attempts.all()],
        parts=content.parts,
        problem=content.problem,
        why=why,
    )
