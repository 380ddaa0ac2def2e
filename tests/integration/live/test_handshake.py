"""Who may open a socket, how many, and for how long."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client as Browser
from rest_framework.test import APIClient

from commsproject.common.identity import issuer, tokens
from commsproject.common.identity.errors import InvalidCredentials
from commsproject.common.live import origins, sessions, tickets
from commsproject.common.live.closes import Close
from commsproject.common.live.hub import hubs
from commsproject.common.live.people import Kind, Person
from commsproject.common.models import LiveTicket
from tests.integration.live.conftest import HOUR, Run
from tests.integration.live.saying import app
from tests.live_client import connected, ticket, user
from tests.live_feed import rooms

CSRF = "c" * 32

ORIGINS = [
    # allowed, listed, the page's origin
    (True, [], "https://comms.example.com"),
    (True, [], ""),  # no browser
    (False, [], "https://evil.example"),
    (False, [], "http://comms.example.com"),  # not over TLS
    (False, [], "https://comms.example.com:8443"),
    (False, [], "https://comms.example.com.evil.example"),
    (False, [], "https://evil.example/https://comms.example.com"),
    (False, [], "https://sub.comms.example.com"),
    (False, [], "null"),  # a sandboxed frame, a file
    (False, [], "https://comms.example.com,https://evil.example"),
    (False, [], "https://[::1"),
    (False, [], "https://comms.example.com:99999"),
    (True, ["https://app.example.com", "https://comms.example.com"], "https://app.example.com"),
    (False, ["https://app.example.com"], "https://comms.example.com"),
    (True, ["https://.example.com"], "https://any.example.com"),
    (False, ["https://.example.com"], "https://anyexample.com"),
]


def test_only_our_own_pages_open_a_socket(settings: Any) -> None:
    settings.PUBLIC_URL = "https://comms.example.com"
    for allowed, listed, origin in ORIGINS:
        settings.LIVE_ORIGINS = listed
        assert origins.is_allowed(origin) is allowed, origin


def test_a_page_of_another_site_is_refused_before_anything_else(live: Run) -> None:
    async def story() -> None:
        for origin, offered in [
            ("https://evil.example", None),
            (None, ["ticket.x"]),  # not a version that we speak
            (None, []),
        ]:
            with pytest.raises(PermissionError):
                async with connected(origin=origin, subprotocols=offered):
                    pass

    live(story())


async def refused(*offered: str, **kwargs: Any) -> int:
    """The code that the socket is closed with at once."""
    try:
        async with connected(subprotocols=["comms.v1", *offered], **kwargs):
            return 0
    except ConnectionError as error:
        return int(str(error).rpartition(" ")[2])


def test_a_ticket_opens_one_socket(live: Run, settings: Any) -> None:
    settings.PUBLIC_URL = "https://comms.example.com"

    def expired() -> str:
        given = ticket(user())
        LiveTicket.objects.update(expires_at=time_ago())
        return given

    def time_ago() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp() - interval '1 second'")
            return cursor.fetchone()[0]

    async def story() -> None:
        invalid = Close.UNAUTHENTICATED.code
        for offered in ([], ["ticket."], ["ticket.nobody"], ["ticket.a", "ticket.b"], ["ticket.é"]):
            assert await refused(*offered) == invalid, offered
        once = await app(ticket, user())
        both = await asyncio.gather(*(refused(f"ticket.{once}") for _ in range(8)))
        assert sorted(both) == [0] + [invalid] * 7
        assert await refused(f"ticket.{await app(expired)}") == invalid
        # One that a page got is for pages of the same origin.
        here, there = "https://comms.example.com", "https://app.example.com"
        settings.LIVE_ORIGINS = [here, there]
        login = sessions.Login(user())
        for origin, code in ((there, invalid), (None, invalid), (here, 0)):
            given = await app(tickets.issue, login, here)
            assert await refused(f"ticket.{given}", origin=origin) == code
        assert await app(LiveTicket.objects.count) == 0

    live(story())


def test_what_is_stored_of_a_ticket_opens_nothing_and_is_deleted(db: None) -> None:
    given = tickets.issue(sessions.Login(user(), token="eyJ-secret"), "")
    row = LiveTicket.objects.get()
    assert given.encode() not in bytes(row.digest) + bytes(row.sealed)
    assert b"secret" not in bytes(row.sealed)
    tickets.purge()
    assert LiveTicket.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("UPDATE common_liveticket SET expires_at = clock_timestamp()")
    tickets.purge()
    assert LiveTicket.objects.count() == 0


def test_who_gets_a_ticket(db: None, api: APIClient, settings: Any) -> None:
    def post(client: Any, **headers: str) -> Any:
        return client.post("/api/v1/ws-ticket", content_type="application/json", headers=headers)

    assert post(APIClient()).status_code == 401
    assert post(api).status_code == 403  # agents
    person = APIClient()
    person.credentials(HTTP_AUTHORIZATION=f"Bearer {issuer.issue('u-9', HOUR)}")
    answer = post(person)
    assert answer.status_code == 201
    assert answer.json()["expires_in"] == tickets.SECONDS
    login = tickets.redeem(answer.json()["ticket"], "")
    assert login is not None
    assert login.person == Person(Kind.USER, "u-9")
    assert login.expires_at is not None
    assert 3500 < login.expires_at - time.time() <= 3600
    assert not login.token  # nobody could revoke it

    staff = User.objects.create_user("ada", password="x", is_staff=True)
    customer = User.objects.create_user("eve", password="x")
    for one, status in ((staff, 201), (customer, 403)):
        browser = Browser(enforce_csrf_checks=True)
        browser.force_login(one)
        assert post(browser).status_code == 403  # another site's page has no CSRF token
        browser.cookies["csrftoken"] = CSRF
        answer = post(browser, **{"X-CSRFToken": CSRF, "Origin": "http://testserver"})
        assert answer.status_code == status
    browser = Browser()
    browser.force_login(staff)
    answer = post(browser, Origin="http://testserver")
    login = tickets.redeem(answer.json()["ticket"], "http://testserver")
    assert login is not None
    assert login.person == Person(Kind.STAFF, str(staff.pk))
    assert sessions.over([login]) == set()
    staff.set_password("y")  # signs out every session
    staff.save()
    assert sessions.over([login]) == {login}


def test_what_may_be_revoked_is_asked_about_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not sessions.can_be_revoked()
    settings.IDENTITY_VALIDATE_URL = "http://identity.invalid/auth/validate"
    assert sessions.can_be_revoked()
    login = sessions.Login(user(), token="x.y.z")
    assert sessions.over([login]) == set()  # the identity service is away

    def refuse(raw: str) -> None:
        raise InvalidCredentials

    monkeypatch.setattr(tokens, "validate", refuse)
    assert sessions.over([login]) == {login}


def test_a_session_that_ends_takes_its_sockets_with_it(live: Run) -> None:
    async def story() -> None:
        assert await refused(f"ticket.{await app(ticket, user(), expires_at=1.0)}") == 4403
        async with (
            connected(expires_at=time.time() + 1) as expiring,
            connected(user("u-2")) as staying,
            connected(Person(Kind.STAFF, "1"), session_key="gone") as signed_out,
        ):
            assert await expiring.close_code() == Close.ENDED.code
            await hubs.get().validate()
            assert await signed_out.close_code() == Close.ENDED.code
            assert (await staying.ask(type="ping"))["type"] == "pong"

    live(story())


def test_nothing_is_heard_after_the_end(live: Run) -> None:
    """A client need not answer a close frame, and may have sent more before it saw it."""

    async def story() -> None:
        hub = hubs.get()
        async with connected() as client:
            await client.ask(type="subscribe", rooms={"open": 0})
            (socket,) = hub.sockets.values()
            hub.shut(socket, Close.ENDED)
            await client.send(type="say", room="open", client_id="1", text="too late")
            await client.send(type="presence", state="away")
            assert await client.close_code() == Close.ENDED.code
        assert await app(rooms.Rooms().heads, ["open"]) == {}
        assert not hub.presence._does
        assert not hub._topics

    live(story())


def test_there_are_only_so_many_seats(live: Run, settings: Any) -> None:
    settings.LIVE_MAX_PER_PERSON, settings.LIVE_MAX_PER_ADDRESS = 2, 3
    settings.LIVE_MAX_CONNECTIONS = 5
    crowd = Close.CROWD.code

    async def another(person: str, address: str) -> int:
        return await refused(f"ticket.{await app(ticket, user(person))}", address=address)

    async def story() -> None:
        async with connected(user("u-1")), connected(user("u-1")):
            assert await another("u-1", "10.0.0.9") == crowd
            async with connected(user("u-2")):
                assert await another("u-3", "127.0.0.1") == crowd
                assert await another("u-3", "10.0.0.9") == 0
                async with (
                    connected(user("u-4"), address="10.0.0.4"),
                    connected(user("u-5"), address="10.0.0.5"),
                ):
                    assert await another("u-3", "10.0.0.9") == crowd
            assert await another("u-3", "127.0.0.1") == 0
        assert await another("u-1", "127.0.0.1") == 0
        assert not hubs.get().seats._taken

    live(story())
