"""Every staff page, found by itself: for those who cannot see well, on a phone, in the dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from playwright.sync_api import Page

from tests.e2e.conftest import DESK, PHONE, Visit
from tests.unit.commsproject.test_admin_pages import everything  # noqa: F401 - a fixture

AXE = Axe().axe_script
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
NO_PAGES = {"logout", "jsi18n", "autocomplete", "view_on_site", "analytics-figures"}
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


def violations(page: Page) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})"
        ".then(all => all.violations.map(one => one.id + ': ' + one.nodes[0].html.slice(0, 160)))",
        RULES,
    )
    return [str(one) for one in found]


def is_page(staff: Visit, address: str) -> bool:
    """Not a file, a part of a page, what only takes a POST, or the form of what nobody may add."""
    answer = staff.context.request.get(staff.base + address)
    if answer.status in (403, 404, 405):
        return False
    return "text/html" in answer.headers.get("content-type", "") and "<html" in answer.text()


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("everything")
def test_every_page_is_readable_by_everybody(visit: Any) -> None:
    staff: Visit = visit()
    wrong: list[str] = []
    seen = 0
    for address in dict.fromkeys(addresses(User.objects.get(username="ada"))):
        if not is_page(staff, address):
            continue
        answer = staff.page.goto(staff.base + address)
        assert answer is not None
        seen += 1
        if answer.status != 200:
            wrong.append(f"{address} {answer.status}")
            continue
        for scheme in ("light", "dark"):
            staff.page.evaluate(
                "name => document.documentElement.classList.toggle('dark', name === 'dark')", scheme
            )
            wrong += [f"{address} {scheme} {one}" for one in violations(staff.page)]
        staff.page.set_viewport_size(PHONE)
        if not staff.page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            wrong.append(f"{address} is wider than a phone")
        staff.page.set_viewport_size(DESK)
        wrong += [f"{address} console: {one}" for one in staff.errors if not EXPECTED.search(one)]
        staff.errors.clear()
    if wrong:
        pytest.fail("\n".join(wrong))
    assert seen > 80
