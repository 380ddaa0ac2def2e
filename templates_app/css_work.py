"""How much work it would be to write styles into tags, told before it is done.

css_inline 0.23 sets itself no limit (measured): a selector with `~` looks at all siblings of each
element, and the time for an element grows with the square of the properties that it gets. 40 KB of
either, in a page of 60 KB, keep a process busy for minutes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from templates_app.elements import Element

MAX_WORK = 20_000_000
"""Steps: about 80 ms. A newsletter of 1,000 elements with 300 rules takes two million."""

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_BRACKET = re.compile(r"([\[\]()])")
_COMBINATOR = re.compile(r"[\s>+~]+")
_TOKEN = re.compile(r"[.#]?[\w-]+")
_COUNTS = re.compile(r":(?:nth|first|last|only|has|not|is|where)", re.IGNORECASE)
"""Pseudo-classes that look at other elements, or may."""
_ANY = "*"


def steps(css: str, elements: Sequence[Element]) -> int:
    """An upper bound for the rules of `css` and the start tags they are for."""
    tokens = [_tokens(element) for element in elements]
    counts = Counter(token for each in tokens for token in each)
    properties, siblings = Counter[str](), Counter[str]()
    rules = 0
    for prelude, declared in _rules(css):
        for selector in _plain(prelude).split(","):
            token = _rarest(selector, counts)
            properties[token] += declared
            siblings[token] += _looks(prelude, len(elements))
            rules += 1
    per_element = (
        sum(properties[token] for token in each) ** 2 + sum(siblings[token] for token in each)
        for each in tokens
    )
    return rules * len(elements) + sum(per_element)


def _tokens(element: Element) -> set[str]:
    """What a selector may name it by."""
    classes = (element.attribute("class") or "").lower().split()
    own_id = (element.attribute("id") or "").lower()
    return {_ANY, element.name, f"#{own_id}", *(f".{name}" for name in classes)}


def _rules(css: str) -> Iterator[tuple[str, int]]:
    """What stands before each brace, and how many properties behind it; those of media queries, too."""
    pieces = _COMMENT.sub(" ", css).split("{")
    for before, after in pairwise(pieces):
        prelude = re.split("[};]", before)[-1].strip()
        if not prelude.startswith("@"):
            yield prelude, after.partition("}")[0].count(":")


def _plain(prelude: str) -> str:
    """Without what is in brackets."""
    depth, kept = 0, ""
    for piece in _BRACKET.split(prelude):
        if piece in ("[", "("):
            depth += 1
        elif piece in ("]", ")"):
            depth -= 1
        elif depth <= 0:
            kept += piece
    return kept


def _rarest(selector: str, counts: Counter[str]) -> str:
    """The token of its last part that the fewest elements have: only these can match."""
    last = _COMBINATOR.split(selector.strip())[-1]
    found = [] if "\\" in selector else _TOKEN.findall(last.partition(":")[0].lower())
    return min(found, key=counts.__getitem__, default=_ANY)


def _looks(prelude: str, elements: int) -> int:
    """At how many elements it is looked to match one."""
    if "~" not in prelude.replace("~=", ""):
        return 0
    return elements * elements if _COUNTS.search(prelude) else elements
