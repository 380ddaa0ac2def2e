"""The one place that writes to the trail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model
from django.http import HttpRequest

from commsproject.common.audit import snapshots
from commsproject.common.models import AuditEvent


@dataclass(frozen=True)
class Happened:
    """One thing that was done, to at most one row."""

    action: str
    model: str = ""
    object_id: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


def about(action: str, row: Model, **changes: Any) -> Happened:
    label = row._meta.label_lower  # noqa: SLF001 - documented API
    return Happened(action, label, snapshots.key_of(row), changes)


def record(
    request: HttpRequest | None,
    *happened: Happened,
    actor: AbstractBaseUser | AnonymousUser | None = None,
) -> None:
    """In the transaction that is open. The actor is who is signed in, unless another is named."""
    who = actor or getattr(request, "user", None)
    is_known = who is not None and who.is_authenticated
    AuditEvent.objects.bulk_create(
        AuditEvent(
            action=one.action[:60],
            actor_id=who.pk if who is not None and is_known else None,
            actor=who.get_username()[:150] if who is not None and is_known else "",
            model=one.model,
            object_id=one.object_id[:100],
            changes=dict(one.changes),
            address=_address(request),
            request_id=str(structlog.contextvars.get_contextvars().get("request_id", ""))[:64],
        )
        for one in happened
    )


def _address(request: HttpRequest | None) -> str:
    address = request.META.get("REMOTE_ADDR", "") if request is not None else ""
    return snapshots.hashed(address) if address else ""
