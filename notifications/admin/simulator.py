"""The simulators' script: what they do wrong, to rehearse failures."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ChoiceField
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import EditableAdmin, Tone, ago, badge, shorten
from commsproject.common.admin.theme import ModelForm, Select
from notifications.models import SimulatorRule
from notifications.providers import registry
from notifications.providers.simulator import Simulator
from notifications.services import rehearsal
from notifications.types import Channel

_TONES = {
    SimulatorRule.Answer.ACCEPT: Tone.GOOD,
    SimulatorRule.Answer.THROTTLE: Tone.WARN,
    SimulatorRule.Answer.REFUSE: Tone.QUIET,
}
_ANY = ("", "Every one")


class RuleForm(ModelForm[SimulatorRule]):
    provider = ChoiceField(
        choices=[_ANY, *((name, name) for name in sorted(registry.SIMULATORS))],
        required=False,
        widget=Select,
    )
    channel = ChoiceField(
        choices=[_ANY, *((one.value, one.label) for one in Channel if one in Simulator.channels)],
        required=False,
        widget=Select,
    )

    class Meta:
        model = SimulatorRule
        exclude = ("met",)


@admin.register(SimulatorRule)
class SimulatorRuleAdmin(EditableAdmin[SimulatorRule]):
    """The first rule that fits a message counts, in the order in which they were made."""

    form = RuleForm
    list_display = ("does", "where", "how_often", "receipts_badge", "ends", "met")
    fieldsets = (
        ("Which messages", {"fields": ("provider", "channel", "address", "percent")}),
        ("What the call meets", {"fields": ("answer", "status", "retry_after", "latency")}),
        ("What its receipts meet", {"fields": ("receipts", "receipts_after")}),
        ("How long", {"fields": ("messages", "until")}),
    )
    sortable_by = ()
    nothing = "The simulators take every message and report back"
    begin = "A rule makes them refuse, throttle, hang or lose receipts, to see what becomes of it."

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(rehearsal.simulators()) and super().has_add_permission(request)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Taken away when the rehearsal is over: nothing refers to them."""
        return self.may_act(request)

    @admin.display(description="Does")
    def does(self, rule: SimulatorRule) -> SafeString:
        answer = SimulatorRule.Answer(rule.answer)
        text = str(answer.label)
        if rule.latency:
            text += f", after {rule.latency:g} s"
        return badge(text, _TONES.get(answer, Tone.BAD))

    @admin.display(description="Where")
    def where(self, rule: SimulatorRule) -> str:
        channel = Channel(rule.channel).label if rule.channel else "every channel"
        address = shorten(rule.address, 32) if rule.address else "every address"
        return f"{rule.provider or 'every simulator'}, {channel}, {address}"

    @admin.display(description="How often")
    def how_often(self, rule: SimulatorRule) -> str:
        return f"{rule.percent} %"

    @admin.display(description="Receipts")
    def receipts_badge(self, rule: SimulatorRule) -> SafeString:
        receipts = SimulatorRule.Receipts(rule.receipts)
        text = str(receipts.label)
        if receipts is SimulatorRule.Receipts.LATE:
            text += f", {rule.receipts_after:g} s"
        return badge(text, Tone.GOOD if receipts is SimulatorRule.Receipts.NORMAL else Tone.WARN)

    @admin.display(description="Ends")
    def ends(self, rule: SimulatorRule) -> SafeString:
        if rule.until is not None and rule.until <= timezone.now():
            return badge("Over")
        if rule.messages is not None and rule.met >= rule.messages:
            return badge("Used up")
        if rule.until is not None:
            return ago(rule.until)
        return badge(f"After {rule.messages:,}" if rule.messages else "Never", Tone.BUSY)
