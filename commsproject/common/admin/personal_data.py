from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin.base import ReadOnlyAdmin
from commsproject.common.admin.show import Tone, ago, badge
from commsproject.common.models import PersonalDataJob
from commsproject.common.personal_data import work


@admin.register(PersonalDataJob)
class PersonalDataJobAdmin(ReadOnlyAdmin[PersonalDataJob]):
    """Exports and erasures: how far they are, and the receipts of those that are done."""

    list_display = ("what", "shown_state", "asked_by", "rows", "began", "ended")
    fields = ("what", "shown_state", "at", "asked_by", "found", "began", "ended", "kept_until")
    list_filter = ("kind", "state")
    nothing = "Nobody has asked for a person's data"
    begin = "Exports and erasures are asked for on the page of a recipient, or by the API."

    @override
    def named(self, row: PersonalDataJob) -> str:
        return self.what(row)

    @admin.display(description="Request")
    def what(self, job: PersonalDataJob) -> str:
        whose = f" of {job.user_id}" if job.user_id else ""
        return f"{job.get_kind_display()}{whose}"

    @admin.display(description="State")
    def shown_state(self, job: PersonalDataJob) -> SafeString:
        if job.state == PersonalDataJob.State.DONE:
            return badge("Done", Tone.GOOD)
        if job.error:
            return badge(f"{job.error}, tried {job.tries} times", Tone.BAD)
        return badge(f"{work.progress(job)} %", Tone.BUSY)

    @admin.display(description="Is at")
    def at(self, job: PersonalDataJob) -> str:
        return job.part

    @admin.display(description="Asked for by")
    def asked_by(self, job: PersonalDataJob) -> str:
        if job.client is not None:
            return job.client.name
        return f"staff {job.staff.get_username()}" if job.staff else "staff"

    @admin.display(description="Rows")
    def rows(self, job: PersonalDataJob) -> str:
        return f"{sum(job.counts.values()):,}"

    @admin.display(description="What there was")
    def found(self, job: PersonalDataJob) -> str:
        return ", ".join(f"{rows:,} {what}" for what, rows in job.counts.items() if rows)

    @admin.display(description="Begun")
    def began(self, job: PersonalDataJob) -> SafeString:
        return ago(job.created_at)

    @admin.display(description="Done")
    def ended(self, job: PersonalDataJob) -> SafeString:
        return ago(job.finished_at)

    @admin.display(description="Kept until")
    def kept_until(self, job: PersonalDataJob) -> SafeString:
        return ago(job.expires_at)
