"""What a provider can tell of our account at the vendor's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    OK = "ok"
    WARNING = "warning"
    """It sends, but something should be put right."""
    FAILED = "failed"
    """Messages would be refused."""


@dataclass(frozen=True)
class Check:
    """One thing about an account that was looked at, what was found, and what to do about it. Never a
    secret.
    """

    what: str
    found: str
    verdict: Verdict = Verdict.OK
    advice: str = ""


@dataclass(frozen=True)
class MailDns:
    """What a vendor wants in the DNS of a domain that it sends for, as far as it is the same for all
    accounts.
    """

    include: str = ""
    """Of the SPF record; empty where the vendor's return path is a domain of its own."""
    selectors: tuple[str, ...] = ()
    """Where its DKIM keys usually are."""
    key: str = ""
    """The record of one, with `{selector}` and `{domain}`; empty where only its console can tell."""
    asks: bool = False
    """Whether `dkim_selectors` asks the vendor: then they are no guesses."""


def is_of(domain: str, address: str) -> bool:
    """Whether `address` is at `domain` or below it."""
    host, above = address.rpartition("@")[2].lower(), domain.lower()
    return host == above or host.endswith(f".{above}")


def sender_check(address: str, domains: Iterable[str]) -> Check:
    """Whether the vendor sends for `address`, as the domains say that it has verified."""
    what = f"sender {address}"
    for domain in domains:
        if is_of(domain, address):
            return Check(what, f"{domain} is verified")
    advice = "Verify the domain of DEFAULT_FROM_EMAIL there."
    return Check(what, "its domain is not verified", Verdict.FAILED, advice)


@dataclass(frozen=True)
class Quota:
    """What the vendor lets the account send, and what it has sent in the last 24 hours."""

    per_second: float
    per_day: float | None
    """None: without limit."""
    sent: float
    trouble: str = ""
    """Why the account may not send, or may soon not; empty where it is in good standing."""
