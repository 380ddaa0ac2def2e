"""The devices people want to be notified on: registered by their apps, removed with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from typing_extensions import override

from commsproject.common.errors import NotFound
from notifications import push_tokens
from notifications.models import Device, Recipient
from notifications.types import Platform

MAX_DEVICES = 20
"""Of one person. With more, the one unseen for longest is removed."""

UNSEEN_FOR = timedelta(days=270)
"""Firebase counts a token as expired when its device has not connected for so long
(firebase.google.com/docs/cloud-messaging/manage-tokens). One rule for all platforms.
"""

REREGISTERED = "registered by somebody else"
SURPLUS = f"one more than {MAX_DEVICES} devices, unseen for longest"
UNSEEN = f"not seen for {UNSEEN_FOR.days} days"
BY_PERSON = "removed by the person"


@dataclass(frozen=True, repr=False)
class DeviceToken:
    """What a push service needs to reach a device; `app` may be empty."""

    platform: Platform
    token: str
    app: str

    @override
    def __repr__(self) -> str:
        return f"<DeviceToken {self.platform.value}>"


def tokens(ids: Iterable[UUID]) -> Mapping[UUID, DeviceToken]:
    """Of those devices that are still registered."""
    rows = Device.objects.filter(id__in=list(ids), removed_at=None)
    return {
        key: DeviceToken(Platform(platform), token, app)
        for key, platform, token, app in rows.values_list("id", "platform", "token", "app")
    }


def of_person(user_id: str) -> QuerySet[Device]:
    """All devices the person ever had. Every read of one starts here."""
    return Device.objects.filter(recipient__user_id=user_id)


def get(user_id: str, device_id: UUID) -> Device:
    """One of the person's devices, also a removed one. Raises `NotFound`, also for another's."""
    found = of_person(user_id).filter(id=device_id).first()
    if found is None:
        raise NotFound("This person has no device with this id.")
    return found


def register(
    user_id: str, platform: Platform, token: str, *, name: str = "", app: str = ""
) -> tuple[Device, bool]:
    """The device of a token in normal form (`push_tokens`), and whether it is new to the person.

    Safe to repeat: registered again it has been seen, and takes a `name` and an `app` that are
    given. Where somebody else had it, theirs is removed and what was on its way to them is not
    delivered: the device changed hands.
    """
    with transaction.atomic():
        person = _person(user_id)
        device = Device(
            recipient=person,
            platform=platform,
            token=token,
            token_hash=push_tokens.digest(platform, token),
            name=name,
            app=app,
        )
        while True:
            Device.objects.bulk_create([device], ignore_conflicts=True)
            holder = _registered(device)
            if holder is None:
                continue  # it was removed since
            if holder.id == device.id:
                _trim(person)
                return holder, True
            if holder.recipient_id == person.id:
                return _seen(holder, device), False
            _remove(Device.objects.filter(id=holder.id), REREGISTERED)


def remove(user_id: str, device_id: UUID, *, reason: str = BY_PERSON) -> None:
    """Safe to repeat. Raises `NotFound` where the person never had it."""
    device = get(user_id, device_id)
    _remove(Device.objects.filter(id=device.id), reason)


def gone(
    platform: Platform, device_id: UUID, reason: str, gone_since: datetime | None = None
) -> bool:
    """Remove a device that its push service no longer knows; whether it was removed.

    With `gone_since` it stays if it has been registered, for the first time or again, since then:
    the push service's answer is about what was before.
    """
    rows = Device.objects.filter(id=device_id, platform=platform)
    if gone_since is not None:
        rows = rows.filter(seen_at__lt=gone_since)
    return _remove(rows, reason) > 0


def remove_unseen() -> int:
    """Remove the devices whose app has not been opened for very long; how many."""
    return _remove(Device.objects.filter(seen_at__lt=timezone.now() - UNSEEN_FOR), UNSEEN)


def _person(user_id: str) -> Recipient:
    """Locked: what one person registers at once is registered one after the other."""
    Recipient.objects.bulk_create([Recipient(user_id=user_id)], ignore_conflicts=True)
    return Recipient.objects.select_for_update(no_key=True).get(user_id=user_id)


def _registered(device: Device) -> Device | None:
    """Who has its token now, locked."""
    rows = Device.objects.select_for_update(no_key=True)
    return rows.filter(
        platform=device.platform, token_hash=device.token_hash, removed_at=None
    ).first()


def _seen(known: Device, again: Device) -> Device:
    known.token = again.token
    known.name = again.name or known.name
    known.app = again.app or known.app
    known.seen_at = again.seen_at
    known.save(update_fields=["token", "name", "app", "seen_at"])
    return known


def _trim(person: Recipient) -> None:
    latest = Device.objects.filter(recipient=person, removed_at=None).order_by("-seen_at", "-id")
    surplus = list(latest.values_list("id", flat=True)[MAX_DEVICES:])
    _remove(Device.objects.filter(id__in=surplus), SURPLUS)


def _remove(rows: QuerySet[Device], reason: str) -> int:
    return rows.filter(removed_at=None).update(
        removed_at=timezone.now(), reason=reason[:200], token=""
    )
