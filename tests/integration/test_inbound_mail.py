"""Mail of people, from the vendor's call over HTTP to what is read of it."""

from __future__ import annotations

import base64

import pytest
from django.test import Client

from notifications.providers import registry
from notifications.providers.base import Webhook
from notifications.types import Inbound
from tests.providers.test_inbound_mail import ENVELOPE, form
from tracking.models import WebhookReceipt
from tracking.webhooks import MAX_BYTES

pytestmark = pytest.mark.django_db

URL = "/webhooks/sendgrid/inbound/"
LARGE = b"From: ada@example.org\r\nSubject: Large\r\n\r\nHello\r\n" + b"x" * (2 * MAX_BYTES)


@pytest.fixture(autouse=True)
def _sendgrid(settings):
    settings.PROVIDERS = {
        "sendgrid": {
            "CLASS": "notifications.providers.sendgrid.SendGrid",
            "ENABLED": True,
            "OPTIONS": {
                "api_key": "k",
                "api_url": "https://x.example/v3/",
                "webhook_public_key": "",
                "inbound_secret": "secret",
            },
        }
    }


def post(body: bytes, url: str = URL, secret: str = "secret") -> int:
    headers = {"authorization": "Basic " + base64.b64encode(f"x:{secret}".encode()).decode()}
    kind = "multipart/form-data; boundary=xYzZY"
    return Client().post(url, body, content_type=kind, headers=headers).status_code


def test_a_large_mail_is_stored_and_read_without_its_headers():
    assert post(form({"email": LARGE, "envelope": ENVELOPE})) == 200
    receipt = WebhookReceipt.objects.get()
    assert "secret" not in receipt.path
    found = registry.get("sendgrid").parse(Webhook(bytes(receipt.body), {}, receipt.path))
    (mail,) = found
    assert isinstance(mail, Inbound)
    assert mail.text.startswith("Hello\nxxx")


@pytest.mark.parametrize(
    ("url", "status"),
    [("/webhooks/sendgrid/", 413), ("/webhooks/sendgrid/other/", 413), (URL, 200)],
)
def test_only_mail_may_be_so_large(url, status):
    assert post(form({"email": LARGE, "envelope": ENVELOPE}), url) == status


def test_a_mail_of_more_than_any_vendor_brings():
    assert post(b"x" * (32 * MAX_BYTES + 1)) == 413


def test_a_wrong_secret():
    assert post(form({"email": LARGE, "envelope": ENVELOPE}), secret="wrong") == 400
    assert not WebhookReceipt.objects.exists()
