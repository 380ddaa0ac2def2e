"""What is known of people and categories, as the policy asks for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection

from commsproject.common.arrays import uuids, words
from commsproject.common.live.presence import selectors as presence
from notifications import addresses, policy
from notifications.models import Category
from notifications.types import Channel, QuietRule, SuppressionReason


@dataclass(frozen=True, repr=False)
class Person:
    """Of one recipient. `periods` are their own quiet hours."""

    id: UUID
    user_id: str
    locale: str
    time_zone: str
    paused_until: datetime | None
    choices: Sequence[policy.Choice]
    periods: Sequence[policy.Quiet]


_PEOPLE = """
SELECT id, user_id, locale, time_zone, paused_until,
       (SELECT jsonb_agg(jsonb_build_array(coalesce(category.key, ''), channel, is_on))
        FROM notifications_preference
        LEFT JOIN notifications_category AS category ON category.id = category_id
        WHERE recipient_id = recipient.id),
       (SELECT jsonb_agg(jsonb_build_array(start, "end", days))
        FROM notifications_quiethours WHERE recipient_id = recipient.id)
FROM notifications_recipient AS recipient WHERE
"""


def by_id(ids: Iterable[UUID]) -> Mapping[UUID, Person]:
    wanted = set(ids)
    if not wanted:
        return {}
    return {person.id: person for person in _read("id = ANY(%s::uuid[])", uuids(wanted))}


def by_user_id(user_ids: Collection[str]) -> Mapping[str, Person]:
    if not user_ids:
        return {}
    return {person.user_id: person for person in _read("user_id = ANY(%s)", list(user_ids))}


def _read(condition: str, among: Any) -> list[Person]:
    with connection.cursor() as cursor:
        cursor.execute(_PEOPLE + condition, [among])
        return [_person(*row) for row in cursor.fetchall()]


def _person(
    id_: UUID,
    user_id: str,
    locale: str,
    zone: str,
    paused_until: datetime | None,
    choices: str | None,
    periods: str | None,
) -> Person:
    return Person(
        id_,
        user_id,
        locale,
        zone,
        paused_until,
        [policy.Choice(*choice) for choice in orjson.loads(choices or "[]")],
        [
            policy.Quiet(time.fromisoformat(start), time.fromisoformat(end), zone or "UTC", days)
            for start, end, days in orjson.loads(periods or "[]")
        ],
    )


def rules(category: Category | None) -> policy.Rules:
    if category is None:
        return policy.Rules()
    return policy.Rules(
        key=category.key,
        is_essential=category.kind == Category.Kind.ESSENTIAL,
        is_marketing=category.kind == Category.Kind.MARKETING,
        is_optional=category.is_optional,
        is_opt_in=category.is_opt_in,
        quiet=QuietRule(category.quiet),
        spares_watchers=category.spares_watchers,
        paused=_why_paused(category),
        daily_cap=category.daily_cap,
    )


def _why_paused(category: Category) -> str:
    return (category.pause_reason or "by staff") if category.is_paused else ""


def watching(people: Iterable[Person]) -> set[str]:
    """The user ids of those who are looking at their inbox."""
    user_ids = {person.user_id for person in people}
    return presence.looking_at_own("inbox", user_ids) if user_ids else set()


def facts(
    *,
    now: datetime,
    channel: Channel,
    country: str | None,
    address: str,
    rules: policy.Rules,
    expires_at: datetime | None,
    suppressed: Sequence[policy.Suppressed],
    person: Person | None,
    is_watching: bool = False,
    taken: int = 0,
) -> policy.Facts:
    """`country` of a phone number, None for all other addresses."""
    return policy.Facts(
        now=now,
        channel=channel,
        rules=rules,
        expires_at=expires_at,
        suppressed=suppressed,
        country=country,
        countries=settings.SMS_COUNTRIES,
        tariff=addresses.tariff(address) if channel is Channel.SMS else "",
        choices=person.choices if person else (),
        paused_until=person.paused_until if person else None,
        periods=person.periods if person else (),
        legal=_legal(address) if channel is Channel.SMS and rules.is_marketing else (),
        is_watching=is_watching,
        taken=taken,
    )


def _legal(number: str) -> list[policy.Quiet]:
    """A number of several time zones is left alone while it is night in any of them."""
    return [policy.Quiet(*policy.LEGAL, zone) for zone in addresses.zones(number)]


_SUPPRESSIONS = """
SELECT channel, address_hash, scope, reason, expires_at
FROM notifications_suppression WHERE channel = ANY(%s) AND address_hash = ANY(%s::text[])
"""


def suppressed(
    pairs: Iterable[tuple[str, str]],
) -> dict[tuple[str, str], list[policy.Suppressed]]:
    """The suppression list's entries for `(channel, address hash)` pairs, in one query."""
    found: dict[tuple[str, str], list[policy.Suppressed]] = defaultdict(list)
    wanted = set(pairs)
    if wanted:
        channels, digests = ({pair[place] for pair in wanted} for place in (0, 1))
        with connection.cursor() as cursor:
            cursor.execute(_SUPPRESSIONS, [list(channels), words(digests)])
            for channel, digest, scope, reason, expires_at in cursor.fetchall():
                entry = policy.Suppressed(scope, SuppressionReason(reason), expires_at)
                found[(channel, digest)].append(entry)
    return found
