"""The environment, with `NAME_FILE` for every `NAME`: how secrets come from files."""

from __future__ import annotations

import os

from environ import FileAwareEnv
from environ.fileaware_mapping import FileAwareMapping
from typing_extensions import override


class _Values(FileAwareMapping):  # type: ignore[misc]  # the library has no types
    @override
    def __getitem__(self, key: str) -> str:
        """A file's last line break is the editor's, not the secret's."""
        value = str(super().__getitem__(key))
        return value.rstrip("\r\n") if f"{key}_FILE" in os.environ else value


class Env(FileAwareEnv):  # type: ignore[misc]
    ENVIRON = _Values()
