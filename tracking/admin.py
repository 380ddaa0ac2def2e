"""What providers reported."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, Func, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
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
    moment,
    shorten,
)
from notifications.admin.search import digests
from notifications.admin.selected import ask_first
from notifications.models import Delivery
from notifications.types import Channel, Inbound
from tracking.models import Bounce, InboundMessage, WebhookReceipt
from tracking.services import receipts

_KINDS = {
    Bounce.Kind.HARD: Tone.BAD,
    Bounce.Kind.SOFT: Tone.WARN,
    Bounce.Kind.BLOCK: Tone.WARN,
    Bounce.Kind.COMPLAINT: Tone.BAD,
}

MAY_READ = "tracking.read_inboundmessage"


@admin.register(Bounce)
class BounceAdmin(ReadOnlyAdmin[Bounce]):
    """What came back, and what was complained about."""

    list_display = ("happened", "kind_badge", "channel", "provider", "category", "why", "message")
    list_filter = (Age, "kind", "channel", "provider", "category", "sender")
    fields = (
        *("happened", "kind_badge", "channel", "provider", "category", "sender"),
        *("code", "detail", "message"),
    )
    search_fields = ("address_hash",)
    search_help_text = "Exact address, or id of the delivery"
    nothing = "Nothing bounced"
    begin = "What receivers send back or mark as spam is listed here, and its address left out."

    @override
    def named(self, row: Bounce) -> str:
        return f"{row.get_kind_display()}, {moment(row.at)}"

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


_WISHES = {
    Inbound.Wish.STOP: Tone.BAD,
    Inbound.Wish.START: Tone.GOOD,
    Inbound.Wish.HELP: Tone.BUSY,
}


@admin.register(InboundMessage)
class InboundMessageAdmin(ReadOnlyAdmin[InboundMessage]):
    """What people wrote to us. Their words are shown to those who have leave to read them."""

    list_display = ("sender", "channel_badge", "wish_badge", "provider", "answers", "came")
    list_filter = (Age, "channel", "wish", "provider")
    search_fields = ("sender_hash",)
    search_help_text = "Exact address, or id"
    nothing = "Nobody has written"
    begin = "Answers to text messages and e-mails come here by the webhooks of the providers."

    @override
    def get_fields(self, request: HttpRequest, obj: InboundMessage | None = None) -> list[Any]:
        words = ["subject", "text"] if request.user.has_perm(MAY_READ) else []
        facts = ["came", "channel_badge", "sender", "to", "wish_badge", "answers"]
        return [*facts, *words, "remarks", "provider"]

    @override
    def named(self, row: InboundMessage) -> str:
        return f"{row.get_channel_display()} from {row.sender}"

    @override
    def look_up(self, rows: QuerySet[InboundMessage], term: str) -> QuerySet[InboundMessage]:
        found = Q(sender_hash__in=digests(term))
        if (key := as_uuid(term)) is not None:
            found |= Q(id=key) | Q(notification_id=key)
        return rows.filter(found)

    @admin.display(description="Came in")
    def came(self, row: InboundMessage) -> SafeString:
        return ago(row.at)

    @admin.display(description="Channel")
    def channel_badge(self, row: InboundMessage) -> SafeString:
        tone = Tone.BUSY if row.channel == Channel.EMAIL else Tone.QUIET
        return badge(Channel(row.channel).label, tone)

    @admin.display(description="Remarks")
    def remarks(self, row: InboundMessage) -> str | None:
        files = ["it came with files"] if row.has_attachments else []
        machine = ["a machine wrote it"] if row.is_automatic else []
        forged = ["its sender may be forged, say the provider's checks"] if row.is_forged else []
        is_lost = row.channel == Channel.SMS and row.wish and not row.is_from_number
        lost = ["not obeyed: the sender is no telephone number"] if is_lost else []
        return "; ".join([*files, *machine, *forged, *lost]).capitalize() or None

    @admin.display(description="Asks")
    def wish_badge(self, row: InboundMessage) -> SafeString | None:
        if not row.wish:
            return None
        wish = Inbound.Wish(row.wish)
        return badge(wish.label, _WISHES[wish])

    @admin.display(description="Answers")
    def answers(self, row: InboundMessage) -> SafeString | None:
        if row.notification_id is None:
            return None
        page = "admin:notifications_notification_change"
        return link(reverse(page, args=[row.notification_id]), "Open")


_PLACES = {
    receipts.State.WAITING: Tone.BUSY,
    receipts.State.APPLIED: Tone.GOOD,
    receipts.State.UNKNOWN: Tone.WARN,
    receipts.State.SET_ASIDE: Tone.BAD,
}


class InState(admin.SimpleListFilter):
    title = parameter_name = "state"

    @override
    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(state.value, state.label) for state in receipts.State]

    @override
    def queryset(
        self, request: HttpRequest, queryset: QuerySet[WebhookReceipt]
    ) -> QuerySet[WebhookReceipt]:
        if self.value() not in receipts.State.values:
            return queryset
        return receipts.matching(queryset, {"state": self.value()})


@admin.register(WebhookReceipt)
class WebhookReceiptAdmin(ReadOnlyAdmin[WebhookReceipt]):
    """Webhook calls as they came in. Bodies hold addresses, so no page shows them."""

    list_display = ("received", "provider", "state", "error", "bytes", "tries", "processed")
    list_filter = (Age, "provider", InState)
    fields = ("received", "provider", "state", "error", "bytes", "tries", "processed", "dedupe")
    search_fields = ("id",)
    search_help_text = "Exact id"
    nothing = "No provider has reported anything"
    begin = (
        "Providers report what becomes of messages to the addresses that the pages of docs/ name."
    )
    actions = ("apply_again",)

    @override
    def named(self, row: WebhookReceipt) -> str:
        return f"{row.provider}, {moment(row.received_at)}"

    @override
    def look_up(self, rows: QuerySet[WebhookReceipt], term: str) -> QuerySet[WebhookReceipt]:
        key = as_uuid(term)
        return rows.filter(id=key) if key else rows.none()

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookReceipt]:
        """Without the bodies: a page of them can be 50 MB."""
        size = Func(F("body"), function="octet_length", output_field=IntegerField())
        return super().get_queryset(request).defer("body").annotate(size=size)

    def has_act_permission(self, request: HttpRequest) -> bool:
        return self.may_act(request)

    @admin.action(description="Apply again", permissions=["act"])
    def apply_again(
        self, request: HttpRequest, rows: QuerySet[WebhookReceipt]
    ) -> HttpResponse | None:
        chosen = list(rows.order_by("id").values_list("id", flat=True)[: receipts.LIMIT])
        question = Question(
            title="Apply these webhooks again?",
            text="What they have told before has no effect a second time.",
            button="Apply them again",
        )
        if asked := ask_first(self, request, question, action="apply_again", keys=chosen):
            return asked
        done = receipts.replay(WebhookReceipt.objects.filter(id__in=chosen))
        self.message_user(request, f"{done} of {len(chosen)} webhooks: about to be applied.")
        return None

    @admin.display(description="Received")
    def received(self, receipt: WebhookReceipt) -> SafeString:
        return ago(receipt.received_at)

    @admin.display(description="State")
    def state(self, receipt: WebhookReceipt) -> SafeString:
        place = receipts.state(receipt)
        return badge(place.label, _PLACES[place])

    @admin.display(description="Size")
    def bytes(self, receipt: WebhookReceipt) -> str:
        return f"{getattr(receipt, 'size', 0):,} bytes"

    @admin.display(description="Applied")
    def processed(self, receipt: WebhookReceipt) -> SafeString:
        return ago(receipt.processed_at)
