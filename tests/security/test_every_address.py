"""Every address of the service, taken from its own routes: what its answers carry in production, to
nobody and to those who are let in, whom the staff pages send away, and which hosts are answered at all.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import get_resolver, reverse
from rest_framework.test import APIClient

from tests.inboxes import person
from tests.integration.conversations.people import start, write
from tests.integration.test_staff_permissions import path
from tests.integration.test_staff_sign_in import PASSWORD, now_code, sign_in, with_factor
from tests.security.test_object_access import views, world
from tests.unit.commsproject.test_admin_pages import everything

__all__ = ["everything", "world"]

pytestmark = pytest.mark.django_db

HOST = "comms.example.com"

EVERYWHERE = {
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
STRICT = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
LOOSER = {
    "/admin/": (
        f"{STRICT}; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:"
    ),
    "/api/docs/": f"{STRICT}; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
}
"""Content-Security-Policy, word for word, of all pages and of those below these. Written down a second
time: what is taken out of the service's own must be missed."""

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


def routes() -> Iterator[str]:
    """The route of every page, as it is written."""
    yield from (route for route, _ in views(get_resolver()))


_VALUES = {"uuid": str(UUID(int=7)), "int": "7"}

BY_HAND = {
    "/admin/^(?P<app_label>": "/admin/notifications/",
    "/admin/(?P<url>.*)$": "/admin/no-such-page/",
}
"""Of routes that are regular expressions, by how they begin: an address of each."""


def address(route: str, names: Mapping[str, object]) -> str:
    """One that the route matches. Where `names` has nothing for a part of it, of nothing there is."""
    if "(" in route:
        (by_hand,) = (where for start, where in BY_HAND.items() if route.startswith(start))
        return by_hand

    def value(part: re.Match[str]) -> str:
        return str(names.get(part[2], _VALUES.get(part[1] or "", "x")))

    return re.sub(r"<(?:(\w+):)?(\w+)>", value, route)


def addresses(names: Mapping[str, object] | None = None) -> list[str]:
    found = {address(route, names or {}) for route in routes()}
    assert found >= set(BY_HAND.values())
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


@pytest.mark.timeout(600)  # every page of the console, with all that is around it
@pytest.mark.usefixtures("everything")
def test_what_answers_to_staff_carry(production: dict[str, Any], subtests: pytest.Subtests) -> None:
    """To one who may do everything, of rows that there are: the pages themselves, not the way to sign in."""
    pages = [
        path("", route[1:])
        if route.startswith("/admin/") and "(" not in route
        else address(route, {})
        for route in routes()
    ]
    with override_settings(**production):
        with_factor(User.objects.create_superuser("ada", password=PASSWORD))
        client = Client(headers={"Host": HOST}, raise_request_exception=False)
        sign_in(client, secure=True)
        signed_in = client.post(reverse("admin:login_code"), {"code": now_code()}, secure=True)
        assert signed_in.status_code == 302
        seen = walk(client, pages, subtests)
    opened = [where for where in seen[200] if where.startswith("/admin/")]
    assert len(opened) > 150


def test_what_answers_to_agents_and_people_carry(
    production: dict[str, Any],
    world: dict[str, Any],
    api: APIClient,
    subtests: pytest.Subtests,
) -> None:
    ada = person("ada")
    talk = start(ada, "direct", "bob")
    names = {**world, "conversation_id": talk["id"], "entry_id": write(ada, talk)["id"]}
    with override_settings(**production):
        agents = walk(anew(api), addresses(names), subtests)
        persons = walk(anew(ada), addresses(names), subtests)
    assert len([where for where in agents[200] if where.startswith("/api/v1/")]) > 30
    assert len([where for where in persons[200] if where.startswith("/api/v1/")]) > 5


def anew(client: APIClient) -> APIClient:
    """With its credentials: middleware keeps the settings of a client's first request."""
    made = APIClient()
    made.credentials(**client._credentials)  # type: ignore[attr-defined]
    return made


def walk(client: Client, pages: Iterable[str], subtests: pytest.Subtests) -> dict[int, list[str]]:
    """What was answered with which status."""
    seen: dict[int, list[str]] = defaultdict(list)
    for where in pages:
        with subtests.test(where):
            answer = client.get(where, secure=True, headers={"Host": HOST})
            check(where, answer)
            seen[answer.status_code].append(where)
    return seen


def check(where: str, answer: Any) -> None:
    assert answer.status_code < 500
    headers = dict(answer.headers)
    assert not TELLTALE & headers.keys()
    looser = (policy for start, policy in LOOSER.items() if where.startswith(start))
    assert headers["Content-Security-Policy"] == next(looser, STRICT)
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
