"""The batch form of a template: one text for all, and each person's values to put into it.

A provider that substitutes gets the text once with placeholders in it, and the values as our own
engine has rendered and escaped them. Put together they are what `rendering.render` gives, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from typing_extensions import override

from templates_app.compile import (
    BETWEEN,
    MARKUP,
    ONE_LINE,
    Substitutions,
    compile_substitutions,
)
from templates_app.errors import RenderLimit, TemplateError, UnsafeLink
from templates_app.links import PERSONAL
from templates_app.markup import LINK_START, ends_link, is_safe_start, is_usual
from templates_app.rendering import MAX_LINKS, MAX_OUTPUT, UNSAFE, finished
from templates_app.types import PLAIN, Manner, NullIs
from templates_app.values import Admitted, admit, engine_name


def merge_form(
    parts: Mapping[str, str], shared: Admitted | None = None, null_is: NullIs = "empty"
) -> MergeForm | None:
    """The batch form of `{"subject": source, "html": source}`.

    With the data that all messages `shared`, what depends on that alone is settled once: it is
    literal text in the form, which is then for data that has none of the names in `settled`.
    What is written for the reader is never settled: one form serves all of them. None where a part does more than put values into a text (`if`, `for`). Raises
    TemplateSyntaxError, and RenderLimit for a text that is too long whatever the data.
    """
    found: list[_Part] = []
    settled: set[str] = set()
    for part, source in parts.items():
        substitutions = compile_substitutions(source, part, null_is)
        if substitutions is None:
            return None
        if shared:
            substitutions, names = _settle(substitutions, shared)
            settled |= names
        if not substitutions.slots:
            found.append(_Literal(part, finished(part, substitutions.texts[0])))
        elif part in ONE_LINE:
            found.append(_Line(part, substitutions))
        else:
            found.append(_Text(part, substitutions))
    return MergeForm(found, frozenset(settled))


def _settle(one: Substitutions, shared: Admitted) -> tuple[Substitutions, frozenset[str]]:
    """Put in what `shared` data alone decides; and the names that were read for it."""
    known = [
        place
        for place, reads in enumerate(one.reads)
        if not reads.is_localised
        and all(engine_name(name) in shared.values for name in reads.names)
        and not reads.names & PERSONAL
    ]
    if not known:
        return one, frozenset()
    try:
        printed = one.program(known).run(shared).replace("\0", "").split(BETWEEN)
    except TemplateError:  # each message will say so of itself
        return one, frozenset()
    values = dict(zip(known, printed, strict=True))
    texts, slots = [one.texts[0]], []
    for slot, text in zip(one.slots, one.texts[1:], strict=True):
        if slot in values:
            texts[-1] += values[slot] + text
        else:
            slots.append(slot)
            texts.append(text)
    return (
        replace(one, texts=tuple(texts), slots=tuple(slots)),
        frozenset().union(*(one.reads[place].names for place in known)),
    )


class MergeForm:
    """Safe in threads. A placeholder is the caller's `prefix`, a number and an underscore."""

    def __init__(self, parts: Sequence[_Part], settled: frozenset[str]) -> None:
        self._parts = parts
        self._count = sum(part.count for part in parts)
        self.settled = settled

    def placeholders(self, prefix: str) -> list[str]:
        """Their names, in the order of `values`.

        `prefix` has to be new and unguessable for each call to the provider: so no value can
        contain a placeholder of somebody else's.
        """
        return [f"{prefix}{number}_" for number in range(self._count)]

    def shared(self, prefix: str) -> dict[str, str]:
        """The parts with placeholders in place of values."""
        names = iter(self.placeholders(prefix))
        return {
            part.name: part.filled([next(names) for _ in range(part.count)]) for part in self._parts
        }

    def values(
        self,
        data: Mapping[str, object],
        shared: Admitted | None = None,
        manner: Manner = PLAIN,
    ) -> list[str]:
        """One person's values, escaped for the place they go to.

        What `rendering.render` would refuse is refused here. Raises its errors, but for
        TemplateSyntaxError.
        """
        admitted = admit(data, shared)
        return [value for part in self._parts for value in part.values(admitted, manner)]

    def render(
        self,
        data: Mapping[str, object],
        shared: Admitted | None = None,
        manner: Manner = PLAIN,
    ) -> dict[str, str]:
        """One person's whole message: what `rendering.render` gives, and its errors."""
        admitted = admit(data, shared)
        return {part.name: part.whole(admitted, manner) for part in self._parts}

    def check(
        self,
        data: Mapping[str, object],
        shared: Admitted | None = None,
        manner: Manner = PLAIN,
    ) -> dict[str, str]:
        """The errors of `render`, at half the price: a part that has words of its own is not put
        together, and is those words.
        """
        admitted = admit(data, shared)
        return {part.name: part.checked(admitted, manner) for part in self._parts}


@dataclass(frozen=True)
class _Literal:
    """A part without values."""

    name: str
    text: str
    count: int = 0

    def filled(self, _names: Sequence[str]) -> str:
        return self.text

    def values(self, _data: Admitted, _manner: Manner) -> list[str]:
        return []

    def whole(self, _data: Admitted, _manner: Manner) -> str:
        return self.text

    def checked(self, _data: Admitted, _manner: Manner) -> str:
        return self.text


class _Text:
    """A text with values in it."""

    def __init__(self, name: str, substitutions: Substitutions) -> None:
        self.name = name
        used = list(dict.fromkeys(substitutions.slots))
        self.count = len(used)
        self._marked = substitutions.texts
        self._plain = tuple(self._without_marks(text) for text in substitutions.texts)
        self._words = "".join(self._plain)
        self._slots = [used.index(slot) for slot in substitutions.slots]
        self._most = max(map(self._slots.count, self._slots))
        self._program = substitutions.program(used)
        links = _links(self._marked, self._slots)
        self._links = [link for link in links if link.needs_a_look]
        self._has_few_links = len(links) <= MAX_LINKS

    def filled(self, names: Sequence[str]) -> str:
        return _joined(self._plain, self._slots, names)

    def whole(self, data: Admitted, manner: Manner) -> str:
        return self._finished(self._printed(data, manner).split(BETWEEN))

    def checked(self, data: Admitted, manner: Manner) -> str:
        values = self.values(data, manner)
        return self._words if self._words.strip() else self.filled(values)

    def values(self, data: Admitted, manner: Manner) -> list[str]:
        # What `finished` checks, without what comes out the same with any values.
        printed = self._printed(data, manner)
        values = printed.replace("\0", "").split(BETWEEN)
        if LINK_START in printed or not self._has_few_links:
            self._finished(values)
            return [self._without_marks(value) for value in values]
        for link in self._links:
            if not is_safe_start(_joined(link.texts, link.slots, values)):
                raise UnsafeLink(UNSAFE, part=self.name)
        return values

    def _printed(self, data: Admitted, manner: Manner) -> str:
        printed = self._program.run(data, manner)
        self._check_size(printed)
        return printed

    def _check_size(self, printed: str) -> None:
        # Each value is printed once, and may stand in many places.
        if len(self._words) + len(printed) * self._most <= MAX_OUTPUT:
            return
        values = printed.split(BETWEEN)
        if len(self._words) + sum(len(values[slot]) for slot in self._slots) > MAX_OUTPUT:
            message = f"The part is longer than {MAX_OUTPUT} characters."
            raise RenderLimit(message, part=self.name)

    def _finished(self, values: Sequence[str]) -> str:
        return finished(self.name, _joined(self._marked, self._slots, values))

    def _without_marks(self, text: str) -> str:
        return text.replace(LINK_START, "") if self.name in MARKUP else text


class _Line(_Text):
    """A part of one line, whole in one value: its whitespace is settled between values and text."""

    def __init__(self, name: str, substitutions: Substitutions) -> None:
        super().__init__(name, substitutions)
        self.count = 1

    @override
    def filled(self, names: Sequence[str]) -> str:
        return names[0]

    @override
    def values(self, data: Admitted, manner: Manner) -> list[str]:
        return [self.whole(data, manner)]

    @override
    def checked(self, data: Admitted, manner: Manner) -> str:
        return self.whole(data, manner)


@dataclass(frozen=True, slots=True)
class _Link:
    """A marked link up to where it surely ends: one text more than slots, which are between them."""

    texts: Sequence[str]
    slots: Sequence[int]

    @property
    def needs_a_look(self) -> bool:
        """Whether it may be unsafe, with some values or with any."""
        start = self.texts[0]
        return not is_usual(start) if self.slots else not is_safe_start(start)


def _links(texts: Sequence[str], slots: Sequence[int]) -> list[_Link]:
    found: list[tuple[list[str], list[int]]] = []
    is_open = False
    for place, text in enumerate(texts):
        rest, *starts = text.split(LINK_START)
        if is_open:
            found[-1][0].append(rest)
            is_open = not ends_link(rest)
        for start in starts:
            found.append(([start], []))
            is_open = not ends_link(start)
        if is_open and place < len(slots):
            found[-1][1].append(slots[place])
    return [_Link(*each) for each in found]


def _joined(texts: Sequence[str], slots: Sequence[int], values: Sequence[str]) -> str:
    pieces = [""] * (len(texts) + len(slots))
    pieces[::2] = texts
    pieces[1::2] = [values[slot] for slot in slots]
    return "".join(pieces)


_Part = _Literal | _Text
