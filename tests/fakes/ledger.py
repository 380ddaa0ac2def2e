from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from typing_extensions import override

T = TypeVar("T")


class Ledger(Generic[T]):
    """What a fake has seen: append-only, safe to read from any thread."""

    def __init__(self) -> None:
        self._entries: list[T] = []
        self._changed = threading.Condition()

    def add(self, entry: T) -> None:
        with self._changed:
            self._entries.append(entry)
            self._changed.notify_all()

    def all(self) -> list[T]:
        """A copy of the entries so far."""
        with self._changed:
            return list(self._entries)

    def where(self, predicate: Callable[[T], bool]) -> list[T]:
        return [entry for entry in self.all() if predicate(entry)]

    @property
    def last(self) -> T:
        return self.all()[-1]

    def wait_for(
        self, n: int, timeout: float = 5, where: Callable[[T], bool] = lambda _: True
    ) -> list[T]:
        """Wait for n entries (that match) and return all of them."""
        with self._changed:
            self._changed.wait_for(lambda: self._count(where) >= n, timeout)
            found = [entry for entry in self._entries if where(entry)]
        if len(found) < n:
            raise AssertionError(f"{len(found)} of {n} entries after {timeout} s: {found!r:.2000}")
        return found

    def clear(self) -> None:
        with self._changed:
            self._entries.clear()

    def _count(self, where: Callable[[T], bool]) -> int:
        return sum(1 for entry in self._entries if where(entry))

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[T]:
        return iter(self.all())

    def __getitem__(self, index: int) -> T:
        return self.all()[index]

    @override
    def __repr__(self) -> str:
        return f"<Ledger of {len(self)}>"
