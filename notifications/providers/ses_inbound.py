"""A mail that Amazon SES received for us, as an SNS action of a receipt rule publishes it.

Vendor's facts: docs.aws.amazon.com/ses/latest/dg, receiving-email-notifications-contents and
receiving-email-action-sns (150 KB of mail at most).
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from notifications.providers.common import inbound_mail, mail_origin
from notifications.types import Inbound

logger = logging.getLogger(__name__)

VERDICTS: Mapping[str, str] = {
    "spamVerdict": "spam",
    "virusVerdict": "virus",
    "spfVerdict": "spf",
    "dkimVerdict": "dkim",
    "dmarcVerdict": "dmarc",
}


def received(notification: Mapping[str, Any]) -> Inbound:
    """The message of a notification of type `Received`.

    Raises `ValueError` where the mail is elsewhere, as an S3 action leaves it.
    """
    mail, receipt = notification["mail"], notification["receipt"]
    if "content" not in notification:
        action = receipt["action"]["type"]
        logger.error("ses: a mail came by an action of type %s: only SNS is supported", action)
        raise ValueError(f"a mail without its content, by an action of type {action}")
    content = str(notification["content"])
    is_base64 = receipt["action"].get("encoding") == "BASE64"
    found = inbound_mail.Mail.of_bytes(base64.b64decode(content) if is_base64 else content.encode())
    verdicts = {
        ours: str(receipt[theirs]["status"])
        for theirs, ours in VERDICTS.items()
        if theirs in receipt
    }
    return inbound_mail.inbound(
        found,
        sender=str(mail["source"]),
        to=str((receipt.get("recipients") or mail["destination"])[0]),
        at=datetime.fromisoformat(mail["timestamp"]),
        dedupe=str(mail["messageId"]),
        checks=mail_origin.Checks(
            spf=verdicts.get("spf", ""),
            dkim=mail_origin.signers(found.headers, verdicts.get("dkim", "")),
            dmarc=verdicts.get("dmarc", ""),
        ),
        data=verdicts,
    )
