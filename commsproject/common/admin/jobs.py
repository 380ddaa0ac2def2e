from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from commsproject.common.admin.base import ReadOnlyAdmin
from commsproject.common.admin.show import Tone, ago, badge
from commsproject.common.models import ScheduledJob


@admin.register(ScheduledJob)
class ScheduledJobAdmin(ReadOnlyAdmin[ScheduledJob]):
    """The periodic jobs: whether the last run of each ended well."""

    list_display = ("name", "outcome", "last_run", "took", "next_run")
    fields = ("name", "outcome", "last_run", "took", "next_run")
    ordering = ("name",)
    nothing = "No job has run yet"
    begin = "The scheduler writes them here when it starts."

    @admin.display(description="Last run ended")
    def outcome(self, job: ScheduledJob) -> SafeString:
        if job.last_run_at is None:
            return badge("Never run")
        return badge(job.last_error, Tone.BAD) if job.last_error else badge("Well", Tone.GOOD)

    @admin.display(description="Last run")
    def last_run(self, job: ScheduledJob) -> SafeString:
        return ago(job.last_run_at)

    @admin.display(description="Took")
    def took(self, job: ScheduledJob) -> str | None:
        return None if job.last_duration_ms is None else f"{job.last_duration_ms:,} ms"

    @admin.display(description="Next run")
    def next_run(self, job: ScheduledJob) -> SafeString:
        return ago(job.next_run_at)
