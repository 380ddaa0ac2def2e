from __future__ import annotations

from typing import Any

import pytest

from notifications import weblinks


@pytest.mark.parametrize(
    ("text", "is_link", "is_image"),
    [
        ("https://example.org/a?b=c#d", True, True),
        ("HTTP://example.org", True, True),
        ("/orders/17", True, True),
        ("/", True, True),
        ("mailto:ada@example.org", True, False),
        ("tel:+4930123456", True, False),
        ("acme://orders/17", True, False),
        ("other://orders/17", False, False),
        ("acme://a b", False, False),
        ("//evil.example", False, False),
        ("/\\evil.example", False, False),
        ("javascript:alert(1)", False, False),
        ("JavaScript://%0aalert(1)", False, False),
        (" https://example.org", False, False),
        ("https://example.org/\n", False, False),
        ("data:image/png;base64,AA", False, False),
        ("orders/17", False, False),
        ("", False, False),
    ],
)
def test_only_addresses_that_no_client_runs_as_a_script(
    settings: Any, text: str, is_link: bool, is_image: bool
) -> None:
    settings.APP_LINK_SCHEMES = frozenset({"acme"})
    assert (weblinks.is_link(text), weblinks.is_image(text)) == (is_link, is_image)
