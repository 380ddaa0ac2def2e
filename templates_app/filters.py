"""The filters of the template language: what each takes and gives.

Every filter takes null as empty text, refuses lists and mappings where it wants text, and charges long
text to the work a render may do, so that neither a chain of filters nor a loop of them can grow without end.
"""

from __future__ import annotations

import contextlib
import html
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Literal, ParamSpec, TypeVar, cast
from urllib.parse import quote

from babel.lists import format_list

from templates_app import dates, numbers
from templates_app.errors import InvalidValue, RenderLimit
from templates_app.types import PLAIN, Manner
from templates_app.values import FREE

MAX_TEXT = 65_536
"""Characters one filter may return."""
MAX_WORK = 4_194_304
"""Characters of long values one part may print or filter."""
MAX_PRINTED = 1_048_576
"""Characters of values one part may print: no part may be longer, however short each value is."""
ITEM = 8
"""Characters that one item of a list counts for."""
SLOW = 20
"""What a character counts for where Python looks at each by itself."""
FORMATTING = 800
"""Characters that a number or a date counts for, the first time it is written."""

_MAX_DECIMALS = 10
_MAX_DIGITS = 30
_MAX_NUMBER = 100  # characters
_MAX_AND = 16  # characters between two items of a sentence: 9 in the longest of CLDR's languages
_OF_STYLE = re.compile(r"[-#\w.,%+! ]{0,200}|(?:rgb|hsl)a?\([\d.,%/ ]{1,100}\)", re.ASCII)
_WORD = re.compile(r"[^\W_](?:\w|['’](?=\w))*")  # noqa: RUF001


class _Render(threading.local):
    left = MAX_WORK
    room = MAX_PRINTED
    manner = PLAIN


_render = _Render()


def start(manner: Manner) -> None:
    """Begins a render in this thread, for a reader, with `MAX_WORK` and room for `MAX_PRINTED`."""
    _render.left = MAX_WORK
    _render.room = MAX_PRINTED
    _render.manner = manner


def charge(size: int) -> None:
    """Pays for `size` characters. Raises RenderLimit when the render has done too much."""
    if size > FREE:
        _render.left -= size
        if _render.left < 0:
            raise RenderLimit("The template does too much work with long values.")


def printed(value: object) -> object:
    """What an output prints; the engine escapes it afterwards.

    Raises InvalidValue, and RenderLimit when the values alone are longer than a part may be.
    """
    if type(value) is not str:
        return text(value)
    _render.room -= len(value)
    if _render.room < 0:
        raise RenderLimit("The template prints too much.")
    return NotImplemented if len(value) <= FREE else text(value)


def shown(value: object) -> object:
    """As `printed`, of what a filter or a condition gave."""
    printable = printed(value)
    return value if printable is NotImplemented else printable


P = ParamSpec("P")
R = TypeVar("R")


def _kept(function: Callable[P, R]) -> Callable[P, R]:
    """What was written once is kept: Babel takes ten times as long as the rest of a filter."""

    @lru_cache(maxsize=4096)
    def written(*arguments: P.args, **named: P.kwargs) -> R:
        codes = sum(each.count("%") for each in arguments if isinstance(each, str))
        charge(FORMATTING * (codes + 1))
        return function(*arguments, **named)

    return cast("Callable[P, R]", written)


_format_number = _kept(numbers.format_number)
_format_percent = _kept(numbers.format_percent)
_format_money = _kept(numbers.format_money)
_plural_of = _kept(numbers.plural_of)
_format_date = _kept(dates.format_date)
_format_time = _kept(dates.format_time)
_format_datetime = _kept(dates.format_datetime)
_format_relative = _kept(dates.format_relative)


def text(value: object) -> str:
    """What a value prints: null as nothing, booleans as in JSON. Raises InvalidValue for lists and mappings."""
    if isinstance(value, str):
        charge(len(value))
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise InvalidValue(
        "A list or a mapping cannot be printed: use a loop, join or one of its names."
    )


def present(value: object, name: str) -> object:
    """The value, in a template where null is an error. Raises InvalidValue."""
    if value is None:
        raise InvalidValue(f"{name} is null.")
    return value


def in_style(value: object) -> str:
    """A value of a CSS property: what could begin another, or load a file, is refused."""
    written = text(value)
    if not _OF_STYLE.fullmatch(written):
        message = "In a style a value is a colour, a length, a number or a word."
        raise InvalidValue(message)
    return written


def compared(value: object) -> object:
    """A value that may be compared: lists could be long, and many. Raises InvalidValue for them."""
    if isinstance(value, list | tuple | dict):
        raise InvalidValue("Lists and mappings cannot be compared.")
    return value


def searched(value: object) -> object:
    """What `in` looks into."""
    if isinstance(value, list | tuple):
        charge(len(value) * ITEM)
    elif isinstance(value, str):
        charge(len(value))
    return value


def _number(value: object) -> Decimal:
    written = text(value).strip() or "0"
    try:
        number = Decimal(written if len(written) <= _MAX_NUMBER else "NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > _MAX_DIGITS:
        raise InvalidValue("A number was expected.")
    return number


def is_number(value: str) -> bool:
    try:
        _number(value)
    except InvalidValue:
        return False
    return True


def _whole(value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise InvalidValue(f"A whole number from {least} to {most} was expected.")
    return value


def _items(value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise InvalidValue("A list was expected.")
    charge(len(value) * ITEM)
    return list(value)


def default(value: object, fallback: object = "", also_empty: object = False) -> object:
    return fallback if value is None or (also_empty and not value) else value


def title(value: object) -> str:
    whole = text(value)
    charge(len(whole) * SLOW)
    return _WORD.sub(lambda word: word[0][0].upper() + word[0][1:].lower(), whole)


def truncate(value: object, length: object) -> str:
    """At most `length` characters with the ellipsis; not cut inside a word where that leaves half of them."""
    size = _whole(length, 1, MAX_TEXT)
    whole = text(value)
    if len(whole) <= size:
        return whole
    cut = whole[: size - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space >= size // 2 else cut).rstrip() + "…"


def length(value: object) -> int:
    if isinstance(value, list | tuple | dict):
        return len(value)
    return len(text(value))


def join(value: object, separator: object = "") -> str:
    between = text(separator)
    items = [text(item) for item in _items(value)]
    _check_size(sum(map(len, items)) + len(between) * len(items))
    return between.join(items)


def sentence(value: object) -> str:
    """`["a", "b", "c"]` is "a, b, and c", in the reader's language."""
    items = [text(item) for item in _items(value)]
    size = sum(map(len, items)) + _MAX_AND * len(items)
    _check_size(size)
    charge(size * SLOW)
    return format_list(items, locale=_render.manner.language)


def first(value: object) -> object:
    items = value if isinstance(value, list | tuple) else text(value)
    return items[0] if items else None


def last(value: object) -> object:
    items = value if isinstance(value, list | tuple) else text(value)
    return items[-1] if items else None


def replace(value: object, old: object, new: object) -> str:
    whole, before, after = text(value), text(old), text(new)
    if not before:
        raise InvalidValue("replace needs a text to look for.")
    _check_size(len(whole) + whole.count(before) * (len(after) - len(before)))
    return whole.replace(before, after)


def urlencode(value: object) -> str:
    whole = text(value)
    charge(len(whole) * SLOW)
    encoded = quote(whole, safe="")
    _check_size(len(encoded))
    return encoded


def escape(value: object) -> str:
    escaped = html.escape(text(value))
    _check_size(len(escaped))
    return escaped


def round_(value: object, decimals: object = 0) -> int | float:
    """Half away from zero, as on an invoice. Without decimals a whole number."""
    places = _whole(decimals, 0, _MAX_DECIMALS)
    rounded = numbers.rounded(_number(value), places)
    return float(rounded) if places else int(rounded)


def int_(value: object) -> int:
    """The whole part."""
    return int(_number(value))


def number(value: object, decimals: object = 0) -> str:
    """`1234.5 | number(2)` is 1,234.50, in the reader's language."""
    places = _whole(decimals, 0, _MAX_DECIMALS)
    return _format_number(_number(value), places, _render.manner.locale)


def percent(value: object, decimals: object = 0) -> str:
    """`0.256 | percent` is 26%."""
    places = _whole(decimals, 0, _MAX_DECIMALS)
    return _format_percent(_number(value), places, _render.manner.locale)


def currency(value: object, code: object) -> str:
    """`1234.5 | currency("EUR")` is €1,234.50; empty for empty, which is not a price of 0."""
    if not text(value).strip():
        return ""
    return _format_money(_number(value), text(code), _render.manner.locale)


def plural(value: object, *forms: object) -> str:
    """The form for the number, of those of the language in CLDR's order: one and other in English.

    Where there are fewer than the language has, the last one stands for the rest.
    """
    place = _plural_of(_number(value), _render.manner.locale)
    return text(forms[min(place, len(forms) - 1)])


def date(value: object, style: object = "medium") -> str:
    """An ISO 8601 date or time, in a style or a pattern of `templates_app.dates`; empty for null."""
    return _format_date(text(value).strip(), text(style), _render.manner)


def time(value: object, style: object = "short") -> str:
    return _format_time(text(value).strip(), text(style), _render.manner)


def datetime(value: object, style: object = "medium") -> str:
    return _format_datetime(text(value).strip(), text(style), _render.manner)


def relative(value: object, since: object) -> str:
    """How far from another time. Not from now: a message reads the same whenever it is looked at."""
    return _format_relative(text(value).strip(), text(since).strip(), _render.manner)


def _check_size(size: int) -> None:
    if size > MAX_TEXT:
        raise RenderLimit(f"A filter would return more than {MAX_TEXT} characters.")


Kind = Literal["any", "text", "number", "date", "list", "sized"]
"""What a filter is for: `sized` is a text or a list."""

_SAMPLES: Mapping[Kind, tuple[object, ...]] = {
    "any": ("x",),
    "text": ("x",),
    "number": (1,),
    "date": ("2026-03-01", "2026-03-01T09:05:00Z"),
    "list": (["x"],),
    "sized": (["x"],),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A function, what it is for, and the number of arguments it takes after the value.

    `localised` ones write for the reader: the same data do not give everybody the same.
    """

    function: Callable[..., object]
    kind: Kind = "text"
    least: int = 0
    most: int = 0
    localised: bool = False

    @property
    def takes(self) -> str:
        """For a sentence: "1 argument"."""
        count = str(self.most) if self.least == self.most else f"{self.least} to {self.most}"
        return f"{count} argument{'s' if self.most != 1 else ''}"

    def check(self, arguments: list[object]) -> None:
        """Try them on values of the kind. Raises InvalidValue or RenderLimit where they can never do."""
        *others, last_one = _SAMPLES[self.kind]
        for sample in others:
            with contextlib.suppress(InvalidValue):
                return self._try(sample, arguments)
        return self._try(last_one, arguments)

    def _try(self, sample: object, arguments: list[object]) -> None:
        start(PLAIN)
        self.function(sample, *arguments)


FILTERS = {
    "default": Filter(default, "any", 0, 2),
    "upper": Filter(lambda value: text(value).upper()),
    "lower": Filter(lambda value: text(value).lower()),
    "title": Filter(title),
    "capitalize": Filter(lambda value: text(value).capitalize()),
    "trim": Filter(lambda value: text(value).strip()),
    "truncate": Filter(truncate, "text", 1, 1),
    "length": Filter(length, "sized"),
    "join": Filter(join, "list", 0, 1),
    "sentence": Filter(sentence, "list", localised=True),
    "first": Filter(first, "sized"),
    "last": Filter(last, "sized"),
    "replace": Filter(replace, "text", 2, 2),
    "escape": Filter(escape),
    "e": Filter(escape),
    "urlencode": Filter(urlencode),
    "round": Filter(round_, "number", 0, 1),
    "int": Filter(int_, "number"),
    "number": Filter(number, "number", 0, 1, localised=True),
    "percent": Filter(percent, "number", 0, 1, localised=True),
    "currency": Filter(currency, "number", 1, 1, localised=True),
    "plural": Filter(plural, "number", 1, len(numbers.PLURALS), localised=True),
    "date": Filter(date, "date", 0, 1, localised=True),
    "time": Filter(time, "date", 0, 1, localised=True),
    "datetime": Filter(datetime, "date", 0, 1, localised=True),
    "relative": Filter(relative, "date", 1, 1, localised=True),
}
