from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from notifications import prices, sms


@dataclass
class Named:
    name: str


OWN = {
    "a": {"*": Decimal("0.05"), "DE": Decimal("0.09")},
    "b": {"*": Decimal("0.06")},
    "c": {"DE": Decimal("0.06")},
}


@pytest.fixture(autouse=True)
def _prices(settings: Any) -> None:
    settings.PROVIDER_PRICES = OWN
    settings.SMS_PRICES = {"*": Decimal("0.04"), "FR": Decimal(0)}


def order(names: str, country: str) -> str:
    return "".join(
        one.name for one in prices.cheapest_first([Named(name) for name in names], country)
    )


@pytest.mark.parametrize(
    ("names", "country", "expected"),
    [
        ("ba", "FR", "ab"),
        ("ab", "DE", "ba"),
        ("abc", "DE", "bca"),
        ("acb", "DE", "cba"),  # of one price: in their order
        ("ba", "", "ab"),
        ("bac", "FR", "bac"),  # nobody knows what c costs there
        ("ba?", "DE", "ba?"),
        ("b", "DE", "b"),
        ("", "DE", ""),
    ],
)
def test_the_cheapest_is_first_where_all_have_a_price(names, country, expected):
    assert order(names, country) == expected


def test_a_call_costs_what_its_provider_takes():
    assert sms.price("DE", 2, "a") == Decimal("0.18")
    assert sms.price("FR", 2, "c") == 0
    assert sms.price("US", 1, "c") == sms.price("US", 1) == Decimal("0.04")


def test_without_lists_nothing_changes(settings):
    settings.PROVIDER_PRICES = {}
    assert order("cba", "DE") == "cba"
