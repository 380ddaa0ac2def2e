"""Plain Django mail (`send_mail`) by the same routing as the engine: SendGrid, then SES, then SMTP.

    EMAIL_BACKEND = "notifications.email_backend.FailoverEmailBackend"

Synchronous and without rows: the caller hears the outcome, nothing is retried later. After a call
that was not answered no second provider is tried until a receipt would have come; as there is no
row a receipt could settle, the wait is always served in full.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import structlog
from django.conf import settings
from django.core.mail import BadHeaderError, EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from typing_extensions import override

from notifications import limits, retry
from notifications.providers.base import MailCarrier
from notifications.services import route
from notifications.services.route import Routes, Stranded
from notifications.types import Channel, ErrorClass, Lane, ProviderError

log = structlog.get_logger(__name__)

LIMIT_PATIENCE = 15.0
"""Seconds that a caller waits for leave where only rate limits stand in the way."""


class NotSent(Exception):
    """No provider took the message; `error` is what the last one said, if one was asked."""

    def __init__(self, error: ProviderError | None) -> None:
        super().__init__(str(error) if error else "no email provider is available now")
        self.error = error


class FailoverEmailBackend(BaseEmailBackend):
    """Raises `NotSent` unless `fail_silently`; messages after a failed one are still tried."""

    @override
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        sent = 0
        failure: Exception | None = None
        for message in email_messages:
            if not message.recipients():
                continue
            try:
                _send(message)
                sent += 1
            except (NotSent, BadHeaderError) as error:
                failure = failure or error
        if failure and not self.fail_silently:
            raise failure
        return sent


def _send(message: EmailMessage) -> None:
    message.message()  # raises BadHeaderError on line breaks, which anymail lets pass (measured)
    recipients = len(message.recipients())
    tried: set[str] = set()
    error: ProviderError | None = None
    while True:
        routes, provider = _next(tried, recipients)
        if provider is None:
            raise NotSent(error)
        try:
            provider.deliver(message)
        except ProviderError as refusal:
            error = refusal
            tried.add(provider.name)
            _report(provider.name, refusal)
            log.warning("provider refused", provider=provider.name, code=refusal.code)
            if refusal.error_class in retry.FINAL:
                raise NotSent(refusal) from refusal
            if refusal.error_class is ErrorClass.AMBIGUOUS and routes.has_other_than(tried):
                threading.Event().wait(settings.UNKNOWN_WAIT["normal"])
        else:
            _report(provider.name, None)
            return


def _next(tried: set[str], recipients: int) -> tuple[Routes, MailCarrier | None]:
    """The next provider, once there is leave to call it; None where nobody is left.

    Who carries no plain mail is added to `tried`.
    """
    until = time.monotonic() + LIMIT_PATIENCE
    while True:
        routes = Routes(Channel.EMAIL, in_transaction=connection.in_atomic_block)
        found, wait = _with_leave(routes, tried, recipients)
        routes.leave({(found.name, "")} if found else set())
        if found or not wait or time.monotonic() + wait > until:
            return routes, found
        threading.Event().wait(wait)


def _with_leave(
    routes: Routes, tried: set[str], recipients: int
) -> tuple[MailCarrier | None, float]:
    """The first provider with leave for such a mail, else the seconds until one may have it: 0 where
    it is no limit that stands in the way.

    A mail cannot be divided: where there is leave for some of its recipients it goes to all.
    """
    waits: dict[str, float] = {}
    while not isinstance(provider := routes.choose({*tried, *waits}), Stranded):
        if not isinstance(provider, MailCarrier):
            tried.add(provider.name)
            continue
        grant = limits.lease(
            provider=provider.name,
            channel=Channel.EMAIL.value,
            lane=Lane.NORMAL.value,
            wanted=recipients,
            state=routes.state(provider.name),
            batch_limit=recipients,
        )
        if grant.granted:
            return provider, 0.0
        waits[provider.name] = grant.wait
    return None, min(waits.values(), default=0.0)


def _report(provider: str, error: ProviderError | None) -> None:
    """After the caller's transaction, if there is one: the lock must not live as long as that."""
    # No partial: Django says of a robust hook that failed what its __qualname__ is.
    transaction.on_commit(lambda: route.report([(provider, error)]), robust=True)
