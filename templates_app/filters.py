"""The filters of the template language: what each takes and gives.

Every filter takes null as empty text, refuses lists and mappings where it wants text, and charges long
text to the work a render may do, so that neither a chain of filters nor a loop of them can grow without end.
"""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from urllib.parse import quote

from templates_app.dates import format_date
from templates_app.errors import InvalidValue, RenderLimit

MAX_TEXT = 65_536
"""Characters one filter may return."""
MAX_WORK = 4_194_304
"""Characters of long values one part may print or filter."""
FREE = 200
"""Characters of a value that costs nothing but the engine's fuel."""

_MAX_DECIMALS = 10
_MAX_DIGITS = 30
_WORD = re.compile(r"[^\W_](?:\w|['’](?=\w))*")  # noqa: RUF001
_EXACT = Context(prec=100)


class _Work(threading.local):
    left = MAX_WORK


_work = _Work()


def start_work() -> None:
    """Begins a render in this thread with `MAX_WORK`."""
    _work.left = MAX_WORK


def charge(size: int) -> None:
    """Pays for `size` characters. Raises RenderLimit when the render has done too much."""
    if size > FREE:
        _work.left -= size
        if _work.left < 0:
            raise RenderLimit("The template does too much work with long values.")


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


def _number(value: object) -> Decimal:
    try:
        number = Decimal(text(value).strip() or "0")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > _MAX_DIGITS:
        raise InvalidValue("A number was expected.")
    return number


def _whole(value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise InvalidValue(f"A whole number from {least} to {most} was expected.")
    return value


def _items(value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise InvalidValue("A list was expected.")
    charge(len(value))
    return list(value)


def default(value: object, fallback: object = "", also_empty: object = False) -> object:
    return fallback if value is None or (also_empty and not value) else value


def title(value: object) -> str:
    return _WORD.sub(lambda word: word[0][0].upper() + word[0][1:].lower(), text(value))


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
    encoded = quote(text(value), safe="")
    _check_size(len(encoded))
    return encoded


def escape(value: object) -> str:
    escaped = html.escape(text(value))
    _check_size(len(escaped))
    return escaped


def round_(value: object, decimals: object = 0) -> int | float:
    """Half away from zero, as on an invoice. Without decimals a whole number."""
    places = _whole(decimals, 0, _MAX_DECIMALS)
    rounded = _rounded(_number(value), places)
    return float(rounded) if places else int(rounded)


def int_(value: object) -> int:
    """The whole part."""
    return int(_number(value))


def number(value: object, decimals: object = 0) -> str:
    """`1234.5 | number(2)` is 1,234.50."""
    places = _whole(decimals, 0, _MAX_DECIMALS)
    return f"{_rounded(_number(value), places):,.{places}f}"


def date(value: object, pattern: object = "%Y-%m-%d") -> str:
    """An ISO 8601 date or time in a pattern of `templates_app.dates`; empty for null."""
    return format_date(text(value), text(pattern))


def _rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT)


def _check_size(size: int) -> None:
    if size > MAX_TEXT:
        raise RenderLimit(f"A filter would return more than {MAX_TEXT} characters.")


@dataclass(frozen=True, slots=True)
class Filter:
    """A function and the number of arguments it takes after the value."""

    function: Callable[..., object]
    least: int = 0
    most: int = 0

    @property
    def takes(self) -> str:
        """For a sentence: "1 argument"."""
        count = str(self.most) if self.least == self.most else f"{self.least} to {self.most}"
        return f"{count} argument{'s' if self.most != 1 else ''}"


FILTERS = {
    "default": Filter(default, 0, 2),
    "upper": Filter(lambda value: text(value).upper()),
    "lower": Filter(lambda value: text(value).lower()),
    "title": Filter(title),
    "capitalize": Filter(lambda value: text(value).capitalize()),
    "trim": Filter(lambda value: text(value).strip()),
    "truncate": Filter(truncate, 1, 1),
    "length": Filter(length),
    "join": Filter(join, 0, 1),
    "first": Filter(first),
    "last": Filter(last),
    "replace": Filter(replace, 2, 2),
    "escape": Filter(escape),
    "e": Filter(escape),
    "urlencode": Filter(urlencode),
    "round": Filter(round_, 0, 1),
    "int": Filter(int_),
    "number": Filter(number, 0, 1),
    "date": Filter(date, 0, 1),
}
