"""Signing in to the staff pages: two steps, few tries, and a session that ends."""

from __future__ import annotations

import base64
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from commsproject.common.live.people import Kind, Person
from commsproject.common.live.sessions import Login, over
from commsproject.common.models import (
    AuditEvent,
    RecoveryCode,
    SecondFactor,
    SignInTry,
    StaffSession,
)
from commsproject.common.staff import factors, throttle, totp

PASSWORD = "correct horse battery"
SECRET = b"12345678901234567890"
HOME = reverse("admin:index")
LOGIN = reverse("admin:login")
CODE = reverse("admin:login_code")
SECURITY = reverse("admin:security")
SET_UP = reverse("admin:security_set_up")


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_superuser("ada", password=PASSWORD)


def with_factor(user: User) -> list[str]:
    """The recovery codes."""
    codes = factors.set_up(user, SECRET, now_code())
    assert codes is not None
    SecondFactor.objects.update(last_step=0)
    return codes


def now_code(off: int = 0) -> str:
    return totp.code(SECRET, int(time.time()) // totp.STEP + off)


def sign_in(client: Client, name: str = "ada", password: str = PASSWORD, **extra: Any) -> Any:
    return client.post(LOGIN, {"username": name, "password": password}, **extra)


def shown_secret(client: Client) -> bytes:
    """As it is typed into an app that cannot scan."""
    page = client.get(SET_UP).content.decode()
    assert "<svg class=" in page
    key = re.search(r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}", page)
    assert key is not None
    return base64.b32decode(key[0].replace(" ", ""))


def is_in(client: Client) -> bool:
    return client.get(reverse("admin:password_change")).status_code == 200


def at(address: str) -> HttpRequest:
    return RequestFactory(REMOTE_ADDR=address).post(LOGIN)


def at_end(answer: Any) -> str:
    """Where it leads to."""
    return str(answer["Location"])


def did(action: str) -> int:
    return AuditEvent.objects.filter(action=action).count()


# --- Two steps -------------------------------------------------------------------------------


def test_a_password_alone_signs_in_who_has_no_second_factor(ada: User, client: Client) -> None:
    assert sign_in(client).url == HOME
    assert is_in(client)
    assert StaffSession.objects.get().is_verified is False
    event = AuditEvent.objects.get(action="sign_in")
    assert (event.actor, event.actor_id, event.address[:1]) == ("ada", ada.pk, "#")
    client.post(reverse("admin:logout"))
    assert not is_in(client)
    assert not StaffSession.objects.exists()
    assert did("sign_out") == 1


def test_a_second_factor_is_set_up_and_asked_for(ada: User, client: Client, settings: Any) -> None:
    other = Client()
    sign_in(other)
    sign_in(client)
    secret = shown_secret(client)
    assert shown_secret(client) == secret, "the key stays until it is confirmed"
    assert client.post(SET_UP, {"code": "000000"}).status_code == 200
    assert not SecondFactor.objects.exists()
    typed = totp.code(secret, int(time.time()) // totp.STEP)
    shown = client.post(SET_UP, {"code": f" {typed[:3]} {typed[3:]} "})
    codes = re.findall(r"\b(?:[a-z2-9]{4}-){3}[a-z2-9]{4}\b", shown.content.decode())
    assert len(set(codes)) == factors.RECOVERY_CODES
    assert "no-store" in shown["Cache-Control"]
    assert not is_in(other), "the other sessions have no second factor"
    assert is_in(client)
    kept = (
        bytes(SecondFactor.objects.get().sealed)
        + repr(list(RecoveryCode.objects.values())).encode()
    )
    assert secret not in kept
    assert codes[0].replace("-", "").encode() not in kept
    client.post(reverse("admin:logout"))

    assert sign_in(client).url == CODE
    assert not is_in(client), "nobody is signed in between the steps"
    assert client.post(CODE, {"code": typed}).status_code == 200, "a code is good once"
    assert did("code_failed") == 1
    for wrong in ("", "000000", "\0", "x" * 41, "١٢٣٤٥٦"):
        assert client.post(CODE, {"code": wrong}).status_code == 200, wrong
    throttle.forgive([("code", str(ada.pk))])
    assert at_end(client.post(CODE, {"code": codes[0]})) == HOME
    assert is_in(client)
    assert StaffSession.objects.get().is_verified
    client.post(reverse("admin:logout"))
    sign_in(client)
    assert client.post(CODE, {"code": codes[0]}).status_code == 200, "a recovery code is good once"
    with time_machine.travel(time.time() + 2 * totp.STEP, tick=True):
        fresh = totp.code(secret, int(time.time()) // totp.STEP)
        assert client.post(CODE, {"code": fresh}).status_code == 302
    assert is_in(client)


def test_a_code_is_good_for_one_of_many(ada: User, transactional_db: None) -> None:
    """Sent ten times at once, by somebody who has seen it typed."""
    with_factor(ada)
    typed = now_code()

    def use(_: int) -> bool:
        try:
            return factors.check(ada, typed) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(use, range(10))) == 1


def test_the_second_step_needs_the_first(ada: User, client: Client) -> None:
    with_factor(ada)
    assert at_end(client.get(CODE)) == LOGIN
    assert at_end(client.post(CODE, {"code": now_code()})) == LOGIN
    sign_in(client)
    with time_machine.travel(time.time() + 301, tick=True):
        assert at_end(client.post(CODE, {"code": now_code()})) == LOGIN
    sign_in(client)
    ada.set_password("another one")
    ada.save()
    assert at_end(client.post(CODE, {"code": now_code()})) == LOGIN
    sign_in(client, password="another one")
    User.objects.update(is_active=False)
    assert at_end(client.post(CODE, {"code": now_code()})) == LOGIN
    assert not is_in(client)


def test_where_it_is_demanded_nothing_else_can_be_done(
    ada: User, client: Client, settings: Any
) -> None:
    settings.STAFF_TWO_FACTOR = True
    sign_in(client)
    for page in (HOME, SECURITY, reverse("admin:notifications_batch_changelist")):
        assert at_end(client.get(page)) == SET_UP
        assert at_end(client.post(page)) == SET_UP
    assert client.post("/api/v1/ws-ticket").status_code == 401
    assert client.get(SET_UP).status_code == 200
    secret = shown_secret(client)
    client.post(SET_UP, {"code": totp.code(secret, int(time.time()) // totp.STEP)})
    assert client.get(HOME).status_code == 200
    assert client.post("/api/v1/ws-ticket").status_code == 201
    code = totp.code(secret, int(time.time()) // totp.STEP + 1)
    assert at_end(client.post(reverse("admin:security_turn_off"), {"code": code})) == SECURITY
    assert at_end(client.get(HOME)) == SET_UP


def test_turning_it_off_and_new_codes_take_a_code(ada: User, client: Client) -> None:
    old = with_factor(ada)
    sign_in(client)
    client.post(CODE, {"code": now_code(-1)})
    renew, off = reverse("admin:security_codes"), reverse("admin:security_turn_off")
    for page in (renew, off):
        assert client.get(page).status_code == 200
        assert "good now" in client.post(page, {"code": "000000"}).content.decode()
    assert at_end(client.get(SET_UP)) == SECURITY, "no second one beside it"
    assert "recovery codes" in client.post(renew, {"code": now_code()}).content.decode()
    assert factors.check(ada, old[0]) is None
    assert at_end(client.post(off, {"code": now_code(1)})) == SECURITY
    assert not SecondFactor.objects.exists()
    assert not RecoveryCode.objects.exists()
    client.post(reverse("admin:logout"))
    assert sign_in(client).url == HOME


def test_who_has_lost_everything_is_let_in_by_an_administrator_or_the_command(
    ada: User, client: Client
) -> None:
    bob = User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    for reset in (
        lambda: client.post(
            reverse("admin:auth_user_changelist"),
            {"action": "reset_second_factor", "_selected_action": [bob.pk]},
        ),
        lambda: call_command("reset_second_factor", "bob"),
    ):
        with_factor(bob)
        sign_in(client)
        reset()
        assert sign_in(Client(), "bob").url == HOME
    assert did("reset_second_factor") == 2


def test_a_new_secret_key_keeps_the_second_factor_until_it_is_used(
    ada: User, settings: Any
) -> None:
    with_factor(ada)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "k" * 50, [settings.SECRET_KEY]
    assert factors.check(ada, now_code(-1)) is factors.Used.APP
    settings.SECRET_KEY_FALLBACKS = []
    assert factors.check(ada, now_code()) is factors.Used.APP
    settings.SECRET_KEY = "l" * 50
    assert factors.check(ada, now_code(1)) is None


# --- Few tries -------------------------------------------------------------------------------


def test_few_passwords_are_tried(ada: User, client: Client) -> None:
    for _ in range(throttle.LIMITS["pair"]):
        assert "correct username" in sign_in(client, " ADA", "wrong").content.decode()
    refused = sign_in(client).content.decode()
    assert "Too many tries. Try again in 15 minutes." in refused
    assert sign_in(client, REMOTE_ADDR="192.0.2.9").status_code == 302, "from elsewhere"
    assert did("sign_in_failed") == throttle.LIMITS["pair"] + 1
    with time_machine.travel(timezone.now() + throttle.WINDOW + timedelta(seconds=1), tick=True):
        assert sign_in(client).status_code == 302
    for number in range(throttle.LIMITS["address"] - 1):
        throttle.count(throttle.of_password(at("192.0.2.7"), f"nobody{number}"))
    sign_in(client, "nobody-at-all", "wrong", REMOTE_ADDR="192.0.2.7")
    assert "Too many" in sign_in(client, REMOTE_ADDR="192.0.2.7").content.decode()
    for number in range(throttle.LIMITS["account"]):
        throttle.count(throttle.of_password(at(f"198.51.100.{number // 4}"), "Ada"))
    assert "Too many" in sign_in(client, REMOTE_ADDR="203.0.113.1").content.decode()
    text = repr(list(AuditEvent.objects.values())) + repr(list(SignInTry.objects.values()))
    assert "nobody" not in text, "it may be somebody's password"
    assert "192.0.2." not in text


def test_few_codes_are_tried(ada: User, client: Client) -> None:
    with_factor(ada)
    sign_in(client)
    for _ in range(throttle.LIMITS["code"]):
        assert "good now" in client.post(CODE, {"code": "000000"}).content.decode()
    assert "Too many tries" in client.post(CODE, {"code": now_code()}).content.decode()
    assert not is_in(client)


def test_tries_at_once_are_all_counted(transactional_db: None) -> None:
    def attempt(_: int) -> bool:
        try:
            throttle.count([("code", "1"), ("address", "192.0.2.7")])
        except throttle.TooManyTries:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(attempt, range(30))) == throttle.LIMITS["code"]


# --- Sessions --------------------------------------------------------------------------------


def test_a_session_ends(ada: User, client: Client, settings: Any) -> None:
    settings.STAFF_SESSION_HOURS = 2
    with time_machine.travel(timezone.now(), tick=False) as clock:
        sign_in(client)
        clock.shift(timedelta(minutes=settings.STAFF_SESSION_IDLE_MINUTES - 1))
        assert client.get(HOME, headers={"Sec-Fetch-Dest": "empty"}).status_code == 200
        clock.shift(timedelta(minutes=2))
        ended = client.get(HOME, follow=True).content.decode()
        assert "Your session has ended" in ended, "news that a page fetches keep nothing alive"
        sign_in(client)
        for _ in range(settings.STAFF_SESSION_HOURS * 2 - 1):
            clock.shift(timedelta(minutes=30))
            assert is_in(client)
        clock.shift(timedelta(minutes=31))
        assert not is_in(client)


def test_sessions_are_listed_and_ended(ada: User, client: Client) -> None:
    home, phone, bobs = Client(), Client(headers={"User-Agent": "Phone <b>"}), Client()
    User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    for one in (client, home, phone):
        sign_in(one)
    sign_in(bobs, "bob")
    page = client.get(SECURITY).content.decode()
    assert "Phone &lt;b&gt;" in page
    assert page.count("End it") == 2
    row = StaffSession.objects.get(browser__startswith="Phone")
    end = reverse("admin:security_end", args=[row.pk])
    assert bobs.post(end).status_code == 404, "somebody else's"
    assert client.get(end).status_code == 405
    assert at_end(client.post(end)) == SECURITY
    assert [is_in(one) for one in (client, home, phone)] == [True, True, False]
    client.post(reverse("admin:security_end_others"))
    assert [is_in(one) for one in (client, home, bobs)] == [True, False, True]
    listed = reverse("admin:common_staffsession_changelist")
    bob = StaffSession.objects.get(user__username="bob")
    assert bobs.get(listed).status_code == 403
    client.post(listed, {"action": "end_selected", "_selected_action": [bob.pk]})
    assert not is_in(bobs)
    event = AuditEvent.objects.get(action="end_selected")
    assert (event.actor, event.model, event.object_id) == (
        "ada",
        "common.staffsession",
        str(bob.pk),
    )


def test_a_new_password_ends_the_others(ada: User, client: Client) -> None:
    other = Client()
    sign_in(client)
    sign_in(other)
    new = {
        "old_password": PASSWORD,
        "new_password1": "a new one 77",
        "new_password2": "a new one 77",
    }
    assert client.post(reverse("admin:password_change"), new).status_code == 302
    assert is_in(client)
    assert not is_in(other)
    assert StaffSession.objects.count() == 1
    ada.refresh_from_db()
    ada.set_password("by somebody else")
    ada.save()
    assert not StaffSession.objects.exists()
    assert not is_in(client)


def test_a_socket_ends_with_the_session(ada: User, client: Client) -> None:
    sign_in(client)
    login = Login(Person(Kind.STAFF, str(ada.pk)), session_key=client.session.session_key or "")
    assert over([login]) == set()
    StaffSession.objects.all().delete()
    assert over([login]) == {login}


def test_a_forged_session_is_nobodys(ada: User, client: Client) -> None:
    """Django's session alone, without ours or with somebody else's."""
    sign_in(client)
    bob = User.objects.create_user("bob", is_staff=True)
    StaffSession.objects.update(user=bob)
    assert not is_in(client)
