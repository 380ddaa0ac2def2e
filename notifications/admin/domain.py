"""The page that checks a domain: would receivers believe mail from it?"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any

from django import forms
from django.conf import settings
from django.http import QueryDict
from django.utils.safestring import SafeString

from commsproject.common.admin import Tone, badge
from commsproject.common.admin.theme import AdminTextInputWidget
from commsproject.common.errors import CommsError
from notifications.mail_dns import Finding, Result
from notifications.services import domains
from notifications.services.dns_lookup import Lookup

SECONDS = 10.0
"""For the whole page."""

_BADGES: Mapping[Result, tuple[str, Tone]] = {
    Result.OK: ("Good", Tone.GOOD),
    Result.WARN: ("Look at it", Tone.WARN),
    Result.FAIL: ("Fails", Tone.BAD),
    Result.UNKNOWN: ("Unknown", Tone.QUIET),
}


class DomainForm(forms.Form):
    domain = forms.CharField(max_length=253, widget=AdminTextInputWidget)
    selectors = forms.CharField(
        max_length=500,
        required=False,
        label="DKIM selectors",
        widget=AdminTextInputWidget,
        help_text="With commas between. Empty: the usual ones of the providers that are on. Those of "
        "SES are looked up by manage.py check_domain alone: no web process calls a vendor.",
    )
    return_path = forms.CharField(
        max_length=253,
        required=False,
        widget=AdminTextInputWidget,
        help_text="The domain in the envelope, if it is another.",
    )


def context(query: QueryDict) -> dict[str, Any]:
    """The form, and the findings once it was filled in."""
    if not query:
        _, _, domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")
        return {"form": DomainForm(initial={"domain": domain}), "findings": []}
    form = DomainForm(query)
    return {"form": form, "findings": [_shown(one) for one in _check(form)]}


def _check(form: DomainForm) -> list[Finding]:
    if not form.is_valid():
        return []
    asked = form.cleaned_data
    try:
        return domains.check(
            asked["domain"],
            selectors=[name for each in asked["selectors"].split(",") if (name := each.strip())],
            return_path=asked["return_path"],
            asks_vendors=False,
            ask=Lookup(settings.DNS_SERVERS, seconds=SECONDS),
        )
    except CommsError as error:
        form.add_error("domain", error.detail)
        return []


def _shown(finding: Finding) -> dict[str, str | SafeString]:
    return {
        "what": finding.what,
        "found": finding.found,
        "publish": finding.publish,
        "advice": finding.advice,
        "badge": badge(*_BADGES[finding.result]),
    }
