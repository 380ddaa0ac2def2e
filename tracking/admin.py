"""What providers reported."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import F, Func, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import (
    Age,
    ReadOnlyAdmin,
    Tone,
    ago,
    as_uuid,
    badge,
    link,
    shorten,
)
from notifications.admin.search import digests
from notifications.models import Delivery
from tracking.models import Bounce, WebhookReceipt

_KINDS = {
    Bounce.Kind.HARD: Tone.BAD,
    Bounce.Kind.SOFT: Tone.WARN,
    Bounce.Kind.COMPLAINT: Tone.BAD,
}


@admin.register(Bounce)
class BounceAdmin(ReadOnlyAdmin[Bounce]):
    """What came back, and what was complained about."""

    list_display = ("happened", "kind_badge", "channel", "provider", "why", "message")
    list_filter = (Age, "kind", "channel", "provider")
    fields = ("happened", "kind_badge", "channel", "provider", "code", "detail", "message")
    search_fields = ("address_hash",)
    search_help_text = "Exact address, or id of the delivery"
    nothing = "Nothing bounced"

    @override
    def look_up(self, rows: QuerySet[Bounce], term: str) -> QuerySet[Bounce]:
        found = Q(address_hash__in=digests(term))
        if (key := as_uuid(term)) is not None:
            found |= Q(id=key) | Q(delivery_id=key)
        return rows.filter(found)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Bounce]:
        of_delivery = Delivery.objects.filter(id=OuterRef("delivery_id")).values("notification_id")
        return super().get_queryset(request).annotate(notification_id=Subquery(of_delivery))

    @admin.display(description="Happened")
    def happened(self, bounce: Bounce) -> SafeString:
        return ago(bounce.at)

    @admin.display(description="Kind")
    def kind_badge(self, bounce: Bounce) -> SafeString:
        kind = Bounce.Kind(bounce.kind)
        return badge(kind.label, _KINDS[kind])

    @admin.display(description="Provider says")
    def why(self, bounce: Bounce) -> str | None:
        return shorten(f"{bounce.code} {bounce.detail}", 80) or None

    @admin.display(description="Message")
    def message(self, bounce: Bounce) -> SafeString | None:
        notification_id = getattr(bounce, "notification_id", None)
        if notification_id is None:
            return None
        page = "admin:notifications_notification_change"
        return link(reverse(page, args=[notification_id]), "Open")


@admin.register(WebhookReceipt)
class WebhookReceiptAdmin(ReadOnlyAdmin[WebhookReceipt]):
    """Webhook calls as they came in. Bodies hold addresses, so no page shows them."""

    list_display = ("received", "provider", "state", "bytes", "tries", "processed")
    list_filter = (Age, "provider", ("processed_at", admin.EmptyFieldListFilter))
    fields = ("received", "provider", "state", "bytes", "tries", "processed", "dedupe")
    search_fields = ("id",)
    search_help_text = "Exact id"

    @override
    def look_up(self, rows: QuerySet[WebhookReceipt], term: str) -> QuerySet[WebhookReceipt]:
        key = as_uuid(term)
        return rows.filter(id=key) if key else rows.none()

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookReceipt]:
        """Without the bodies: a page of them can be 50 MB."""
        size = Func(F("body"), function="octet_length", output_field=IntegerField())
        return super().get_queryset(request).defer("body").annotate(size=size)

    @admin.display(description="Received")
    def received(self, receipt: WebhookReceipt) -> SafeString:
        return ago(receipt.received_at)

    @admin.display(description="State")
    def state(self, receipt: WebhookReceipt) -> SafeString:
        if receipt.processed_at is not None:
            return badge("Applied", Tone.GOOD)
        return badge(receipt.error, Tone.BAD) if receipt.error else badge("Waiting", Tone.BUSY)

    @admin.display(description="Size")
    def bytes(self, receipt: WebhookReceipt) -> str:
        return f"{getattr(receipt, 'size', 0):,} bytes"

    @admin.display(description="Applied")
    def processed(self, receipt: WebhookReceipt) -> SafeString:
        return ago(receipt.processed_at)
