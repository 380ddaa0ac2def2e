"""The suppression list."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import (
    Age,
    BaseAdmin,
    Tone,
    ago,
    as_uuid,
    badge,
    code,
    link,
)
from commsproject.common.admin.theme import AdminTextInputWidget, ModelForm, Select
from notifications import addresses
from notifications.admin.search import digests
from notifications.models import Category, Delivery, LiftedSuppression, Suppression
from notifications.services import suppress
from notifications.types import Channel, SuppressionReason

_TONES = {
    SuppressionReason.BOUNCE: Tone.BAD,
    SuppressionReason.COMPLAINT: Tone.BAD,
    SuppressionReason.UNSUBSCRIBE: Tone.WARN,
    SuppressionReason.MANUAL: Tone.QUIET,
}


class SuppressionForm(ModelForm[Suppression]):
    """An address to add to the list."""

    address = forms.CharField(
        max_length=320,
        widget=AdminTextInputWidget,
        help_text="An email address or a phone number like +14155550132.",
    )
    scope = forms.ChoiceField(widget=Select, label="Block")

    class Meta:
        model = Suppression
        fields = ("channel", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scope"].choices = [  # type: ignore[attr-defined]
            (Suppression.ALL, "every message"),
            *((row.key, f"messages of {row.key}") for row in Category.objects.all()),
        ]

    @override
    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if "address" in data and "channel" in data:
            channel = Channel(data["channel"])
            try:
                normal = addresses.normalise(channel, data["address"])
            except addresses.BadAddress as error:
                self.add_error("address", str(error))
            else:
                data["address"] = normal
                data["address_hash"] = addresses.digest(channel, normal)
        return data


def _by(request: HttpRequest) -> str:
    return f"staff: {request.user.get_username()}"


@admin.register(Suppression)
class SuppressionAdmin(BaseAdmin[Suppression]):
    """Who must not be written to. Added here by hand, lifted here, never changed."""

    form = SuppressionForm
    list_display = ("entry", "channel", "reason_badge", "blocks", "source", "since", "ends")
    list_filter = (Age, "reason", "channel")
    fields = ("channel", "address", "scope", "expires_at")
    search_fields = ("address_hash",)
    search_help_text = "Exact address, or id"
    sortable_by = ()
    nothing = "No address is suppressed"
    begin = "Bounces, complaints and opt-outs come here by themselves."
    delete_confirmation_template = "notifications/admin/lift.html"

    @override
    def look_up(self, rows: QuerySet[Suppression], term: str) -> QuerySet[Suppression]:
        hashes = [*digests(term), term]
        found = Q(channel__in=Channel.values, address_hash__in=hashes) | Q(id=as_uuid(term))
        return rows.filter(found)

    @override
    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    @override
    def get_fields(self, request: HttpRequest, obj: Suppression | None = None) -> Any:
        if obj is None:
            return super().get_fields(request, obj)
        return (
            "entry",
            "channel",
            "reason_badge",
            "blocks",
            "source",
            "cause",
            "since",
            "ends",
            "lifted",
        )

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Suppression | None = None) -> Any:
        return self.get_fields(request, obj) if obj else ()

    @override
    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        key = {
            "channel": form.cleaned_data["channel"],
            "address_hash": form.cleaned_data["address_hash"],
            "scope": form.cleaned_data["scope"],
            "reason": SuppressionReason.MANUAL,
        }
        added = suppress.add(
            **key,
            address=form.cleaned_data["address"],
            expires_at=form.cleaned_data["expires_at"],
            source=_by(request),
        )
        suppress.settle([(key["channel"], [key["address_hash"]])])
        obj.pk = Suppression.objects.get(**key).pk
        obj.reason = SuppressionReason.MANUAL
        if added:
            self.message_user(request, "The address is on the list.", messages.SUCCESS)
        else:
            self.message_user(request, "The address was on the list already.", messages.INFO)

    @override
    def response_add(
        self, request: HttpRequest, obj: Suppression, post_url_continue: str | None = None
    ) -> HttpResponse:
        """`save_model` has said what happened."""
        return self.response_post_save_add(request, obj)

    @override
    def delete_model(self, request: HttpRequest, obj: Suppression) -> None:
        suppress.lift([obj.pk], self._said(request))

    @override
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> None:
        suppress.lift(queryset.values_list("pk", flat=True), self._said(request))

    def _said(self, request: HttpRequest) -> suppress.Lift:
        return suppress.Lift(_by(request), request.POST.get("why", "").strip() or "none given")

    @admin.display(description="Address")
    def entry(self, row: Suppression) -> SafeString:
        return code(row.address or f"#{row.address_hash[:12]}")

    @admin.display(description="Reason")
    def reason_badge(self, row: Suppression) -> SafeString:
        reason = SuppressionReason(row.reason)
        return badge(reason.label, _TONES[reason])

    @admin.display(description="Blocks")
    def blocks(self, row: Suppression) -> str:
        return "every message" if row.scope == Suppression.ALL else f"messages of {row.scope}"

    @admin.display(description="Since")
    def since(self, row: Suppression) -> SafeString:
        return ago(row.created_at)

    @admin.display(description="Until")
    def ends(self, row: Suppression) -> SafeString | str:
        if row.expires_at is None:
            return "lifted"
        return badge("Over") if row.expires_at <= timezone.now() else ago(row.expires_at)

    @admin.display(description="Lifted before")
    def lifted(self, row: Suppression) -> SafeString | None:
        before = LiftedSuppression.objects.filter(
            channel=row.channel, address_hash=row.address_hash
        )
        lines = [
            (one.get_reason_display(), ago(one.at), one.lifted_by, one.why) for one in before[:10]
        ]
        return format_html_join("; ", "{}, {} by {}: {}", lines) if lines else None

    @admin.display(description="Because of")
    def cause(self, row: Suppression) -> SafeString | None:
        delivery = Delivery.objects.filter(pk=row.delivery_id).first() if row.delivery_id else None
        if delivery is None:
            return None
        page = "admin:notifications_notification_change"
        return link(reverse(page, args=[delivery.notification_id]), "this message")
