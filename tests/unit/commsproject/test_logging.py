"""What ends up in the log: through Django's own configuration, down to the printed line."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import time
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from commsproject.common.correlation import bound
from commsproject.common.logging import redact, without_paths

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1LTEifQ.c2lnbmF0dXJlLW9mLWl0"
KEY = "comm_live_abcdEFGH_" + "x" * 43

SECRETS = [
    ("ada@example.com", "ada@example.com"),
    ("Ada <ada.l+tag@mail.example.co.uk>", "ada.l+tag@mail.example.co.uk"),
    ("grüße@bücher.example", "grüße@bücher.example"),
    ("to=ada@example.com,bob@example.com;", "bob@example.com"),
    ("sms to +4915112345678 failed", "4915112345678"),
    ("+16502530000", "6502530000"),
    (f"key {KEY} refused", KEY[10:]),
    (f"Authorization: Bearer {KEY}", KEY[10:]),
    (f"authorization: bearer {JWT}", JWT[5:]),
    (f"token={JWT}", JWT[5:]),
    ("Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    ("SG.abcdefghijk.lmnopqrstuvwxyz-0123", "lmnopqrstuvwxyz"),
    ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
    ("postgres://comms:hunter2@db.example.com/comms", "hunter2"),
    ("redis://:hunter2@localhost:6379/0", "hunter2"),
    ("smtp://user%40example.com:hunter2@mail.example.com:587", "hunter2"),
]

KEPT = [
    "request 019a0000-0000-7000-8000-000000000001 took 12.5 ms",
    "550 5.1.1 user unknown",
    "https://comms.example.com:8002/api/v1/notifications?limit=5",
    "2026-03-01T12:00:00+00:00",
    "notifications_work.due_at <= now() + interval '1 minute'",
    "render/text at line 4, column 20",
    "state=sent provider=sendgrid",
]


class Printed:
    """The lines of the service's own handler and formatter."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        config: dict[str, Any] = deepcopy(settings.LOGGING)
        made = logging.config.DictConfigurator(config)
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(made.configure_formatter(config["formatters"]["json"]))

    @override
    def __str__(self) -> str:
        return self.stream.getvalue()

    def line(self) -> dict[str, Any]:
        (text,) = str(self).splitlines()
        found: dict[str, Any] = json.loads(text)
        return found

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in str(self).splitlines()]


@pytest.fixture
def printed() -> Iterator[Printed]:
    lines = Printed()
    root = logging.getLogger()
    root.addHandler(lines.handler)
    yield lines
    root.removeHandler(lines.handler)


ours = structlog.get_logger("tests.ours")
theirs = logging.getLogger("tests.theirs")


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_is_blanked_in_the_message(printed, text, secret):
    ours.warning(text)
    theirs.warning("They say %s and %r", text, [text])
    assert secret not in str(printed)
    assert "[" in printed.lines()[0]["event"]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_is_blanked_in_the_fields_however_deep(printed, text, secret):
    fields = {"flat": text, "deep": {"a": [text, (text,)], text: 1}, "object": ValueError(text)}
    ours.warning("event", **fields)
    theirs.warning("event", extra=fields)
    with bound(bound=text):
        ours.warning("event")
    assert len(printed.lines()) == 3
    assert secret not in json.dumps(printed.lines(), ensure_ascii=False)


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_is_blanked_in_an_exception(printed, text, secret):
    try:
        raise ValueError(text) from KeyError(text)
    except ValueError:
        ours.exception("it failed")
        theirs.exception("it failed")
    for line in printed.lines():
        assert "Traceback" in line["exception"]
        assert secret not in json.dumps(line, ensure_ascii=False)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fails",
    [
        "INSERT INTO words (kind, body) VALUES (NULL, %s)",  # the whole row
        "INSERT INTO words (kind, body) VALUES ('a', %s), ('b', %s)",  # its unique value
    ],
)
def test_a_row_that_postgresql_refuses_is_not_printed(printed, fails):
    body = "The code is 4711.\nTell nobody: 0815.\n\n  Yours"
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE words (kind text NOT NULL, body text UNIQUE)")
    try:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(fails, [body] * fails.count("%s"))
        except IntegrityError as error:
            raise RuntimeError("as it was stored") from error
    except RuntimeError:
        logging.getLogger("somewhere").exception("It failed.")
    line = printed.line()["exception"]
    assert "IntegrityError" in line
    assert "constraint" in line
    assert "RuntimeError: as it was stored" in line
    assert "DETAIL: [row]" in line
    for word in ("4711", "0815", "Yours", "Tell nobody"):
        assert word not in line


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_is_kept(printed, text):
    ours.warning(text, field=text, number=4915112345678, flag=True, nothing=None)
    line = printed.line()
    assert line["event"] == line["field"] == text
    assert (line["number"], line["flag"], line["nothing"]) == (4915112345678, True, None)


def test_a_line_is_one_json_object_with_the_request_id(printed):
    with bound(request_id="req-12345678"):
        ours.info("one\nline", work="w")
        theirs.warning("another")
    own, other = printed.lines()
    assert own["request_id"] == other["request_id"] == "req-12345678"
    assert own["event"] == "one\nline"
    assert own["level"] == "info"
    assert own["logger"] == "tests.ours"
    assert own["work"] == "w"
    assert own["timestamp"].endswith("Z")
    ours.info("later")
    assert "request_id" not in printed.lines()[-1]


@given(st.text())
def test_any_text_can_be_redacted(text):
    event = redact(None, "info", {"event": text, "more": [text, {text: text}]})
    assert isinstance(event["event"], str)
    assert redact(None, "info", dict(event)) == event


@given(st.emails(domains=st.just("example.com")).filter(lambda email: email.isascii()))
def test_no_address_is_printed_whole(email):
    assert email not in str(redact(None, "info", {"event": f"to {email} now"}))


def test_a_long_text_is_redacted_in_no_time():
    started = time.thread_time()  # of a text that is looked at again from each letter: hours
    for text in ("a" * 500_000, "a." * 250_000, "a@" * 250_000, "eyJ" * 100_000, "a://:" * 100_000):
        redact(None, "info", {"event": text})
    assert time.thread_time() - started < 20


def test_a_request_is_one_line_with_its_route_and_without_its_path(printed):
    token = "secret-token-of-an-unsubscribe-link"
    client = Client(headers={"X-Request-Id": "req-12345678"})
    assert client.get(f"/u/{token}").status_code == 404
    assert client.post(f"/u/{token}").status_code == 404
    assert token not in str(printed)
    first, second = printed.lines()
    assert first["request_id"] == second["request_id"] == "req-12345678"
    assert (first["method"], first["route"], first["status"]) == ("GET", "u/<str:token>", 404)
    assert first["ms"] >= 0


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "with space", "a\nb-forged-line", "é" * 9]
)
def test_a_request_id_that_is_not_well_formed_is_replaced(given):
    answered = Client(headers={"X-Request-Id": given}).get("/health/live").headers["X-Request-Id"]
    assert answered != given
    assert len(answered) == 32


def test_a_well_formed_request_id_comes_back():
    answer = Client(headers={"X-Request-Id": "Abc-123._x"}).get("/health/live")
    assert answer.headers["X-Request-Id"] == "Abc-123._x"


def test_djangos_own_line_about_a_defect_has_no_path(caplog):
    event = {"event": "Internal Server Error: /u/token", "logger": "django.request", "request": "x"}
    assert without_paths(None, "error", event) == {
        "event": "Internal Server Error",
        "logger": "django.request",
    }
