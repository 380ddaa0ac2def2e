"""Who is signed in to the staff pages. Administrators end what should not be."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common import audit
from commsproject.common.admin.base import ReadOnlyAdmin
from commsproject.common.admin.show import Tone, ago, badge
from commsproject.common.models import StaffSession
from commsproject.common.staff import browsers, sessions


@admin.register(StaffSession)
class StaffSessionAdmin(ReadOnlyAdmin[StaffSession]):
    """Of all staff, those that stand."""

    list_display = ("who", "factor", "began", "seen", "address", "with_browser")
    fields = ("who", "factor", "began", "seen", "address", "browser")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    search_help_text = "Exact name of a member of staff"
    nothing = "Nobody is signed in"
    begin = "Whoever signs in to the console is listed here."
    actions = ("end_selected",)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[StaffSession]:
        return super().get_queryset(request) & sessions.standing()

    @override
    def named(self, row: StaffSession) -> str:
        return f"{row.user.get_username()}, {browsers.name(row.browser)}"

    @override
    def look_up(self, rows: QuerySet[StaffSession], term: str) -> QuerySet[StaffSession]:
        return rows.filter(user__username=term)

    def has_act_permission(self, request: HttpRequest) -> bool:
        return self.may_act(request)

    @admin.action(description="End the selected sessions", permissions=["act"])
    def end_selected(self, request: HttpRequest, rows: QuerySet[StaffSession]) -> None:
        for row in rows:
            audit.touched(row)
        ended = sessions.end(StaffSession.objects.filter(pk__in=[row.pk for row in rows]))
        self.message_user(request, f"{ended} ended: their next click asks for a password.")

    @admin.display(description="Who")
    def who(self, row: StaffSession) -> str:
        return row.user.get_username()

    @admin.display(description="Second factor")
    def factor(self, row: StaffSession) -> SafeString:
        return badge("Shown", Tone.GOOD) if row.is_verified else badge("Not shown", Tone.WARN)

    @admin.display(description="Began")
    def began(self, row: StaffSession) -> SafeString:
        return ago(row.began_at)

    @admin.display(description="Last seen")
    def seen(self, row: StaffSession) -> SafeString:
        return ago(row.seen_at)

    @admin.display(description="Browser")
    def with_browser(self, row: StaffSession) -> str:
        return browsers.name(row.browser)
