"""Records from the DNS, each asked for once, all within a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import dns.exception
import dns.nameserver
import dns.resolver
from dns.rdata import Rdata
from dns.rdtypes.ANY.TXT import TXT

LIFETIME = 5.0
"""Seconds for one name."""


class Lookup:
    """Answers as `mail_dns.Ask` has them. After `seconds` nothing more is asked."""

    def __init__(self, servers: Sequence[str] = (), *, seconds: float = 30.0) -> None:
        """`servers`: address or address:port; none: those of the machine."""
        self._resolver = dns.resolver.Resolver(configure=not servers)
        if servers:
            self._resolver.nameservers = [_nameserver(one) for one in servers]
        self._until = time.monotonic() + seconds
        self._known: dict[tuple[str, str], Sequence[str] | None] = {}

    def __call__(self, name: str, kind: str) -> Sequence[str] | None:
        key = (name.lower(), kind)
        if key not in self._known:
            self._known[key] = self._ask(*key)
        return self._known[key]

    def _ask(self, name: str, kind: str) -> Sequence[str] | None:
        left = min(LIFETIME, self._until - time.monotonic())
        if left <= 0:
            return None
        try:
            found = self._resolver.resolve(name, kind, lifetime=left, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.resolver.LifetimeTimeout, dns.resolver.NoNameservers, OSError):
            return None
        except dns.exception.DNSException:  # no name at all: too long, two dots
            return ()
        return [_text(record) for record in found]


def _text(record: Rdata) -> str:
    """A TXT is one text, in however many strings it comes."""
    if isinstance(record, TXT):
        return b"".join(record.strings).decode(errors="replace")
    return str(record.to_text())


def _nameserver(text: str) -> dns.nameserver.Nameserver:
    """`192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`."""
    parts = urlsplit(f"//{text}" if text.count(":") < 2 or "[" in text else f"//[{text}]")
    return dns.nameserver.Do53Nameserver(parts.hostname or "", parts.port or 53)
