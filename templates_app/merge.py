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
from templates_app.errors import RenderLimit, TemplateError
from templates_app.links import PERSONAL
from templates_app.markup import LINK_START
from templates_app.rendering import MAX_OUTPUT, finished
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

        The whole message is put together and checked once, so what `rendering.render` would refuse
        is refused here. Raises its errors, but for TemplateSyntaxError.
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


class _Text:
    """A text with values in it."""

    def __init__(self, name: str, substitutions: Substitutions) -> None:
        self.name = name
        used = list(dict.fromkeys(substitutions.slots))
        self.count = len(used)
        self._marked = substitutions.texts
        self._plain = tuple(self._without_marks(text) for text in substitutions.texts)
        self._length = sum(map(len, self._plain))
        self._slots = [used.index(slot) for slot in substitutions.slots]
        self._most = max(map(self._slots.count, self._slots))
        self._program = substitutions.program(used)

    def filled(self, names: Sequence[str]) -> str:
        return self._joined(self._plain, names)

    def values(self, data: Admitted, manner: Manner) -> list[str]:
        printed = self._program.run(data, manner)
        self._checked(printed)
        return self._without_marks(printed.replace("\0", "")).split(BETWEEN)

    def whole(self, data: Admitted, manner: Manner) -> str:
        return self._checked(self._program.run(data, manner))

    def _checked(self, printed: str) -> str:
        values = printed.split(BETWEEN)
        # Each value is printed once, and may stand in many places.
        if (
            self._length + len(printed) * self._most > MAX_OUTPUT
            and self._size(values) > MAX_OUTPUT
        ):
            message = f"The part is longer than {MAX_OUTPUT} characters."
            raise RenderLimit(message, part=self.name)
        return finished(self.name, self._joined(self._marked, values))

    def _size(self, values: Sequence[str]) -> int:
        return self._length + sum(len(values[slot]) for slot in self._slots)

    def _without_marks(self, text: str) -> str:
        return text.replace(LINK_START, "") if self.name in MARKUP else text

    def _joined(self, texts: Sequence[str], values: Sequence[str]) -> str:
        pieces = [""] * (len(texts) + len(self._slots))
        pieces[::2] = texts
        pieces[1::2] = [values[slot] for slot in self._slots]
        return "".join(pieces)


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


_Part = _Literal | _Text
