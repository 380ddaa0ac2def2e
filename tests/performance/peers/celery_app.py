"""Celery: a task for each message, with Django's templates and mail.

Tuned beyond what is usual: templates compiled once, the mail connection and the database connection
kept open by each worker process.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import django
from celery import Celery
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.template import Context, Engine, Template
from django.utils import timezone

from tests.performance import content

django.setup()
app = Celery("bench", broker=f"{settings.REDIS_URL.rpartition('/')[0]}/1")
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=4,
    CELERY_DB_REUSE_MAX=1_000_000,
)


@app.task  # type: ignore[untyped-decorator]  # Celery has no types
def plain(address: str, data: dict[str, Any]) -> None:
    """Nothing is stored: a worker that is killed may lose or repeat it without a trace."""
    _mail(address, data).send()


@app.task  # type: ignore[untyped-decorator]
def durable(delivery_id: str) -> None:
    """The same rows as ours: the delivery's state and an attempt."""
    from notifications.models import Attempt, Delivery
    from notifications.states import State

    delivery = Delivery.objects.select_related("notification").get(id=delivery_id)
    started = timezone.now()
    mail = _mail(delivery.address, delivery.notification.data or {})
    mail.send()
    status = getattr(mail, "anymail_status", None)
    delivery.state = State.SENT
    delivery.attempts_made = 1
    delivery.provider = "bench"
    delivery.provider_ref = (status and status.message_id) or ""
    delivery.updated_at = timezone.now()
    delivery.save(
        update_fields=["state", "attempts_made", "provider", "provider_ref", "updated_at"]
    )
    Attempt.objects.create(
        delivery=delivery,
        work_id=delivery.id,
        token=1,
        number=1,
        provider="bench",
        state=Attempt.State.ACCEPTED,
        provider_ref=delivery.provider_ref,
        started_at=started,
        ended_at=delivery.updated_at,
    )


def _mail(address: str, data: dict[str, Any]) -> EmailMultiAlternatives:
    values = {**content.SHARED, **data}
    plain_text = Context(values, autoescape=False)
    mail = EmailMultiAlternatives(
        _template(content.SUBJECT).render(plain_text),
        _template(content.TEXT).render(plain_text),
        settings.DEFAULT_FROM_EMAIL,
        [address],
        connection=_connection(),
    )
    mail.attach_alternative(_template(content.HTML).render(Context(values)), "text/html")
    return mail


@cache
def _template(source: str) -> Template:
    return Engine().from_string(source)


@cache
def _connection() -> BaseEmailBackend:
    connection = get_connection()
    connection.open()
    return connection
