"""The events SES publishes to SNS about a message it has sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.fakes.ses import SentMail
from tests.fakes.sns import aws_time

_MTA = "dsn; a8-53.smtp-out.eu-central-1.amazonses.com"

_DIAGNOSTICS: dict[str, tuple[str, str]] = {
    "General": ("5.1.1", "smtp; 550 5.1.1 user unknown"),
    "MailboxFull": ("5.2.2", "smtp; 552 5.2.2 mailbox full"),
    "MessageTooLarge": ("5.3.4", "smtp; 552 5.3.4 message too large"),
    "ContentRejected": ("5.7.1", "smtp; 554 5.7.1 content rejected"),
    "Suppressed": ("5.1.1", "Amazon SES has suppressed sending to this address"),
}


def event(mail: SentMail, kind: str, key: str, detail: dict[str, Any]) -> dict[str, Any]:
    """Any event: `eventType`, the mail with its headers and tags, and the detail under its key."""
    return {"eventType": kind, key: detail, "mail": _mail(mail)}


def send(mail: SentMail) -> dict[str, Any]:
    return event(mail, "Send", "send", {})


def delivery(mail: SentMail) -> dict[str, Any]:
    detail = {
        "timestamp": _now(),
        "processingTimeMillis": 546,
        "recipients": [mail.recipient],
        "smtpResponse": "250 2.6.0 Message received",
        "reportingMTA": _MTA.removeprefix("dsn; "),
    }
    return event(mail, "Delivery", "delivery", detail)


def bounce(
    mail: SentMail, bounce_type: str = "Permanent", sub_type: str = "General"
) -> dict[str, Any]:
    """`Permanent`, `Transient` or `Undetermined`, with a sub-type of the table."""
    status, diagnostic = _DIAGNOSTICS.get(sub_type, _DIAGNOSTICS["General"])
    if bounce_type == "Transient" and sub_type == "General":
        status, diagnostic = "4.4.7", "smtp; 450 4.4.7 message expired"
    bounced = {"emailAddress": mail.recipient, "action": "failed"}
    detail = {
        "bounceType": bounce_type,
        "bounceSubType": sub_type,
        "bouncedRecipients": [bounced | {"status": status, "diagnosticCode": diagnostic}],
        "timestamp": _now(),
        "feedbackId": _feedback_id(mail),
        "reportingMTA": _MTA,
    }
    return event(mail, "Bounce", "bounce", detail)


def complaint(mail: SentMail, sub_type: str | None = None) -> dict[str, Any]:
    """`sub_type` "OnAccountSuppressionList" for a complaint SES knew of before."""
    detail = {
        "complainedRecipients": [{"emailAddress": mail.recipient}],
        "timestamp": _now(),
        "feedbackId": _feedback_id(mail),
        "userAgent": "Yahoo!-Mail-Feedback/2.0",
        "complaintFeedbackType": "abuse",
        "complaintSubType": sub_type,
        "arrivalDate": _now(),
    }
    return event(mail, "Complaint", "complaint", detail)


def reject(mail: SentMail) -> dict[str, Any]:
    return event(mail, "Reject", "reject", {"reason": "Bad content"})


def delivery_delay(mail: SentMail, delay_type: str = "MailboxFull") -> dict[str, Any]:
    status, diagnostic = "4.2.2", "smtp; 452 4.2.2 mailbox full"
    delayed = {"emailAddress": mail.recipient, "status": status, "diagnosticCode": diagnostic}
    detail = {
        "timestamp": _now(),
        "delayType": delay_type,
        "expirationTime": _now(),
        "delayedRecipients": [delayed],
    }
    return event(mail, "DeliveryDelay", "deliveryDelay", detail)


def rendering_failure(mail: SentMail) -> dict[str, Any]:
    detail = {"errorMessage": "Attribute 'name' is not present.", "templateName": "welcome"}
    return event(mail, "Rendering Failure", "failure", detail)


def opened(mail: SentMail) -> dict[str, Any]:
    detail = {"ipAddress": "198.51.100.1", "timestamp": _now(), "userAgent": "Mozilla/5.0"}
    return event(mail, "Open", "open", detail)


def clicked(mail: SentMail, link: str = "https://example.com/") -> dict[str, Any]:
    detail = {"ipAddress": "198.51.100.1", "timestamp": _now(), "userAgent": "Mozilla/5.0"}
    return event(mail, "Click", "click", detail | {"link": link, "linkTags": None})


def _mail(mail: SentMail) -> dict[str, Any]:
    headers = [{"name": name, "value": str(value)} for name, value in mail.message.items()]
    tags = {name: [value] for name, value in mail.tags.items()}
    if mail.configuration_set:
        tags["ses:configuration-set"] = [mail.configuration_set]
    return {
        "timestamp": _now(),
        "source": mail.source,
        "sourceArn": "arn:aws:ses:eu-central-1:123456789012:identity/example.com",
        "sendingAccountId": "123456789012",
        "messageId": mail.message_id,
        "destination": mail.destination,
        "headersTruncated": False,
        "headers": headers,
        "commonHeaders": {
            "from": [str(mail.message["From"])],
            "to": mail.destination,
            "messageId": mail.message_id,
            "subject": str(mail.message["Subject"]),
        },
        "tags": {**tags, "ses:source-ip": ["192.0.2.0"], "ses:caller-identity": ["comms"]},
    }


def _feedback_id(mail: SentMail) -> str:
    return f"{mail.message_id}-feedback"


def _now() -> str:
    return aws_time(datetime.now(UTC))
