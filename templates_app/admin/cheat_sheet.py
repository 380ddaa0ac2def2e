"""The language on one screen, beside the editor. A test renders every example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Example:
    """`source` prints `result` with `data`, in English."""

    source: str
    data: dict[str, Any]
    result: str


STATEMENTS: tuple[tuple[str, Example], ...] = (
    ("A value", Example("{{ name }}", {"name": "Ada"}, "Ada")),
    ("Of a mapping", Example("{{ order.number }}", {"order": {"number": 7}}, "7")),
    ("Or else", Example('{{ name | default("friend") }}', {}, "friend")),
    (
        "A condition",
        Example(
            "{% if total > 100 %}free{% else %}4.90{% endif %}",
            {"total": 120},
            "free",
        ),
    ),
    (
        "Whether it is there",
        Example("{% if code is defined %}{{ code }}{% endif %}", {}, ""),
    ),
    (
        "A loop",
        Example(
            '{% for line in lines %}{{ line }}{{ ", " if not loop.last }}{% endfor %}',
            {"lines": ["Lamp", "Bulb"]},
            "Lamp, Bulb",
        ),
    ),
    ("A comment", Example("{# for colleagues #}", {}, "")),
)

FILTERS: tuple[tuple[str, str, Example], ...] = (
    ("currency", "Money", Example('{{ v | currency("EUR") }}', {"v": 1234.5}, "€1,234.50")),
    ("number", "A number", Example("{{ v | number(1) }}", {"v": 1234.56}, "1,234.6")),
    ("percent", "A share", Example("{{ v | percent }}", {"v": 0.256}, "26%")),
    ("plural", "One or many", Example('{{ v | plural("item", "items") }}', {"v": 2}, "items")),
    ("date", "A date", Example('{{ v | date("long") }}', {"v": "2026-03-01"}, "March 1, 2026")),
    (
        "time",
        "A time of day",
        Example("{{ v | time }}", {"v": "2026-03-01T21:05:00"}, "9:05\u202fPM"),
    ),
    (
        "datetime",
        "Both",
        Example("{{ v | datetime }}", {"v": "2026-03-01T21:05:00"}, "Mar 1, 2026, 9:05\u202fPM"),
    ),
    (
        "relative",
        "From one time to another",
        Example("{{ v | relative(sent) }}", {"v": "2026-03-04", "sent": "2026-03-01"}, "in 3 days"),
    ),
    ("default", "Where it is missing", Example('{{ v | default("-") }}', {}, "-")),
    (
        "truncate",
        "At most so long",
        Example("{{ v | truncate(9) }}", {"v": "The quick fox"}, "The quic…"),
    ),
    ("join", "A list in one text", Example('{{ v | join(" / ") }}', {"v": ["a", "b"]}, "a / b")),
    ("sentence", "A list in words", Example("{{ v | sentence }}", {"v": ["a", "b"]}, "a and b")),
    ("length", "How many", Example("{{ v | length }}", {"v": ["a", "b"]}, "2")),
    ("first", "The first of them", Example("{{ v | first }}", {"v": ["a", "b"]}, "a")),
    ("last", "The last of them", Example("{{ v | last }}", {"v": ["a", "b"]}, "b")),
    ("upper", "Capitals", Example("{{ v | upper }}", {"v": "ada"}, "ADA")),
    ("lower", "No capitals", Example("{{ v | lower }}", {"v": "ADA"}, "ada")),
    ("title", "Capitals at words", Example("{{ v | title }}", {"v": "of york"}, "Of York")),
    ("capitalize", "One capital", Example("{{ v | capitalize }}", {"v": "of YORK"}, "Of york")),
    ("trim", "No space around", Example("{{ v | trim }}", {"v": " a "}, "a")),
    ("replace", "Another word", Example('{{ v | replace("a", "o") }}', {"v": "ban"}, "bon")),
    ("round", "Rounded", Example("{{ v | round(1) }}", {"v": 2.25}, "2.3")),
    ("int", "A whole number", Example("{{ v | int }}", {"v": "7.9"}, "7")),
    ("urlencode", "In a link", Example("{{ v | urlencode }}", {"v": "a b&c"}, "a%20b%26c")),
    ("escape", "HTML as text", Example("{{ v | escape }}", {"v": "<b>"}, "&lt;b&gt;")),
)
"""Name, what it is for, an example. `e` is short for `escape`."""

CONTENT = "{{ content }}"
"""The message, in a layout."""

LANGUAGES = (
    *("ar", "bg", "cs", "da", "de", "de-AT", "de-CH", "el", "en", "en-GB", "en-US", "es", "es-MX"),
    *("et", "fi", "fr", "fr-CA", "he", "hi", "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "nb"),
    *("nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl", "sv", "th", "tr", "uk", "vi", "zh-Hans"),
    "zh-Hant",
)
"""Proposed when a translation is added; any other tag will do."""
