"""Schedules: what goes out again and again, when, and whether it did."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import Question, ReadOnlyAdmin, Tone, ago, badge, code, link
from notifications import timetable
from notifications.models import Category, Schedule
from notifications.services import schedule as service

_PAUSE = Question(
    title="Pause this schedule?",
    text="Nothing is sent until it is resumed. Runs that pass meanwhile are not caught up.",
    button="Pause it",
)
_RESUME = Question(
    title="Resume this schedule?",
    text="It goes on with the next run from now.",
    button="Resume it",
)

_SAYS = {"content", "data", "attachments", "metadata", "actions"}
"""What tells of a request what its messages say."""


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin[Schedule]):
    """Agents make schedules; staff pause, resume and delete them."""

    list_display = ("name", "agent", "when", "next_run", "last_run", "state")
    list_filter = ("enabled", "kind", ("client", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("client",)
    fields = (
        "name", "agent", "state", "error", "when", "cron", "time_zone", "next_runs", "last_run",
        "missed", "ends", "kind", "created",
    )  # fmt: skip
    search_fields = ("name",)
    search_help_text = "Exact name"
    nothing = "No agent has made a schedule"
    begin = "An agent makes one: POST /api/v1/schedules."
    change_form_template = "notifications/admin/schedule.html"

    @override
    def look_up(self, rows: Any, term: str) -> Any:
        return rows.filter(name=term)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        return request.user.has_perm("notifications.delete_schedule")

    @override
    def own_page(self, row: Schedule) -> dict[str, Any]:
        shown = dict(row.request)
        if row.kind == Schedule.Kind.BATCH:
            shown["rows"] = f"{len(row.request['rows'])} rows"
        if Category.objects.filter(key=shown.get("category", ""), is_sensitive=True).exists():
            shown |= dict.fromkeys(_SAYS & shown.keys(), "only its reader sees it")
        return {"request_body": json.dumps(shown, indent=2, ensure_ascii=False)}

    @override
    def get_urls(self) -> list[URLPattern]:
        switch = self.admin_site.admin_view(self.switch)
        return [
            path("<uuid:pk>/switch/", switch, name="notifications_schedule_switch"),
            *super().get_urls(),
        ]

    def switch(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Pause it where it runs, resume it where it is paused."""
        row = get_object_or_404(Schedule.objects.select_related("client"), pk=pk)
        if not self.may_act(request):
            raise PermissionDenied
        on = not row.enabled

        def act() -> str:
            service.change(row.client, row.pk, {"enabled": on})
            return "Resumed." if on else "Paused."

        return self.ask_first(request, row, _RESUME if on else _PAUSE, act)

    @admin.display(description="Agent")
    def agent(self, row: Schedule) -> SafeString:
        return link(self.url_of(row.client), row.client.name)

    @admin.display(description="When")
    def when(self, row: Schedule) -> str:
        return f"{timetable.explain(row.cron)} ({row.time_zone})"

    @admin.display(description="Expression")
    def cron(self, row: Schedule) -> SafeString:
        return code(row.cron)

    @admin.display(description="Next run")
    def next_run(self, row: Schedule) -> SafeString:
        return ago(row.next_at)

    @admin.display(description="Next runs")
    def next_runs(self, row: Schedule) -> str:
        runs = islice(service.next_runs(row), 5)
        return ", ".join(f"{run:%a %-d %b %Y %H:%M}" for run in runs) or "none"

    @admin.display(description="Last run")
    def last_run(self, row: Schedule) -> SafeString | str:
        return ago(row.last_at) if row.last_at else "never"

    @admin.display(description="Ends")
    def ends(self, row: Schedule) -> SafeString | str:
        return ago(row.ends_at) if row.ends_at else "never"

    @admin.display(description="Created")
    def created(self, row: Schedule) -> SafeString:
        return ago(row.created_at)

    @admin.display(description="State")
    def state(self, row: Schedule) -> SafeString:
        if not row.enabled:
            return badge("Paused", Tone.WARN)
        if row.last_error is not None:
            return badge("Last run failed", Tone.BAD)
        return badge("Over") if row.next_at is None else badge("Runs", Tone.GOOD)

    @admin.display(description="What went wrong")
    def error(self, row: Schedule) -> str | None:
        return row.last_error["message"] if row.last_error else None
