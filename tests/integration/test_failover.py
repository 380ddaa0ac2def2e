"""SendGrid, then SES, then SMTP: for the engine and for plain Django mail, over the wire."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import BadHeaderError, EmailMultiAlternatives, send_mail
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from notifications import retry
from notifications.email_backend import NotSent
from notifications.models import Attempt, DeadLetter, Delivery, ProviderState, Suppression, Work
from notifications.states import State
from notifications.types import Lane
from tests.email_world import EmailWorld, email_world
from tests.engine import drain, make_everything_due
from tests.fakes.behaviours import Hang, Reset, Status, throttled
from tests.fakes.smtp_behaviours import Reply

REFUSALS: dict[str, Callable[[EmailWorld], None]] = {
    "refused": lambda world: world.sendgrid.refuse(),
    "503": lambda world: world.sendgrid.script.always(Status(503)),
    "429": lambda world: world.sendgrid.script.always(world.sendgrid.throttled(reset_in=60)),
    "401": lambda world: world.sendgrid.script.always(Status(401)),
}


@pytest.fixture
def world() -> Iterator[EmailWorld]:
    with email_world() as world:
        yield world


def post(api: APIClient, **fields: object) -> str:
    body = {
        "to": {"email": "ada@example.org"},
        "content": {"subject": "Grüße", "text": "Hello", "html": "<p>Hello</p>"},
        **fields,
    }
    answer = api.post("/api/v1/notifications", body, format="json")
    assert answer.status_code == 202, answer.content
    return str(answer.json()["id"])


def story(api: APIClient, notification_id: str) -> list[tuple[str, str]]:
    """Provider and outcome of each attempt."""
    (delivery,) = api.get(f"/api/v1/notifications/{notification_id}").json()["deliveries"]
    return [(attempt["provider"], attempt["state"]) for attempt in delivery["attempts"]]


def test_sendgrid_gets_the_ids_as_custom_args(api: APIClient, world: EmailWorld) -> None:
    message_id = post(api, agent_id="agent-7")
    drain()

    (mail,) = world.sendgrid.messages
    attempt = Attempt.objects.get()
    assert mail.custom_args["message_id"] == message_id
    assert mail.custom_args["agent_id"] == "agent-7"
    assert mail.custom_args["attempt_id"] == str(attempt.id)
    assert story(api, message_id) == [("sendgrid", "accepted")]


@pytest.mark.parametrize("fault", REFUSALS)
def test_a_refusal_goes_to_the_next_provider_at_once(
    api: APIClient, world: EmailWorld, fault: str
) -> None:
    REFUSALS[fault](world)
    message_id = post(api)
    drain()

    assert world.taken() == {"sendgrid": 0, "ses": 1, "smtp": 0}
    assert [provider for provider, _ in story(api, message_id)] == ["sendgrid", "ses"]
    assert Delivery.objects.get().state == State.SENT


@pytest.mark.parametrize("fault", REFUSALS)
def test_with_ses_refused_too_it_goes_by_smtp(
    api: APIClient, world: EmailWorld, fault: str
) -> None:
    REFUSALS[fault](world)
    world.ses.refuse()
    message_id = post(api)
    drain()

    assert world.taken() == {"sendgrid": 0, "ses": 0, "smtp": 1}
    assert [provider for provider, _ in story(api, message_id)] == ["sendgrid", "ses", "smtp"]


def test_with_all_refusing_it_waits_and_is_tried_again(api: APIClient, world: EmailWorld) -> None:
    for server in (world.sendgrid, world.ses, world.smtp):
        server.refuse()
    post(api)
    drain()

    delivery, work = Delivery.objects.get(), Work.objects.get()
    assert delivery.state == State.QUEUED
    assert delivery.attempts_made == 3
    assert "all providers refused" in delivery.reason
    assert (
        timezone.now() - timedelta(seconds=1) < work.due_at < timezone.now() + timedelta(seconds=20)
    )
    world.smtp.accept()
    make_everything_due()
    drain()
    assert Delivery.objects.get().state == State.SENT


def test_rounds_used_up_end_in_one_dead_letter(
    api: APIClient, world: EmailWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(retry.POLICIES, Lane.URGENT, replace(retry.POLICIES[Lane.URGENT], rounds=3))
    for server in (world.sendgrid, world.ses, world.smtp):
        server.refuse()
    post(api, priority="urgent")
    for _ in range(40):
        make_everything_due()
        ProviderState.objects.update(opened_until=None, failures=0)
        if not drain(Lane.URGENT):
            break

    delivery = Delivery.objects.get()
    assert delivery.state == State.DEAD
    assert delivery.attempts_made == 9 == Attempt.objects.count()  # three rounds, three providers
    letter = DeadLetter.objects.get()
    assert letter.delivery == delivery
    assert letter.providers == ["sendgrid", "ses", "smtp"]
    assert not Work.objects.exists()


@pytest.mark.parametrize("silence", [Hang(), Reset(), Status(500)], ids=["hang", "reset", "500"])
def test_no_answer_is_unknown_and_no_second_provider_is_asked_before_the_wait(
    api: APIClient, world: EmailWorld, settings: Any, silence: Hang | Reset | Status
) -> None:
    world.sendgrid.script.always(silence)
    settings.PROVIDER_READ_TIMEOUT = 0.5 if isinstance(silence, Hang) else 10.0
    message_id, before = post(api), timezone.now()
    drain()

    assert Delivery.objects.get().state == State.UNKNOWN
    assert world.taken()["ses"] == world.taken()["smtp"] == 0
    due, wait, second = Work.objects.get().due_at, timedelta(seconds=15), timedelta(seconds=1)
    assert before + wait - second < due <= timezone.now() + wait + second
    settings.PROVIDER_READ_TIMEOUT = 10.0
    make_everything_due()
    drain()
    assert story(api, message_id) == [("sendgrid", "unknown"), ("ses", "accepted")]
    assert world.taken()["ses"] == 1


def test_five_silences_open_the_breaker_and_the_next_goes_elsewhere(
    api: APIClient, world: EmailWorld
) -> None:
    world.sendgrid.script.always(Reset())
    for _ in range(5):
        post(api)
        drain()
    assert ProviderState.objects.get(name="sendgrid").breaker == ProviderState.Breaker.OPEN

    message_id = post(api)
    drain()

    assert story(api, message_id) == [("ses", "accepted")]
    change = ProviderState.objects.get(name="sendgrid").changes.get(now="open")
    assert (change.was, change.now) == ("closed", "open")
    assert "failures in a row" in change.reason


def test_one_real_message_probes_and_closes_the_breaker(api: APIClient, world: EmailWorld) -> None:
    ProviderState.objects.create(
        name="sendgrid",
        breaker="open",
        failures=5,
        opened_until=timezone.now() - timedelta(seconds=1),
    )
    first, second = post(api), post(api)
    drain()

    assert story(api, first) == [("sendgrid", "accepted")]
    assert story(api, second) == [("sendgrid", "accepted")]  # a chunk of its own: after the probe
    assert ProviderState.objects.get(name="sendgrid").breaker == ProviderState.Breaker.CLOSED
    assert ProviderState.objects.get(name="sendgrid").probe_until is None


def test_a_provider_that_staff_switched_off_is_not_asked(api: APIClient, world: EmailWorld) -> None:
    ProviderState.objects.create(name="sendgrid", enabled=False)
    message_id = post(api)
    drain()

    assert story(api, message_id) == [("ses", "accepted")]


def test_a_mailbox_that_does_not_exist_fails_and_is_suppressed(
    api: APIClient, world: EmailWorld
) -> None:
    world.sendgrid.refuse()
    world.ses.refuse()
    world.smtp.script.always(Reply("RCPT", "550 5.1.1 user unknown"))
    post(api)
    drain()

    assert Delivery.objects.get().state == State.FAILED
    assert Suppression.objects.get().reason == "bounce"


# --- Plain Django mail -----------------------------------------------------------------------


@pytest.fixture
def plain(world: EmailWorld, db: None) -> Iterator[EmailWorld]:
    with override_settings(
        EMAIL_BACKEND="notifications.email_backend.FailoverEmailBackend",
        UNKNOWN_WAIT={"urgent": 0.2, "normal": 0.5, "bulk": 1.0},
    ):
        yield world


def mail() -> int:
    return send_mail("Grüße", "Hello", "shop@example.org", ["ada@example.org"])


def test_plain_mail_goes_by_sendgrid(plain: EmailWorld) -> None:
    assert mail() == 1
    assert plain.taken() == {"sendgrid": 1, "ses": 0, "smtp": 0}


@pytest.mark.parametrize("fault", REFUSALS)
def test_refused_plain_mail_goes_by_ses(plain: EmailWorld, fault: str) -> None:
    REFUSALS[fault](plain)
    assert mail() == 1
    assert plain.taken() == {"sendgrid": 0, "ses": 1, "smtp": 0}


@pytest.mark.parametrize("fault", REFUSALS)
def test_plain_mail_refused_twice_goes_by_smtp(plain: EmailWorld, fault: str) -> None:
    REFUSALS[fault](plain)
    plain.ses.refuse()
    assert mail() == 1
    assert plain.taken() == {"sendgrid": 0, "ses": 0, "smtp": 1}


def test_unanswered_plain_mail_waits_before_the_next_provider(plain: EmailWorld) -> None:
    plain.sendgrid.script.always(Reset())
    started = time.monotonic()
    assert mail() == 1
    assert time.monotonic() - started >= 0.5  # the wait for a receipt
    assert plain.taken()["ses"] == 1


def limited(name: str, count: int, seconds: float) -> None:
    """As staff would: so many recipients in so many seconds."""
    standing = {"limit_count": count, "limit_seconds": seconds}
    ProviderState.objects.update_or_create(name=name, defaults=standing)


def test_plain_mail_beyond_a_limit_goes_by_the_next_provider(plain: EmailWorld) -> None:
    limited("sendgrid", 2, 600)
    limited("ses", 1, 600)
    for _ in range(4):
        assert mail() == 1
    assert plain.taken() == {"sendgrid": 2, "ses": 1, "smtp": 1}


def test_plain_mail_waits_for_the_limit_of_the_last_provider(plain: EmailWorld) -> None:
    for name in ("sendgrid", "smtp"):
        ProviderState.objects.create(name=name, enabled=False)
    limited("ses", 1, 1)
    assert mail() == mail() == 1
    limited("ses", 1, 600)
    mail()
    with pytest.raises(NotSent):  # nobody waits for minutes
        mail()
    assert plain.taken()["ses"] == 3


def test_plain_mail_leaves_the_probes_of_others_to_them(plain: EmailWorld) -> None:
    """SES may be tried again; SendGrid takes the mail. The engine must be able to try SES."""
    past = timezone.now() - timedelta(seconds=1)
    ProviderState.objects.create(name="ses", failures=5, opened_until=past)
    assert mail() == 1
    assert plain.taken()["sendgrid"] == 1
    assert ProviderState.objects.get(name="ses").probe_until is None


def test_plain_mail_that_nobody_takes_is_an_error_unless_silenced(plain: EmailWorld) -> None:
    for server in (plain.sendgrid, plain.ses, plain.smtp):
        server.refuse()
    with pytest.raises(NotSent):
        mail()
    assert send_mail("s", "b", None, ["ada@example.org"], fail_silently=True) == 0


def test_plain_mail_cannot_smuggle_headers(plain: EmailWorld) -> None:
    with pytest.raises(BadHeaderError):
        send_mail("Hi\nBcc: eve@example.org", "b", None, ["ada@example.org"])
    assert plain.taken() == {"sendgrid": 0, "ses": 0, "smtp": 0}


def test_plain_mail_keeps_its_parts(plain: EmailWorld) -> None:
    plain.sendgrid.refuse()
    plain.ses.refuse()
    message = EmailMultiAlternatives("Grüße", "Text", "shop@example.org", ["ada@example.org"])
    message.attach_alternative("<p>Html</p>", "text/html")
    message.send()

    (received,) = plain.smtp.accepted
    assert received.message["Subject"] == "Grüße"
    kinds = [part.get_content_type() for part in received.message.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]


def test_throttling_says_how_long_in_the_breaker(api: APIClient, world: EmailWorld) -> None:
    world.sendgrid.script.always(throttled(30))
    post(api)
    drain()
    until = ProviderState.objects.get(name="sendgrid").opened_until
    assert until is not None
    assert until - timezone.now() > timedelta(seconds=20)


def test_a_channel_nobody_carries_is_refused_by_name(api: APIClient, settings: Any) -> None:
    settings.PROVIDERS = {}
    body = {"to": {"email": "ada@example.org"}, "content": {"subject": "s", "text": "t"}}
    answer = api.post("/api/v1/notifications", body, format="json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "no_provider"
    assert answer.json()["errors"][0]["field"] == "channels"
    assert not Delivery.objects.exists()
