"""Would receivers believe mail from a domain: its DNS, as our providers need it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from email.utils import parseaddr
from urllib.parse import urlsplit

import structlog
from django.conf import settings

from commsproject.common.errors import InvalidInput
from notifications import addresses, mail_dns
from notifications.mail_dns import Ask, Finding, Result, Selector
from notifications.providers import registry
from notifications.providers.account import is_of
from notifications.providers.common.email import EmailProvider
from notifications.services.dns_lookup import Lookup
from notifications.types import Channel, ProviderError

log = structlog.get_logger(__name__)


def check(
    domain: str,
    *,
    selectors: Sequence[str] = (),
    return_path: str = "",
    asks_vendors: bool = True,
    ask: Ask | None = None,
) -> list[Finding]:
    """What its DNS says. `selectors` are those of its DKIM keys, guessed where there are none given;
    `return_path` is the domain in the envelope, where that is another.

    `asks_vendors`: those that know the selectors are asked. Raises `InvalidInput`.
    """
    name = normal(domain)
    envelope = normal(return_path) if return_path else name
    ask = ask or Lookup(settings.DNS_SERVERS)
    includes = dict.fromkeys(one.dns.include for one in _providers() if one.dns.include)
    wanted = _selectors(name, selectors, asks_vendors=asks_vendors)
    keys = mail_dns.dkim(name, wanted, ask)
    policy_finding, policy = mail_dns.dmarc(name, ask)
    signs = any(one.result is not Result.FAIL and one.what.startswith("DKIM key") for one in keys)
    found = [
        _sender(name),
        mail_dns.spf(envelope, ask, includes),
        *keys,
        policy_finding,
        mail_dns.mx(envelope, ask),
    ]
    proved = envelope if found[1].result in (Result.OK, Result.WARN) else ""
    found.append(mail_dns.alignment(name, proved, name if signs else "", policy, ask))
    return [*found, _one_click()]


def normal(text: str) -> str:
    """A domain in lower case and ASCII. Raises `InvalidInput`."""
    try:
        address = addresses.normalise(Channel.EMAIL, f"postmaster@{text.strip().rstrip('.')}")
        return address.rpartition("@")[2].encode("idna").decode().lower()
    except (addresses.BadAddress, UnicodeError):
        raise InvalidInput.of("domain", "bad_domain", "A domain, please: example.org.") from None


def _providers() -> Iterator[EmailProvider]:
    for provider in registry.enabled().values():
        if isinstance(provider, EmailProvider):
            yield provider


def _selectors(domain: str, given: Sequence[str], *, asks_vendors: bool) -> list[Selector]:
    found = {name: Selector(name) for name in given}
    for provider in () if given else _providers():
        if provider.dns.asks and not asks_vendors:
            continue
        for name in _known(provider, domain):
            publish = provider.dns.key.format(selector=name, domain=domain)
            found.setdefault(name, Selector(name, publish, is_guess=not provider.dns.asks))
    return list(found.values())


def _known(provider: EmailProvider, domain: str) -> Sequence[str]:
    try:
        return provider.dkim_selectors(domain)
    except ProviderError as error:
        log.warning("selectors not told", provider=provider.name, error=str(error))
        return ()


def _sender(domain: str) -> Finding:
    """Whether we send from there at all."""
    address = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    what = "DEFAULT_FROM_EMAIL"
    if is_of(domain, address):
        return Finding(what, Result.OK, address)
    advice = f"Messages come from another domain: set it to an address at {domain}, or check that."
    return Finding(what, Result.WARN, address, advice=advice)


def _one_click() -> Finding:
    """RFC 8058: Gmail and Yahoo want it of all who send to many."""
    what = "One-click unsubscribe"
    parts = urlsplit(settings.PUBLIC_URL)
    if parts.scheme == "https":
        found = f"List-Unsubscribe leads to {parts.netloc}"
        advice = "See that your provider signs both headers: they must be in h= of DKIM-Signature."
        return Finding(what, Result.OK, found, advice=advice)
    advice = "Set PUBLIC_URL to an https address that mailbox providers reach."
    return Finding(what, Result.WARN, f"PUBLIC_URL is {settings.PUBLIC_URL}", advice=advice)
