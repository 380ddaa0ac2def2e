from __future__ import annotations

from django.contrib import admin
from django.db.models import F
from django.utils.safestring import SafeString

from commsproject.common.admin.base import ReadOnlyAdmin
from commsproject.common.admin.show import Tone, ago, badge
from commsproject.common.models import Alert

_TONES = {Alert.Severity.WARNING: Tone.WARN, Alert.Severity.CRITICAL: Tone.BAD}


def state(alert: Alert) -> SafeString:
    if alert.resolved_at is not None:
        return badge("Resolved", Tone.GOOD)
    return badge(alert.get_severity_display(), _TONES[Alert.Severity(alert.severity)])


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin[Alert]):
    """What is wrong now, then what was."""

    list_display = ("title", "shown_state", "raised", "seen", "resolved")
    fields = ("title", "shown_state", "detail", "key", "raised", "seen", "resolved")
    list_filter = ("severity",)
    ordering = (F("resolved_at").desc(nulls_first=True), "-id")
    nothing = "Nothing has ever been wrong"

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
