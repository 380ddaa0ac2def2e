"""Whether the engine may print by itself what a part prints by its name.

It asks Python about each value otherwise, which takes it three times as long as all the rest; and a
short text or a whole number is printed as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from templates_app.values import Admitted, Shape

Path = tuple[str, ...]
"""Names of the data, from the top; `EACH` for the items of a list."""

EACH = "[]"  # no name that a path is made of


@dataclass(frozen=True, slots=True)
class Prints:
    """Names that are printed, and how those must be that are looked into."""

    values: frozenset[str]
    others: Mapping[str, Shape]

    @classmethod
    def of(cls, paths: Collection[Path]) -> Self:
        shapes: dict[str, set[Shape]] = {}
        for name, *within in paths:
            shapes.setdefault(name, set()).add(_shape(within))
        return cls(
            frozenset(name for name, found in shapes.items() if found == {Shape.VALUE}),
            {
                name: found.pop() if len(found) == 1 else Shape.OTHER
                for name, found in shapes.items()
                if found != {Shape.VALUE}
            },
        )

    def are_simple(self, data: Admitted) -> bool:
        """Whether these are nothing but short texts and whole numbers."""
        shapes = data.shapes
        return self.values.isdisjoint(shapes) and all(
            shape is not Shape.OTHER and shapes.get(name) is shape
            for name, shape in self.others.items()
        )


def _shape(within: Collection[str]) -> Shape:
    match within:
        case []:
            return Shape.VALUE
        case [only]:
            return Shape.VALUES if only == EACH else Shape.RECORD
        case [first, second] if first == EACH != second:
            return Shape.TABLE
    return Shape.OTHER
