"""Amazon SNS as it posts to a webhook: envelopes with real signatures, versions 1 and 2."""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from tests.fakes.webhooks import WebhookPost

NOTIFICATION_KEYS = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
CONFIRM_KEYS = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")

Version = Literal["1", "2"]


class SnsTopic:
    """One topic with its certificate. Give `fetch` to the verifier in place of HTTPS."""

    def __init__(
        self, arn: str = "arn:aws:sns:eu-central-1:123456789012:ses-events", version: Version = "2"
    ) -> None:
        self.arn = arn
        self.version: Version = version
        self.region = arn.split(":")[3]
        self.host = f"https://sns.{self.region}.amazonaws.com"
        self.cert_url = f"{self.host}/SimpleNotificationService-{secrets.token_hex(16)}.pem"
        self.fetched: list[str] = []
        #: While set, `fetch` fails as a broken network does.
        self.unreachable = False
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.pem = _self_signed(self._key)

    def fetch(self, url: str) -> bytes:
        """The certificate at its URL, and nothing else."""
        self.fetched.append(url)
        if self.unreachable:
            raise ConnectionError("the certificate cannot be fetched")
        if url != self.cert_url:
            raise LookupError(url)
        return self.pem

    def notification(
        self, message: dict[str, Any] | str, *, subject: str | None = None, **options: Any
    ) -> WebhookPost:
        """A message of the topic. Options: `message_id age broken version cert_url topic`."""
        text = message if isinstance(message, str) else json.dumps(message)
        fields = {"Type": "Notification", "Message": text}
        if subject is not None:
            fields["Subject"] = subject
        return self._post(fields, **options)

    def subscription_confirmation(self, **options: Any) -> WebhookPost:
        """What SNS sends first to a new subscriber."""
        return self._confirmation("SubscriptionConfirmation", **options)

    def unsubscribe_confirmation(self, **options: Any) -> WebhookPost:
        return self._confirmation("UnsubscribeConfirmation", **options)

    def _confirmation(self, kind: str, **options: Any) -> WebhookPost:
        token = secrets.token_hex(64)
        url = f"{self.host}/?Action=ConfirmSubscription&TopicArn={self.arn}&Token={token}"
        text = f"You have chosen to subscribe to the topic {self.arn}."
        fields = {"Type": kind, "Message": text, "Token": token, "SubscribeURL": url}
        return self._post(fields, **options)

    def _post(
        self,
        fields: dict[str, str],
        *,
        message_id: str | None = None,
        age: float = 0,
        broken: bool = False,
        version: Version | None = None,
        cert_url: str | None = None,
        topic: str | None = None,
    ) -> WebhookPost:
        envelope = fields | {
            "MessageId": message_id or str(uuid.uuid4()),
            "TopicArn": topic or self.arn,
            "Timestamp": aws_time(datetime.now(UTC) - timedelta(seconds=age)),
            "SignatureVersion": version or self.version,
            "SigningCertURL": cert_url or self.cert_url,
        }
        envelope["Signature"] = self._sign(envelope)
        if broken:
            envelope["Message"] += " "
        if envelope["Type"] == "Notification":
            subscription = f"{self.arn}:{uuid.uuid4()}"
            unsubscribe = f"{self.host}/?Action=Unsubscribe&SubscriptionArn={subscription}"
            envelope["UnsubscribeURL"] = unsubscribe
        return WebhookPost(json.dumps(envelope).encode(), self._headers(envelope))

    def _sign(self, envelope: dict[str, str]) -> str:
        algorithm = hashes.SHA1() if envelope["SignatureVersion"] == "1" else hashes.SHA256()
        signature = self._key.sign(canonical(envelope), padding.PKCS1v15(), algorithm)
        return base64.b64encode(signature).decode()

    def _headers(self, envelope: dict[str, str]) -> dict[str, str]:
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "User-Agent": "Amazon Simple Notification Service Agent",
            "x-amz-sns-message-type": envelope["Type"],
            "x-amz-sns-message-id": envelope["MessageId"],
            "x-amz-sns-topic-arn": envelope["TopicArn"],
        }
        if envelope["Type"] == "Notification":
            headers["x-amz-sns-subscription-arn"] = envelope["UnsubscribeURL"].rpartition("=")[2]
        return headers


def canonical(envelope: dict[str, str]) -> bytes:
    """The text SNS signs."""
    keys = NOTIFICATION_KEYS if envelope["Type"] == "Notification" else CONFIRM_KEYS
    return "".join(f"{key}\n{envelope[key]}\n" for key in keys if key in envelope).encode()


def aws_time(moment: datetime) -> str:
    """ISO 8601 with milliseconds and a Z, as AWS writes it."""
    return (
        moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
    )


def _self_signed(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
