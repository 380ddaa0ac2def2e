"""A person's data by the hand of staff: all of it in a document, or away for good."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from typing_extensions import override

from commsproject.common.admin import Question, ReadOnlyAdmin
from commsproject.common.api.streaming import download
from commsproject.common.models import PersonalDataJob
from commsproject.common.personal_data import work
from notifications.models import Recipient

MAY_EXPORT = "common.add_personaldatajob"
MAY_ERASE = "notifications.delete_recipient"

_ERASE = Question(
    title="Erase this person?",
    text="What waits for them is not sent. Messages, addresses, devices, choices and what they wrote "
    "go for good, everywhere. What stays are counts, and hashes for the suppression list. This cannot "
    "be undone.",
    button="Erase for good",
)


class PersonalData(ReadOnlyAdmin[Recipient]):
    """The two buttons of a person's page."""

    change_form_template = "notifications/admin/recipient.html"

    @override
    def own_page(self, row: Recipient) -> dict[str, Any]:
        return {
            **super().own_page(row),
            "export_url": reverse("admin:notifications_recipient_export", args=[row.pk]),
            "erase_url": reverse("admin:notifications_recipient_erase", args=[row.pk]),
        }

    @override
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:pk>/export/", wrap(self.export), name="notifications_recipient_export"),
            path("<uuid:pk>/erase/", wrap(self.erase), name="notifications_recipient_erase"),
            *super().get_urls(),
        ]

    def export(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        """POST begins it where there is none; once it is done, either gives the document."""
        person = _for(request, pk, MAY_EXPORT)
        if request.method != "POST":
            return HttpResponseRedirect(self.url_of(person))
        job = work.ask_export(person.user_id, staff=request.user)
        if job.state != PersonalDataJob.State.DONE:
            self.log_change(request, person, "Asked for an export.")
            self.message_user(request, "It is being made. Ask again in a minute.")
            return HttpResponseRedirect(self.url_of(person))
        self.log_change(request, person, "Fetched an export.")
        response = download(
            request,
            work.document(job),
            content_type="application/x-ndjson",
            filename=f"person-{job.id}.ndjson",
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    def erase(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """GET asks, POST begins it; then there is a request to look at, and soon no person."""
        person = _for(request, pk, MAY_ERASE)
        if request.method != "POST":
            context = {"question": _ERASE, "original": person, "back": self.url_of(person)}
            return self.page(request, "common/admin/confirm.html", context, title=_ERASE.title)
        job = work.ask_erasure(person.user_id, staff=request.user)
        self.message_user(request, "The erasure has begun.")
        page = reverse("admin:common_personaldatajob_change", args=[job.pk])
        return HttpResponseRedirect(page)


def _for(request: HttpRequest, pk: UUID, permission: str) -> Recipient:
    person = get_object_or_404(Recipient, pk=pk)
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return person
