"""From what was asked to the rows that would do it. Reads in sets, writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from commsproject.common.errors import CommsError, FieldError, InvalidInput
from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications import addresses, policy, sms
from notifications.errors import NoProvider, TemplateProblem, TextTooLong
from notifications.models import Category
from notifications.providers import registry
from notifications.providers.base import Provider
from notifications.services import digests, people, reach, render
from notifications.services.asked import Row, Submission, Target, Terms
from notifications.services.fallback import Step
from notifications.services.reach import World
from notifications.services.render import Source
from notifications.states import PENDING, State
from notifications.types import Channel, Lane, Wanted
from templates_app import demands, experiments
from templates_app import selectors as templates
from templates_app.errors import MissingVariable, TemplateError
from templates_app.models import TemplateVersion
from templates_app.selectors import InUse
from templates_app.types import Reader
from templates_app.values import Admitted, admit


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

    @cached_property
    def choice(self) -> reach.Choice:
        return reach.Choice(
            self.terms, self.content, self.category, is_inline=self.terms.content is not None
        )

    @cached_property
    def rules(self) -> policy.Rules:
        return people.rules(self.category)

    @cached_property
    def has_items(self) -> bool:
        """Whether the data are those of a digest, if of one message. Only of a template: words that
        are given cannot be joined.
        """
        category = self.category
        return category is not None and bool(category.digest_minutes) and self.version is not None

    @property
    def is_collected(self) -> bool:
        """Whether messages to people wait for others of the category. What is urgent does not."""
        return self.has_items and self.terms.priority is not Lane.URGENT


@dataclass(frozen=True, slots=True)
class Place:
    """A later step of a message, 1 for the first."""

    number: int
    step: Step


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
    place: Place | None = None
    is_collected: bool = False
    """It waits for its digest, or opens one: `submit.write` knows."""


@dataclass(slots=True, repr=False)
class Planned:
    """One message that would be stored like this."""

    id: UUID
    shared: Shared
    row: Row
    reader: Reader
    deliveries: Sequence[PlannedDelivery]


def plan(asked: Sequence[tuple[ApiClient, Submission]]) -> list[Planned | CommsError]:
    """The rows of each submission of an agent, or what is wrong with it, in the same order."""
    names = _Names.of([submission for _, submission in asked])
    rows = [Row(one.to, one.data, one.reference) for _, one in asked]
    world = reach.look_at(rows)

    def planned(client: ApiClient, submission: Submission, row: Row) -> Planned | CommsError:
        try:
            return _plan_one(names.resolve(client, submission).of(row.to), row, world)
        except CommsError as error:
            return error

    return [planned(*one, row) for one, row in zip(asked, rows, strict=True)]


def share(client: ApiClient, terms: Terms, batch_id: UUID) -> Shared:
    """What the rows of a batch will have in common. Raises what no row could mend."""
    names = _Names.of([terms])
    shared = names.resolve(client, terms, data=terms.data, batch_id=batch_id)
    for index, channel in enumerate(terms.channels):
        if channel.value not in shared.content:
            raise reach.no_content(index, channel)
    for channel in terms.channels:
        _check_carried(channel)
    return shared


def plan_rows(shared: Shared, rows: Sequence[Row]) -> Iterator[Planned | CommsError]:
    """As `plan`, for rows of one batch; each is planned, and gets its keys, when it is asked for."""
    world = reach.look_at(rows)
    for row in rows:
        try:
            yield _plan_one(shared.of(row.to), row, world)
        except CommsError as error:
            yield error


# --- What requests name ------------------------------------------------------------------------


_CATEGORIES = "SELECT * FROM notifications_category WHERE key = ANY(%s)"
"""For Django to build it costs as much as to run it."""


@dataclass(frozen=True)
class _Names:
    """Templates, their experiments and categories by their keys, read in one query each."""

    templates: Mapping[str, InUse]
    trials: Mapping[str, experiments.Trial]
    categories: Mapping[str, Category]

    @classmethod
    def of(cls, many: Sequence[Terms]) -> _Names:
        keys = {terms.category for terms in many if terms.category}
        found = templates.in_use({terms.template for terms in many if terms.template})
        return cls(
            found,
            experiments.trials(found),
            {row.key: row for row in Category.objects.raw(_CATEGORIES, [list(keys)])}
            if keys
            else {},
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
            version = self.templates[terms.template].version
        except KeyError:
            raise InvalidInput.of(
                "template",
                "unknown_template",
                f"There is no published template {terms.template!r}.",
            ) from None
        return version, templates.parts(version, terms.locale)


# --- One message -------------------------------------------------------------------------------


def _plan_one(shared: Shared, row: Row, world: World) -> Planned:
    """Raises what is wrong with the row."""
    aim = reach.aim(shared.choice, row.to, world)
    targets = [*aim.first, *(step.channel for step, _ in aim.later)]
    reader = world.reader(shared.terms, row.to)
    row = _collectable(shared, row)
    segments: dict[Channel, int] = {}
    try:
        for channel in targets:
            if channel not in world.carriers:
                _check_carried(channel)
                world.carriers[channel] = registry.for_channel(channel)
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
            *(
                _delivery(shared, row.to, channel, address, world, segments[channel])
                for channel, found in aim.first.items()
                for address in found
            ),
            *(
                _step(shared, row.to, place, address, world, segments[place.step.channel])
                for number, (step, found) in enumerate(aim.later, 1)
                for place in (Place(number, step),)
                for address in found
            ),
        ],
    )


def _collectable(shared: Shared, row: Row) -> Row:
    """What may be collected has its data as a digest of one. Raises `TemplateProblem`."""
    if not shared.has_items:
        return row
    own = {**(shared.data or {}), **(row.data or {})}
    if taken := sorted(digests.OWN & own.keys()):
        raise TemplateProblem.of(
            f"data.{taken[0]}", "reserved", "A category that is collected fills this by itself."
        )
    return replace(row, data={**(row.data or {}), "items": [own], "count": 1})


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


def _check_carried(channel: Channel) -> None:
    if not registry.for_channel(channel):
        message = f"No provider for {channel.value} is configured."
        raise NoProvider(message, errors=[FieldError("channels", "no_provider", message)])


def _beyond(shared: Shared, channel: Channel, address: str, providers: Sequence[Provider]) -> str:
    """Why none of the providers can carry a message to this address, whatever happens."""
    kept_by = shared.kept_by(channel)
    if not (kept_by or any(provider.is_picky for provider in providers)):
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
    is_literal = data is None and source.shared is None
    try:
        is_text = channel is Channel.SMS
        rendered = source.render(data, reader) if is_text else source.check(data, reader)
        for provider in source.hosted:
            source.hosted_values(provider, data, reader)
    except MissingVariable as error:
        field_error = FieldError(f"data.{error.name}", "missing_variable", str(error))
        raise TemplateProblem(str(error), errors=[field_error]) from None
    except TemplateError as error:
        field = f"content.{error.part}" if is_literal else "data"
        raise TemplateProblem(
            str(error), errors=[FieldError(field, "template", str(error))]
        ) from None
    if not (source.kept_by or render.is_complete(channel, rendered)):
        raise TemplateProblem(
            "With this data a required part of the message is empty.",
            errors=[FieldError("data", "empty_part", f"An empty part for {channel.value}.")],
        )
    if not is_text:
        return 0
    try:
        rule = category.long_text if category else Category.LongText.SPLIT
        return sms.fit(rendered["text"], rule).segments
    except sms.TooLong as error:
        field = "content.text" if is_literal else "data"
        raise TextTooLong(
            str(error), errors=[FieldError(field, TextTooLong.code, str(error))]
        ) from None


def _step(
    shared: Shared, to: Target, place: Place, address: str, world: World, segments: int
) -> PlannedDelivery:
    """What is needed later, perhaps. Whether it may be sent is asked then, and now to inform."""
    planned = _delivery(shared, to, place.step.channel, address, world, segments)
    planned.place, planned.is_collected = place, False
    if planned.state in PENDING:
        start = max(shared.terms.send_at or world.now, world.now)
        planned.state, planned.due = State.SCHEDULED, start + place.step.delay
        planned.reason = f"waits whether the message is {place.step.unless.value}"
    return planned


def _delivery(
    shared: Shared, to: Target, channel: Channel, address: str, world: World, segments: int
) -> PlannedDelivery:
    digest = world.digests[channel, address]
    planned = PlannedDelivery(new_id(), channel, address, digest, State.QUEUED, "", segments)
    if reason := _beyond(shared, channel, address, world.carriers[channel]):
        planned.state, planned.reason = State.FAILED, reason
        return planned
    terms = shared.terms
    match _decision(shared, to, planned, world):
        case policy.Refusal(state, reason):
            planned.state, planned.reason = state, reason
        case policy.Delay(until, reason):
            planned.state, planned.reason, planned.due = State.SCHEDULED, reason, until
        case None:
            planned.is_collected = shared.is_collected and bool(to.user_id)
            if terms.send_at is not None and terms.send_at > world.now:
                planned.state = State.SCHEDULED
    return planned


def _decision(
    shared: Shared, to: Target, planned: PlannedDelivery, world: World
) -> policy.Refusal | policy.Delay | None:
    """As it will be when it is due, as far as one can tell."""
    person, category, rules = world.people.get(to.user_id), shared.category, shared.rules
    channel, address, terms = planned.channel, planned.address, shared.terms
    entries = world.suppressions.get((channel, planned.digest), ())
    if not (person or entries or terms.expires_at) and policy.asks_nothing(rules, channel):
        return None
    taken = world.taken(category, person) if category and person and rules.daily_cap else 0
    return policy.decide(
        people.facts(
            now=max(terms.send_at or world.now, world.now),
            channel=channel,
            country=addresses.country(address) if channel is Channel.SMS else None,
            address=address,
            rules=rules,
            expires_at=terms.expires_at,
            suppressed=entries,
            person=person,
            is_watching=rules.spares_watchers and to.user_id in world.watching,
            taken=taken,
        )
    )
