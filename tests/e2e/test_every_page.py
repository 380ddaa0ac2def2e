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
from playwright.sync_api import Error, ViewportSize

from tests.e2e.axe import OF_COLOUR, RULES, violations
from tests.e2e.conftest import PHONE, Visit
from tests.unit.commsproject.test_admin_pages import everything  # noqa: F401 - a fixture

TALL = ViewportSize(width=1440, height=4000)
"""So that the bar with the buttons covers nothing: what is below it can be scrolled to."""
NO_PAGES = {"logout", "jsi18n", "autocomplete", "analytics-figures"}
"""Not for people to look at, or gone when looked at."""

EXPECTED = re.compile(r"^WebSocket connection|Blocked script execution in 'about:srcdoc'")
"""This server has no sockets; and what is hostile in a message is stopped, as it should be."""


def addresses(root: User) -> Iterator[str]:
    """The pages without a row, and of each kind of row its list, one of it, and the form of a new one."""
    for name in _names(get_resolver().url_patterns):
        try:
            found = reverse(name)
        except NoReverseMatch:
            continue  # of a row: below
        if found.startswith("/admin/") and name.rpartition(":")[2] not in NO_PAGES:
            yield found
    asked = RequestFactory().get("/")
    asked.user = root
    for model, page in admin.site._registry.items():
        row = page.get_queryset(asked).order_by("-pk").first()
        if row is not None:
            yield reverse(
                f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk]
            )


def _names(patterns: list[Any], space: str = "") -> Iterator[str]:
    for one in patterns:
        if isinstance(one, URLResolver):
            inner = f"{space}{one.namespace}:" if one.namespace else space
            yield from _names(one.url_patterns, inner)
        elif isinstance(one, URLPattern) and one.name:
            yield f"{space}{one.name}"


def opened(staff: Visit, address: str) -> bool:
    """False: a file, a part of a page, what only takes a POST or parameters, or the form of what nobody may add."""
    try:
        answer = staff.page.goto(staff.base + address)
    except Error:  # "Download is starting"
        return False
    if answer is None or answer.status in (400, 403, 404, 405):
        return False
    assert answer.status == 200, f"{address} {answer.status}"
    return "text/html" in answer.headers.get("content-type", "") and "<html" in answer.text()


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("half", [0, 1])
def test_every_page_is_readable_by_everybody(visit: Any, half: int) -> None:
    staff: Visit = visit(viewport=TALL)
    page, wrong, seen = staff.page, [], 0
    every = dict.fromkeys(addresses(User.objects.get(username="ada")))
    for address in sorted(every)[half::2]:
        staff.errors.clear()
        if not opened(staff, address):
            continue
        seen += 1
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
    assert seen > 40
