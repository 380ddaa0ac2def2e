"""Whether a mail is from whom it says: the question of DMARC (RFC 7489, 3.1), asked of what the
provider that took it in has found.

Its From is believed where its domain, or one above or below it, has sent the mail (SPF) or signed it
(DKIM). A mail of which neither is true is one that Gmail and Microsoft refuse (their rules for all
senders, 2024).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message

_SIGNER = re.compile(r"(?:^|;)\s*d\s*=\s*([^;\s]{1,253})")


@dataclass(frozen=True)
class Checks:
    """Results as vendors write them; empty where nothing was checked. `spf` is of the envelope's
    domain, `dkim` of each domain that signed.
    """

    spf: str = ""
    dkim: Mapping[str, str] = field(default_factory=dict)
    dmarc: str = ""


def is_forged(author: str, envelope: str, checks: Checks) -> bool:
    """Whether something was checked and nothing speaks for the domain of `author`."""
    if checks.dmarc.lower() in {"pass", "fail"}:
        return checks.dmarc.lower() == "fail"
    passed = [domain for domain, result in checks.dkim.items() if result.lower() == "pass"]
    if checks.spf.lower() == "pass":
        passed.append(_domain(envelope))
    if any(_is_aligned(_domain(author), domain.lower()) for domain in passed):
        return False
    return bool(checks.spf or checks.dkim or checks.dmarc)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].strip(" <>").lower()


def _is_aligned(one: str, other: str) -> bool:
    return bool(one) and (one == other or one.endswith(f".{other}") or other.endswith(f".{one}"))


def signers(headers: Message, result: str) -> Mapping[str, str]:
    """The domain that signed, with a result that the vendor gives for all signatures together: of
    several domains it says nothing, since anybody can add a signature of another that is broken.
    """
    signatures = [str(one) for one in headers.get_all("DKIM-Signature", [])]
    domains = {found[1].lower() for one in signatures if (found := _SIGNER.search(one))}
    return dict.fromkeys(domains, result) if len(domains) == 1 else {}


def told(headers: Message, name: str) -> str:
    """A result that the vendor adds as a header. Its sender may have added another: the worst counts."""
    values = [str(one).strip() for one in headers.get_all(name, [])]
    return next((one for one in values if one.lower() != "pass"), values[0] if values else "")
