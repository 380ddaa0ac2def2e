"""Batches: how far each got, and the staff's hand on it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
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
)
from notifications.admin import badges, batch_review
from notifications.models import Batch
from notifications.services import batches
from notifications.states import State
from notifications.types import Lane

_TONES = {
    Batch.State.RECEIVING: Tone.BUSY,
    Batch.State.AWAITING_APPROVAL: Tone.WARN,
    Batch.State.RUNNING: Tone.BUSY,
    Batch.State.PAUSED: Tone.WARN,
    Batch.State.HALTED: Tone.BAD,
    Batch.State.DONE: Tone.GOOD,
    Batch.State.CANCELLED: Tone.QUIET,
    Batch.State.ABORTED: Tone.QUIET,
}

_QUESTIONS = {
    Batch.Action.PAUSE: Question(
        title="Pause this batch?",
        text="Calls that were begun are finished; after them nothing is sent until it is resumed.",
        button="Pause it",
    ),
    Batch.Action.RESUME: Question(
        title="Resume this batch?",
        text="What waited goes out at the batch's pace. A halted one goes on without its canary.",
        button="Resume it",
    ),
    Batch.Action.APPROVE: Question(
        title="Approve this batch?",
        text="Its messages go out. What was sent cannot be taken back.",
        button="Approve and send",
    ),
    Batch.Action.CANCEL: Question(
        title="Cancel this batch?",
        text="What was not sent yet never will be. This cannot be undone.",
        button="Cancel it",
    ),
}

_DONE = {
    Batch.Action.PAUSE: "paused",
    Batch.Action.RESUME: "resumed",
    Batch.Action.APPROVE: "approved",
    Batch.Action.CANCEL: "cancelled",
}


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin[Batch]):
    """One bulk request."""

    list_display = ("what", "state_badge", "progress", "rows", "agent", "lane", "created")
    list_filter = (
        Age,
        "state",
        "priority",
        ("client", admin.RelatedOnlyFieldListFilter),
        "category",
    )
    list_select_related = ("client", "category", "template_version__template")
    nothing = "Nobody has sent a batch"
    begin = "Compose to many, or have an agent send one: POST /api/v1/batches."
    begin_at = ("compose-batch", "Compose to many", "notifications.add_batch")
    search_fields = ("id",)
    search_help_text = "Exact id or reference"
    change_form_template = "notifications/admin/batch.html"
    fields = (
        *(
            "state_badge",
            "why",
            "what",
            "id",
            "rows",
            "agent",
            "composed_by",
            "lane",
            "category",
            "paced",
        ),
        *("canary_told", "planned", "expires", "created", "started", "finished"),
    )

    @override
    def named(self, row: Batch) -> str:
        return _what(row)

    @override
    def look_up(self, rows: QuerySet[Batch], term: str) -> QuerySet[Batch]:
        key = as_uuid(term)
        return rows.filter(id=key) if key else rows.filter(reference=term)

    @override
    def own_page(self, row: Batch) -> dict[str, Any]:
        return {
            "subtitle": None,
            "title": _what(row),
            **_standing(row),
            "rejections": row.rejections.order_by("id")[:20],
        }

    @override
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        row = self.get_object(request, object_id)
        context = self._for_viewer(request, row) if row else {}
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    def _for_viewer(self, request: HttpRequest, row: Batch) -> dict[str, Any]:
        """What this member of staff may do with it; before it goes out, what there is to look at."""
        needs_another = batches.needs_another(row, request.user.get_username())
        found: dict[str, Any] = {
            "needs_another": needs_another,
            "solo_limit": settings.SOLO_SEND_LIMIT,
            "actions": [
                (
                    action.label,
                    reverse(f"admin:notifications_batch_{action.value}", args=[row.pk]),
                    action is Batch.Action.CANCEL,
                )
                for action in Batch.Action
                if row.state in Batch.MOVES[action]
                and not (needs_another and action is Batch.Action.APPROVE)
            ],
        }
        if row.state == Batch.State.AWAITING_APPROVAL:
            number = request.GET.get("message", "")
            by_state = batches.counts([row])[row.id]
            at = int(number) if number.isdecimal() and len(number) < 10 else 1
            found["review"] = batch_review.review(row, by_state, at)
        return found

    @override
    def get_urls(self) -> list[URLPattern]:
        act = self.admin_site.admin_view(self.act)
        look = self.admin_site.admin_view(self.look)
        return [
            path("<uuid:pk>/standing/", look, name="notifications_batch_standing"),
            *(
                path(
                    f"<uuid:pk>/{action.value}/",
                    act,
                    {"action": action},
                    name=f"notifications_batch_{action.value}",
                )
                for action in Batch.Action
            ),
            *super().get_urls(),
        ]

    def look(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The part of the page that moves, for its script."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = get_object_or_404(Batch, pk=pk)
        return render(
            request, "notifications/admin/batch_standing.html", {"original": row, **_standing(row)}
        )

    def act(self, request: HttpRequest, pk: UUID, action: Batch.Action) -> HttpResponse:
        row = get_object_or_404(Batch, pk=pk)
        if not self.may_act(request):
            raise PermissionDenied

        def carry_out() -> str:
            by = request.user.get_username()
            batches.act(row, action, reason=f"{_DONE[action]} by {by}", by=by)
            return f"{_DONE[action].capitalize()}."

        return self.ask_first(request, row, _QUESTIONS[action], carry_out)

    @admin.display(description="Batch")
    def what(self, row: Batch) -> str:
        return _what(row)

    @admin.display(description="State")
    def state_badge(self, row: Batch) -> SafeString:
        state = Batch.State(row.state)
        return badge(state.label, _TONES[state])

    @admin.display(description="Why")
    def why(self, row: Batch) -> str | None:
        return row.reason or None

    @admin.display(description="Progress")
    def progress(self, row: Batch) -> str:
        """As of the last fold, seconds ago: a list must not look through every delta."""
        return f"{100 * batches.progress(row, row.counts):.0f} %"

    @admin.display(description="Rows")
    def rows(self, row: Batch) -> str:
        wrong = f", {row.rejected:,} refused" if row.rejected else ""
        return f"{row.received:,}{wrong}"

    @admin.display(description="Agent")
    def agent(self, row: Batch) -> SafeString:
        return link(self.url_of(row.client), row.client.name)

    @admin.display(description="Composed by")
    def composed_by(self, row: Batch) -> str | None:
        return row.composer or None

    @admin.display(description="Priority")
    def lane(self, row: Batch) -> SafeString:
        return badges.lane(Lane(row.priority))

    @admin.display(description="Pace")
    def paced(self, row: Batch) -> str:
        return f"{row.pace:g} a second" if row.pace else "as fast as the providers allow"

    @admin.display(description="Canary")
    def canary_told(self, row: Batch) -> str | None:
        if row.canary is None:
            return None
        asked = f"{row.canary['percent']:g} % first, then {row.canary['wait']:g} s"
        if "passed" not in row.canary:
            return f"{asked}; at most {row.canary['max_failures']:g} % may fail"
        ended = "passed" if row.canary["passed"] else "halted the batch"
        return f"{asked}; {row.canary['failed']} of {row.canary['tried']} failed: {ended}"

    @admin.display(description="Send at")
    def planned(self, row: Batch) -> SafeString:
        return ago(row.send_at)

    @admin.display(description="Expires")
    def expires(self, row: Batch) -> SafeString:
        return ago(row.expires_at)

    @admin.display(description="Created")
    def created(self, row: Batch) -> SafeString:
        return ago(row.created_at)

    @admin.display(description="Started")
    def started(self, row: Batch) -> SafeString:
        return ago(row.started_at)

    @admin.display(description="Finished")
    def finished(self, row: Batch) -> SafeString:
        return ago(row.finished_at)


def _standing(row: Batch) -> dict[str, Any]:
    by_state = batches.counts([row])[row.id]
    total = sum(by_state.values()) or 1
    return {
        "progress": round(100 * batches.progress(row, by_state)),
        "is_moving": row.state in (Batch.State.RECEIVING, Batch.State.RUNNING),
        "states": [
            (state.label, by_state[state.value], badges.tone_of(state).value, share)
            for state in State
            if (share := 100 * by_state[state.value] / total)
        ],
    }


def _what(row: Batch) -> str:
    if row.reference:
        return row.reference
    if row.template_version is not None:
        return row.template_version.template.key
    is_sensitive = row.category is not None and row.category.is_sensitive
    parts = {} if is_sensitive else row.content or {}
    text = parts.get("email", {}).get("subject") or parts.get("sms", {}).get("text") or "Batch"
    return str(text)[:60]
