"""`clients/python` against the service, by HTTP; and what it does when the network or the service fails."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import comms_client
import generate
import httpx
import pytest
from comms_client import AsyncComms, Comms, Retries, calls, errors, webhooks
from comms_client.calls import Call

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from tests import api_snapshot

HELLO: Any = {
    "to": {"email": "delivered@simulator.test"},
    "content": {"subject": "Hello", "text": "It works."},
}
README = Path(generate.__file__).with_name("README.md")


def test_its_operations_are_those_of_the_description() -> None:
    for path, text in generate.files(api_snapshot.published()).items():
        assert path.read_text() == generate.formatted(text, path), "run `make openapi`"


# --- Against the service ---------------------------------------------------------------------


@pytest.fixture
def key(transactional_db: None) -> str:
    return keys.issue(ApiClient.objects.create(name="billing"), list(Scope))[1]


@pytest.fixture
def comms(live_server: Any, key: str) -> Iterator[Comms]:
    with Comms(live_server.url, key, trust_env=False) as comms:
        yield comms


def test_the_first_message_of_the_readme(
    live_server: Any, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[0]
    assert len([line for line in first.splitlines() if line]) <= 5
    code = first.replace("http://localhost:8002", live_server.url)
    exec(code, {"KEY": key})
    assert capsys.readouterr().out == "queued\n"


def test_a_tour_of_the_service(comms: Comms) -> None:
    sent = [comms.notifications.send(**HELLO, reference=f"r-{n}") for n in range(3)]
    found = list(comms.notifications.list(limit=1))
    assert [one["id"] for one in found] == [one["id"] for one in reversed(sent)]
    assert [one["reference"] for one in comms.notifications.list(reference="r-1")] == ["r-1"]
    same = [comms.notifications.send(**HELLO, idempotency_key="k")["id"] for _ in range(2)]
    assert same[0] == same[1]

    comms.recipients.put("u 1 ?", locale="de", emails=["ada@example.org"])
    assert comms.recipients.get("u 1 ?")["locale"] == "de"
    rows = b'{"user_id": "u-2", "emails": ["bob@example.org"]}\n'
    assert comms.recipients.import_(content=rows)["stored"] == 1
    comms.topics.make(key="news", name="News")
    assert comms.topics.add("news", user_ids=["u-2"])["changed"] == 1
    assert comms.topics.remove("news", user_ids=["u-2"])["changed"] == 1
    comms.topics.delete("news")
    assert comms.suppressions.export().startswith("channel,address")  # text stays text
    assert comms.whoami()["kind"] == "agent"


def test_each_refusal_is_an_exception_of_its_own(comms: Comms, live_server: Any) -> None:
    with pytest.raises(comms_client.InvalidRequest) as invalid:
        comms.notifications.send(to={"email": "nobody"}, content={"text": "Hi."})
    assert [error.field for error in invalid.value.errors] == ["to.email"]
    assert invalid.value.request_id
    with pytest.raises(comms_client.NotFound):
        comms.templates.get("nothing")
    comms.topics.make(key="news", name="News")
    with pytest.raises(comms_client.Conflict):
        comms.topics.make(key="news", name="News")
    stranger = Comms(live_server.url, "comm_live_no_key", trust_env=False)
    with stranger, pytest.raises(comms_client.Unauthenticated):
        stranger.whoami()


def test_the_same_with_asyncio(live_server: Any, key: str) -> None:
    async def story() -> None:
        async with AsyncComms(live_server.url, key, trust_env=False) as comms:
            sent = [await comms.notifications.send(**HELLO) for _ in range(3)]
            found = [one["id"] async for one in comms.notifications.list(limit=2)]
            assert found == [one["id"] for one in reversed(sent)]
            with pytest.raises(comms_client.NotFound):
                await comms.batches.get("019a0000-0000-7000-8000-000000000001")

    asyncio.run(story())


# --- Against a network that fails --------------------------------------------------------------

Reply = Callable[[httpx.Request], httpx.Response]


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("no answer", request=request)


def refused(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody listens", request=request)


def saying(status: int, body: Any = None, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: httpx.Response(status, json={} if body is None else body, headers=named)


class Wire:
    """Answers as it is told, one reply after the other, and remembers who asked."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = iter(replies)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return next(self._replies)(request)


def client(wire: Wire, **options: Any) -> Comms:
    known = {"retries": Retries(first=0.001, most=2.0), **options}
    return Comms("https://comms.example.com", "key", transport=httpx.MockTransport(wire), **known)


IN_FLIGHT = saying(409, {"code": "idempotency_key_in_flight"}, retry_after="0")
FINE = saying(202, {"id": "1"})


@pytest.mark.parametrize(
    "first", [lost, refused, saying(500), saying(502), saying(503), saying(429), IN_FLIGHT]
)
def test_a_message_is_sent_again_under_the_same_key(first: Reply) -> None:
    wire = Wire(first, FINE)
    assert client(wire).notifications.send(**HELLO)["id"] == "1"
    used = [request.headers["idempotency-key"] for request in wire.requests]
    assert used[0] == used[1] != ""


def test_whatever_takes_a_key_is_sent_again() -> None:
    wire = Wire(lost, FINE, lost, FINE)
    client(wire).schedules.create(name="x", cron="0 9 * * *")
    client(wire).templates.test_send("welcome", to={"user_id": "u-1"})
    first, again, other, other_again = (one.headers["idempotency-key"] for one in wire.requests)
    assert first == again != other == other_again


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (lost, errors.NoAnswer),
        (saying(500), errors.ServiceFailed),
        (saying(503), errors.ServiceFailed),  # its database went away, perhaps at the commit
        (saying(409), errors.Conflict),
    ],
)
def test_what_may_have_been_done_is_not_done_twice(first: Reply, expected: type[Exception]) -> None:
    wire = Wire(first, FINE)
    with pytest.raises(expected):
        client(wire).webhook_endpoints.make(url="https://hooks.example.com/")
    assert len(wire.requests) == 1


@pytest.mark.parametrize("first", [refused, saying(429)])
def test_what_was_certainly_not_done_is_done_again(first: Reply) -> None:
    wire = Wire(first, FINE)
    client(wire).webhook_endpoints.make(url="https://hooks.example.com/")
    assert len(wire.requests) == 2


def test_it_gives_up_after_so_many_tries_or_when_asked_to_wait_too_long() -> None:
    wire = Wire(*[lost] * 9)
    with pytest.raises(errors.NoAnswer):
        client(wire).whoami()
    assert len(wire.requests) == 5
    wire = Wire(saying(429, retry_after="60"))
    with pytest.raises(errors.RateLimited):
        client(wire).whoami()


def test_how_long_it_waits() -> None:
    retries = Retries(times=3, first=0.5, most=1.0)
    for tried, most in ((1, 0.5), (2, 1.0), (3, 1.0)):
        waits = [retries.wait(tried) for _ in range(200)]
        assert all(wait is not None and 0 <= wait <= most for wait in waits)
    assert retries.wait(4) is None
    assert 0.9 <= (retries.wait(1, asked=0.9) or 0) <= 1.4
    answer = httpx.Response(503, headers={"retry-after": "1"})
    assert (calls.wait_after_answer(Call("PUT", "/x"), answer, retries, 1) or 0) >= 1


def test_the_key_goes_to_nobody_else() -> None:
    """The host of a link to the next page is not believed."""
    link = "https://elsewhere.example/api/v1/alerts?cursor=c%2B1&limit=1"
    wire = Wire(
        saying(200, {"results": [{"id": "1"}], "next": link, "previous": None}),
        saying(200, {"results": [{"id": "2"}], "next": None, "previous": None}),
    )
    assert [one["id"] for one in client(wire).alerts.list(limit=1)] == ["1", "2"]
    assert {request.url.host for request in wire.requests} == {"comms.example.com"}
    assert wire.requests[1].url.params["cursor"] == "c+1"


def test_a_page_of_a_proxy_is_an_error_like_any_other() -> None:
    wire = Wire(lambda _: httpx.Response(404, text="<h1>nginx</h1>"))
    with pytest.raises(errors.NotFound) as raised:
        client(wire).whoami()
    assert raised.value.code == ""
    errors_of_others = [{"field": "to", "code": "c", "message": "m", "hint": "new"}, "odd", None]
    wire = Wire(saying(400, {"code": "invalid", "errors": errors_of_others}))
    with pytest.raises(errors.InvalidRequest) as invalid:
        client(wire).whoami()
    assert invalid.value.errors[0] == errors.FieldError("to", "c", "m")


def test_an_address_that_only_redirects_is_an_error_that_names_the_right_one() -> None:
    wire = Wire(lambda _: httpx.Response(301, headers={"location": "https://comms.example.com/"}))
    with pytest.raises(errors.ApiError, match=r"301 .* at https://comms\.example\.com/"):
        client(wire).notifications.send(**HELLO)


# --- Webhooks ----------------------------------------------------------------------------------

SECRET = "whsec_" + base64.b64encode(b"x" * 32).decode()
BODY = json.dumps({"id": "e-1", "type": "webhook.test"}).encode()


def signed(body: bytes = BODY, *, age: float = 0, secret: str = SECRET) -> dict[str, str]:
    at = str(int(time.time() - age))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"m-1.{at}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,AAAA v1,{base64.b64encode(digest).decode()}"
    return {"Webhook-Id": "m-1", "Webhook-Timestamp": at, "Webhook-Signature": signature}


def test_a_webhook_is_believed_by_its_signature_alone() -> None:
    other = "whsec_" + base64.b64encode(b"y" * 32).decode()
    assert webhooks.verify(BODY, signed(), SECRET)["id"] == "e-1"
    assert webhooks.verify(BODY, signed(), [other, SECRET])["id"] == "e-1"
    for body, headers, secret in (
        (BODY + b" ", signed(), SECRET),
        (BODY, signed(), other),
        (BODY, signed(age=301), SECRET),
        (BODY, signed(age=-301), SECRET),
        (BODY, {}, SECRET),
        (BODY, {**signed(), "Webhook-Timestamp": "²"}, SECRET),
        (BODY, {**signed(), "Webhook-Timestamp": "9" * 5000}, SECRET),
        (BODY, {**signed(), "Webhook-Signature": "v1,é"}, SECRET),
        (BODY, signed(), []),
    ):
        with pytest.raises(webhooks.InvalidSignature):
            webhooks.verify(body, headers, secret)
    with pytest.raises(ValueError, match="whsec_"):
        webhooks.verify(BODY, signed(), "whsec_%%%")


def test_the_vector_of_standard_webhooks() -> None:
    """From the specification's reference libraries: github.com/standard-webhooks/standard-webhooks."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    assert webhooks.verify(body, headers, secret, tolerance=float("inf")) == {"test": 2432232314}
