"""From what was asked to the rows that would do it. Reads in sets, writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from templates_app import demands, experiments
from templates_app import selectors as templates
from templates_app.errors import MissingVariable, TemplateError
from templates_app.models import TemplateVersion
from templates_app.types import Reader
from templates_app.values import Admitted, admit


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """Whom a message is for. Addresses are in normal form; a device is named by its id."""

    user_id: str = ""
    addresses: Mapping[Channel, str] = field(default_factory=dict)

    @property
    def person(self) -> str:
        """Who it is, as far as one can tell from what was given: the user, else an address."""
        given = (self.addresses[channel] for channel in Channel if channel in self.addresses)
        return self.user_id or next(given, "")


@dataclass(frozen=True, kw_only=True, repr=False)
class Terms:
    """What a message, or all messages of a batch, are asked for with: checked for form but not
    yet against what is stored.
    """

    template: str = ""
    version: TemplateVersion | None = None
    """A published one, in place of the one in use."""
    content: Mapping[str, str] | None = None
    parts: render.Content | None = None
    """As they go out: the data are in them."""
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
    actions: Sequence[Mapping[str, str]] = ()
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
    trial: experiments.Trial | None = None
    variant_id: UUID | None = None

    def of(self, to: Target) -> Shared:
        """What this person gets: in an experiment, one of its variants."""
        return self if self.trial is None else self._arms[self.trial.assign(to.person).id]

    @cached_property
    def _arms(self) -> Mapping[UUID, Shared]:
        return {
            variant.id: replace(
                self,
                version=variant.version,
                content=templates.parts(variant.version, self.terms.locale),
                trial=None,
                variant_id=variant.id,
            )
            for variant in (self.trial.variants if self.trial else ())
        }

    def source(self, channel: Channel, reader: Reader) -> Source:
        """What the reader gets on a channel; one object for all of a language.

        Raises `TemplateProblem`.
        """
        tag = templates.tag(self.version, channel.value, reader.locale) if self.version else ""
        known = self._sources.get((channel, tag))
        if known is None:
            if self.version:
                known = render.source(self.version, channel.value, tag, self._admitted)
            else:
                known = Source(self.content[channel.value], "", self._admitted)
            self._sources[channel, tag] = known
        return known

    @cached_property
    def is_strict(self) -> bool:
        """Whether data that render can be wrong all the same."""
        return self.version is not None and demands.strict(self.version) is not None

    def kept_by(self, channel: Channel) -> Collection[str]:
        """As `Source.kept_by`."""
        if self.version is None or channel is not Channel.EMAIL or self.content[channel.value]:
            return ()
        return tuple(self.version.hosted)

    @cached_property
    def _sources(self) -> dict[tuple[Channel, str], Source]:
        return {}

    @cached_property
    def _admitted(self) -> Admitted | None:
        """The shared data, checked once for all rows."""
        try:
            return None if self.data is None else admit(self.data)
        except TemplateError as error:
            raise TemplateProblem.of("data", "template", str(error)) from None

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
    due: datetime | None = None
    """Not before then, where that is later than its message asks for."""


@dataclass(slots=True, repr=False)
class Planned:
    """One message that would be stored like this."""

    id: UUID
    shared: Shared
    row: Row
    reader: Reader
    deliveries: Sequence[PlannedDelivery]


@dataclass(frozen=True)
class World:
    """What is known at this moment of the people and addresses that are written to."""

    now: datetime
    known_addresses: Mapping[str, Mapping[Channel, Sequence[str]]]
    readers: Mapping[str, Reader]
    """By user id, of those whose language or time zone is known."""
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
            return _plan_one(names.resolve(client, asked).of(row.to), row, world)
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
            yield _plan_one(shared.of(row.to), row, world)
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
    """Templates, their experiments and categories by their keys, read in one query each."""

    versions: Mapping[str, TemplateVersion]
    trials: Mapping[str, experiments.Trial]
    categories: Mapping[str, Category]

    @classmethod
    def of(cls, many: Sequence[Terms]) -> _Names:
        keys = {terms.category for terms in many if terms.category}
        versions = templates.published({terms.template for terms in many if terms.template})
        return cls(
            versions,
            experiments.trials(versions.values()),
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
        trial = self.trials.get(terms.template) if version != terms.version else None
        category = self._category(terms)
        return Shared(terms, client, version, content, category, data, batch_id, trial)

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
        if terms.parts is not None:
            return None, terms.parts
        if terms.version is not None:
            return terms.version, templates.parts(terms.version, terms.locale)
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
SELECT recipient.user_id, recipient.locale, recipient.time_zone, address.channel, address.value
FROM notifications_recipient AS recipient
LEFT JOIN notifications_address AS address ON address.recipient_id = recipient.id
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
    known, readers = _known({row.to.user_id for row in rows if row.to.user_id})
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
        readers=readers,
        devices=devices,
        digests=digests,
        suppressions=suppressed(
            (channel.value, digest) for (channel, _), digest in digests.items()
        ),
    )


def _known(
    people: Collection[str],
) -> tuple[Mapping[str, Mapping[Channel, Sequence[str]]], Mapping[str, Reader]]:
    """Addresses and readers, as `World` has them. Whoever has a user id has an inbox."""
    known: dict[str, dict[Channel, list[str]]] = {
        user_id: {Channel.INAPP: [user_id]} for user_id in people
    }
    readers: dict[str, Reader] = {}
    if people:
        with connection.cursor() as cursor:
            cursor.execute(_KNOWN, [list(people)])
            for user_id, locale, time_zone, channel, value in cursor.fetchall():
                if channel:
                    known[user_id][Channel(channel)] = [value]
                if locale or time_zone:
                    readers[user_id] = Reader(locale, time_zone)
            cursor.execute(_DEVICES_OF, [list(people)])
            for user_id, address in cursor.fetchall():
                known[user_id].setdefault(Channel.PUSH, []).append(address)
    return known, readers


def _devices(named: Collection[str]) -> Mapping[str, str]:
    if not named:
        return {}
    rows = Device.objects.filter(id__in=named, removed_at=None)
    return {str(id_): f"{platform}:{id_}" for id_, platform in rows.values_list("id", "platform")}


def _plan_one(shared: Shared, row: Row, world: World) -> Planned:
    """Raises what is wrong with the row."""
    targets = _targets(shared, row, world)
    reader = _reader(shared.terms, row.to, world)
    segments: dict[Channel, int] = {}
    try:
        for channel in targets:
            _check_carried(channel)
            source = shared.source(channel, reader)
            segments[channel] = check_renders(channel, source, row.data, reader, shared.category)
    except TemplateProblem:
        if found := _wrong_data(shared, row, targets, reader):
            raise found from None
        raise
    if shared.is_strict and (found := _wrong_data(shared, row, targets, reader)):
        raise found
    return Planned(
        new_id(),
        shared,
        row,
        reader,
        [
            _delivery(shared, channel, address, world, segments[channel])
            for channel, found in targets.items()
            for address in found
        ],
    )


def _wrong_data(
    shared: Shared, row: Row, channels: Iterable[Channel], reader: Reader
) -> TemplateProblem | None:
    """Everything that the template's schema finds wrong with the data."""
    if shared.version is None:
        return None
    version, locale = shared.version, reader.locale
    texts = [(channel.value, templates.tag(version, channel.value, locale)) for channel in channels]
    data = {**(shared.data or {}), **(row.data or {})}
    found = demands.problems(version, texts, data)
    errors = [
        FieldError(
            f"data.{one.path}" if one.path else "data", one.code, f"{one.path} {one.message}"
        )
        for one in found
    ]
    return TemplateProblem(errors[0].message, errors=errors) if errors else None


def _reader(terms: Terms, to: Target, world: World) -> Reader:
    """The language that was asked for, else the person's own."""
    known = world.readers.get(to.user_id, render.NOBODY)
    return Reader(terms.locale or known.locale, known.time_zone)


def _targets(shared: Shared, row: Row, world: World) -> dict[Channel, Sequence[str]]:
    """The channels to use and the addresses on each; addresses given win over those stored."""
    to, content = row.to, shared.content
    reachable = _reachable(to, world)
    if not shared.terms.channels:
        usual = frozenset(Channel) if shared.terms.content is None else _SPOKEN_FOR
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
    kept_by = shared.kept_by(channel)
    if not kept_by and all(type(provider).lacks is Provider.lacks for provider in providers):
        return ""
    country = addresses.country(address) if channel is Channel.SMS else ""
    has_files = bool(shared.terms.attachments)
    wanted = Wanted(channel, address, country, country, has_files, hosted=kept_by)
    lacks = [provider.lacks(wanted) for provider in providers]
    return "" if "" in lacks else f"no provider can carry it: {lacks[0]}"


def check_renders(
    channel: Channel,
    source: Source,
    data: Mapping[str, Any] | None,
    reader: Reader,
    category: Category | None,
) -> int:
    """The segments of a text message, 0 of any other. Raises `TemplateProblem`, `TextTooLong`."""
    try:
        rendered = source.render(data, reader)
        for provider in source.hosted:
            source.hosted_values(provider, data, reader)
    except MissingVariable as error:
        field_error = FieldError(f"data.{error.name}", "missing_variable", str(error))
        raise TemplateProblem(str(error), errors=[field_error]) from None
    except TemplateError as error:
        raise TemplateProblem(
            str(error), errors=[FieldError("data", "template", str(error))]
        ) from None
    if not (source.kept_by or render.is_complete(channel, rendered)):
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
    decision = policy.decide(
        policy.Facts(
            now=max(terms.send_at or world.now, world.now),
            channel=channel,
            rules=policy.Rules(terms.category, shared.is_essential),
            expires_at=terms.expires_at,
            suppressed=world.suppressions.get((channel.value, digest), ()),
            country=addresses.country(address) if channel is Channel.SMS else None,
            countries=settings.SMS_COUNTRIES,
        )
    )
    match decision:
        case policy.Refusal(state, reason):
            return PlannedDelivery(new_id(), channel, address, digest, state, reason)
        case policy.Delay(until, reason):
            return PlannedDelivery(
                new_id(), channel, address, digest, State.SCHEDULED, reason, segments, until
            )
    later = terms.send_at is not None and terms.send_at > world.now
    waiting = State.SCHEDULED if later else State.QUEUED
    return PlannedDelivery(new_id(), channel, address, digest, waiting, "", segments)
