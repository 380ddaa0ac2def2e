"""Every staff page, found by itself: for those who cannot see well, on a phone, in the dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from playwright.sync_api import ViewportSize

from tests.e2e.axe import OF_COLOUR, RULES, violations
from tests.e2e.conftest import PHONE, Visit
from tests.unit.commsproject.test_admin_pages import everything  # noqa: F401 - a fixture

TALL = ViewportSize(width=1440, height=4000)
"""So that the bar with the buttons covers nothing: what is below it can be scrolled to."""
NO_PAGES = {
    "overview": "a part of the home page",
    "compose-example": "a part of the composing page",
    "compose-file": "a file",
    "staff-inbox-rows": "a part of the team's inbox",
    "staff-inbox-session": "a part of the team's inbox",
    "analytics-figures": "figures",
    "search": "a part of every page",
    "autocomplete": "a part of forms",
    "jsi18n": "a script",
    "common_auditevent_export": "a file, for a POST",
    "security_turn_off": "for a POST",
    "security_end_others": "for a POST",
    "security_codes": "shown once, after a POST: test_sign_in",
    "login": "for those who are not signed in: test_sign_in",
    "login_code": "for those who are not signed in: test_sign_in",
    "logout": "for a POST",
}
"""Names of addresses at which there is nothing to look at, and why."""

PARTS = 3
"""Each with as many pages, so that none takes long."""

EXPECTED = re.compile(r"^WebSocket connection|Blocked script execution in 'about:srcdoc'")
"""This server has no sockets; and what is hostile in a message is stopped, as it should be."""


def addresses(root: User) -> Iterator[str]:
    """The pages without a row, and of each kind of row its list, one of it, and the form of a new one."""
    asked = RequestFactory().get("/")
    asked.user = root
    kinds = {
        f"{model._meta.app_label}_{model._meta.model_name}": page
        for model, page in admin.site._registry.items()
    }
    nobody_adds = {
        f"{kind}_add" for kind, page in kinds.items() if not page.has_add_permission(asked)
    }
    for name in _names(get_resolver().url_patterns):
        try:
            found = reverse(name)
        except NoReverseMatch:
            continue  # of a row: below
        own = name.rpartition(":")[2]
        if found.startswith("/admin/") and own not in NO_PAGES and own not in nobody_adds:
            yield found
    for kind, page in kinds.items():
        row = page.get_queryset(asked).order_by("-pk").first()
        assert row, f"the fixture makes no {kind}"
        yield reverse(f"admin:{kind}_change", args=[row.pk])


def _names(patterns: list[Any], space: str = "") -> Iterator[str]:
    for one in patterns:
        if isinstance(one, URLResolver):
            inner = f"{space}{one.namespace}:" if one.namespace else space
            yield from _names(one.url_patterns, inner)
        elif isinstance(one, URLPattern) and one.name:
            yield f"{space}{one.name}"


def go(staff: Visit, address: str) -> None:
    """Whatever is not a page fails: a refusal, a part of a page, the way back to the sign-in page."""
    answer = staff.page.goto(staff.base + address)
    assert answer is not None
    assert answer.status == 200, f"{address} {answer.status}"
    assert "/login/" not in answer.url, f"{address} asks to sign in"
    assert "<html" in answer.text(), f"{address} is not a page: it belongs to NO_PAGES"


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_is_readable_by_everybody(visit: Any, part: int) -> None:
    staff: Visit = visit(viewport=TALL)
    page, wrong = staff.page, []
    every = dict.fromkeys(addresses(User.objects.get(username="ada")))
    for address in list(every)[part::PARTS]:
        staff.errors.clear()
        go(staff, address)
        for scheme, rules in (("light", RULES), ("dark", OF_COLOUR)):
            page.evaluate(
                "name => document.documentElement.classList.toggle('dark', name === 'dark')", scheme
            )
            wrong += [f"{address} {scheme} {one}" for one in violations(page, rules)]
        page.set_viewport_size(PHONE)
        if not staff.fits():
            wrong.append(f"{address} is wider than a phone")
        page.set_viewport_size(TALL)
        wrong += [f"{address} console: {one}" for one in staff.errors if not EXPECTED.search(one)]
    staff.errors.clear()
    assert not wrong, "\n".join(wrong)
