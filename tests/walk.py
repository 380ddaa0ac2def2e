"""A table in one test: each of its rows is tried and told by itself, the fixtures are made once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest


def each(
    names: str | Sequence[str], rows: Iterable[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As `pytest.mark.parametrize`, for rows that need no fixtures of their own.

    What one row leaves behind (rows of the database, settings) the next one finds.
    """
    table = [
        dict(zip([names] if isinstance(names, str) else names, values, strict=True))
        for values in ([row] if isinstance(names, str) else row for row in rows)
    ]
    assert table

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def walk(*args: Any, subtests: pytest.Subtests, **fixtures: Any) -> None:
            for row in table:
                with subtests.test(**row):
                    test(*args, **fixtures, **row)

        signature = inspect.signature(test)
        wanted = [one for name, one in signature.parameters.items() if name not in table[0]]
        subtests = inspect.Parameter("subtests", inspect.Parameter.KEYWORD_ONLY)
        walk.__signature__ = signature.replace(parameters=[*wanted, subtests])  # type: ignore[attr-defined]
        return walk

    return decorate
