"""The environment, with `NAME_FILE` for every `NAME`: how secrets come from files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Self

from django.core.exceptions import ImproperlyConfigured
from environ import FileAwareEnv
from environ.fileaware_mapping import FileAwareMapping
from phonenumbers import SUPPORTED_REGIONS
from typing_extensions import override


class _Values(FileAwareMapping):  # type: ignore[misc]  # the library has no types
    @override
    def __getitem__(self, key: str) -> str:
        """A file's last line break is the editor's, not the secret's."""
        value = str(super().__getitem__(key))
        return _trimmed(value) if f"{key}_FILE" in os.environ else value


def _trimmed(text: str) -> str:
    return text.rstrip("\r\n")


MAX_SECRET = 64 * 1024
"""Bytes of a secret's file. The largest there are, service accounts, have three thousand."""


class FileSecret(str):
    """A secret that came from a file, where its successor will be. Its repr does not show it."""

    __slots__ = ("path",)
    path: Path

    def __new__(cls, value: str, path: Path) -> Self:
        made = super().__new__(cls, value)
        made.path = path
        return made

    @override
    def __repr__(self) -> str:
        return f"<secret of {self.path}>"

    def read(self) -> FileSecret:
        """What the file holds now. Raises `ValueError` where that is nothing, too much or no text,
        `OSError` where it cannot be read.
        """
        with self.path.open("rb") as file:
            content = file.read(MAX_SECRET + 1)
        if not content.strip():
            raise ValueError("empty")
        if len(content) > MAX_SECRET:
            raise ValueError("too large")
        return FileSecret(_trimmed(content.decode()), self.path)


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

    def secret(self, var: str) -> str:
        """The secret `var`, empty where there is none: a `FileSecret` where a file has it.

        Raises ImproperlyConfigured, which names the variable and never its value.
        """
        value = str(self.str(var, default=""))
        path = os.environ.get(f"{var}_FILE")
        return FileSecret(value, Path(path)) if path else value

    def database(self, var: str, default: str) -> dict[str, Any]:
        """`postgres://user:password@host:port/name` as Django has it, with our `postgres` between.

        Raises ImproperlyConfigured, which names the variable and never its value.
        """
        scheme = str(self.str(var, default=default)).partition("://")[0]
        if scheme not in {"postgres", "postgresql"}:  # the library would print the password
            raise ImproperlyConfigured(f"{var} is the URL of a PostgreSQL: postgres://...")
        return {**self.db_url(var, default=default), "ENGINE": "commsproject.common.postgres"}

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

    def amount(self, var: str) -> Decimal | None:
        """An amount of money, not less than nothing; None where the variable is not set.

        Raises ImproperlyConfigured, which names the variable.
        """
        value = str(self.str(var, default="")).strip()
        try:
            return _amount(value) if value else None
        except (InvalidOperation, ValueError):
            raise ImproperlyConfigured(f"{var} is an amount of money, such as 250.00.") from None

    def prices(self, var: str) -> Mapping[str, Decimal]:
        """`{"*": "0.05", "DE": "0.075"}`: a price by country (ISO 3166-1 alpha-2), `*` for all
        others.

        Raises ImproperlyConfigured, which names the variable.
        """
        try:
            return _by_country(self._json(var))
        except (AttributeError, InvalidOperation, TypeError, ValueError):
            example = '{"*": "0.05", "DE": "0.075"}'
            raise ImproperlyConfigured(f"{var} is JSON such as {example}.") from None

    def provider_prices(self, var: str) -> Mapping[str, Mapping[str, Decimal]]:
        """`{"ses": "0.0001", "twilio": {"*": "0.05", "DE": "0.075"}}`: a price by provider, or one by
        provider and country as `prices` has them.

        Raises ImproperlyConfigured, which names the variable.
        """
        try:
            return {
                name: _by_country(told if isinstance(told, dict) else {"*": told})
                for name, told in self._json(var).items()
            }
        except (AttributeError, InvalidOperation, TypeError, ValueError):
            example = '{"ses": "0.0001", "twilio": {"*": "0.05", "DE": "0.075"}}'
            raise ImproperlyConfigured(f"{var} is JSON such as {example}.") from None

    def _json(self, var: str) -> Any:
        value = str(self.str(var, default="")).strip() or "{}"
        return json.loads(value, parse_float=str, parse_int=str)

    def countries(self, var: str) -> frozenset[str]:
        """`DE,SE`: countries by ISO 3166-1 alpha-2, none where the variable is not set.

        Raises ImproperlyConfigured, which names the variable.
        """
        names = frozenset(filter(None, (name.strip() for name in self.list(var, default=[]))))
        if unknown := sorted(names - SUPPORTED_REGIONS):
            raise ImproperlyConfigured(
                f"{var} is a list of countries, such as DE,GB; {unknown[0][:10]!r} is none."
            )
        return names

    def networks(self, var: str) -> tuple[str, ...]:
        """`10.1.0.0/16,::1/128`: networks, none where the variable is not set.

        Raises ImproperlyConfigured, which names the variable.
        """
        names = filter(None, (name.strip() for name in self.list(var, default=[])))
        try:
            return tuple(str(ip_network(name)) for name in names)
        except ValueError:
            raise ImproperlyConfigured(
                f"{var} is a list of networks, such as 10.1.0.0/16."
            ) from None

    def schemes(self, var: str) -> frozenset[str]:
        """`acme,acme-beta`: schemes of links that open an app, none where the variable is not set.

        Raises ImproperlyConfigured for what is no scheme, or one that browsers have a use for.
        """
        names = frozenset(filter(None, (name.strip() for name in self.list(var, default=[]))))
        for name in sorted(names):
            if not _SCHEME.fullmatch(name) or name in _NOT_AN_APPS:
                raise ImproperlyConfigured(
                    f"{var} is a list of schemes of your apps, such as acme; {name[:20]!r} is none."
                )
        return names


_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,49}")
_NOT_AN_APPS = frozenset(
    {"about", "blob", "chrome", "data", "file", "filesystem", "http", "intent", "javascript"}
    | {"jar", "vbscript", "view-source", "ws", "wss"}
)
_DEAREST = 1000


def _by_country(told: Mapping[str, str]) -> dict[str, Decimal]:
    prices = {name: _amount(price) for name, price in told.items()}
    if (
        not prices.keys() <= {"*", *SUPPORTED_REGIONS}
        or max(prices.values(), default=0) >= _DEAREST
    ):
        raise ValueError
    return prices


def _amount(value: str) -> Decimal:
    amount = Decimal(value)
    if not amount.is_finite() or amount < 0:
        raise ValueError
    return amount
