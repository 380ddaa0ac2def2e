"""Whether a domain's DNS lets receivers believe our mail. Pure: records in, findings out.

RFC 7208 (SPF), 6376 and 8301 (DKIM), 7489 (DMARC; the organisational domain is looked for by walking
up the tree, as its successor does, as we keep no list of public suffixes), 7505 (null MX).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

Ask = Callable[[str, str], Sequence[str] | None]
"""The records of a name and type (`TXT`, `MX` ...) as text: none where there are none, None where that
could not be found out.
"""

MAX_LOOKUPS = 10
MAX_VOID = 2
LEAST_RSA, GOOD_RSA = 1024, 2048

_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "go", "gob", "gov", "ne", "net", "or", "org"})
"""Below a country they are nobody's own domain: `example.co.uk`. A rule of thumb, for domains without
DMARC."""


class Result(Enum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    """Could not be found out: never taken for a failure."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `publish` is a record for the zone, `advice` what else to do."""

    what: str
    result: Result
    found: str
    publish: str = ""
    advice: str = ""


@dataclass(frozen=True)
class Selector:
    """Where a DKIM key should be. `publish` is what to put there; `is_guess`: it may be elsewhere."""

    name: str
    publish: str = ""
    is_guess: bool = False


class Unknown(Exception):
    """A record that was needed could not be had."""


def tags(record: str) -> dict[str, str]:
    """`v=DMARC1; p=none` as a mapping; names in lower case, of equal ones the first."""
    found: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.strip().lower(), value.strip())
    return found


# --- SPF -------------------------------------------------------------------------------------


class _Permerror(Exception):
    """Receivers take such a record for none. Says why."""


@dataclass
class _Walk:
    """One evaluation: what it has asked so far."""

    ask: Ask
    lookups: int = 0
    void: int = 0
    path: list[str] = field(default_factory=list)

    @property
    def is_beyond(self) -> bool:
        """It has failed long ago: no need to ask strangers for more."""
        return self.lookups > 2 * MAX_LOOKUPS

    def count(self, name: str, kind: str) -> None:
        """One more lookup; a macro's name depends on the message, so it is counted and not asked."""
        self.lookups += 1
        if "%" in name or self.is_beyond:
            return
        records = self.ask(name, kind)
        if records is None:
            raise Unknown
        self.void += not records


_MECHANISMS = {"a": "A", "mx": "MX", "exists": "A"}
_TERM = re.compile(r"([+~?-]?)([a-z0-9]+)(?:([:=/])(.*))?", re.IGNORECASE)


def spf(domain: str, ask: Ask, includes: Iterable[str] = ()) -> Finding:
    """Of the domain in the envelope. `includes` are those that our vendors ask for."""
    what = f"SPF of {domain}"
    wanted = " ".join(["v=spf1", *(f"include:{name}" for name in includes), "~all"])
    publish = f'{domain}. TXT "{wanted}"'
    records = _spf_records(domain, ask)
    if records is None:
        return Finding(what, Result.UNKNOWN, "no answer from its name servers")
    if not records:
        return Finding(what, Result.FAIL, "no record", publish)
    if len(records) > 1:
        advice = "Make one of them: receivers take several for none."
        return Finding(what, Result.FAIL, f"{len(records)} records", publish, advice)
    walk = _Walk(ask)
    try:
        end = _spf(domain, records[0], walk)
    except Unknown:
        return Finding(what, Result.UNKNOWN, "a name in it could not be looked up")
    except _Permerror as error:
        return Finding(what, Result.FAIL, str(error), advice="Receivers take it for none: mend it.")
    return _spf_verdict(what, records[0], walk, end)


def _spf_verdict(what: str, record: str, walk: _Walk, end: str) -> Finding:
    counted = f"{walk.lookups} lookups"
    if walk.lookups > MAX_LOOKUPS:
        advice = f"At most {MAX_LOOKUPS} count: take out includes that nobody needs."
        return Finding(what, Result.FAIL, counted, advice=advice)
    if walk.void > MAX_VOID:
        advice = f"At most {MAX_VOID} names in it may have no records: take them out."
        return Finding(what, Result.FAIL, f"{walk.void} names without records", advice=advice)
    if end in ("~all", "-all"):
        return Finding(what, Result.OK, f"{record} ({counted})")
    if end == "+all":
        advice = "It lets everybody send in your name: end it with ~all."
        return Finding(what, Result.FAIL, record, advice=advice)
    return Finding(what, Result.WARN, record, advice="End it with ~all, later with -all.")


def _spf_records(domain: str, ask: Ask) -> list[str] | None:
    records = ask(domain, "TXT")
    if records is None:
        return None
    return [one for one in records if re.match(r"v=spf1(\s|$)", one, re.IGNORECASE)]


def _spf(domain: str, record: str, walk: _Walk) -> str:
    """How it ends: `~all`, or empty. Raises `Unknown`, `_Permerror`."""
    if domain in walk.path:
        raise _Permerror(f"{domain} includes itself")
    walk.path.append(domain)
    end, redirect = "", ""
    for term in record.split()[1:]:
        match = _TERM.fullmatch(term)
        if match is None:
            raise _Permerror(f"{term!r} is no term of SPF")
        sign, name, mark, value = match[1], match[2].lower(), match[3], match[4] or ""
        if mark == "=":
            redirect = value if name == "redirect" else redirect
            continue
        if name == "all":
            end = f"{sign or '+'}all"
            break
        _spf_mechanism(name, mark or "", value, domain, walk)
    if redirect and not end:
        end = _spf_other(redirect, walk)
    walk.path.pop()
    return end


def _spf_mechanism(name: str, mark: str, value: str, domain: str, walk: _Walk) -> None:
    if name in ("ip4", "ip6"):
        return
    if name == "include" and mark == ":" and value:
        _spf_other(value, walk)
        return
    if name == "ptr":  # asks for a name of each sender
        walk.lookups += 1
        return
    if name not in _MECHANISMS:
        raise _Permerror(f"{name!r} is no mechanism of SPF")
    target = value.partition("/")[0] if mark == ":" else ""
    walk.count(target or domain, _MECHANISMS[name])


def _spf_other(name: str, walk: _Walk) -> str:
    """The record that an include or a redirect leads to."""
    walk.lookups += 1
    if "%" in name or walk.is_beyond:
        return ""
    records = _spf_records(name.lower().rstrip("."), walk.ask)
    if records is None:
        raise Unknown
    if len(records) != 1:
        raise _Permerror(f"{name} has {len(records) or 'no'} SPF record{'s' * (len(records) > 1)}")
    return _spf(name.lower().rstrip("."), records[0], walk)


# --- DKIM ------------------------------------------------------------------------------------


def dkim(domain: str, selectors: Sequence[Selector], ask: Ask) -> list[Finding]:
    """One finding for each key that is there or should be."""
    found = [(one, _dkim(domain, one, ask)) for one in selectors]
    there = [finding for _, finding in found if finding is not None]
    if there:
        return there
    advice = "Name them: --selector, as the header DKIM-Signature of a message has it in s=."
    tried = ", ".join(one.name for one in selectors) or "none to try"
    return [
        Finding(
            f"DKIM of {domain}", Result.WARN, f"no key at the usual selectors: {tried}", "", advice
        )
    ]


def _dkim(domain: str, selector: Selector, ask: Ask) -> Finding | None:
    """None where a guess was wrong."""
    what, name = f"DKIM key {selector.name}", f"{selector.name}._domainkey.{domain}"
    records = ask(name, "TXT")
    if records is None:
        return Finding(what, Result.UNKNOWN, "no answer from its name servers")
    keys = [record for record in records if "p" in tags(record)]
    if not keys:
        if selector.is_guess:
            return None
        publish = selector.publish or f"{name}. TXT as your provider shows it"
        return Finding(what, Result.FAIL, f"nothing at {name}", publish)
    if len(keys) > 1:
        return Finding(what, Result.FAIL, f"{len(keys)} keys at {name}", advice="Leave one.")
    return _key(what, tags(keys[0]))


def _key(what: str, key: dict[str, str]) -> Finding:
    if key.get("v", "DKIM1") != "DKIM1":
        return Finding(
            what, Result.FAIL, "its v= is not DKIM1", advice="Publish it as shown to you."
        )
    if not key["p"]:
        return Finding(what, Result.FAIL, "revoked: p= is empty", advice="Make a new key.")
    if key.get("k", "rsa").lower() == "ed25519":
        return Finding(what, Result.OK, "Ed25519")
    bits = _bits(key["p"])
    if bits is None:
        advice = "Publish it once more: often a line of it was lost."
        return Finding(what, Result.FAIL, "p= is no key", advice=advice)
    if bits < LEAST_RSA:
        return Finding(what, Result.FAIL, f"RSA, {bits} bits", advice="Make one of 2,048 bits.")
    if "y" in key.get("t", "").split(":"):
        advice = "Take out t=y: with it receivers may not count the signature."
        return Finding(what, Result.WARN, f"RSA, {bits} bits, in test mode", advice=advice)
    if bits < GOOD_RSA:
        return Finding(what, Result.WARN, f"RSA, {bits} bits", advice="Better 2,048 bits.")
    return Finding(what, Result.OK, f"RSA, {bits} bits")


def _bits(text: str) -> int | None:
    try:
        key = load_der_public_key(base64.b64decode("".join(text.split()), validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return None
    return key.key_size if isinstance(key, RSAPublicKey) else None


# --- DMARC -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Policy:
    """What a domain's DMARC says. `at` is the domain that publishes it, empty where none does."""

    at: str = ""
    strict_spf: bool = False
    strict_dkim: bool = False


def parents(domain: str) -> list[str]:
    """The domain and those above it, down to two labels."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(len(labels) - 1, 1))]


def organisational(domain: str, ask: Ask) -> str:
    """The domain that belongs to the same people. Raises `Unknown`."""
    for one in reversed(parents(domain)):
        records = _dmarc_records(one, ask)
        if len(records) == 1 and tags(records[0]).get("psd", "").lower() != "y":
            return one
    labels = domain.split(".")
    shared = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3:] if shared else labels[-2:])


def _dmarc_records(domain: str, ask: Ask) -> list[str]:
    records = ask(f"_dmarc.{domain}", "TXT")
    if records is None:
        raise Unknown
    return [one for one in records if re.match(r"v=DMARC1\s*(;|$)", one)]


def dmarc(domain: str, ask: Ask) -> tuple[Finding, Policy]:
    """Of the domain that readers see in From."""
    what = f"DMARC of {domain}"
    try:
        at = domain
        records = _dmarc_records(domain, ask)
        if not records and (above := organisational(domain, ask)) != domain:
            at, records = above, _dmarc_records(above, ask)
    except Unknown:
        return Finding(what, Result.UNKNOWN, "no answer from its name servers"), Policy()
    publish = f'_dmarc.{at}. TXT "v=DMARC1; p=none; rua=mailto:dmarc-reports@{at}"'
    if not records:
        return Finding(what, Result.FAIL, "no record", publish), Policy()
    if len(records) > 1:
        advice = "Make one of them: receivers take several for none."
        return Finding(what, Result.FAIL, f"{len(records)} records", publish, advice), Policy()
    read = tags(records[0])
    policy = Policy(at, read.get("aspf", "r") == "s", read.get("adkim", "r") == "s")
    return _dmarc_verdict(what, records[0], read, is_below=at != domain, publish=publish), policy


def _dmarc_verdict(
    what: str, record: str, read: dict[str, str], *, is_below: bool, publish: str
) -> Finding:
    asked = read.get("p", "").lower()
    if is_below:
        asked = read.get("sp", asked).lower()
    if asked not in ("none", "quarantine", "reject"):
        return Finding(what, Result.FAIL, f"{record}: no policy", publish)
    if asked == "none":
        advice = "It only watches. Once reports show that all your mail passes: p=quarantine."
        return Finding(what, Result.WARN, record, advice=advice)
    if not read.get("rua"):
        return Finding(what, Result.WARN, record, advice="With rua= you would get reports.")
    return Finding(what, Result.OK, record)


# --- The rest --------------------------------------------------------------------------------


def mx(domain: str, ask: Ask) -> Finding:
    """Whether the return path takes bounces, and a domain answers."""
    what = f"MX of {domain}"
    records = ask(domain, "MX")
    if records is None:
        return Finding(what, Result.UNKNOWN, "no answer from its name servers")
    if any(record.split()[-1] == "." for record in records):
        advice = "It says that it takes no mail: many receivers refuse senders like that."
        return Finding(what, Result.FAIL, "a null MX", advice=advice)
    if records:
        return Finding(what, Result.OK, ", ".join(sorted(records)))
    addresses = [ask(domain, kind) for kind in ("A", "AAAA")]
    if any(addresses):
        return Finding(what, Result.WARN, "none, but an address", f"{domain}. MX 10 mail.{domain}.")
    if None in addresses:
        return Finding(what, Result.UNKNOWN, "no answer from its name servers")
    return Finding(
        what, Result.FAIL, "none: it can take no mail", f"{domain}. MX 10 mail.{domain}."
    )


def alignment(sender: str, return_path: str, signer: str, policy: Policy, ask: Ask) -> Finding:
    """Whether what SPF and DKIM prove is the domain in From: one of them must be. `signer` is the
    domain that signs, empty where no key was found.
    """
    what = f"Alignment with {sender}"
    try:
        by = list(_aligned(sender, return_path, signer, policy, ask))
    except Unknown:
        return Finding(what, Result.UNKNOWN, "no answer from its name servers")
    if by:
        return Finding(what, Result.OK, " and ".join(by))
    advice = f"Sign with d={sender}, or use a return path of that domain: else DMARC fails."
    return Finding(what, Result.FAIL, f"mail from {sender} is proved by neither", advice=advice)


def _aligned(sender: str, return_path: str, signer: str, policy: Policy, ask: Ask) -> Iterator[str]:
    home = organisational(sender, ask)
    for name, domain, strict in (
        ("SPF", return_path, policy.strict_spf),
        ("DKIM", signer, policy.strict_dkim),
    ):
        if domain and (
            domain == sender if strict else domain == sender or organisational(domain, ask) == home
        ):
            yield f"{name} by {domain}"
