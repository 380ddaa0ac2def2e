from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import (
    ReadOnlyAdmin,
    ReadOnlyInline,
    ago,
    as_uuid,
    badge,
    link,
)
from notifications.models import Address, Recipient


class Addresses(ReadOnlyInline[Address, Recipient]):
    model = Address
    fields = readonly_fields = ("channel", "value", "verified", "since")

    @admin.display(description="Verified")
    def verified(self, address: Address) -> SafeString:
        return ago(address.verified_at) if address.verified_at else badge("Not verified")

    @admin.display(description="Known since")
    def since(self, address: Address) -> SafeString:
        return ago(address.created_at)


@admin.register(Recipient)
class RecipientAdmin(ReadOnlyAdmin[Recipient]):
    """People, by the identity service's id."""

    list_display = ("user_id", "channels", "since")
    fields = ("user_id", "since", "messages", "inbox", "devices")
    inlines = (Addresses,)
    search_fields = ("user_id",)
    search_help_text = "Exact user id"
    ordering = ("-id",)

    @override
    def look_up(self, rows: QuerySet[Recipient], term: str) -> QuerySet[Recipient]:
        return rows.filter(Q(user_id=term) | Q(id=as_uuid(term)))

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Recipient]:
        return Recipient.objects.order_by("-id").prefetch_related("addresses")

    @admin.display(description="Can be reached by")
    def channels(self, person: Recipient) -> str:
        labels = {address.get_channel_display() for address in person.addresses.all()}
        return ", ".join(sorted(labels))

    @admin.display(description="Known since")
    def since(self, person: Recipient) -> SafeString:
        return ago(person.created_at)

    @admin.display(description="Messages")
    def messages(self, person: Recipient) -> SafeString:
        page = reverse("admin:notifications_notification_changelist")
        return link(f"{page}?{urlencode({'q': person.user_id})}", "All messages to this person")

    @admin.display(description="Inbox")
    def inbox(self, person: Recipient) -> SafeString:
        page = reverse("admin:notifications_inbox_changelist")
        return link(f"{page}?{urlencode({'q': person.user_id})}", "The person's inbox")

    @admin.display(description="Devices")
    def devices(self, person: Recipient) -> SafeString:
        page = reverse("admin:notifications_device_changelist")
        return link(f"{page}?{urlencode({'q': person.user_id})}", "All devices of this person")
