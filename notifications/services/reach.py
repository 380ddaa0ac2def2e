"""Whom a message reaches: the people, their addresses, and the channels that are used. Reads in sets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from uuid import UUID

from django.db import connection

from commsproject.common import clock
from commsproject.common.errors import FieldError, InvalidInput
from notifications import addresses, policy
from notifications.errors import NoChannel, UnknownRecipient
from notifications.models import Category, Device
from notifications.providers.base import Provider
from notifications.services import fallback, frequency, people, render
from notifications.services.asked import Row, Target, Terms
from notifications.services.fallback import Step
from notifications.services.people import Person
from notifications.types import Channel
from templates_app.types import Reader


@dataclass(frozen=True, eq=False)
class World:
    """What is known at this moment of the people and addresses that are written to."""

    now: datetime
    people: Mapping[str, Person]
    """By user id, of those who are known."""
    known_addresses: Mapping[str, Mapping[Channel, Sequence[str]]]
    devices: Mapping[str, str]
    """Id to `platform:id`, of those that were named and are registered."""
    digests: Mapping[tuple[Channel, str], str]
    suppressions: Mapping[tuple[str, str], Sequence[policy.Suppressed]]
    carriers: dict[Channel, Sequence[Provider]] = field(default_factory=dict)
    """The providers of the channels that were asked for so far."""
    _readers: dict[str, Reader] = field(default_factory=dict)
    _taken: dict[UUID, Mapping[UUID, int]] = field(default_factory=dict)

    def reader(self, terms: Terms, to: Target) -> Reader:
        """The language that was asked for, else the person's own."""
        person = self.people.get(to.user_id)
        if person is not None:
            return Reader(terms.locale or person.locale, person.time_zone)
        known = self._readers.get(terms.locale)
        if known is None:
            known = self._readers[terms.locale] = Reader(terms.locale, render.NOBODY.time_zone)
        return known

    def taken(self, category: Category, person: Person) -> int:
        """Messages of a capped category that the person had in 24 hours. One query for everybody."""
        if category.id not in self._taken:
            ids = [one.id for one in self.people.values()]
            self._taken[category.id] = frequency.taken(ids, category.id, self.now)
        return self._taken[category.id].get(person.id, 0)

    @cached_property
    def watching(self) -> Collection[str]:
        """The user ids of those who are looking at their inbox."""
        return people.watching(self.people.values())


@dataclass(frozen=True)
class Aim:
    """The addresses on each channel that is used: at first, and in later steps."""

    first: Mapping[Channel, Sequence[str]]
    later: Sequence[tuple[Step, Sequence[str]]] = ()


_KNOWN = """
SELECT recipient.user_id, address.channel, address.value
FROM notifications_address AS address
JOIN notifications_recipient AS recipient ON recipient.id = address.recipient_id
WHERE recipient.user_id = ANY(%s)
ORDER BY address.verified_at NULLS FIRST, address.id
"""
"""The best one comes last and wins: verified ones after all others, the newest of its kind."""

_DEVICES_OF = """
SELECT recipient.user_id, device.platform || ':' || device.id
FROM notifications_device AS device
JOIN notifications_recipient AS recipient ON recipient.id = device.recipient_id
WHERE recipient.user_id = ANY(%s) AND device.removed_at IS NULL
ORDER BY device.id
"""
"""All of them: a person looks at one, and we do not know at which."""


def look_at(rows: Sequence[Row]) -> World:
    user_ids = {row.to.user_id for row in rows if row.to.user_id}
    known = _known(user_ids)
    given = {pair for row in rows for pair in row.to.addresses.items()}
    devices = _devices({value for channel, value in given if channel is Channel.PUSH})
    wanted = {pair for pair in given if pair[0] is not Channel.PUSH}
    wanted.update((Channel.PUSH, address) for address in devices.values())
    wanted.update(
        (channel, value)
        for by_channel in known.values()
        for channel, values in by_channel.items()
        for value in values
    )
    digests = {pair: addresses.digest(*pair) for pair in wanted}
    return World(
        now=clock.now(),
        people=people.by_user_id(user_ids),
        known_addresses=known,
        devices=devices,
        digests=digests,
        suppressions=people.suppressed(
            (channel.value, digest) for (channel, _), digest in digests.items()
        ),
    )


def _known(user_ids: Collection[str]) -> Mapping[str, Mapping[Channel, Sequence[str]]]:
    """Whoever has a user id has an inbox."""
    known: dict[str, dict[Channel, list[str]]] = {
        user_id: {Channel.INAPP: [user_id]} for user_id in user_ids
    }
    if user_ids:
        with connection.cursor() as cursor:
            cursor.execute(_KNOWN, [list(user_ids)])
            for user_id, channel, value in cursor.fetchall():
                known[user_id][Channel(channel)] = [value]
            cursor.execute(_DEVICES_OF, [list(user_ids)])
            for user_id, address in cursor.fetchall():
                known[user_id].setdefault(Channel.PUSH, []).append(address)
    return known


def _devices(named: Collection[str]) -> Mapping[str, str]:
    if not named:
        return {}
    rows = Device.objects.filter(id__in=named, removed_at=None)
    return {str(id_): f"{platform}:{id_}" for id_, platform in rows.values_list("id", "platform")}


@dataclass(eq=False)
class Choice:
    """Which channels are used, by what can be reached: the same for all rows that are alike in it."""

    terms: Terms
    content: render.Content
    category: Category | None
    is_inline: bool = field(kw_only=True)
    _made: dict[tuple[Channel | None, ...], _Channels] = field(default_factory=dict)

    def among(self, reachable: Mapping[Channel, Sequence[str]], to: Target) -> _Channels:
        """Raises what is wrong."""
        key = (*reachable, None, *to.addresses)
        if (known := self._made.get(key)) is None:
            known = self._made[key] = self._choose(reachable.keys(), to)
        return known

    def _choose(self, reachable: Collection[Channel], to: Target) -> _Channels:
        """Channels that the message names are used as they are. Otherwise its category says which,
        and in which steps; without one, all that have both an address and content.
        """
        if self.terms.channels:
            return _named(self.terms, self.content, reachable), ()
        usable = [channel for channel in reachable if channel in self.content]
        if self.category is not None and self.category.channels:
            chosen, later = _by_category(self.category, usable)
        else:
            chosen, later = _usual(to, usable, is_inline=self.is_inline), ()
        if not chosen and set(reachable) <= {Channel.INAPP}:
            raise UnknownRecipient(
                "No address is known for this user; give one beside user_id.",
                errors=[FieldError("to.user_id", "unknown_recipient", "No address is known.")],
            )
        if not chosen:
            raise NoChannel(
                f"There is content for {_names(self.content)}, and an address for "
                f"{_names(reachable)}.",
                errors=[FieldError("channels", "no_channel", "No channel has both.")],
            )
        return chosen, later


_Channels = tuple[Sequence[Channel], Sequence[Step]]
"""The first ones, and the steps after them."""


def aim(choice: Choice, to: Target, world: World) -> Aim:
    """The channels to use and the addresses on each; addresses given win over those stored.

    Raises what is wrong.
    """
    reachable = _reachable(to, world)
    first, later = choice.among(reachable, to)
    return Aim(
        {channel: reachable[channel] for channel in first},
        [(step, reachable[step.channel]) for step in later],
    )


def _named(
    terms: Terms, content: render.Content, reachable: Collection[Channel]
) -> Sequence[Channel]:
    for index, channel in enumerate(terms.channels):
        if channel not in reachable:
            raise InvalidInput.of(
                f"channels.{index}", "no_address", f"No {channel.value} address is known."
            )
        if channel not in content:
            raise no_content(index, channel)
    return list(dict.fromkeys(terms.channels))


def _by_category(category: Category, usable: Collection[Channel]) -> _Channels:
    """Where none of the first channels can be used, the first step that can be is the start."""
    first = [channel for channel in map(Channel, category.channels) if channel in usable]
    later = [step for step in fallback.steps(category) if step.channel in usable]
    if not first and later:
        return [later[0].channel], later[1:]
    return first, later


_SPOKEN_FOR = frozenset({Channel.EMAIL, Channel.SMS})
"""The channels that inline content is for where none are named: its words are theirs."""


def _usual(to: Target, usable: Collection[Channel], *, is_inline: bool) -> Sequence[Channel]:
    usual = _SPOKEN_FOR if is_inline else frozenset(Channel)
    return [
        channel
        for channel in Channel
        if channel in usable and (channel in usual or channel in to.addresses)
    ]


def _reachable(to: Target, world: World) -> Mapping[Channel, Sequence[str]]:
    given: dict[Channel, Sequence[str]] = {
        channel: [address]
        for channel, address in to.addresses.items()
        if channel is not Channel.PUSH
    }
    if named := to.addresses.get(Channel.PUSH):
        if named not in world.devices:
            raise InvalidInput.of(
                "to.device", "unknown_device", "No device with this id is registered."
            )
        given[Channel.PUSH] = [world.devices[named]]
    known = world.known_addresses.get(to.user_id) if to.user_id else None
    return {**known, **given} if known else given


def no_content(index: int, channel: Channel) -> InvalidInput:
    return InvalidInput.of(
        f"channels.{index}", "no_content", f"There is no content for {channel.value}."
    )


def _names(channels: Iterable[str]) -> str:
    return ", ".join(Channel(name).value for name in channels) or "no channel"
