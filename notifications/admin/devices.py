"""Devices: what people are notified on. Their tokens are shown to nobody."""

from __future__ import annotations

from uuid import UUID

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import Question, ReadOnlyAdmin, Tone, ago, as_uuid, badge, link
from notifications.models import Device
from notifications.services import devices

_REMOVE = Question(
    title="Remove this device?",
    text="Nothing more is sent to it, until its app registers it again.",
    button="Remove it",
)


class Registered(SimpleListFilter):
    title = "state"
    parameter_name = "registered"

    @override
    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("yes", "Registered"), ("no", "Removed")]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Device]) -> QuerySet[Device]:
        wanted = {"yes": True, "no": False}.get(self.value() or "")
        return queryset if wanted is None else queryset.filter(removed_at__isnull=wanted)


@admin.register(Device)
class DeviceAdmin(ReadOnlyAdmin[Device]):
    """Registered by apps; removed by them, by push services and here."""

    list_display = ("device", "person", "platform", "seen", "state")
    list_filter = (Registered, "platform")
    list_select_related = ("recipient",)
    fields = ("person", "platform", "name", "app", "state", "reason", "registered", "seen")
    search_fields = ("id",)
    search_help_text = "Exact user id, or id"
    nothing = "No app has registered a device"
    begin = "An app does, for the person who uses it: POST /api/v1/recipients/{user_id}/devices."
    change_form_template = "notifications/admin/device.html"
    row_pages = ("remove",)

    @override
    def named(self, row: Device) -> str:
        return row.name or row.app or row.get_platform_display()

    @override
    def look_up(self, rows: QuerySet[Device], term: str) -> QuerySet[Device]:
        return rows.filter(Q(recipient__user_id=term) | Q(id=as_uuid(term)))

    def remove(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row = self.row_to_act_on(request, pk)

        def act() -> str:
            reason = f"removed by staff: {request.user.get_username()}"
            devices.remove(row.recipient.user_id, row.pk, reason=reason)
            return "Removed."

        return self.ask_first(request, row, _REMOVE, act)

    @admin.display(description="Device")
    def device(self, row: Device) -> str:
        return row.name or row.app or str(row.pk)

    @admin.display(description="Person")
    def person(self, row: Device) -> SafeString:
        return link(self.url_of(row.recipient), row.recipient.user_id)

    @admin.display(description="Registered")
    def registered(self, row: Device) -> SafeString:
        return ago(row.registered_at)

    @admin.display(description="Last seen")
    def seen(self, row: Device) -> SafeString:
        return ago(row.seen_at)

    @admin.display(description="State")
    def state(self, row: Device) -> SafeString:
        return badge("Removed") if row.removed_at else badge("Registered", Tone.GOOD)
