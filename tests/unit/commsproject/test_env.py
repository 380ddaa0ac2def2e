"""What variables about money and countries may say, and that a refusal names them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from commsproject.common.env import Env

env = Env()


def refused(variable: str) -> pytest.RaisesExc[ImproperlyConfigured]:
    return pytest.raises(ImproperlyConfigured, match=f"^{variable} is ")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", None),
        (" ", None),
        ("0", Decimal(0)),
        ("250", Decimal(250)),
        (" 99.95 ", Decimal("99.95")),
    ],
)
def test_an_amount(monkeypatch, written, meant):
    monkeypatch.setenv("CAP", written)
    assert env.amount("CAP") == meant


def test_what_is_not_set_is_none_of_anything(monkeypatch):
    monkeypatch.delenv("CAP", raising=False)
    assert env.amount("CAP") is None
    assert env.prices("CAP") == {}
    assert env.countries("CAP") == frozenset()


@pytest.mark.parametrize("written", ["much", "-1", "NaN", "Infinity", "1,5", "1e", "sNaN"])
def test_what_is_no_amount(monkeypatch, written):
    monkeypatch.setenv("CAP", written)
    with refused("CAP"):
        env.amount("CAP")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{}", {}),
        ('{"*": "0.05"}', {"*": Decimal("0.05")}),
        ('{"DE": 0.075, "SE": 1}', {"DE": Decimal("0.075"), "SE": Decimal(1)}),
    ],
)
def test_prices(monkeypatch, written, meant):
    monkeypatch.setenv("PRICES", written)
    assert env.prices("PRICES") == meant


@pytest.mark.parametrize(
    "written",
    [
        "0.05",
        "[]",
        "{",
        '{"DE": null}',
        '{"DE": "free"}',
        '{"DE": -1}',
        '{"DE": 1000}',
        '{"DE": NaN}',
        '{"DE": []}',
        '{"de": 1}',
        '{"DEU": 1}',
        '{"": 1}',
        '{"**": 1}',
    ],
)
def test_what_are_no_prices(monkeypatch, written):
    monkeypatch.setenv("PRICES", written)
    with refused("PRICES"):
        env.prices("PRICES")


def test_prices_by_provider(monkeypatch):
    monkeypatch.setenv("PRICES", '{"ses": "0.0001", "twilio": {"*": 0.05, "DE": "0.075"}}')
    assert env.provider_prices("PRICES") == {
        "ses": {"*": Decimal("0.0001")},
        "twilio": {"*": Decimal("0.05"), "DE": Decimal("0.075")},
    }
    monkeypatch.delenv("PRICES")
    assert env.provider_prices("PRICES") == {}


@pytest.mark.parametrize(
    "written", ["0.05", "[]", "{", '{"ses": null}', '{"ses": "free"}', '{"ses": {"de": 1}}']
)
def test_what_are_no_prices_by_provider(monkeypatch, written):
    monkeypatch.setenv("PRICES", written)
    with refused("PRICES"):
        env.provider_prices("PRICES")


@pytest.mark.parametrize(
    ("written", "meant"), [("", set()), ("DE", {"DE"}), (" DE, SE ,", {"DE", "SE"})]
)
def test_countries(monkeypatch, written, meant):
    monkeypatch.setenv("COUNTRIES", written)
    assert env.countries("COUNTRIES") == meant


@pytest.mark.parametrize("written", ["de", "DEU", "*", "Germany", "DE;SE", "49"])
def test_what_are_no_countries(monkeypatch, written):
    monkeypatch.setenv("COUNTRIES", written)
    with refused("COUNTRIES"):
        env.countries("COUNTRIES")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("", set()), ("acme", {"acme"}), (" acme, a+b.c-d ,", {"acme", "a+b.c-d"})],
)
def test_schemes_of_apps(monkeypatch, written, meant):
    monkeypatch.setenv("SCHEMES", written)
    assert env.schemes("SCHEMES") == meant


@pytest.mark.parametrize(
    "written", ["javascript", "data", "http", "Acme", "acme:", "acme://", "1a"]
)
def test_what_are_no_schemes_of_apps(monkeypatch, written):
    monkeypatch.setenv("SCHEMES", written)
    with refused("SCHEMES"):
        env.schemes("SCHEMES")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_database(monkeypatch, scheme):
    monkeypatch.setenv("X", f"{scheme}://ada:s%40fe@db.example:5433/comms")
    found = Env().database("X", default="")
    assert found["ENGINE"] == "commsproject.common.postgres"
    assert (found["HOST"], found["PORT"], found["NAME"]) == ("db.example", 5433, "comms")
    assert (found["USER"], found["PASSWORD"]) == ("ada", "s@fe")


@pytest.mark.parametrize(
    "written", ["mysql://a:secret@h/x", "sqlite:///secret", "secret", "a:secret@h/x", "://"]
)
def test_what_is_no_database(monkeypatch, written):
    monkeypatch.setenv("X", written)
    with pytest.raises(ImproperlyConfigured, match=r"^X ") as caught:
        Env().database("X", default="")
    assert "secret" not in str(caught.value)
