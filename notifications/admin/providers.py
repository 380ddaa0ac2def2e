from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Case, Q, QuerySet, Value, When
from django.forms import FloatField, IntegerField
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import EditableAdmin, ReadOnlyInline, Tone, ago, badge
from commsproject.common.admin.theme import AdminTextInputWidget, ModelForm
from notifications import breaker, limits, shares
from notifications.admin import domain
from notifications.breaker import Gate, Health
from notifications.models import ProviderChange, ProviderState
from notifications.providers import registry
from notifications.services import route
from notifications.types import Channel

_GATES = {
    Gate.OPEN_ROAD: ("Closed: messages pass", Tone.GOOD),
    Gate.PROBE: ("Half open: one message probes", Tone.WARN),
    Gate.SHUT: ("Open: left alone", Tone.BAD),
}


class Changes(ReadOnlyInline[ProviderChange, ProviderState]):
    """The newest hundred."""

    model = ProviderChange
    verbose_name_plural = "history"
    fields = readonly_fields = ("moment", "was", "now", "reason")
    per_page = 20

    @admin.display(description="When")
    def moment(self, change: ProviderChange) -> SafeString:
        return ago(change.at)


class ProviderForm(ModelForm[ProviderState]):
    """A limit is a count and its seconds, or neither: then it is that of the settings."""

    weight = IntegerField(
        min_value=0,
        max_value=1000,
        required=False,
        widget=AdminTextInputWidget,
        help_text="Its share of the messages, beside the others that have one: 70 and 30, say. "
        "Without one it is asked when those cannot.",
    )
    limit_count = IntegerField(
        min_value=1,
        max_value=1_000_000_000,
        required=False,
        widget=AdminTextInputWidget,
        help_text="Calls or recipients, whichever the provider counts. Empty: as the vendor says, or "
        "as in the settings.",
    )
    limit_seconds = FloatField(
        min_value=0.1, max_value=86_400, required=False, widget=AdminTextInputWidget
    )

    class Meta:
        model = ProviderState
        fields = ("enabled", "weight", "limit_count", "limit_seconds")

    def clean_weight(self) -> int:
        return self.cleaned_data["weight"] or 0

    @override
    def clean(self) -> dict[str, Any] | None:
        found = super().clean()
        if not self.errors:
            count, seconds = self.cleaned_data["limit_count"], self.cleaned_data["limit_seconds"]
            if (count is None) != (seconds is None):
                raise ValidationError("A limit needs both a count and seconds.")
        return found


def _is_configured(row: ProviderState) -> bool:
    name, _, _ = row.name.partition(":")
    return bool(settings.PROVIDERS.get(name, {}).get("ENABLED"))


def gate_badge(row: ProviderState) -> SafeString:
    """Whether messages pass."""
    if not row.enabled:
        return badge("Switched off", Tone.WARN)
    health = Health(row.failures, row.opened_until, row.probe_until, row.reason)
    return badge(*_GATES[breaker.gate(health, timezone.now())])


@admin.register(ProviderState)
class ProviderAdmin(EditableAdmin[ProviderState]):
    """Every provider of the settings: its switch, its breaker and what became of it."""

    form = ProviderForm
    list_display: tuple[str, ...] = (
        *("name", "carries", "switch", "weighs", "gate", "failures", "why", "tokens", "changed"),
    )
    readonly_fields: ClassVar[tuple[str, ...]] = (
        *("name", "carries", "gate", "failures", "why", "until", "share", "tokens", "quota"),
        "changed",
    )
    fields: ClassVar[tuple[str, ...]] = (
        *("name", "carries", "enabled", "gate", "failures", "why", "until", "weight", "share"),
        *("limit_count", "limit_seconds", "tokens", "quota", "changed"),
    )
    inlines = (Changes,)
    sortable_by = ()
    nothing = "No provider is in the settings"
    begin = "Providers are those of the settings; credentials turn them on."
    list_before_template = "notifications/admin/providers_links.html"
    change_form_before_template = "notifications/admin/provider_script.html"

    @override
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.check_domain)
        return [
            path("domain/", view, name="notifications_providerstate_domain"),
            *super().get_urls(),
        ]

    def check_domain(self, request: HttpRequest) -> HttpResponse:
        """Asks name servers, no vendor."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        template = "notifications/admin/domain.html"
        return self.page(request, template, domain.context(request.GET), title="Check a domain")

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderState]:
        """A provider has a row from the first look on, not only from its first failure."""
        rows = [ProviderState(name=name) for name in settings.PROVIDERS]
        known = set(ProviderState.objects.values_list("name", flat=True))
        if missing := [row for row in rows if row.name not in known]:
            ProviderState.objects.bulk_create(missing, ignore_conflicts=True)
        return super().get_queryset(request)

    @override
    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        """Those that can be asked first."""
        on = [name for name, entry in settings.PROVIDERS.items() if entry["ENABLED"]]
        part_of_one = [Q(name__startswith=f"{name}:") for name in on]
        is_on = reduce(or_, part_of_one, Q(name__in=on))
        return (Case(When(is_on, then=Value(0)), default=Value(1)).asc(), "name")

    @override
    def save_model(
        self, request: HttpRequest, obj: ProviderState, form: ModelForm[Any], change: bool
    ) -> None:
        """Only the switch, the weight and the limit: the engine writes the rest of the row at the same time."""
        by = request.user.get_username()
        route.switch(obj.name, on=obj.enabled, by=by)
        route.weigh(obj.name, obj.weight, by=by)
        route.limit(obj.name, count=obj.limit_count, seconds=obj.limit_seconds, by=by)

    @admin.display(description="Carries")
    def carries(self, row: ProviderState) -> SafeString:
        name, _, part = row.name.partition(":")
        entry = settings.PROVIDERS.get(name)
        if entry is None:
            return badge("No longer configured")
        if not entry["ENABLED"]:
            return badge("No credentials")
        if part:
            return badge(f"Only {part}", Tone.BUSY)
        carried = [
            channel.label
            for channel in Channel
            if any(provider.name == row.name for provider in registry.for_channel(channel))
        ]
        return badge(", ".join(carried), Tone.BUSY) if carried else badge("Not needed")

    @admin.display(description="Switch")
    def switch(self, row: ProviderState) -> SafeString | None:
        if not _is_configured(row):
            return None
        return badge("On", Tone.GOOD) if row.enabled else badge("Off", Tone.WARN)

    @admin.display(description="Weight")
    def weighs(self, row: ProviderState) -> int | None:
        return row.weight or None

    @admin.display(description="Breaker")
    def gate(self, row: ProviderState) -> SafeString | None:
        return gate_badge(row) if _is_configured(row) else None

    @admin.display(description="Reason")
    def why(self, row: ProviderState) -> str | None:
        return row.reason or None

    @admin.display(description="Left alone until")
    def until(self, row: ProviderState) -> SafeString:
        return ago(row.opened_until)

    @admin.display(description="Health")
    def share(self, row: ProviderState) -> SafeString | None:
        """How much of its weight it gets now."""
        if not row.weight:
            return None
        return badge(f"{row.health} %", Tone.GOOD if row.health == shares.FULL else Tone.WARN)

    @admin.display(description="Rate limit")
    def tokens(self, row: ProviderState) -> SafeString | None:
        """What is left of it at this moment."""
        standing = limits.standing(row)
        if standing is None:
            return None
        limit = standing.bucket
        text = f"{standing.free:,} of {limit.count:,} left, for {limit.seconds:g} s"
        if standing.promised:
            text += f"; turns promised for {standing.promised:.0f} s"
        if not _is_configured(row):
            return badge(text)
        return badge(text, Tone.GOOD if standing.free else Tone.WARN)

    @admin.display(description="Account at the vendor's")
    def quota(self, row: ProviderState) -> SafeString | None:
        """What the vendor said when it was last asked."""
        if row.quota_at is None:
            return None
        per_day = "unlimited" if row.quota_per_day is None else f"{row.quota_per_day:,.0f}"
        text = (
            f"{row.quota_per_second:g} a second; {row.quota_sent:,.0f} of {per_day} in 24 h"
            f"{row.quota_trouble and '; '}{row.quota_trouble}"
        )
        tone = Tone.BAD if row.quota_trouble else Tone.GOOD
        return format_html("{} {}", badge(text, tone), ago(row.quota_at))

    @admin.display(description="Last change")
    def changed(self, row: ProviderState) -> SafeString:
        return ago(row.changed_at)
