"""What the preview of a template says of a channel beside its parts: see `templates_app.preview.about`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from notifications import sms
from notifications.types import Channel
from templates_app.preview import about


def register() -> None:
    about[Channel.SMS] = of_sms
    about[Channel.EMAIL] = of_email


def of_sms(parts: Mapping[str, str]) -> dict[str, Any]:
    """`encoding`, `segments`, the text as it goes out, and what it costs by country (`*` all others)."""
    try:
        fitted = sms.fit(parts["text"])
    except sms.TooLong as error:
        return {"segments": error.segments, "too_long": str(error)}
    prices = {country: sms.price(country, fitted.segments) for country in settings.SMS_PRICES}
    return {
        "encoding": fitted.encoding.label,
        "segments": fitted.segments,
        "text": fitted.text,
        "costs": {country: str(price) for country, price in prices.items()},
        "currency": settings.SMS_CURRENCY,
    }


def of_email(parts: Mapping[str, str]) -> dict[str, Any]:
    """`bytes` of the HTML, and the headers of every email that a person may refuse (RFC 8058)."""
    return {
        "bytes": len(parts.get("html", "").encode()),
        "headers": {
            "List-Unsubscribe": f"<{settings.PUBLIC_URL}/u/...>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    }
