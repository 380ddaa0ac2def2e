"""`manage.py check_domain` and its staff page, with a name server on the loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from commsproject.common.errors import InvalidInput
from notifications.mail_dns import Finding, Result
from notifications.services import dns_lookup, domains
from notifications.services.dns_lookup import Lookup
from tests.email_world import email_world
from tests.fakes.dns import DnsServer, Zone
from tests.unit.notifications.test_mail_dns import rsa_key

PAGE = reverse("admin:notifications_providerstate_domain")


def halves(text: str) -> str:
    """As a TXT of more than 255 bytes is: in strings."""
    return " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))


def zone() -> Zone:
    return {
        ("example.org", "TXT"): ['"v=spf1 include:_spf.example.net ~all"', '"other=1"'],
        ("_spf.example.net", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
        ("_dmarc.example.org", "TXT"): ['"v=DMARC1; p=reject; rua=mailto:d@example.org"'],
        ("s1._domainkey.example.org", "CNAME"): ["key.vendor.net."],
        ("key.vendor.net", "TXT"): [halves(f"v=DKIM1; p={rsa_key(2048)}")],
        ("example.org", "MX"): ["10 mx.example.org."],
    }


@pytest.fixture
def server(settings: Any) -> Iterator[DnsServer]:
    settings.DEFAULT_FROM_EMAIL = "Shop <shop@example.org>"
    settings.PUBLIC_URL = "https://comms.example.org"
    with DnsServer(zone()) as server:
        settings.DNS_SERVERS = [server.address]
        yield server


def check(*args: str) -> str:
    out = StringIO()
    call_command("check_domain", *args, stdout=out)
    return out.getvalue()


def results(findings: list[Finding]) -> dict[str, Result]:
    return {finding.what: finding.result for finding in findings}


def test_a_domain_that_is_set_up_passes(server: DnsServer) -> None:
    text = check("Example.ORG", "--selector", "s1")
    assert [line.split()[0] for line in text.splitlines() if not line.startswith(" ")] == ["OK"] * 7
    assert "DKIM key s1: RSA, 2048 bits" in text
    assert "Alignment with example.org: SPF by example.org and DKIM by example.org" in text


def test_one_that_is_not_fails_and_says_what_to_publish(server: DnsServer) -> None:
    server.zone.clear()
    out = StringIO()
    with pytest.raises(CommandError, match=r"SPF of example\.org, DKIM key s1, DMARC"):
        call_command("check_domain", "example.org", "--selector", "s1", stdout=out)
    assert 'publish: example.org. TXT "v=spf1 ~all"' in out.getvalue()
    assert 'publish: _dmarc.example.org. TXT "v=DMARC1; p=none; rua=' in out.getvalue()


def test_the_command_ends_as_a_script_needs_it(server: DnsServer) -> None:
    assert CommandError("x").returncode == 1
    with pytest.raises(CommandError) as failure:
        check("example.net")
    assert failure.value.returncode == 1


def test_servers_that_do_not_answer_are_no_failure(
    server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_lookup, "LIFETIME", 0.2)
    names = {name for name, _ in server.zone} | {"s1._domainkey.example.org"}
    server.silent = names
    found = domains.check("example.org", selectors=["s1"])
    assert Result.FAIL not in results(found).values()
    assert results(found)["SPF of example.org"] is Result.UNKNOWN
    server.silent, server.broken = set(), names
    assert results(domains.check("example.org", selectors=["s1"])) == results(found)


def test_all_together_end_in_time(server: DnsServer) -> None:
    server.silent = {"a.org", "b.org", "c.org"}
    lookup = Lookup([server.address], seconds=0.3)
    started = time.monotonic()
    assert [lookup(name, "TXT") for name in ("a.org", "b.org", "c.org")] == [None] * 3
    assert time.monotonic() - started < 3
    assert ("c.org", "TXT") not in server.asked


def test_each_name_is_asked_for_once(server: DnsServer) -> None:
    lookup = Lookup([server.address])
    for name in ("example.org", "EXAMPLE.org", "gone.example.org", "gone.example.org"):
        lookup(name, "TXT")
    assert server.asked == [("example.org", "TXT"), ("gone.example.org", "TXT")]


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".org", ".".join(["x" * 60] * 5), "\0.org"])
def test_what_is_no_name_has_no_records(server: DnsServer, name: str) -> None:
    assert Lookup([server.address])(name, "TXT") == ()


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("192.0.2.1", "192.0.2.1", 53),
        ("192.0.2.1:5353", "192.0.2.1", 5353),
        ("2001:db8::1", "2001:db8::1", 53),
        ("[2001:db8::1]:5353", "2001:db8::1", 5353),
    ],
)
def test_name_servers_are_written_as_usual(text: str, address: str, port: int) -> None:
    server: Any = dns_lookup._nameserver(text)
    assert (server.address, server.port) == (address, port)


@pytest.mark.parametrize(
    "domain",
    ["", " ", "nodot", "a b.org", "-.org", "ex ample", "x\n.org", "a@example.org", "[::1]"],
)
def test_what_is_no_domain_is_refused(server: DnsServer, domain: str) -> None:
    with pytest.raises(InvalidInput):
        domains.check(domain)
    with pytest.raises(CommandError):
        check("example.org", "--return-path", domain or "x")
    assert server.asked == []


def test_the_return_path_may_be_another_domain(server: DnsServer) -> None:
    server.zone["bounce.example.org", "TXT"] = ['"v=spf1 -all"']
    found = results(
        domains.check("example.org", selectors=["s1"], return_path="bounce.example.org")
    )
    assert found["SPF of bounce.example.org"] is Result.OK
    assert found["MX of bounce.example.org"] is Result.FAIL
    assert found["Alignment with example.org"] is Result.OK


def test_mail_from_elsewhere_is_told(server: DnsServer, settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "shop@example.com"
    settings.PUBLIC_URL = "http://localhost:8002"
    found = results(domains.check("example.org", selectors=["s1"]))
    assert found["DEFAULT_FROM_EMAIL"] is found["One-click unsubscribe"] is Result.WARN


def test_providers_tell_their_selectors_and_includes(server: DnsServer) -> None:
    with email_world() as world:
        world.ses.identities["example.org"] = world.ses.identities["example.com"]
        found = domains.check("example.org")
        by_name = {finding.what: finding for finding in found}
        assert by_name["DKIM key s1"].result is Result.OK  # SendGrid's usual one
        wanted = "a._domainkey.example.org. CNAME a.dkim.amazonses.com."
        assert by_name["DKIM key a"].publish == wanted  # SES knows that it must be there
        assert "DKIM key s2" not in by_name
        assert any(one.path.endswith("/identities/example.org") for one in world.ses.ledger.all())

        before = len(world.ses.ledger)
        names = results(domains.check("example.org", asks_vendors=False))
        assert "DKIM key a" not in names
        assert len(world.ses.ledger) == before

        server.zone.pop(("example.org", "TXT"))
        publish = next(iter(one.publish for one in domains.check("example.org")[1:2]))
        assert "include:amazonses.com" in publish


def test_a_vendor_that_does_not_tell_stops_nothing(server: DnsServer) -> None:
    with email_world() as world:
        world.ses.refuse()
        assert results(domains.check("example.org"))["DKIM key s1"] is Result.OK


# --- The staff page --------------------------------------------------------------------------


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def test_staff_see_the_findings(staff: Client, server: DnsServer) -> None:
    empty = staff.get(PAGE)
    assert empty.status_code == 200
    assert 'value="example.org"' in empty.content.decode()
    assert server.asked == []
    server.zone.pop(("_dmarc.example.org", "TXT"))
    answer = staff.get(PAGE, {"domain": "example.org", "selectors": "s1, s2"})
    text = answer.content.decode()
    for part in ("RSA, 2048 bits", "_dmarc.example.org. TXT", "nothing at s2._domainkey"):
        assert part in text


@pytest.mark.parametrize(
    "query", [{"domain": "nodot"}, {"domain": ""}, {"domain": "a.org", "return_path": "no dot"}]
)
def test_staff_are_told_of_a_domain_that_is_none(
    staff: Client, server: DnsServer, query: dict[str, str]
) -> None:
    answer = staff.get(PAGE, query)
    assert answer.status_code == 200
    assert "comms-error" in answer.content.decode()
    assert server.asked == []


def test_what_strangers_publish_is_escaped(staff: Client, server: DnsServer) -> None:
    server.zone["example.org", "TXT"] = ['"v=spf1 <script>alert(1)</script>"']
    text = staff.get(PAGE, {"domain": "example.org"}).content.decode()
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


def test_only_staff_who_may_see_providers(client: Client, db: None) -> None:
    clerk = User.objects.create_user("clerk", password="x", is_staff=True)
    client.force_login(clerk)
    assert client.get(PAGE).status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_providerstate"))
    assert client.get(PAGE).status_code == 200
