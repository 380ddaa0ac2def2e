"""Records in, findings out: no DNS here."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notifications import mail_dns
from notifications.mail_dns import Ask, Policy, Result, Selector, Unknown

OK, WARN, FAIL, UNKNOWN = Result.OK, Result.WARN, Result.FAIL, Result.UNKNOWN

Zone = dict[str, list[str] | None]
"""`example.org TXT` to its records; None: no answer."""


def of(zone: Zone) -> Ask:
    def ask(name: str, kind: str) -> Sequence[str] | None:
        return zone.get(f"{name} {kind}", [])

    return ask


@cache
def rsa_key(bits: int) -> str:
    key = rsa.generate_private_key(65537, bits).public_key()
    return base64.b64encode(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()


def chain(length: int) -> Zone:
    """`example.org` includes i0, which includes i1, and so on."""
    zone: Zone = {"example.org TXT": ["v=spf1 include:i0 -all"]}
    for number in range(length):
        below = f"include:i{number + 1} " if number + 1 < length else ""
        zone[f"i{number} TXT"] = [f"v=spf1 {below}ip4:192.0.2.1 -all"]
    return zone


ELSEWHERE: Zone = {"e.net TXT": ["v=spf1 ip4:192.0.2.0/24 -all"], "a.example.org A": ["192.0.2.1"]}

SPF: list[tuple[Zone, Result, str]] = [
    ({}, FAIL, "no record"),
    ({"example.org TXT": None}, UNKNOWN, "no answer"),
    ({"example.org TXT": ["google-site-verification=x"]}, FAIL, "no record"),
    ({"example.org TXT": ["v=spf10 -all"]}, FAIL, "no record"),
    ({"example.org TXT": ["v=spf1 -all"]}, OK, "0 lookups"),
    ({"example.org TXT": ["V=SPF1 ~ALL"]}, OK, "0 lookups"),
    ({"example.org TXT": ["v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 ~all"]}, OK, "0 lookups"),
    ({"example.org TXT": ["v=spf1 include:e.net -all"]}, OK, "1 lookups"),
    ({"example.org TXT": ["v=spf1 include:E.NET. -all"]}, OK, "1 lookups"),
    ({"example.org TXT": ["v=spf1 redirect=e.net"]}, OK, "1 lookups"),
    ({"example.org TXT": ["v=spf1 a:a.example.org -all"]}, OK, "1 lookups"),
    ({"example.org TXT": ["v=spf1 a:a.example.org/24 -all"]}, OK, "1 lookups"),
    ({"example.org TXT": ["v=spf1 exists:%{i}.x.org -all"]}, OK, "1 lookups"),
    ({"example.org TXT": ["v=spf1 ptr -all"]}, OK, "1 lookups"),
    ({"example.org TXT": ["v=spf1 exp=why.example.org -all"]}, OK, "0 lookups"),
    ({"example.org TXT": ["v=spf1 -all", "v=spf1 ~all"]}, FAIL, "2 records"),
    ({"example.org TXT": ["v=spf1 ?all"]}, WARN, "?all"),
    ({"example.org TXT": ["v=spf1 ip4:192.0.2.1"]}, WARN, "ip4"),
    ({"example.org TXT": ["v=spf1 +all"]}, FAIL, "+all"),
    ({"example.org TXT": ["v=spf1 all"]}, FAIL, "all"),
    ({"example.org TXT": ["v=spf1 ipv4:192.0.2.1 -all"]}, FAIL, "'ipv4' is no mechanism"),
    ({"example.org TXT": ["v=spf1 include -all"]}, FAIL, "'include' is no mechanism"),
    ({"example.org TXT": ["v=spf1 !all"]}, FAIL, "no term"),
    ({"example.org TXT": ["v=spf1 include:gone.net -all"]}, FAIL, "gone.net has no SPF record"),
    (
        {"example.org TXT": ["v=spf1 include:t.net -all"], "t.net TXT": ["v=spf1", "v=spf1 -all"]},
        FAIL,
        "t.net has 2 SPF records",
    ),
    ({"example.org TXT": ["v=spf1 include:t.net -all"], "t.net TXT": None}, UNKNOWN, "looked up"),
    ({"example.org TXT": ["v=spf1 a -all"], "example.org A": None}, UNKNOWN, "looked up"),
    ({"example.org TXT": ["v=spf1 include:example.org -all"]}, FAIL, "includes itself"),
    ({"example.org TXT": ["v=spf1 a mx -all"]}, OK, "2 lookups"),
    ({"example.org TXT": ["v=spf1 a mx a:gone.org -all"]}, FAIL, "3 names without records"),
    (chain(10), OK, "10 lookups"),
    (chain(11), FAIL, "11 lookups"),
    (chain(500), FAIL, "21 lookups"),
    ({"example.org TXT": ["v=spf1 " + "a:a.example.org " * 900 + "-all"]}, FAIL, "900 lookups"),
    ({"example.org TXT": ["v=spf1 -all include:e.net"]}, OK, "0 lookups"),
]


@pytest.mark.parametrize(("zone", "result", "words"), SPF, ids=lambda value: str(value)[:60])
def test_spf(zone: Zone, result: Result, words: str) -> None:
    finding = mail_dns.spf("example.org", of({**ELSEWHERE, **zone}))
    assert finding.result is result, finding
    assert words in finding.found


def test_spf_to_publish_has_what_the_vendors_ask_for() -> None:
    finding = mail_dns.spf("example.org", of({}), ["amazonses.com", "mailgun.org"])
    wanted = 'example.org. TXT "v=spf1 include:amazonses.com include:mailgun.org ~all"'
    assert finding.publish == wanted


def key_at(record: str) -> Zone:
    return {"s1._domainkey.example.org TXT": [record]}


DKIM: list[tuple[Zone, Result, str]] = [
    (key_at(f"v=DKIM1; k=rsa; p={rsa_key(2048)}"), OK, "RSA, 2048 bits"),
    (key_at(f"p={rsa_key(2048)}"), OK, "RSA, 2048 bits"),
    (key_at(f"v=DKIM1; p={rsa_key(1024)}"), WARN, "RSA, 1024 bits"),
    (key_at(f"v=DKIM1; t=s:y; p={rsa_key(2048)}"), WARN, "test mode"),
    (key_at("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="), OK, "Ed25519"),
    (key_at("v=DKIM1; p="), FAIL, "revoked"),
    (key_at("v=DKIM2; p=x"), FAIL, "not DKIM1"),
    (key_at(f"v=DKIM1; p={rsa_key(2048)[:-40]}"), FAIL, "no key"),
    (key_at("v=DKIM1; p=***"), FAIL, "no key"),
    ({}, FAIL, "nothing at s1._domainkey.example.org"),
    (key_at("v=spf1 -all"), FAIL, "nothing at"),
    ({"s1._domainkey.example.org TXT": None}, UNKNOWN, "no answer"),
    ({"s1._domainkey.example.org TXT": ["p=a", "p=b"]}, FAIL, "2 keys"),
]


@pytest.mark.parametrize(("zone", "result", "words"), DKIM, ids=lambda value: str(value)[:60])
def test_dkim(zone: Zone, result: Result, words: str) -> None:
    (finding,) = mail_dns.dkim("example.org", [Selector("s1")], of(zone))
    assert finding.result is result, finding
    assert words in finding.found


def test_weak_keys_fail() -> None:
    # RFC 8301 section 3.2. A 512 bit key, as no library makes them any more.
    der = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAMcC" + "A" * 64 + "AAAAAQIDAQAB"
    assert mail_dns._bits(der) in (None, 512)
    (finding,) = mail_dns.dkim("example.org", [Selector("s1")], of(key_at(f"p={der}")))
    assert finding.result is FAIL


def test_a_wrong_guess_is_no_failure() -> None:
    guesses = [Selector("s1", is_guess=True), Selector("google", is_guess=True)]
    (finding,) = mail_dns.dkim("example.org", guesses, of({}))
    assert (finding.result, finding.found) == (WARN, "no key at the usual selectors: s1, google")
    (finding,) = mail_dns.dkim("example.org", guesses, of(key_at(f"p={rsa_key(2048)}")))
    assert (finding.what, finding.result) == ("DKIM key s1", OK)


def test_a_key_that_must_be_there_says_what_to_publish() -> None:
    record = "a._domainkey.example.org. CNAME a.dkim.amazonses.com."
    (finding,) = mail_dns.dkim("example.org", [Selector("a", record)], of({}))
    assert (finding.result, finding.publish) == (FAIL, record)


def dmarc_at(domain: str, record: str) -> Zone:
    return {f"_dmarc.{domain} TXT": [record]}


GOOD = "v=DMARC1; p=reject; rua=mailto:d@example.org"
DMARC: list[tuple[str, Zone, Result, Policy]] = [
    ("example.org", {}, FAIL, Policy()),
    ("example.org", dmarc_at("example.org", GOOD), OK, Policy("example.org")),
    (
        "example.org",
        dmarc_at("example.org", "v=DMARC1; p=quarantine; aspf=s; adkim=s; rua=mailto:d@e.org"),
        OK,
        Policy("example.org", strict_spf=True, strict_dkim=True),
    ),
    ("example.org", dmarc_at("example.org", "v=DMARC1; p=none"), WARN, Policy("example.org")),
    ("example.org", dmarc_at("example.org", "v=DMARC1; p=reject"), WARN, Policy("example.org")),
    ("example.org", dmarc_at("example.org", "v=DMARC1; p=block"), FAIL, Policy("example.org")),
    ("example.org", dmarc_at("example.org", "v=DMARC1"), FAIL, Policy("example.org")),
    ("example.org", dmarc_at("example.org", "v=DMARC10; p=none"), FAIL, Policy()),
    ("example.org", {"_dmarc.example.org TXT": [GOOD, GOOD]}, FAIL, Policy()),
    ("example.org", {"_dmarc.example.org TXT": None}, UNKNOWN, Policy()),
    ("mail.example.org", dmarc_at("example.org", GOOD), OK, Policy("example.org")),
    (
        "a.b.example.org",
        dmarc_at("example.org", "v=DMARC1; p=reject; sp=none; rua=mailto:d@example.org"),
        WARN,
        Policy("example.org"),
    ),
    ("mail.example.org", dmarc_at("mail.example.org", GOOD), OK, Policy("mail.example.org")),
    ("mail.example.org", dmarc_at("org", GOOD), FAIL, Policy()),
    ("shop.co.uk", dmarc_at("co.uk", f"{GOOD}; psd=y"), FAIL, Policy()),
]


@pytest.mark.parametrize(("domain", "zone", "result", "policy"), DMARC, ids=lambda v: str(v)[:50])
def test_dmarc(domain: str, zone: Zone, result: Result, policy: Policy) -> None:
    finding, found = mail_dns.dmarc(domain, of(zone))
    assert (finding.result, found) == (result, policy), finding


def test_dmarc_is_to_be_published_at_the_organisations_domain() -> None:
    finding, _ = mail_dns.dmarc("news.shop.co.uk", of({}))
    assert finding.publish.startswith('_dmarc.shop.co.uk. TXT "v=DMARC1; p=none; rua=')


MX: list[tuple[Zone, Result]] = [
    ({"example.org MX": ["10 mx.example.org."]}, OK),
    ({"example.org MX": ["0 ."]}, FAIL),
    ({"example.org A": ["192.0.2.1"]}, WARN),
    ({"example.org AAAA": ["2001:db8::1"]}, WARN),
    ({}, FAIL),
    ({"example.org MX": None}, UNKNOWN),
    ({"example.org A": None}, UNKNOWN),
]


@pytest.mark.parametrize(("zone", "result"), MX, ids=str)
def test_mx(zone: Zone, result: Result) -> None:
    assert mail_dns.mx("example.org", of(zone)).result is result


STRICT = Policy("example.org", strict_spf=True, strict_dkim=True)
ALIGNMENT = [
    ("example.org", "", Policy(), OK),
    ("", "example.org", Policy(), OK),
    ("bounce.example.org", "", Policy(), OK),
    ("bounce.example.org", "", STRICT, FAIL),
    ("bounce.example.org", "example.org", STRICT, OK),
    ("amazonses.com", "", Policy(), FAIL),
    ("amazonses.com", "mail.example.org", Policy(), OK),
    ("", "", Policy(), FAIL),
    ("notexample.org", "", Policy(), FAIL),
]


@pytest.mark.parametrize(("return_path", "signer", "policy", "result"), ALIGNMENT, ids=str)
def test_alignment(return_path: str, signer: str, policy: Policy, result: Result) -> None:
    finding = mail_dns.alignment("example.org", return_path, signer, policy, of({}))
    assert finding.result is result, finding


def test_what_is_not_known_is_never_a_failure() -> None:
    ask: Ask = lambda _name, _kind: None  # noqa: E731
    findings = [
        mail_dns.spf("example.org", ask),
        *mail_dns.dkim("example.org", [Selector("s1", is_guess=True)], ask),
        mail_dns.dmarc("example.org", ask)[0],
        mail_dns.mx("example.org", ask),
        mail_dns.alignment("example.org", "example.net", "", Policy(), ask),
    ]
    assert {finding.result for finding in findings} == {UNKNOWN}
    with pytest.raises(Unknown):
        mail_dns.organisational("example.org", ask)
