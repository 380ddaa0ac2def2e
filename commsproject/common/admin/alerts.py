"""Alerts, the rules that raise them and who is told: made to be read on a phone."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common import alerts
from commsproject.common.admin.base import EditableAdmin, Question, ReadOnlyAdmin
from commsproject.common.admin.show import Tone, ago, badge, duration, shorten
from commsproject.common.admin.theme import AdminTextareaWidget, ModelForm, PasswordInput
from commsproject.common.alerts import notices, targets
from commsproject.common.errors import CommsError
from commsproject.common.models import Alert, AlertNotice, AlertRule, AlertTarget, Severity
from commsproject.common.models.alert import Unit

_TONES = {Severity.WARNING: Tone.WARN, Severity.CRITICAL: Tone.BAD}


def state(alert: Alert) -> SafeString:
    if alert.resolved_at is not None:
        return badge("Resolved", Tone.GOOD)
    return badge(alert.get_severity_display(), _TONES[Severity(alert.severity)])


class Standing(admin.SimpleListFilter):
    """What is wrong now is looked for most."""

    title = "state"
    parameter_name = "state"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("new", "Nobody looks after it"), ("standing", "Stands"), ("resolved", "Resolved")]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        match self.value():
            case "new":
                return queryset.filter(resolved_at=None, acknowledged_at=None)
            case "standing":
                return queryset.filter(resolved_at=None)
            case "resolved":
                return queryset.filter(resolved_at__isnull=False)
        return queryset


class AcknowledgeForm(forms.Form):
    note = forms.CharField(
        required=False,
        max_length=1000,
        widget=AdminTextareaWidget(attrs={"rows": 3}),
        label="Note",
        help_text="For the others on call. May be empty.",
    )


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin[Alert]):
    """What is wrong now, then what was."""

    list_display = ("short_title", "shown_state", "raised", "looked_after", "resolved")
    fields = (
        *("title", "shown_state", "detail", "raised", "seen", "resolved"),
        *("looked_after", "note", "rule", "key"),
    )
    list_filter = (Standing, "severity")
    ordering = (F("resolved_at").desc(nulls_first=True), "-id")
    change_form_template = "common/admin/alert.html"
    nothing = "Nothing has ever been wrong"
    begin = "What the alert rules find comes here, and goes to those who are to be told."

    @admin.display(description="Title")
    def short_title(self, alert: Alert) -> str:
        """Of three lines a telephone shows the one in the middle."""
        return shorten(alert.title, 70)

    @admin.display(description="State")
    def shown_state(self, alert: Alert) -> SafeString:
        return state(alert)

    @admin.display(description="Raised")
    def raised(self, alert: Alert) -> SafeString:
        return ago(alert.raised_at)

    @admin.display(description="Last seen")
    def seen(self, alert: Alert) -> SafeString:
        return ago(alert.seen_at)

    @admin.display(description="Resolved")
    def resolved(self, alert: Alert) -> SafeString:
        return ago(alert.resolved_at)

    @admin.display(description="Looked after by")
    def looked_after(self, alert: Alert) -> str:
        return alert.acknowledged_by.removeprefix("staff ")

    @override
    def own_page(self, row: Alert) -> dict[str, Any]:
        told = row.notices.select_related("target").order_by("-id")[:50]
        return {"told": [(notice, _outcome(notice)) for notice in told]}

    @override
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.acknowledge)
        name = "common_alert_acknowledge"
        return [path("<uuid:pk>/acknowledge/", view, name=name), *super().get_urls()]

    def acknowledge(self, request: HttpRequest, pk: Any) -> HttpResponse:
        alert = get_object_or_404(Alert, pk=pk)
        if not self.may_act(request):
            raise PermissionDenied
        form = AcknowledgeForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            context = {"form": form, "original": alert, "back": self.url_of(alert)}
            title = "Acknowledge the alert"
            return self.page(request, "common/admin/acknowledge.html", context, title=title)
        by = f"staff {request.user.get_username()}"
        try:
            alerts.acknowledge(alert, by=by, note=form.cleaned_data["note"])
        except CommsError as error:
            self.message_user(request, error.detail, "ERROR")
        else:
            self.log_change(request, alert, "Acknowledged.")
            self.message_user(request, "You look after it.", "SUCCESS")
        return HttpResponseRedirect(self.url_of(alert))


def _outcome(notice: AlertNotice) -> SafeString:
    if notice.sent_at is not None:
        return badge("Told", Tone.GOOD)
    if notice.next_try_at is None:
        return badge("Given up", Tone.BAD)
    return badge("Tried again soon" if notice.tries else "Waits", Tone.BUSY)


class RuleForm(ModelForm[AlertRule]):
    @override
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        bound, recovery = cleaned.get("bound"), cleaned.get("recovery")
        if bound is not None and recovery is not None and recovery >= bound:
            self.add_error("recovery", "Less than the bound, so that it can be well again.")
        return cleaned


@admin.register(AlertRule)
class AlertRuleAdmin(EditableAdmin[AlertRule]):
    """When something is told. Rules are switched off, not deleted."""

    form = RuleForm
    list_display = ("name", "shown_state", "measure", "only", "told_from", "window")
    ordering = ("name",)
    nothing = "No rule: nothing is told"
    begin = "A rule says from which value on something is wrong."
    list_filter = ("enabled", "severity", "measure")
    fields = (
        *("name", "key", "measure", "only", "severity", "enabled"),
        *("bound", "recovery", "minimum", "window_seconds", "cool_down_seconds"),
    )

    @admin.display(description="State")
    def shown_state(self, rule: AlertRule) -> SafeString:
        if not rule.enabled:
            return badge("Off")
        if rule.last_error:
            return badge(rule.last_error, Tone.BAD)
        return badge(rule.get_severity_display(), _TONES[Severity(rule.severity)])

    @admin.display(description="From")
    def told_from(self, rule: AlertRule) -> str:
        match AlertRule.Measure(rule.measure).unit:
            case Unit.SHARE:
                return f"{100 * rule.bound:g} %"
            case Unit.SECONDS:
                return duration(rule.bound)
            case Unit.NUMBER:
                return f"{rule.bound:g}"

    @admin.display(description="Within")
    def window(self, rule: AlertRule) -> str:
        return duration(rule.window_seconds)

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: AlertRule | None = None) -> list[str]:
        return ["key", "measure"] if obj else []

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("common.add_alertrule")


class TargetForm(ModelForm[AlertTarget]):
    """What was entered once is not shown again."""

    address = forms.CharField(
        max_length=2000,
        required=False,
        strip=True,
        widget=PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="email:oncall@example.org, https://hooks.example.org/..., or any address of "
        "Apprise (slack://, msteams://, pagerduty://, ntfys:// ...). Never shown again.",
    )

    class Meta:
        model = AlertTarget
        fields = ("name", "address", "least", "is_active")

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"]
        if not address and self.instance.sealed:
            return ""
        try:
            targets.check(address)
        except ValidationError as error:
            raise forms.ValidationError(error.messages, code="bad_address") from None
        return address

    @override
    def save(self, commit: bool = True) -> AlertTarget:
        if address := self.cleaned_data["address"]:
            targets.put(self.instance, address)
        return super().save(commit)


@admin.register(AlertTarget)
class AlertTargetAdmin(EditableAdmin[AlertTarget]):
    """Who is told."""

    form = TargetForm
    list_display = ("name", "place", "least", "shown_state", "last")
    fields = ("name", "address", "least", "is_active")
    change_form_template = "common/admin/alert_target.html"
    nothing = "Nobody is told of alerts yet"
    begin = "Name an address: e-mail, a chat or a pager."

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertTarget]:
        newest = AlertNotice.objects.filter(target=OuterRef("pk")).order_by("-id")
        return (
            super()
            .get_queryset(request)
            .annotate(
                last_sent=Subquery(newest.values("sent_at")[:1]),
                last_error=Subquery(newest.values("error")[:1]),
            )
        )

    @admin.display(description="State")
    def shown_state(self, target: AlertTarget) -> SafeString:
        return badge("On", Tone.GOOD) if target.is_active else badge("Off")

    @admin.display(description="Last told")
    def last(self, target: Any) -> SafeString:
        return badge(target.last_error, Tone.BAD) if target.last_error else ago(target.last_sent)

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("common.add_alerttarget")

    @override
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.try_out)
        name = "common_alerttarget_try"
        return [path("<uuid:pk>/try/", view, name=name), *super().get_urls()]

    def try_out(self, request: HttpRequest, pk: Any) -> HttpResponse:
        target = get_object_or_404(AlertTarget, pk=pk)
        if not self.may_act(request):
            raise PermissionDenied

        def act() -> str:
            notices.try_out(target)
            return f"{target.name} is told within seconds; the list says whether it was."

        question = Question(
            title=f"Send a test to {target.name}?",
            text=f"It says that alerts of this service will come to {target.place}.",
            button="Send a test",
        )
        return self.ask_first(request, target, question, act)
