"""From what was asked to the rows that would do it. Reads in sets, writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from typing_extensions import override

from commsproject.common import clock
from commsproject.common.errors import CommsError, FieldError, InvalidInput
from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications import addresses, policy, sms
from notifications.errors import (
    NoChannel,
    NoProvider,
    TemplateProblem,
    TextTooLong,
    UnknownRecipient,
)
from notifications.models import Category, Device
from notifications.providers import registry
from notifications.providers.base import Provider
from notifications.services import render
from notifications.services.render import Source
from notifications.states import State
from notifications.types import Channel, Lane, SuppressionReason, Wanted
from templates_app import selectors as templates
from templates_app.errors import MissingVariable, TemplateError
from templates_app.models import TemplateVersion
from templates_app.values import admit


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """Whom a message is for. Addresses are in normal form; a device is named by its id."""

    user_id: str = ""
    addresses: Mapping[Channel, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, repr=False)
class Terms:
    """What a message, or all messages of a batch, are asked for with: checked for form but not
    yet against what is stored.
    """

    template: str = ""
    content: Mapping[str, str] | None = None
    data: Mapping[str, Any] | None = None
    channels: Sequence[Channel] = ()
    locale: str = ""
    category: str = ""
    priority: Lane = Lane.NORMAL
    send_at: datetime | None = None
    expires_at: datetime | None = None
    agent_id: str = ""
    reference: str = ""
    tags: Sequence[str] = ()
    reply_to: str = ""
    attachments: Sequence[Mapping[str, str]] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str = ""

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.template or 'inline'}>"


@dataclass(frozen=True, kw_only=True, repr=False)
class Submission(Terms):
    """One message as asked for."""

    to: Target
    dry_run: bool = False
    fingerprint: bytes = b""


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """What is a message's own. `number` is its place in its batch, from 1."""

    to: Target
    data: Mapping[str, Any] | None = None
    reference: str = ""
    number: int | None = None


@dataclass(frozen=True, eq=False)
class Shared:
    """Terms, and what they name: all that the messages of a batch have in common.

    `data` lies beneath each message's own; both None: the content is literal.
    """

    terms: Terms
    client: ApiClient
    version: TemplateVersion | None
    content: render.Content
    category: Category | None
    data: Mapping[str, Any] | None = None
    batch_id: UUID | None = None

    @cached_property
    def sources(self) -> Mapping[str, Source]:
        """The content of each channel with the shared data, checked once for all rows.

        Raises `TemplateProblem`.
        """
        try:
            shared = None if self.data is None else admit(self.data)
        except TemplateError as error:
            raise TemplateProblem.of("data", "template", str(error)) from None
        return {name: Source(parts, "", shared) for name, parts in self.content.items()}

    @property
    def is_essential(self) -> bool:
        return self.category is not None and self.category.kind == Category.Kind.ESSENTIAL


@dataclass(slots=True, repr=False)
class PlannedDelivery:
    id: UUID
    channel: Channel
    address: str
    digest: str
    state: State
    reason: str
    segments: int = 0
    """Of a text message."""


@dataclass(slots=True, repr=False)
class Planned:
    """One message that would be stored like this."""

    id: UUID
    shared: Shared
    row: Row
    deliveries: Sequence[PlannedDelivery]


@dataclass(frozen=True)
class World:
    """What is known at this moment of the people and addresses that are written to."""

    now: datetime
    known_addresses: Mapping[str, Mapping[Channel, Sequence[str]]]
    devices: Mapping[str, str]
    """Id to `platform:id`, of those that were named and are registered."""
    digests: Mapping[tuple[Channel, str], str]
    suppressions: Mapping[tuple[str, str], Sequence[policy.Suppressed]]


def plan(client: ApiClient, submissions: Sequence[Submission]) -> list[Planned | CommsError]:
    """The rows of each submission, or what is wrong with it, in the same order."""
    names = _Names.of(submissions)
    rows = [Row(asked.to, asked.data, asked.reference) for asked in submissions]
    world = _look_at(rows)

    def planned(asked: Submission, row: Row) -> Planned | CommsError:
        try:
            return _plan_one(names.resolve(client, asked), row, world)
        except CommsError as error:
            return error

    return [planned(asked, row) for asked, row in zip(submissions, rows, strict=True)]


def share(client: ApiClient, terms: Terms, batch_id: UUID) -> Shared:
    """What the rows of a batch will have in common. Raises what no row could mend."""
    names = _Names.of([terms])
    shared = names.resolve(client, terms, data=terms.data, batch_id=batch_id)
    for index, channel in enumerate(terms.channels):
        if channel.value not in shared.content:
            raise _no_content(index, channel)
    for channel in terms.channels:
        _check_carried(channel)
    return shared


def plan_rows(shared: Shared, rows: Sequence[Row]) -> Iterator[Planned | CommsError]:
    """As `plan`, for rows of one batch; each is planned, and gets its keys, when it is asked for."""
    world = _look_at(rows)
    for row in rows:
        try:
            yield _plan_one(shared, row, world)
        except CommsError as error:
            yield error


_SUPPRESSIONS = """
SELECT channel, address_hash, scope, reason, expires_at
FROM notifications_suppression WHERE channel = ANY(%s) AND address_hash = ANY(%s)
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
            cursor.execute(_SUPPRESSIONS, [list(channels), list(digests)])
            for channel, digest, scope, reason, expires_at in cursor.fetchall():
                entry = policy.Suppressed(scope, SuppressionReason(reason), expires_at)
                found[(channel, digest)].append(entry)
    return found


# --- What requests name ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Names:
    """Templates and categories by their keys, read in one query each."""

    versions: Mapping[str, TemplateVersion]
    categories: Mapping[str, Category]

    @classmethod
    def of(cls, many: Sequence[Terms]) -> _Names:
        keys = {terms.category for terms in many if terms.category}
        return cls(
            templates.published({terms.template for terms in many if terms.template}),
            {row.key: row for row in Category.objects.filter(key__in=keys)} if keys else {},
        )

    def resolve(
        self,
        client: ApiClient,
        terms: Terms,
        *,
        data: Mapping[str, Any] | None = None,
        batch_id: UUID | None = None,
    ) -> Shared:
        """Raises `InvalidInput`."""
        version, content = self._content(terms)
        return Shared(terms, client, version, content, self._category(terms), data, batch_id)

    def _category(self, terms: Terms) -> Category | None:
        if not terms.category:
            return None
        try:
            return self.categories[terms.category]
        except KeyError:
            raise InvalidInput.of(
                "category", "unknown_category", f"There is no category {terms.category!r}."
            ) from None

    def _content(self, terms: Terms) -> tuple[TemplateVersion | None, render.Content]:
        if terms.content is not None:
            content = render.inline(terms.content)
            if not content:
                raise InvalidInput.of(
                    "content",
                    "incomplete",
                    "An email needs a subject and a text or html; an SMS a text.",
                )
            return None, content
        try:
            version = self.versions[terms.template]
        except KeyError:
            raise InvalidInput.of(
                "template",
                "unknown_template",
                f"There is no published template {terms.template!r}.",
            ) from None
        return version, templates.parts(version, terms.locale)


# --- Whom they are for -------------------------------------------------------------------------

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


def _look_at(rows: Sequence[Row]) -> World:
    known = _known_addresses({row.to.user_id for row in rows if row.to.user_id})
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
        known_addresses=known,
        devices=devices,
        digests=digests,
        suppressions=suppressed(
            (channel.value, digest) for (channel, _), digest in digests.items()
        ),
    )


def _known_addresses(people: Collection[str]) -> Mapping[str, Mapping[Channel, Sequence[str]]]:
    """Whoever has a user id has an inbox."""
    known: dict[str, dict[Channel, list[str]]] = {
        user_id: {Channel.INAPP: [user_id]} for user_id in people
    }
    if people:
        with connection.cursor() as cursor:
            cursor.execute(_KNOWN, [list(people)])
            for user_id, channel, value in cursor.fetchall():
                known[user_id][Channel(channel)] = [value]
            cursor.execute(_DEVICES_OF, [list(people)])
            for user_id, address in cursor.fetchall():
                known[user_id].setdefault(Channel.PUSH, []).append(address)
    return known


def _devices(named: Collection[str]) -> Mapping[str, str]:
    if not named:
        return {}
    rows = Device.objects.filter(id__in=named, removed_at=None)
    return {str(id_): f"{platform}:{id_}" for id_, platform in rows.values_list("id", "platform")}


def _plan_one(shared: Shared, row: Row, world: World) -> Planned:
    """Raises what is wrong with the row."""
    targets = _targets(shared, row, world)
    segments: dict[Channel, int] = {}
    for channel in targets:
        _check_carried(channel)
        source = shared.sources[channel.value]
        segments[channel] = check_renders(channel, source, row.data, shared.category)
    return Planned(
        new_id(),
        shared,
        row,
        [
            _delivery(shared, channel, address, world, segments[channel])
            for channel, found in targets.items()
            for address in found
        ],
    )


def _targets(shared: Shared, row: Row, world: World) -> dict[Channel, Sequence[str]]:
    """The channels to use and the addresses on each; addresses given win over those stored."""
    to, content = row.to, shared.content
    reachable = _reachable(to, world)
    if not shared.terms.channels:
        usual = _SPOKEN_FOR if shared.version is None else frozenset(Channel)
        chosen = [
            channel
            for channel in Channel
            if channel in reachable
            and channel in content
            and (channel in usual or channel in to.addresses)
        ]
        if not chosen and reachable.keys() <= {Channel.INAPP}:
            raise UnknownRecipient(
                "No address is known for this user; give one beside user_id.",
                errors=[FieldError("to.user_id", "unknown_recipient", "No address is known.")],
            )
        if not chosen:
            raise NoChannel(
                f"There is content for {_names(content)}, and an address for {_names(reachable)}.",
                errors=[FieldError("channels", "no_channel", "No channel has both.")],
            )
        return {channel: reachable[channel] for channel in chosen}
    for index, channel in enumerate(shared.terms.channels):
        if channel not in reachable:
            raise InvalidInput.of(
                f"channels.{index}", "no_address", f"No {channel.value} address is known."
            )
        if channel.value not in content:
            raise _no_content(index, channel)
    return {channel: reachable[channel] for channel in dict.fromkeys(shared.terms.channels)}


_SPOKEN_FOR = frozenset({Channel.EMAIL, Channel.SMS})
"""The channels that inline content is for where none are named: its words are theirs."""


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


def _no_content(index: int, channel: Channel) -> InvalidInput:
    return InvalidInput.of(
        f"channels.{index}", "no_content", f"There is no content for {channel.value}."
    )


def _names(channels: Iterable[str]) -> str:
    return ", ".join(Channel(name).value for name in channels) or "no channel"


def _check_carried(channel: Channel) -> None:
    if not registry.for_channel(channel):
        message = f"No provider for {channel.value} is configured."
        raise NoProvider(message, errors=[FieldError("channels", "no_provider", message)])


def _beyond(shared: Shared, channel: Channel, address: str) -> str:
    """Why no provider that is on can carry a message to this address, whatever happens."""
    providers = registry.for_channel(channel)
    if all(type(provider).lacks is Provider.lacks for provider in providers):
        return ""
    country = addresses.country(address) if channel is Channel.SMS else ""
    wanted = Wanted(channel, address, country, country, bool(shared.terms.attachments))
    lacks = [provider.lacks(wanted) for provider in providers]
    return "" if "" in lacks else f"no provider can carry it: {lacks[0]}"


def check_renders(
    channel: Channel, source: Source, data: Mapping[str, Any] | None, category: Category | None
) -> int:
    """The segments of a text message, 0 of any other. Raises `TemplateProblem`, `TextTooLong`."""
    try:
        rendered = source.render(data)
    except MissingVariable as error:
        field_error = FieldError(f"data.{error.name}", "missing_variable", str(error))
        raise TemplateProblem(str(error), errors=[field_error]) from None
    except TemplateError as error:
        raise TemplateProblem(
            str(error), errors=[FieldError("data", "template", str(error))]
        ) from None
    if not render.is_complete(channel, rendered):
        raise TemplateProblem(
            "With this data a required part of the message is empty.",
            errors=[FieldError("data", "empty_part", f"An empty part for {channel.value}.")],
        )
    if channel is not Channel.SMS:
        return 0
    try:
        rule = category.long_text if category else Category.LongText.SPLIT
        return sms.fit(rendered["text"], rule).segments
    except sms.TooLong as error:
        is_literal = data is None and source.shared is None
        field_name = "content.text" if is_literal else "data"
        raise TextTooLong(
            str(error), errors=[FieldError(field_name, TextTooLong.code, str(error))]
        ) from None


def _delivery(
    shared: Shared, channel: Channel, address: str, world: World, segments: int
) -> PlannedDelivery:
    digest = world.digests[channel, address]
    terms = shared.terms
    if reason := _beyond(shared, channel, address):
        return PlannedDelivery(new_id(), channel, address, digest, State.FAILED, reason)
    refusal = policy.decide(
        policy.Facts(
            now=world.now,
            expires_at=terms.expires_at,
            category=terms.category,
            is_essential=shared.is_essential,
            suppressed=world.suppressions.get((channel.value, digest), ()),
            country=addresses.country(address) if channel is Channel.SMS else None,
            countries=settings.SMS_COUNTRIES,
        )
    )
    if refusal:
        return PlannedDelivery(new_id(), channel, address, digest, refusal.state, refusal.reason)
    later = terms.send_at is not None and terms.send_at > world.now
    waiting = State.SCHEDULED if later else State.QUEUED
    return PlannedDelivery(new_id(), channel, address, digest, waiting, "", segments)
