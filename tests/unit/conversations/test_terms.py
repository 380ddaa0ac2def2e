from __future__ import annotations

import pytest

from conversations.terms import Terms, parse


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("oslo", Terms("", "oslo")),
        ("trip to osl", Terms("trip to", "osl")),
        ("oslo ", Terms("oslo ")),
        ('"trip to oslo"', Terms('"trip to oslo"')),
        ('"trip to osl', Terms('"trip to osl')),
        ("trip -oslo", Terms("trip -oslo")),
        ("tea or coffee", Terms("tea or coffee")),
        ("tea or", Terms("tea or")),
        ("a", Terms("a")),
        ("e-mail", Terms("e-mail")),
        ("grün Œuv", Terms("grün", "Œuv")),
        ("", Terms("")),
    ],
)
def test_the_last_word_may_go_on(asked: str, found: Terms) -> None:
    assert parse(asked) == found
