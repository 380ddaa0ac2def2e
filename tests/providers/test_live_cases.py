"""The live tests themselves, against the fakes: so that they are not dead when somebody needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings as django_settings
from rest_framework.test import APIClient
from typing_extensions import override

from notifications.providers import registry
from notifications.types import Channel
from tests.engine import drain
from tests.fakes.apns import ApnsServer
from tests.fakes.aws_sms import AwsSmsServer
from tests.fakes.esps import BrevoServer, MailgunServer, PostmarkServer, ResendServer
from tests.fakes.fcm import FcmServer, GoogleTokenServer
from tests.fakes.sendgrid import SendGridServer
from tests.fakes.ses import SesServer
from tests.fakes.smtp import SmtpServer
from tests.fakes.twilio import TwilioServer
from tests.fakes.webpush import Browser, WebPushServer
from tests.fakes.wire import Response
from tests.providers.live import service, test_live
from tests.providers.live.cases import CASES, Case, missing

KEY = "fake"
VAPID_KEY = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"

Options = dict[str, Any]


class DeliveringTwilio(TwilioServer):
    @override
    def _fetch(self, sid: str) -> Response:
        for message in self.messages:
            message.status = "delivered"
        return super()._fetch(sid)


def world(stack: ExitStack) -> tuple[dict[str, Options], WebPushServer]:
    """Every vendor: the options that point a provider at it, and the browsers' push service."""

    def start(server: Any) -> Any:
        return stack.enter_context(server)

    google = start(GoogleTokenServer(key=rsa.generate_private_key(65537, 2048)))
    apns, mailgun = start(ApnsServer()), start(MailgunServer(KEY))
    webpush = WebPushServer()
    start(webpush)
    ses, aws = start(SesServer()), start(AwsSmsServer("AKIAFAKE", "secret"))
    keys = {"access_key_id": "AKIAFAKE", "secret_access_key": "secret", "region": "eu-central-1"}
    options = {
        "sendgrid": {"api_key": KEY, "api_url": start(SendGridServer(KEY)).api_url},
        "ses": {**keys, "endpoint_url": ses.url},
        "postmark": {"server_token": KEY, "api_url": start(PostmarkServer(KEY)).url},
        "mailgun": {
            "api_key": KEY,
            "api_url": f"{mailgun.url}/v3/",
            "sender_domain": mailgun.domain,
        },
        "resend": {"api_key": KEY, "api_url": start(ResendServer(KEY)).url},
        "brevo": {"api_key": KEY, "api_url": f"{start(BrevoServer(KEY)).url}/v3/"},
        "smtp": {"url": start(SmtpServer()).url},
        "twilio": {
            "account_sid": "ACfake",
            "auth_token": KEY,
            "from_number": "+15005550006",
            "api_url": start(DeliveringTwilio()).url,
        },
        "aws_sms": {**keys, "endpoint_url": aws.url, "origination_identity": "pool-1"},
        "fcm": {
            "service_account": google.service_account(),
            "api_url": start(FcmServer(google)).url,
        },
        "apns": {
            "key": apns.new_key("ABC123DEFG"),
            "key_id": "ABC123DEFG",
            "team_id": apns.team_id,
            "topic": apns.topic,
            "api_url": apns.url,
        },
        "webpush": {"private_key": VAPID_KEY, "subject": "mailto:push@example.com"},
    }
    return options, webpush


@pytest.fixture
def fakes(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Options]]:
    """The settings and the environment of somebody who has an account everywhere."""
    with ExitStack() as stack:
        options, webpush = world(stack)
        settings.PROVIDERS = {
            name: {**entry, "ENABLED": True, "OPTIONS": {**entry["OPTIONS"], **options[name]}}
            for name, entry in settings.PROVIDERS.items()
            if name in options
        }
        settings.WEBPUSH_HOSTS = [webpush.url]
        browser = Browser("anna-schmidt", registry.get("webpush").server_keys[0])  # type: ignore[attr-defined]
        webpush.browsers[browser.name] = browser
        given = {name: "set" for case in CASES for name in case.needs}
        given |= {
            "DEFAULT_FROM_EMAIL": settings.DEFAULT_FROM_EMAIL,
            "LIVE_EMAIL": "ada@example.org",
            "LIVE_PHONE": "+4915112345678",
            "LIVE_FCM_TOKEN": "dQw4w9WgXcQ:APA91b" + "anna" * 32,
            "LIVE_APNS_TOKEN": "ab" * 32,
            "LIVE_WEBPUSH_SUBSCRIPTION": browser.token(webpush.url),
            "LIVE_TWILIO_TEST_SID": "ACfake",
            "LIVE_TWILIO_TEST_TOKEN": KEY,
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(service, "PAUSE", 0.01)
        settings.PUBLIC_URL = "https://example.com"
        yield options


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_runs(fakes: dict[str, Options], case: Case) -> None:
    try:
        test_live.test_the_vendor_answers(case)
    except pytest.skip.Exception as skipped:
        pytest.fail(str(skipped))


@pytest.mark.parametrize("name", ["sendgrid", "ses", "twilio", "aws_sms", "fcm", "webpush"])
def test_the_accounts_are_asked(fakes: dict[str, Options], name: str) -> None:
    test_live.test_the_vendor_knows_the_account(name)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (needed := CASES[1].needs):
        monkeypatch.delenv(name, raising=False)
    assert missing(needed) == list(needed)
    with pytest.raises(pytest.skip.Exception, match="LIVE_EMAIL"):
        test_live.test_the_vendor_answers(CASES[1])


def test_every_provider_with_a_vendor_has_a_case() -> None:
    without = {"inapp", "simulator", "simulator-b"}
    assert {case.provider for case in CASES} == set(django_settings.PROVIDERS) - without


def case_to(address: str) -> Case:
    return Case("simulator", "", Channel.EMAIL, address, (), ends="delivered")


def test_what_the_service_says_is_awaited(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PAUSE", 0.01)
    asked = []

    def ask(method: str, path: str, body: Any) -> Any:
        asked.append(path)
        if len(asked) == 3:
            drain()
        url = f"/api/v1/{path}"
        answer = api.post(url, body, format="json") if method == "POST" else api.get(url)
        return answer.json()

    assert service.result(ask, case_to("fail@simulator.test"), 5) == ("failed", "simulator")
    assert len(asked) == 3


@pytest.mark.django_db(transaction=True)
def test_the_service_is_asked_over_http(live_server: Any, api: APIClient) -> None:
    secret = api._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")  # type: ignore[attr-defined]
    ask = service.at(live_server.url, secret)
    assert service.result(ask, case_to("ada@simulator.test"), 0) == ("queued", "")
