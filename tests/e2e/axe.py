"""axe-core in a page: what keeps somebody from reading or using it."""

from __future__ import annotations

from collections.abc import Sequence

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

AXE = Axe().axe_script
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
OF_COLOUR = ("color-contrast", "link-in-text-block")
"""What the dark could make worse."""


def violations(page: Page, rules: Sequence[str] = RULES) -> list[str]:
    """The rule and the first element of each."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})"
        ".then(all => all.violations.map(one => one.id + ': ' + one.nodes[0].html.slice(0, 160)))",
        list(rules),
    )
    return [str(one) for one in found]
