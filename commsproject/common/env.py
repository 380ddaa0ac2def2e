"""The environment, with `NAME_FILE` for every `NAME`: how secrets come from files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from environ import FileAwareEnv
from environ.fileaware_mapping import FileAwareMapping
from typing_extensions import override


class _Values(FileAwareMapping):  # type: ignore[misc]  # the library has no types
    @override
    def __getitem__(self, key: str) -> str:
        """A file's last line break is the editor's, not the secret's."""
        value = str(super().__getitem__(key))
        return value.rstrip("\r\n") if f"{key}_FILE" in os.environ else value


@dataclass(frozen=True)
class Rate:
    """At most `count` in any `seconds`."""

    count: int
    seconds: float


_RATE = re.compile(r"([1-9]\d{0,8})/(\d{1,6}(?:\.\d+)?)")


class Env(FileAwareEnv):  # type: ignore[misc]
    ENVIRON = _Values()

    @override
    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        """Raises ImproperlyConfigured, which names the variable and never its value."""
        try:
            return super().get_value(var, *args, **kwargs)
        except (ValueError, OSError) as error:
            raise ImproperlyConfigured(
                f"{var}, or the file in {var}_FILE, cannot be read ({type(error).__name__})."
            ) from None

    def rate(self, var: str, default: str) -> Rate | None:
        """`100/60`: a hundred in any sixty seconds. None for `none`, `0` or nothing: no limit.

        Raises ImproperlyConfigured, which names the variable.
        """
        value = str(self.str(var, default=default)).strip()
        if value.lower() in {"", "0", "none"}:
            return None
        match = _RATE.fullmatch(value)
        if match is None or float(match[2]) == 0:
            raise ImproperlyConfigured(f"{var} is COUNT/SECONDS, such as 100/60, or none.")
        return Rate(int(match[1]), float(match[2]))
