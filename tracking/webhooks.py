"""Webhooks in: verify by the provider's own file, store raw and once, answer 200. Nothing else.

The answers matter. Some vendors (SNS) never repeat what got a 4xx: that is for forgeries only;
whatever is our own trouble gets a 5xx and comes again.
"""

from __future__ import annotations

import hashlib

import structlog
from django.db import transaction
from django.db.models import BinaryField, Func
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from commsproject.common.api.problems import TooLarge
from commsproject.common.bodies import bounded
from commsproject.common.errors import CommsError, NotFound, ServiceUnavailable
from notifications.providers import registry
from notifications.providers.base import BadSignature, CannotVerify, Provider, Webhook
from tracking import queue
from tracking.models import WebhookReceipt

log = structlog.get_logger(__name__)

MAX_BYTES = 1024 * 1024
"""The largest documented body of events is SendGrid's batch of 768 KB. Mail that comes in may be
larger: `Provider.webhook_limits`."""


class Forged(CommsError):
    code = "bad_signature"
    status = 400
    title = "The signature of this webhook is missing, wrong or too old"


def largest(provider: str, kind: str = "") -> int:
    """Raises `NotFound`."""
    return _source(provider).webhook_limits.get(kind, MAX_BYTES)


@bounded(largest)
@method_decorator(csrf_exempt, name="dispatch")  # authenticated by the provider's signature
class ProviderWebhook(View):
    """`POST /webhooks/<provider>/`, with a kind behind it where the vendor has several."""

    http_method_names = ["post", "head"]

    def head(self, request: HttpRequest, provider: str, kind: str = "") -> HttpResponse:
        """Vendors' consoles check that the address exists."""
        _source(provider)
        return HttpResponse()

    def post(self, request: HttpRequest, provider: str, kind: str = "") -> HttpResponse:
        source = _source(provider)
        body = _read(request, largest(provider, kind))
        headers = {name.lower(): value for name, value in request.headers.items()}
        webhook = Webhook(body, headers, request.get_full_path())
        try:
            source.verify(webhook)
            _store(provider, webhook, source.replay_key(webhook))
        except BadSignature as error:
            log.warning("webhook refused", provider=provider, why=str(error))
            raise Forged from None
        except CannotVerify as error:
            log.warning("webhook not verifiable", provider=provider, why=str(error))
            raise ServiceUnavailable("Send it again.", retry_after=20) from None
        content_type, answer = source.webhook_answer
        return HttpResponse(answer, content_type=content_type)


def _source(name: str) -> Provider:
    try:
        return registry.get(name)
    except registry.UnknownProvider:
        raise NotFound("No provider of that name is on.") from None


def _read(request: HttpRequest, limit: int) -> bytes:
    body = request.read(limit + 1)
    if len(body) > limit:
        raise TooLarge
    return body


@transaction.atomic
def _store(provider: str, webhook: Webhook, replay_key: str) -> None:
    """Raises `BadSignature` where the key has come with another body, or comes with one just now: the
    second insert waits for the first.
    """
    once = replay_key.encode() or f"{webhook.path}\n".encode() + webhook.body
    row = WebhookReceipt(
        provider=provider,
        dedupe=hashlib.sha256(once).hexdigest(),
        path=webhook.path[:2000],
        body=webhook.body,
    )
    WebhookReceipt.objects.bulk_create([row], ignore_conflicts=True)
    if replay_key and _is_of_another(row):
        raise BadSignature("its signature came with another body")
    transaction.on_commit(queue.ring, robust=True)


def _is_of_another(row: WebhookReceipt) -> bool:
    """Whether what is stored in the place of `row` has another body. One that was erased with a person
    cannot tell; nothing comes of that, as nothing is stored.
    """
    digest = Func("body", function="sha256", output_field=BinaryField())
    first = WebhookReceipt.objects.filter(provider=row.provider, dedupe=row.dedupe)
    others = first.exclude(id=row.id).exclude(body=b"").annotate(digest=digest)
    return others.exclude(digest=hashlib.sha256(row.body).digest()).exists()
