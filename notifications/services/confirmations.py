"""Double opt-in: who asks for what has to be confirmed gets a message with a link first."""

from __future__ import annotations

import structlog
from django.conf import settings

from commsproject.common import clock
from commsproject.common.errors import CommsError
from commsproject.common.models import ApiClient
from notifications.models import Category, Recipient
from notifications.services import submit
from notifications.services.asked import Submission, Target
from notifications.types import Channel
from templates_app import links
from templates_app import selectors as templates
from templates_app import services as authors
from templates_app.services import KeyTaken

log = structlog.get_logger(__name__)

TEMPLATE = "confirm-subscription"
"""Made at its first use; from then on staff may change it. It gets `category` and `confirm_url`."""
CATEGORY = "confirmations"
SYSTEM = "confirmations"
"""The agent that such messages are sent by; it has no keys."""

_CHANNELS = {
    "email": {
        "subject": "Please confirm: {{ category }}",
        "text": "You asked for {{ category }}. Confirm it here within seven days:\n\n"
        "{{ confirm_url }}\n\nIf it was not you, do nothing: you will not get any.",
        "html": "<p>You asked for <b>{{ category }}</b>. Please confirm it within seven days.</p>"
        '<p><a href="{{ confirm_url }}">Yes, send me {{ category }}</a></p>'
        "<p>If it was not you, do nothing: you will not get any.</p>",
    },
    "sms": {"text": "Confirm {{ category }}: {{ confirm_url }}"},
}
_SAMPLE = {"category": "News", "confirm_url": "https://comms.example.com/c/sample"}


def ask(person: Recipient, category: Category, channel: str) -> bool:
    """Send the link for a category on a channel, `""` for all, in the caller's transaction; whether
    there is an address to send it to. Asked again within a day nothing more is sent.
    """
    known = set(person.addresses.values_list("channel", flat=True))
    by = next((one for one in (channel, Channel.EMAIL, Channel.SMS) if one in known), None)
    if by is None:
        return False
    now = clock.now()
    token = links.confirmation_token(person.id, category.id, channel, now)
    _make_template()
    (result,) = submit.accept(
        _agent(),
        [
            Submission(
                to=Target(person.user_id),
                template=TEMPLATE,
                data={"category": category.name, "confirm_url": f"{settings.PUBLIC_URL}/c/{token}"},
                channels=[Channel(by)],
                category=_category().key,
                expires_at=now + links.CONFIRMED_WITHIN,
                idempotency_key=f"confirm:{person.id}:{category.id}:{channel}:{now:%Y-%m-%d}",
            )
        ],
    )
    if isinstance(result, CommsError):
        log.warning("nobody was asked to confirm", category=category.key, error=result.code)
        return False
    return True


def _make_template() -> None:
    if TEMPLATE in templates.published([TEMPLATE]):
        return
    try:
        made = authors.create(
            key=TEMPLATE,
            name="Confirm a subscription",
            author="the service",
            channels=_CHANNELS,
            samples=[{"name": "News", "data": _SAMPLE}],
        )
    except KeyTaken:  # staff have written one and not published it yet
        return
    authors.publish(made)


def _agent() -> ApiClient:
    agent, _ = ApiClient.objects.get_or_create(name=SYSTEM, defaults={"is_active": False})
    return agent


def _category() -> Category:
    defaults = {"name": "Confirmations", "kind": Category.Kind.ESSENTIAL}
    category, _ = Category.objects.get_or_create(key=CATEGORY, defaults=defaults)
    return category
