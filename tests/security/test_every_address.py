"""Every address of the service, taken from its own routes: what its answers carry in production, whom the
staff pages send away, and which hosts are answered at all.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import get_resolver, reverse

from commsproject.common import csp
from tests.integration.test_staff_sign_in import PASSWORD, now_code, sign_in, with_factor

pytestmark = pytest.mark.django_db

HOST = "comms.example.com"

EVERYWHERE = {
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
PROBES = ("/health", "/health/live", "/health/ready", "/metrics")
"""Answered before anything else looks, by any host and without TLS: machines ask inside a cluster."""

NO_REFERRER = ("/u/", "/c/", "/preferences/", "/l/", "/o/")
"""Where the address itself is a key. Elsewhere other sites get no address."""

KEPT_BY_NOBODY = ("/api/v1/", "/admin/", "/u/", "/c/", "/preferences/", "/l/", "/o/")

TELLTALE = {"Server", "X-Powered-By", "Via"}

_IN_PRODUCTION = """
import json
from commsproject.settings import prod
kept = ("SECURE_", "SESSION_COOKIE_", "CSRF_COOKIE_", "ALLOWED_HOSTS", "STAFF_TWO_FACTOR", "X_FRAME",
        "USE_X_", "DEBUG")
print(json.dumps({name: value for name, value in vars(prod).items() if name.startswith(kept)}))
"""


@pytest.fixture(scope="module")
def production() -> dict[str, Any]:
    """The settings of production that have to do with this, read in a process of its own."""
    secret = "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    env = {
        "SECRET_KEY": secret,
        "ADDRESS_HASH_KEY": secret,
        "DATABASE_URL": "postgres://check@localhost/check",
        "REDIS_URL": "redis://localhost:6379/0",
        "PUBLIC_URL": f"https://{HOST}",
        "DEFAULT_FROM_EMAIL": f"comms@{HOST}",
    }
    known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    printed = subprocess.run(
        [sys.executable, "-c", _IN_PRODUCTION],
        env=known | env,
        check=True,
        capture_output=True,
        timeout=60,
    )
    found: dict[str, Any] = json.loads(printed.stdout)
    found["SECURE_PROXY_SSL_HEADER"] = tuple(found["SECURE_PROXY_SSL_HEADER"])
    return found


def routes(resolver: Any = None, start: str = "/") -> Iterator[str]:
    """The route of every page, as it is written."""
    for one in (resolver or get_resolver()).url_patterns:
        route = start + str(one.pattern)
        if hasattr(one, "url_patterns"):
            yield from routes(one, route)
        else:
            yield route


_VALUES = {"uuid": str(UUID(int=7)), "int": "7"}


def addresses() -> list[str]:
    found = {
        re.sub(r"<(?:(\w+):)?\w+>", lambda one: _VALUES.get(one[1] or "", "x"), route)
        for route in routes()
        if "(" not in route  # the last of the admin's, for what is none of its pages
    }
    return sorted({*found, *PROBES, "/metrics", "/no-such-page"})


def test_what_every_answer_carries_in_production(
    production: dict[str, Any], subtests: pytest.Subtests
) -> None:
    """With no credentials, so that what is seen is what anybody can make the service say."""
    with override_settings(**production):
        client = Client(raise_request_exception=False)
        for where in addresses():
            with subtests.test(where):
                plain = client.get(where, headers={"Host": HOST})
                if where not in PROBES:
                    assert (plain.status_code, plain["Location"]) == (301, f"https://{HOST}{where}")
                check(where, client.get(where, secure=True, headers={"Host": HOST}))


def check(where: str, answer: Any) -> None:
    assert answer.status_code < 500
    headers = dict(answer.headers)
    assert not TELLTALE & headers.keys()
    policy = headers["Content-Security-Policy"]
    assert "default-src" in policy
    assert not re.search(r"\*|https?:|'unsafe-inline'[^;]*;?\s*script", policy), policy
    script = re.search(r"script-src ([^;]*)", policy)
    assert "unsafe-inline" not in (script[1] if script else ""), policy
    assert where.startswith(tuple(csp.LOOSER)) or "unsafe" not in policy
    assert "Access-Control-Allow-Origin" not in headers
    cookies = answer.cookies
    assert all(cookie["secure"] and cookie["samesite"] for cookie in cookies.values())
    assert not cookies or where.startswith("/admin/")
    if where in PROBES:
        return
    assert {name: headers.get(name) for name in EVERYWHERE} == EVERYWHERE
    wanted = "no-referrer" if where.startswith(NO_REFERRER) else "same-origin"
    assert headers["Referrer-Policy"] == wanted
    if where.startswith(KEPT_BY_NOBODY):
        assert "no-store" in headers["Cache-Control"]


def test_a_staff_page_opens_only_after_both_steps(settings: Any, subtests: pytest.Subtests) -> None:
    settings.STAFF_TWO_FACTOR = True
    User.objects.create_superuser("ada", password=PASSWORD)
    halfway, nobody = Client(), Client()
    sign_in(halfway)
    login, set_up = reverse("admin:login"), reverse("admin:security_set_up")
    open_to_all = {login, reverse("admin:login_code"), reverse("admin:jsi18n")}
    on_the_way = {*open_to_all, set_up, reverse("admin:logout")}
    pages = [where for where in addresses() if where.startswith("/admin/")]
    assert len(pages) > 200
    for where in pages:
        for method in ("get", "post"):
            with subtests.test(f"{method} {where}"):
                if where not in on_the_way:
                    sent_on = getattr(halfway, method)(where)
                    assert (sent_on.status_code, sent_on["Location"]) == (302, set_up)
                if where not in on_the_way:
                    answer = getattr(nobody, method)(where)
                    assert answer.status_code == 302, where
                    assert answer["Location"].startswith(login)


def test_a_session_is_in_a_cookie_that_no_script_and_no_other_site_has(
    production: dict[str, Any],
) -> None:
    with override_settings(**production):
        User.objects.create_superuser("ada", password=PASSWORD)
        client = Client(headers={"Host": HOST})
        before = client.get(reverse("admin:login"), secure=True).cookies
        answer = sign_in(client, secure=True)
        assert answer.status_code == 302
        session = answer.cookies["sessionid"]
        assert (session["secure"], session["httponly"]) == (True, True)
        assert (session["samesite"], session["domain"], session["path"]) == ("Lax", "", "/")
        assert "sessionid" not in before, "what somebody was given before is worth nothing after"
        assert answer.cookies["csrftoken"].value != before["csrftoken"].value


def test_after_signing_in_nobody_is_led_elsewhere(settings: Any) -> None:
    """CWE-601: `next` is a page of ours or it is the first page; at either step."""
    settings.ALLOWED_HOSTS = ["testserver"]
    user = User.objects.create_superuser("ada", password=PASSWORD)
    home, login = reverse("admin:index"), reverse("admin:login")
    elsewhere = (
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "https:evil.example",
        "https:///evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "/\t/evil.example/\r\nLocation: https://evil.example",
        "http://testserver@evil.example/",
        "http://testserver.evil.example/",
    )
    form = {"username": "ada", "password": PASSWORD}
    for place in elsewhere:
        assert leads(Client().post(login, {**form, "next": place})) == home, place
        assert leads(Client().post(f"{login}?next={place}", form)) == home, place
    good = reverse("admin:notifications_batch_changelist")
    assert leads(Client().post(login, {**form, "next": good})) == good
    with_factor(user)
    for number, place in enumerate(elsewhere[:2]):
        client = Client()
        assert leads(client.post(login, {**form, "next": place})) == reverse("admin:login_code")
        assert leads(client.post(reverse("admin:login_code"), {"code": now_code(number)})) == home


def leads(answer: Any) -> str:
    assert answer.status_code == 302, answer.status_code
    return str(answer["Location"])


def test_only_our_own_hosts_are_answered(production: dict[str, Any]) -> None:
    """A name in `Host` ends up in links of answers: it is one of ours, whatever else a proxy says."""
    evil = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    with override_settings(**production):
        client = Client()
        for host in ("evil.example", "evil.example:443", f"{HOST}.evil.example", f"x@{HOST}", ""):
            for where in ("/", "/api/v1/notifications", "/admin/", "/u/x", "/api/schema/"):
                answer = client.get(where, secure=True, headers={"Host": host})
                assert answer.status_code == 400, (host, where)
                assert b"evil" not in answer.content
        for where in ("/", "/api/v1/notifications", "/admin/", "/u/x", "/api/schema/"):
            answer = client.get(where, secure=True, headers={"Host": HOST, **evil})
            content = answer.getvalue() if answer.streaming else answer.content
            assert b"evil" not in content
            assert "evil" not in str(answer.headers)
