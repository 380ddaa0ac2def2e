"""From the API to the vendor's wire: what a caller writes stays what it is, and one message goes to one
recipient. What cannot be right at all is refused before: tests/integration/test_api_notifications.py.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from contextlib import closing
from email.utils import getaddresses
from typing import Any

import pytest
from rest_framework.test import APIClient

from notifications.models import Delivery
from notifications.providers.base import Provider
from tests.engine import drain
from tests.fakes.aws_sms import AwsSmsServer
from tests.fakes.esps import BrevoServer, MailgunServer, PostmarkServer, ResendServer
from tests.fakes.sendgrid import SendGridServer
from tests.fakes.ses import SesServer
from tests.fakes.smtp import SmtpServer
from tests.fakes.twilio import TwilioServer
from tests.providers import test_aws_sms, test_esps, test_sendgrid, test_ses, test_smtp, test_twilio
from tests.providers.contract import SECRET
from tests.providers.email_contract import Arrived, EmailVendor

pytestmark = pytest.mark.django_db

VICTIM, EVIL = "anna.schmidt@kunde.example", "evil@evil.example"
NUMBER, EVIL_NUMBER = "+4915112345678", "+4915199999999"

SMUGGLED = (
    f"Anna\r\nBcc: {EVIL}\r\n\r\nx",
    f"Anna\nTo: {EVIL}\nContent-Type: text/html\n\n<b>",
    f"Anna\rCc: {EVIL}",
    # The end of a mail, as one server or another understands it (CVE-2023-51764 and its kin)
    f"Anna\r\n.\r\nMAIL FROM:<{EVIL}>\r\nRCPT TO:<{EVIL}>\r\nDATA\r\n\r\nx\r\n.\r\nQUIT",
    f"Anna\n.\nMAIL FROM:<{EVIL}>\nRCPT TO:<{EVIL}>",
    f"Anna\r.\rRCPT TO:<{EVIL}>",
    f"Anna\n.\r\nRCPT TO:<{EVIL}>",
    f"Anna\x85Bcc: {EVIL}\u2028Bcc: {EVIL}",
    f'Anna", "to": "{EVIL}"}}], "bcc": [{{"email": "{EVIL}"}}], "x": "',
    f"Anna&to={EVIL}&bcc={EVIL}%0d%0aBcc: {EVIL}",
    f"--boundary\r\nContent-Disposition: form-data; name=bcc\r\n\r\n{EVIL}\r\n--boundary--",
)
"""Values of a template's variable."""

EMAIL: dict[str, tuple[type[Any], Callable[[], Any]]] = {
    "sendgrid": (test_sendgrid.TestSendGrid, lambda: SendGridServer(api_key=test_sendgrid.KEY)),
    "ses": (test_ses.TestSes, lambda: SesServer(access_key=test_ses.ACCESS_KEY)),
    "smtp": (test_smtp.TestSmtp, lambda: SmtpServer("relay", SECRET)),
    "postmark": (test_esps.TestPostmark, lambda: PostmarkServer(key=SECRET)),
    "mailgun": (test_esps.TestMailgun, lambda: MailgunServer(key=SECRET)),
    "resend": (test_esps.TestResend, lambda: ResendServer(key=SECRET)),
    "brevo": (test_esps.TestBrevo, lambda: BrevoServer(key=SECRET)),
}
SMS: dict[str, tuple[Callable[..., Provider], Callable[[], Any]]] = {
    "twilio": (
        lambda url: test_twilio.provider_at(url),
        lambda: TwilioServer(test_twilio.ACCOUNT, test_twilio.TOKEN),
    ),
    "aws": (
        lambda url: test_aws_sms.provider_at(url),
        lambda: AwsSmsServer(test_aws_sms.ACCESS_KEY, SECRET),
    ),
}


@pytest.fixture(autouse=True)
def _addresses(settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "Comms <comms@example.com>"
    settings.PUBLIC_URL = "https://comms.example.com"


def given(_name: str, provider: Provider) -> Provider:
    """The CLASS of an entry whose provider is made already."""
    return provider


def only(provider: Provider) -> dict[str, Any]:
    this = f"{__name__}.given"
    options = {"provider": provider}
    return {provider.name: {"CLASS": this, "ENABLED": True, "LIMIT": None, "OPTIONS": options}}


def test_every_provider_of_email_and_sms_is_here(settings: Any) -> None:
    without_wire = {"simulator", "simulator-b", "inapp", "fcm", "apns", "webpush"}
    assert settings.PROVIDERS.keys() - without_wire == EMAIL.keys() | {"twilio", "aws_sms"}


def mail(value: str) -> dict[str, Any]:
    """With the value wherever a caller may write nearly anything."""
    plain = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", value)[:60]
    return {
        "to": {"email": VICTIM},
        "content": {
            "subject": "Hi {{ name }}",
            "text": "Hi {{ name }}",
            "html": "<p title='{{ name }}'>Hi {{ name }}</p>",
        },
        "data": {"name": value},
        "reply_to": "help@example.com",
        "tags": [plain],
        "metadata": {"order": plain},
        "reference": plain,
        "attachments": [
            {
                "filename": re.sub(r"[/\\]", "", plain) + '"; filename="b.csv',
                "content": base64.b64encode(value.encode()).decode(),
                "content_type": "text/csv",
            }
        ],
    }


def accept(api: APIClient, body: dict[str, Any]) -> None:
    answer = api.post("/api/v1/notifications", body, format="json")
    assert answer.status_code == 202, answer.content


@pytest.mark.parametrize("name", EMAIL)
def test_an_email_goes_to_one_and_has_no_header_of_its_data(
    name: str, api: APIClient, settings: Any
) -> None:
    kind, served_by = EMAIL[name]
    vendor: EmailVendor = kind()
    with served_by() as server:
        provider = vendor.make(server.port)
        settings.PROVIDERS = only(provider)
        with closing(provider):
            for value in SMUGGLED:
                accept(api, mail(value))
            drain()
        assert set(Delivery.objects.values_list("state", "reason")) == {("sent", "")}
        assert vendor.calls(server) == len(SMUGGLED)
        arrived = vendor.arrived(server)
    assert len(arrived) == len(SMUGGLED)
    for one in arrived:
        check(one)


def check(one: Arrived) -> None:
    assert one.to == [VICTIM]
    assert getaddresses([one.sender]) == [("Comms", "comms@example.com")]
    assert [address for _, address in getaddresses([one.reply_to])] == ["help@example.com"]
    assert one.subject.isprintable()
    assert one.subject.startswith("Hi ")
    assert one.headers.keys() == {"List-Unsubscribe", "List-Unsubscribe-Post"}
    assert all(value.isprintable() for value in one.headers.values())
    assert [kind for _, kind, _ in one.attachments] == ["text/csv"]
    names = [line.partition(":")[0].lower() for line in head(one.everything)]
    assert not {"bcc", "cc", "x-evil"} & set(names)
    assert max(names.count(name) for name in ("to", "from", "subject", "content-type")) <= 1


def head(text: str) -> list[str]:
    """The header lines of a mail; of what is JSON, none."""
    return re.split(r"\r?\n\r?\n", text, maxsplit=1)[0].splitlines()


@pytest.mark.parametrize("name", SMS)
def test_a_text_goes_to_one_number(name: str, api: APIClient, settings: Any) -> None:
    texts = [
        f"x&To={EVIL_NUMBER}&Body=y",
        f"x%26To={EVIL_NUMBER}",
        f"x\r\nTo: {EVIL_NUMBER}\r\n\r\ny",
        f'x", "DestinationPhoneNumber": "{EVIL_NUMBER}',
        f"x&PhoneNumber={EVIL_NUMBER}&Action=CreateTopic",
    ]
    make, served_by = SMS[name]
    with served_by() as server:
        provider = make(server.url)
        settings.PROVIDERS = only(provider)
        for text in texts:
            accept(api, {"to": {"phone": NUMBER}, "content": {"text": text}})
        drain()
        assert set(Delivery.objects.values_list("state", "reason")) == {("sent", "")}
        assert {one.to for one in server.messages} == {NUMBER}
        assert len(server.messages) == len(server.ledger) == len(texts)
        carried = [getattr(one, "text", None) or one.body for one in server.messages]
        assert sorted("".join(one.split()) for one in carried) == sorted(
            "".join(one.split()) for one in texts
        )
