"""Libraries in Rust that give up: pyo3 raises what no handler of a request catches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Panicked(ValueError):
    """The library cannot read what it was given."""


@contextmanager
def caught() -> Iterator[None]:
    """Raises `Panicked` for a PanicException, which is a BaseException and has no module to import
    it from. The library has written to stderr by then where in its own code that was.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":
            raise
        raise Panicked from None
