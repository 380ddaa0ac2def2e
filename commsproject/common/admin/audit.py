"""The trail of what staff did: to look at, to search, to take along as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import orjson
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common import audit
from commsproject.common.admin.base import ReadOnlyAdmin
from commsproject.common.admin.filters import Age
from commsproject.common.admin.show import NOTHING, ago, code, link, moment
from commsproject.common.api.streaming import download
from commsproject.common.audit.trail import Happened
from commsproject.common.models import AuditEvent

_COLUMNS = (
    *("id", "at", "actor_id", "actor", "action", "model", "object_id", "changes"),
    *("address", "request_id"),
)
_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin[AuditEvent]):
    """Nobody can change it, on no page and in no query."""

    list_display = ("when", "who", "did", "what", "changed")
    list_filter = (Age, "action", "model")
    fields = ("when", "at", "who", "did", "what", "address", "request_id")
    search_fields = ("actor",)
    search_help_text = "Exact name of a member of staff, or id of what it was done to"
    nothing = "Nobody has done anything yet"
    begin = "What staff change, and how they sign in, is noted here for good."
    list_before_template = "common/admin/audit_events.html"
    change_form_template = "common/admin/audit_event.html"

    @override
    def named(self, row: AuditEvent) -> str:
        return f"{row.action}, {moment(row.at)}"

    @override
    def look_up(self, rows: QuerySet[AuditEvent], term: str) -> QuerySet[AuditEvent]:
        return rows.filter(Q(actor=term) | Q(object_id=term) | Q(request_id=term))

    @override
    def own_page(self, row: AuditEvent) -> dict[str, Any]:
        pairs = [(name, pair) for name, pair in row.changes.items() if isinstance(pair, list)]
        return {
            "changes": [
                (name, *pair) if len(pair) == 2 else (name, "", ", ".join(map(str, pair)))
                for name, pair in pairs
            ]
        }

    @override
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        context = {"audit_days": settings.AUDIT_DAYS, **(extra_context or {})}
        return super().changelist_view(request, context)

    @override
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export)
        return [path("export/", view, name="common_auditevent_export"), *super().get_urls()]

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """What the list's filters leave, oldest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        kind = request.POST.get("format", "csv")
        if kind not in _TYPES:
            return HttpResponse("csv or ndjson", status=400, content_type="text/plain")
        changes: ChangeList = self.get_changelist_instance(request)
        rows = changes.get_queryset(request).order_by("id")
        audit.record(request, Happened("export", "common.auditevent", changes={"format": [kind]}))
        write = _as_csv if kind == "csv" else _as_ndjson
        return download(
            request, write(rows), content_type=_TYPES[kind], filename=f"audit-trail.{kind}"
        )

    @admin.display(description="When")
    def when(self, row: AuditEvent) -> SafeString:
        return ago(row.at)

    @admin.display(description="Who")
    def who(self, row: AuditEvent) -> str:
        return row.actor or NOTHING

    @admin.display(description="Did")
    def did(self, row: AuditEvent) -> SafeString:
        return code(row.action)

    @admin.display(description="To what")
    def what(self, row: AuditEvent) -> SafeString | str:
        if not row.model:
            return NOTHING
        text = f"{row.model} {row.object_id}".strip()
        try:
            page = f"admin:{row.model.replace('.', '_')}_change"
            return link(reverse(page, args=[row.object_id]), text) if row.object_id else text
        except NoReverseMatch:
            return text

    @admin.display(description="Changed")
    def changed(self, row: AuditEvent) -> str:
        return ", ".join(row.changes)


def _lines(rows: QuerySet[AuditEvent]) -> Iterator[dict[str, Any]]:
    yield from rows.values(*_COLUMNS).iterator(chunk_size=1000)


def _as_ndjson(rows: QuerySet[AuditEvent]) -> Iterator[bytes]:
    for row in _lines(rows):
        yield orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _as_csv(rows: QuerySet[AuditEvent]) -> Iterator[bytes]:
    yield _line(_COLUMNS)
    for row in _lines(rows):
        changes = orjson.dumps(row["changes"]).decode()
        yield _line([_harmless(str(value or "")) for value in {**row, "changes": changes}.values()])


def _line(values: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(values)
    return out.getvalue().encode()


def _harmless(text: str) -> str:
    """A spreadsheet would run what begins like a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
