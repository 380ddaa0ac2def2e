"""Amazon SNS as it posts to a webhook: is it really from there, and about one of our topics?

Vendor's facts: docs.aws.amazon.com/sns/latest/dg, sns-verify-signature-of-message and
sns-message-delivery-retries.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from notifications.providers.base import BadSignature, CannotVerify, Webhook
from notifications.providers.common import aws

CERTIFICATE_URL = re.compile(
    r"https://sns\.[a-z0-9-]{3,}\.amazonaws\.com(\.cn)?/SimpleNotificationService-[a-zA-Z0-9]+\.pem"
)
ALGORITHMS: Mapping[str, hashes.HashAlgorithm] = {
    "1": hashes.SHA1(),  # noqa: S303 - what SNS signs with until a topic asks for version 2
    "2": hashes.SHA256(),
}
NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
"""The fields that are signed, in this order, and nothing else is."""

REQUIRED = frozenset(
    {
        *("Type", "MessageId", "TopicArn", "Message", "Timestamp"),
        *("Signature", "SignatureVersion", "SigningCertURL"),
    }
)
FIELDS = REQUIRED.union(NOTIFICATION, CONFIRMATION)

GREETING = "Successfully validated SNS topic"
"""How what AWS posts, as plain text, begins when a topic is first connected."""

MAX_AGE = timedelta(hours=1)
"""SNS repeats a message with the timestamp of its first delivery, for 3,600 seconds at most (a
hard limit of HTTP delivery policies)."""

CLOCK_SKEW = timedelta(minutes=5)
FETCH_TIMEOUT = 3.0


def fetch_certificate(url: str) -> bytes:
    """The PEM at `url`, without following redirects, in three seconds.

    Raises `LookupError` where there is none, `ConnectionError` where it cannot be had just now.
    """
    try:
        response = httpx2.get(url, timeout=FETCH_TIMEOUT, follow_redirects=False)
    except httpx2.HTTPError as error:
        raise ConnectionError(type(error).__name__) from None
    if 300 <= response.status_code < 500:
        raise LookupError(url)
    if response.status_code != 200:
        raise ConnectionError(f"HTTP {response.status_code}")
    return bytes(response.content)


class Verifier:
    """Checks messages of the topics `topics` (none: refuses all); keeps the keys it fetched."""

    def __init__(self, topics: Collection[str], fetch: Callable[[str], bytes]) -> None:
        self._topics = frozenset(topics)
        self._fetch = fetch
        self._keys: dict[str, rsa.RSAPublicKey] = {}

    def verify(self, webhook: Webhook) -> None:
        """Raise `BadSignature` or `CannotVerify` unless SNS sent `webhook` in the last hour.

        SNS does not repeat what it got a 4xx for, so in doubt it is `CannotVerify`.
        """
        message = _envelope(webhook)
        if message["TopicArn"] not in self._topics:
            raise BadSignature("not a topic of ours")
        algorithm = ALGORITHMS.get(message["SignatureVersion"])
        if algorithm is None:
            raise BadSignature("unknown signature version")
        if not CERTIFICATE_URL.fullmatch(message["SigningCertURL"]):
            raise BadSignature("not a certificate of Amazon")
        try:
            signature = base64.b64decode(message["Signature"], validate=True)
            key = self._key(message["SigningCertURL"])
            key.verify(signature, canonical(message), padding.PKCS1v15(), algorithm)
        except (ValueError, InvalidSignature):  # no base64, or text that no UTF-8 stands for
            raise BadSignature("the signature does not fit") from None
        _check_age(message["Timestamp"])

    def _key(self, url: str) -> rsa.RSAPublicKey:
        if url not in self._keys:
            self._keys[url] = self._load(url)
        return self._keys[url]

    def _load(self, url: str) -> rsa.RSAPublicKey:
        try:
            key = x509.load_pem_x509_certificate(self._fetch(url)).public_key()
        except LookupError:
            raise BadSignature("no such certificate") from None
        except (OSError, ValueError) as error:
            raise CannotVerify(f"no certificate: {type(error).__name__}") from None
        if not isinstance(key, rsa.RSAPublicKey):
            raise CannotVerify("the certificate has no RSA key")
        return key


def published(webhook: Webhook, account: aws.Account) -> Mapping[str, str] | None:
    """The envelope of a verified message to a topic; None where SNS itself has something to say.

    A new subscription is confirmed on the way, which is a call to SNS: raises `ProviderError` where
    that fails, and `ValueError`, `KeyError` and their like where it is no message of SNS.
    """
    envelope: dict[str, str] = json.loads(webhook.body)
    if envelope["Type"] == "SubscriptionConfirmation":
        account.confirm(envelope["TopicArn"], envelope["Token"])
    is_told = envelope["Type"] == "Notification" and not envelope["Message"].startswith(GREETING)
    return envelope if is_told else None


def canonical(message: Mapping[str, str]) -> bytes:
    """The text SNS signs."""
    names = NOTIFICATION if message["Type"] == "Notification" else CONFIRMATION
    return "".join(f"{name}\n{message[name]}\n" for name in names if name in message).encode()


def _envelope(webhook: Webhook) -> dict[str, str]:
    """The message, in whose fields we need are texts and which is what its headers say it is."""
    try:
        message: Any = json.loads(webhook.body)
    except (ValueError, RecursionError):
        raise BadSignature("not a message of SNS") from None
    if not isinstance(message, dict):
        raise BadSignature("not a message of SNS")
    fields = {name: message[name] for name in FIELDS if message.get(name) is not None}
    if not fields.keys() >= REQUIRED or not all(isinstance(text, str) for text in fields.values()):
        raise BadSignature("not a message of SNS")
    if webhook.headers.get("x-amz-sns-message-type") != fields["Type"]:
        raise BadSignature("the headers say something else")
    return fields


def _check_age(timestamp: str) -> None:
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(timestamp)
    except (ValueError, TypeError):
        raise BadSignature("no timestamp") from None
    if not -CLOCK_SKEW <= age <= MAX_AGE + CLOCK_SKEW:
        raise BadSignature("signed too long ago")
