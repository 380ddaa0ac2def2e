from __future__ import annotations

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString

from commsproject.common.admin import ReadOnlyAdmin, Tone, ago, badge
from notifications.admin import badges
from notifications.models import Work
from notifications.types import Lane


@admin.register(Work)
class WorkAdmin(ReadOnlyAdmin[Work]):
    """The queue as it stands: a row is gone when it is done."""

    list_display = (
        "due",
        "state",
        "lane_badge",
        "kind",
        "channel",
        "deliveries",
        "agent",
        "claims",
    )
    list_filter = ("lane", "kind", "channel", "held", ("client", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("client",)
    nothing = "The queue is empty"
    fields = (
        "due", "state", "lane_badge", "kind", "channel", "agent", "deliveries", "claims", "leased",
    )  # fmt: skip

    @admin.display(description="Due")
    def due(self, work: Work) -> SafeString:
        return ago(work.due_at)

    @admin.display(description="State")
    def state(self, work: Work) -> SafeString:
        now = timezone.now()
        if work.held:
            return badge("Held", Tone.WARN)
        if work.lease_until is not None and work.lease_until > now:
            return badge("Being sent", Tone.BUSY)
        return badge("Waiting", Tone.QUIET) if work.due_at > now else badge("Due", Tone.GOOD)

    @admin.display(description="Lane")
    def lane_badge(self, work: Work) -> SafeString:
        return badges.lane(Lane(work.lane))

    @admin.display(description="Agent")
    def agent(self, work: Work) -> str:
        return work.client.name

    @admin.display(description="Deliveries")
    def deliveries(self, work: Work) -> int:
        return len(work.ids)

    @admin.display(description="Claimed until")
    def leased(self, work: Work) -> SafeString:
        return ago(work.lease_until)
