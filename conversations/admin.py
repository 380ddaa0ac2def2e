"""The team's inbox: support conversations, read and answered in the console. Those of people among
themselves are nobody's here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from typing_extensions import override

from commsproject.common.admin import ReadOnlyAdmin, Tone, ago, as_uuid, badge, shorten
from commsproject.common.errors import CommsError
from commsproject.common.ids import new_id
from conversations import selectors
from conversations.models import Conversation, Entry, Participant
from conversations.services import entries, support
from conversations.types import Actor, EntryKind, Kind, Status, Who

SHOWN = 50
"""Entries of a page."""

_TONES = {Status.OPEN: Tone.WARN, Status.PENDING: Tone.BUSY, Status.CLOSED: Tone.QUIET}


class Assigned(SimpleListFilter):
    title = parameter_name = "assigned"

    @override
    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("me", "To me"), ("nobody", "To nobody")]

    @override
    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Conversation]
    ) -> QuerySet[Conversation]:
        match self.value():
            case "me":
                return queryset.filter(assignee=request.user.pk)
            case "nobody":
                return queryset.filter(assignee=None)
        return queryset


@dataclass(frozen=True)
class _Line:
    """An entry as the page shows it."""

    entry: Entry
    author: str
    is_team: bool
    note: str


@admin.register(Conversation)
class SupportAdmin(ReadOnlyAdmin[Conversation]):
    list_display = ("subject", "state", "assigned_to", "entries_made", "active")
    list_filter = ("status", Assigned)
    list_select_related = ("assignee",)
    search_fields = ("id",)
    search_help_text = "Exact id, or user id"
    ordering = ("-active_at",)
    nothing = "Nobody has written to the team"
    begin = "A person does, in the app: POST /api/v1/conversations with the kind support."
    change_form_template = "conversations/admin/conversation.html"

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        people = Participant.objects.filter(who=Who.USER)
        rows = super().get_queryset(request).filter(kind=Kind.SUPPORT)
        return rows.prefetch_related(Prefetch("participants", people, "people"))

    @override
    def look_up(self, rows: QuerySet[Conversation], term: str) -> QuerySet[Conversation]:
        theirs = Participant.objects.filter(who=Who.USER, person_id=term)
        if (key := as_uuid(term)) is not None:
            return rows.filter(id=key)
        return rows.filter(id__in=theirs.values("conversation"))

    @override
    def own_page(self, row: Conversation) -> dict[str, Any]:
        found, has_older = selectors.history(row, limit=SHOWN)
        names = _names(found)
        return {
            "subtitle": None,
            "title": self.subject(row),
            "state": self.state(row),
            "lines": [_line(one, names) for one in found],
            "has_older": has_older,
            "token": str(new_id()),
            "is_closed": row.status == Status.CLOSED,
        }

    # --- What the team does ------------------------------------------------------------------

    @override
    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                f"<uuid:pk>/{name}/",
                self.admin_site.admin_view(require_POST(getattr(self, name))),
                name=f"conversations_conversation_{name}",
            )
            for name in ("answer", "take", "give_back", "close", "reopen")
        ] + super().get_urls()

    def answer(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row, me = self._row(request, pk)
        body = request.POST.get("body", "").replace("\r\n", "\n").strip()
        client_id = request.POST.get("client_id", "")[:64]
        return self._done(
            request, row, "Answered.", lambda: entries.post(me, row.id, body, client_id=client_id)
        )

    def take(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row, me = self._row(request, pk)
        return self._done(request, row, "It is yours.", lambda: support.assign(me, row.id, me.id))

    def give_back(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row, me = self._row(request, pk)
        return self._done(
            request, row, "It is the team's again.", lambda: support.assign(me, row.id, None)
        )

    def close(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row, me = self._row(request, pk)
        return self._done(
            request, row, "Closed.", lambda: support.set_status(me, row.id, Status.CLOSED)
        )

    def reopen(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row, me = self._row(request, pk)
        return self._done(
            request, row, "Open again.", lambda: support.set_status(me, row.id, Status.OPEN)
        )

    def _row(self, request: HttpRequest, pk: UUID) -> tuple[Conversation, Actor]:
        if not self.may_act(request):
            raise PermissionDenied
        row = get_object_or_404(Conversation, pk=pk, kind=Kind.SUPPORT)
        return row, Actor(Who.STAFF, str(request.user.pk))

    def _done(
        self, request: HttpRequest, row: Conversation, said: str, act: Any
    ) -> HttpResponseRedirect:
        try:
            act()
        except CommsError as error:
            self.message_user(request, error.detail, messages.ERROR)
        else:
            self.log_change(request, row, said)
            self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(self.url_of(row))

    # --- Columns -----------------------------------------------------------------------------

    @admin.display(description="Conversation")
    def subject(self, row: Conversation) -> str:
        people = cast("list[Participant]", getattr(row, "people", []))
        who = ", ".join(person.person_id for person in people)
        return shorten(row.title or who or "Support")

    @admin.display(description="State")
    def state(self, row: Conversation) -> SafeString:
        status = Status(row.status or Status.OPEN)
        return badge(status.label, _TONES[status])

    @admin.display(description="Assigned to")
    def assigned_to(self, row: Conversation) -> str:
        return row.assignee.get_username() if row.assignee else "nobody"

    @admin.display(description="Last activity")
    def active(self, row: Conversation) -> SafeString:
        return ago(row.active_at)


def _names(found: list[Entry]) -> dict[str, str]:
    """Of the members of staff among the authors."""
    keys = {one.person_id for one in found if one.who == Who.STAFF}
    rows = User.objects.filter(pk__in=[key for key in keys if key.isdecimal()])
    return {str(pk): name for pk, name in rows.values_list("pk", "username")}


def _line(entry: Entry, names: dict[str, str]) -> _Line:
    is_team = entry.who == Who.STAFF
    author = names.get(entry.person_id, "Staff") if is_team else entry.person_id
    return _Line(entry, author, is_team, _note(entry))


_NOTES = {"assigned": "changed who looks after it", "status": "changed its state"}


def _note(entry: Entry) -> str:
    """What a system entry tells of; empty for what somebody wrote."""
    if entry.deleted_at is not None:
        return "took back what was here"
    if entry.kind != EntryKind.SYSTEM:
        return ""
    event = entry.event or {}
    return _NOTES.get(event.get("type", ""), str(event.get("type", "")).replace("_", " "))
