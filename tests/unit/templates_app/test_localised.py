"""Filters that write for the reader: against Babel's own functions, and by hand where those say nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from babel import Locale
from babel import dates as cldr
from babel import numbers as cldr_numbers
from hypothesis import given
from hypothesis import strategies as st

from templates_app.compile import check
from templates_app.errors import InvalidValue, MissingVariable, TemplateSyntaxError
from templates_app.filters import FILTERS
from templates_app.rendering import render
from templates_app.types import Manner, language

EN = Manner("en")


def text(source: str, manner: Manner = EN, **data: Any) -> str:
    return render({"text": source}, data, manner=manner)["text"]


NBSP, NARROW = "\u00a0", "\u202f"


@pytest.mark.parametrize(
    ("source", "locale", "expected"),
    [
        ("{{ 1234567.5 | number(2) }}", "en", "1,234,567.50"),
        ("{{ 1234567.5 | number(2) }}", "de", "1.234.567,50"),
        ("{{ 1234567.5 | number(2) }}", "de-CH", "1’234’567.50"),  # noqa: RUF001
        ("{{ 1234567.5 | number }}", "hi-IN", "12,34,568"),
        ("{{ 1234567.5 | number(2) }}", "fr", f"1{NARROW}234{NARROW}567,50"),
        ("{{ 0.256 | percent }} {{ 0.2555 | percent(1) }}", "en", "26% 25.6%"),
        ("{{ 0.256 | percent }}", "fr", f"26{NBSP}%"),
        ("{{ 12.345 | currency('EUR') }}", "en", "€12.35"),
        ("{{ -1234.5 | currency('EUR') }}", "de", f"-1.234,50{NBSP}€"),
        ("{{ '1234.5' | currency('JPY') }}", "ja", "￥1,235"),
        ("{{ 1 | currency(c) }}", "pt-BR", f"US${NBSP}1,00"),
        ("{{ n | currency('EUR') }}{{ e | currency('EUR') }}", "en", ""),
        ("{{ 1 | plural('item', 'items') }} {{ 0 | plural('item', 'items') }}", "en", "item items"),
        (
            "{{ 0 | plural('item', 'itens') }} {{ 2 | plural('item', 'itens') }}",
            "pt-BR",
            "item itens",
        ),
        ("{{ 1000000 | plural('item', 'itens') }}", "pt-BR", "itens"),
        (
            "{% for x in [1, 3, 5, 22] %}{{ x | plural('plik', 'pliki', 'plików') }} {% endfor %}",
            "pl",
            "plik pliki plików pliki ",
        ),
        ("{{ 5 | plural('z', 'o', 't', 'f', 'm', 'x') }}", "ar", "f"),
        ("{{ 5 | plural('件') }}{{ '1.5' | plural('a', 'b') }}", "ja", "件a"),
        ("{{ l | sentence }}", "en", "a, b, and c"),
        ("{{ l | sentence }}", "de", "a, b und c"),
        ("{{ [] | sentence }}{{ ['x'] | sentence }}", "en", "x"),
        ("{{ d | date }} {{ d | date('full') }}", "en", "Mar 1, 2026 Sunday, March 1, 2026"),
        ("{{ d | date }}", "de", "01.03.2026"),
        ("{{ d | date('%A, %-d. %B (%b, %a)') }}", "de", "Sonntag, 1. März (März, So.)"),
        ("{{ t | time }} {{ t | time('medium') }}", "en", f"9:05{NARROW}PM 9:05:07{NARROW}PM"),
        ("{{ t | datetime }}", "de", "01.03.2026, 21:05"),
        ("{{ t | datetime('long') }}", "en", f"March 1, 2026, 9:05{NARROW}PM"),
        ("{{ d | relative('2026-02-26') }}", "en", "in 3 days"),
        ("{{ d | relative('2026-03-04') }}", "fr", "il y a 3 jours"),
        ("[{{ n | date }}{{ e | time }}{{ n | datetime }}{{ n | relative(d) }}]", "en", "[]"),
        ("{{ 1 | number }}", "tlh-??", "1"),
    ],
)
def test_what_is_written_for_a_language(source, locale, expected):
    data = {
        "d": "2026-03-01",
        "t": "2026-03-01T21:05:07Z",
        "n": None,
        "e": "",
        "c": "USD",
        "l": ["a", "b", "c"],
    }
    assert text(source, Manner(locale), **data) == expected


@pytest.mark.parametrize(
    ("iso", "zone", "expected"),
    [
        ("2026-03-01T21:05:00Z", "", "01.03.2026 21:05"),
        ("2026-03-01T21:05:00+02:00", "", "01.03.2026 21:05"),
        ("2026-03-01T21:05:00+02:00", "UTC", "01.03.2026 19:05"),
        ("2026-03-01T21:05:00Z", "Asia/Tokyo", "02.03.2026 06:05"),
        ("2026-07-01T12:00:00Z", "Europe/Berlin", "01.07.2026 14:00"),
        ("2026-03-01T21:05:00", "Asia/Tokyo", "01.03.2026 21:05"),
        ("2026-03-01", "America/Los_Angeles", "01.03.2026 00:00"),
        ("2026-03-01T21:05:00Z", "Mars/Olympus", "01.03.2026 21:05"),
        ("2026-03-01T21:05:00Z", "../../etc/passwd", "01.03.2026 21:05"),
    ],
)
def test_a_time_with_an_offset_is_moved_to_the_readers_zone(iso, zone, expected):
    source = "{{ t | date('%d.%m.%Y %H:%M') }}"
    assert text(source, Manner("en", zone), t=iso) == expected
    assert text("{{ t | datetime }}", Manner("de", zone), t=iso) == expected.replace(" ", ", ")


def test_the_long_styles_of_a_time_name_its_zone_where_there_is_one():
    aware, naive = "2026-03-01T21:05:00Z", "2026-03-01T21:05:00"
    assert text("{{ t | time('long') }}", Manner("de", "Europe/Berlin"), t=aware) == "22:05:00 MEZ"
    assert text("{{ t | time('long') }}", Manner("de"), t=naive) == "21:05:00"
    assert "UTC" not in text("{{ t | time('full') }}", EN, t=naive)


@pytest.mark.parametrize("iso", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_that_the_zone_moves_out_of_the_calendar_is_refused(iso):
    zone = "Pacific/Kiritimati" if iso.startswith("9") else "Pacific/Niue"
    with pytest.raises(InvalidValue):
        text("{{ t | date }}", Manner("en", zone), t=iso)


LOCALES = st.sampled_from(["en", "de", "fr", "pt-BR", "hi-IN", "ar-EG", "es", "pl", "ja", "fa"])
AMOUNTS = st.decimals(-(10**12), 10**12, allow_nan=False, places=2)


@given(value=AMOUNTS, locale=LOCALES, code=st.sampled_from(["EUR", "JPY", "INR", "KWD"]))
def test_money_is_what_babel_writes(value, locale, code):
    exact = (
        value.quantize(
            Decimal(1).scaleb(-cldr_numbers.get_currency_precision(code)), "ROUND_HALF_UP"
        )
        + 0
    )
    known = cldr_numbers.format_currency(exact, code, locale=locale.replace("-", "_"))
    assert text("{{ v | currency(c) }}", Manner(locale), v=str(value), c=code) == known


@given(value=AMOUNTS, places=st.integers(0, 10))
def test_a_number_in_english_is_what_python_writes(value, places):
    rounded = value.quantize(Decimal(1).scaleb(-places), "ROUND_HALF_UP") + 0
    assert text("{{ v | number(p) }}", EN, v=str(value), p=places) == f"{rounded:,.{places}f}"


@given(
    at=st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001
    locale=LOCALES,
    style=st.sampled_from(["short", "medium", "long", "full"]),
)
def test_a_date_is_what_babel_writes(at, locale, style):
    at = at.replace(tzinfo=UTC)
    known = cldr.format_date(at, style, locale=locale.replace("-", "_"))
    assert text("{{ v | date(s) }}", Manner(locale), v=at.isoformat(), s=style) == known


def test_an_empty_value_and_zero_are_different_prices():
    assert text("{{ a | currency('EUR') }}|{{ b | currency('EUR') }}", a=0, b=None) == "€0.00|"


def test_what_is_kept_for_one_reader_is_not_given_to_another():
    source = "{{ v | currency('EUR') }} {{ v | number(1) }} {{ v | percent }}"
    assert text(source, Manner("en"), v=1.5) == "€1.50 1.5 150%"
    assert text(source, Manner("de"), v=1.5) == f"1,50{NBSP}€ 1,5 150{NBSP}%"
    assert text(source, Manner("en"), v=1.5) == "€1.50 1.5 150%"


def test_values_for_the_reader_are_escaped_in_html():
    rendered = render({"html": "{{ l | sentence }}"}, {"l": ["<b>", "&"]})["html"]
    assert rendered == "&lt;b&gt; and &amp;"


# --- Arguments that are written out -----------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("{{ a | truncate(0) }}", "from 1"),
        ("{{ a | truncate('5') }}", "whole number"),
        ("{{ a | number(11) }}", "from 0 to 10"),
        ("{{ a | currency('eur') }}", "three capital letters"),
        ("{{ a | currency('ZZZ') }}", "three capital letters"),
        ("{{ a | date('%Q') }}", "unknown code"),
        ("{{ a | date('huge') }}", "short, medium, long, full"),
        ("{{ a | time('%H') }}", "short, medium, long, full"),
        ("{{ a | relative('then') }}", "ISO 8601"),
        ("{{ a | replace('', 'x') }}", "look for"),
        ("{{ a | center(5) }}", "no filter"),
        ("{{ a | plural }}", "1 to 6 arguments"),
    ],
)
def test_a_wrong_argument_is_refused_when_it_is_saved(source, word):
    with pytest.raises(TemplateSyntaxError, match=word) as caught:
        check(source, part="text")
    assert (caught.value.line, caught.value.column) == (1, 8)


@pytest.mark.parametrize("since", ["2026-01-01", "2026-01-01T00:00:00Z"])
def test_an_argument_that_suits_some_values_is_accepted(since):
    check("{{ a | relative('" + since + "') }}", part="text")


ARGUMENTS: dict[str, list[object]] = {
    "truncate": [5],
    "replace": ["a", "b"],
    "currency": ["EUR"],
    "plural": ["a"],
    "relative": ["2026-01-01"],
}


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_takes_a_value_of_its_kind_and_null(name):
    FILTERS[name].check(ARGUMENTS.get(name, []))
    FILTERS[name].function(None, *ARGUMENTS.get(name, []))


# --- Null ---------------------------------------------------------------------------------------

STRICT = Manner(null_is="error")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("{{ n }}", "n"),
        ("{{ o.items }}", "o.items"),
        ("{{ n | upper }}", "n"),
        ("{{ 'x' | replace('x', n) }}", "n"),
        ("{% for x in n %}{% endfor %}", "n"),
        ("{% for l in ls %}{{ l.p }}{% endfor %}", "l.p"),
        ("{{ [] | first }}", "A value"),
        ("{{ n if true else 1 }}", "A value"),
    ],
)
def test_null_is_an_error_where_the_template_says_so(source, name):
    data = {"n": None, "o": {"items": None}, "ls": [{"p": None}]}
    with pytest.raises(InvalidValue) as caught:
        text(source, STRICT, **data)
    assert (caught.value.message, caught.value.part) == (f"{name} is null.", "text")
    assert "one" not in text(source, EN, **data)


def test_null_may_still_be_asked_for_and_replaced():
    source = "{{ n | default('x') }}{{ n is none }}{% if n %}a{% elif n == 1 %}b{% endif %}"
    assert text(source, STRICT, n=None) == "xtrue"


def test_what_is_missing_is_named_before_it_is_null():
    with pytest.raises(MissingVariable, match=r"o\.x is not in the data"):
        text("{{ o.x | upper }}", STRICT, o={})


# --- Readers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "wanted", "locale"),
    [
        ("en", "en-GB", "en-GB"),
        ("en", "EN_gb", "EN_gb"),
        ("en", "de", "en"),
        ("pt-BR", "pt", "pt"),
        ("", "de", "de"),
        ("de", "", "de"),
        ("", "", "en"),
    ],
)
def test_words_are_of_the_texts_language_and_its_region_of_the_readers(written, wanted, locale):
    assert Manner.of(written, wanted).locale == locale


@pytest.mark.parametrize(
    ("tag", "known"),
    [
        ("pt-BR", "pt_BR"),
        ("zh_hant_tw", "zh_Hant_TW"),
        ("de-XX-nonsense", "de"),
        ("xx", "en"),
        ("", "en"),
        ("../../etc", "en"),
        ("e" * 10_000, "en"),
        ("en\0", "en"),
    ],
)
def test_a_tag_that_is_not_known_counts_as_its_language_or_english(tag, known):
    assert str(language(tag)) == known
    assert isinstance(language(tag), Locale)
