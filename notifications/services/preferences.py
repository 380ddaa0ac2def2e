"""What people choose: by category and channel, in quiet hours, and the record that they did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from commsproject.common.errors import InvalidInput
from notifications.models import Category, Consent, Preference, QuietHours, Recipient
from notifications.services import confirmations, recipients
from notifications.signals import choices_changed


@dataclass(frozen=True)
class Wish:
    """One choice: `category` a key, `""` for all; `channel` `""` for all; `is_on` None takes an
    earlier choice back.
    """

    category: str
    channel: str
    is_on: bool | None


@dataclass(frozen=True)
class Changed:
    """A choice that is now another, as apps above hear of it."""

    user_id: str
    category: str
    channel: str
    is_on: bool


@dataclass(frozen=True)
class Said:
    """Where somebody said it, and what shows that they did; `address_hash` of the address they said
    it from, where that is known.
    """

    source: str
    proof: Mapping[str, Any] = field(default_factory=dict)
    address_hash: str = ""


def put(user_id: str, wishes: Sequence[Wish], said: Said) -> list[Changed]:
    """Write the choices of a person who may be new; those that are new. Raises `InvalidInput`, and
    changes nothing.

    A yes to a category that must be confirmed is only noted here, and a message with a link is
    sent; it holds once `confirm` is told.
    """
    categories = _categories(wishes)
    with transaction.atomic():
        person = recipients.make(user_id)
        changed = [
            change
            for wish in wishes
            if (change := _write(person, wish, categories.get(wish.category), said))
        ]
        announce = partial(choices_changed.send_robust, sender=Preference, changes=changed)
        if changed:
            transaction.on_commit(announce, robust=True)
    return changed


def confirm(user_id: str, category: Category, channel: str, said: Said) -> None:
    """A person has followed the link: what they asked for holds from now on. Safe to repeat."""
    with transaction.atomic():
        person = recipients.make(user_id)
        if not _set(person, category, channel, is_on=True):
            return
        _note(person, category, channel, Consent.Act.CONFIRMED, said)
    change = Changed(user_id, category.key, channel, is_on=True)
    choices_changed.send_robust(sender=Preference, changes=[change])


def _categories(wishes: Iterable[Wish]) -> dict[str, Category]:
    keys = {wish.category for wish in wishes if wish.category}
    found = {row.key: row for row in Category.objects.filter(key__in=keys)}
    for index, wish in enumerate(wishes):
        category = found.get(wish.category)
        if wish.category and category is None:
            raise InvalidInput.of(
                f"preferences.{index}.category",
                "unknown_category",
                f"There is no category {wish.category!r}.",
            )
        if category and wish.is_on is False and not may_turn_off(category):
            raise InvalidInput.of(
                f"preferences.{index}.is_on",
                "not_optional",
                f"Messages of {category.key!r} cannot be turned off.",
            )
    return found


def may_turn_off(category: Category) -> bool:
    return category.is_optional and category.kind != Category.Kind.ESSENTIAL


def _write(person: Recipient, wish: Wish, category: Category | None, said: Said) -> Changed | None:
    if wish.is_on is None:
        Preference.objects.filter(
            recipient=person, category=category, channel=wish.channel
        ).delete()
        return None
    if wish.is_on and category and category.needs_confirmation:
        _note(person, category, wish.channel, Consent.Act.ASKED, said)
        confirmations.ask(person, category, wish.channel)
        return None
    act = Consent.Act.GIVEN if wish.is_on else Consent.Act.WITHDRAWN
    if not _set(person, category, wish.channel, is_on=wish.is_on):
        return None
    _note(person, category, wish.channel, act, said)
    return Changed(person.user_id, wish.category, wish.channel, wish.is_on)


def _set(person: Recipient, category: Category | None, channel: str, *, is_on: bool) -> bool:
    """Whether that is new."""
    known = Preference.objects.filter(recipient=person, category=category, channel=channel)
    if known.filter(is_on=is_on).exists():
        return False
    now = timezone.now()
    if not known.update(is_on=is_on, changed_at=now):
        Preference.objects.create(
            recipient=person, category=category, channel=channel, is_on=is_on, changed_at=now
        )
    return True


def note_again(person: Recipient | None, wish: Wish, said: Said) -> None:
    """A yes that was no news, and yet took back an unsubscribing."""
    category = Category.objects.filter(key=wish.category).first()
    _note(person, category, wish.channel, Consent.Act.GIVEN, said)


def note_withdrawal(category: Category | None, channel: str, said: Said) -> None:
    """Of somebody whose address is all that is known. Said again it is noted once."""
    known = Consent.objects.filter(
        address_hash=said.address_hash, category=category, channel=channel
    ).order_by("-id")
    if (last := known.first()) is None or last.act != Consent.Act.WITHDRAWN:
        _note(None, category, channel, Consent.Act.WITHDRAWN, said)


def _note(
    person: Recipient | None,
    category: Category | None,
    channel: str,
    act: Consent.Act,
    said: Said,
) -> None:
    Consent.objects.create(
        recipient=person,
        category=category,
        channel=channel,
        act=act,
        address_hash=said.address_hash,
        source=said.source,
        proof=dict(said.proof),
    )


# --- Quiet hours ---------------------------------------------------------------------------------

MAX_PERIODS = 14


@dataclass(frozen=True)
class Period:
    start: time
    end: time
    days: Sequence[int] = ()


def set_quiet_hours(user_id: str, periods: Sequence[Period], time_zone: str | None) -> None:
    """In place of those there were. `time_zone` None: it stays as it is."""
    with transaction.atomic():
        person = recipients.make(user_id)
        if time_zone is not None:
            person.time_zone = time_zone
            person.save(update_fields=["time_zone"])
        person.quiet_hours.all().delete()
        QuietHours.objects.bulk_create(
            QuietHours(recipient=person, start=one.start, end=one.end, days=sorted(set(one.days)))
            for one in periods
        )
