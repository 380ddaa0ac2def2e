"""Numbers as a language writes them, by Unicode's CLDR (Babel)."""

from __future__ import annotations

import copy
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import lru_cache
from typing import Literal

from babel.core import get_global
from babel.numbers import NumberPattern, format_currency, get_currency_precision

from templates_app.errors import InvalidValue
from templates_app.types import language

PLURALS = ("zero", "one", "two", "few", "many", "other")
"""CLDR's categories, in its order."""

_EXACT = Context(prec=100)


def rounded(value: Decimal, places: int) -> Decimal:
    """Half away from zero, as on an invoice; never a negative zero."""
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT) + 0


def format_number(value: Decimal, places: int, locale: str) -> str:
    """`1234.5` with 2 places is `1,234.50` in English."""
    return _written(rounded(value, places), "number", places, locale)


def format_percent(value: Decimal, places: int, locale: str) -> str:
    """`0.256` is `26%`."""
    return _written(rounded(value, places + 2), "percent", places, locale)


def format_money(value: Decimal, currency: str, locale: str) -> str:
    """`1234.5` and `EUR` are `€1,234.50`, with as many decimals as the currency has.

    Raises InvalidValue for what is no code of ISO 4217.
    """
    if currency not in get_global("all_currencies"):
        raise InvalidValue("currency needs a code of three capital letters, such as EUR.")
    exact = rounded(value, get_currency_precision(currency))
    with localcontext(_EXACT):
        return format_currency(exact, currency, locale=language(locale))


def plural_of(value: Decimal, locale: str) -> int:
    """The place of the number's category among those that the language has, in CLDR's order."""
    rule = language(locale).plural_form
    known = [name for name in PLURALS if name in rule.tags or name == "other"]
    with localcontext(_EXACT):
        return known.index(rule(value))


def _written(value: Decimal, kind: Literal["number", "percent"], places: int, locale: str) -> str:
    with localcontext(_EXACT):
        return str(_pattern(kind, places, locale).apply(value, language(locale)))


@lru_cache(maxsize=512)
def _pattern(kind: Literal["number", "percent"], places: int, locale: str) -> NumberPattern:
    known = language(locale)
    usual: NumberPattern = (known.decimal_formats if kind == "number" else known.percent_formats)[
        None
    ]
    pattern = copy.copy(usual)
    pattern.frac_prec = (places, places)
    return pattern
