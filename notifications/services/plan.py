"""From what was asked to the rows that would do it. Reads in sets, writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import F
from django.utils import timezone
from typing_extensions import override

from commsproject.common.errors import CommsError, FieldError, InvalidInput
from commsproject.common.models import ApiClient
from notifications import addresses, policy
from notifications.errors import NoChannel, NoProvider, TemplateProblem, UnknownRecipient
from notifications.models import Address, Category, Delivery, Notification, Suppression
from notifications.providers import registry
from notifications.services import render
from notifications.states import State
from notifications.types import Channel, Lane, SuppressionReason
from templates_app import selectors as templates
from templates_app.errors import MissingVariable, TemplateError
from templates_app.models import TemplateVersion


@dataclass(frozen=True, repr=False)
class Target:
    """Whom a message is for. Addresses are in normal form."""

    user_id: str = ""
    addresses: Mapping[Channel, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Submission:
    """One message as asked for, checked for form but not yet against what is stored."""

    to: Target
    channels: Sequence[Channel] = ()
    template: str = ""
    content: Mapping[str, str] | None = None
    data: Mapping[str, Any] | None = None
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
    dry_run: bool = False
    idempotency_key: str = ""
    fingerprint: bytes = b""

    @override
    def __repr__(self) -> str:
        return f"<Submission {self.template or 'inline'}>"


@dataclass(frozen=True)
class Planned:
    """The rows of one message; `user_id` is set where a Recipient is still to be linked."""

    submission: Submission
    notification: Notification
    deliveries: Sequence[Delivery]


@dataclass(frozen=True)
class _World:
    """What the submissions refer to, read in one query each."""

    now: datetime
    client: ApiClient
    versions: Mapping[str, TemplateVersion]
    categories: Mapping[str, Category]
    known_addresses: Mapping[str, Mapping[Channel, str]]
    suppressions: Mapping[tuple[str, str], Sequence[policy.Suppressed]]


def plan(client: ApiClient, submissions: Sequence[Submission]) -> list[Planned | CommsError]:
    """The rows of each submission, or what is wrong with it, in the same order."""
    world = _load(client, submissions)
    return [_attempt(submission, world) for submission in submissions]


def suppressed(
    pairs: Iterable[tuple[str, str]],
) -> dict[tuple[str, str], list[policy.Suppressed]]:
    """The suppression list's entries for `(channel, address hash)` pairs, in one query."""
    found: dict[tuple[str, str], list[policy.Suppressed]] = defaultdict(list)
    wanted = set(pairs)
    rows = Suppression.objects.filter(address_hash__in={digest for _, digest in wanted})
    for row in rows:
        entry = policy.Suppressed(row.scope, SuppressionReason(row.reason), row.expires_at)
        found[(row.channel, row.address_hash)].append(entry)
    return found


def is_essential(category: Category | None) -> bool:
    return category is not None and category.kind == Category.Kind.ESSENTIAL


def _load(client: ApiClient, submissions: Sequence[Submission]) -> _World:
    people = {s.to.user_id for s in submissions if s.to.user_id}
    known: dict[str, dict[Channel, str]] = defaultdict(dict)
    rows = Address.objects.filter(recipient__user_id__in=people).values_list(
        "recipient__user_id", "channel", "value"
    )
    # The best one comes last and wins: verified ones after all others, the newest of its kind.
    for user_id, channel, value in rows.order_by(F("verified_at").asc(nulls_first=True), "id"):
        known[user_id][Channel(channel)] = value
    given = [(c, a) for s in submissions for c, a in s.to.addresses.items()]
    stored = [(c, a) for by_channel in known.values() for c, a in by_channel.items()]
    keys = {s.category for s in submissions if s.category}
    return _World(
        now=timezone.now(),
        client=client,
        versions=templates.published({s.template for s in submissions if s.template}),
        categories={row.key: row for row in Category.objects.filter(key__in=keys)},
        known_addresses=known,
        suppressions=suppressed((c.value, addresses.digest(c, a)) for c, a in [*given, *stored]),
    )


def _attempt(submission: Submission, world: _World) -> Planned | CommsError:
    try:
        return _plan_one(submission, world)
    except CommsError as error:
        return error


def _plan_one(asked: Submission, world: _World) -> Planned:
    category = _category(asked, world)
    version, content = _content(asked, world)
    targets = _targets(asked, content, world)
    for channel in targets:
        _check_carried(channel)
        _check_renders(channel, content[channel.value], asked.data)
    notification = Notification(
        client=world.client,
        category=category,
        template_version=version,
        content=None if version else content,
        data=asked.data,
        locale=asked.locale,
        priority=asked.priority,
        agent_id=asked.agent_id,
        reference=asked.reference,
        idempotency_key=asked.idempotency_key,
        tags=list(asked.tags),
        reply_to=asked.reply_to,
        attachments=list(asked.attachments),
        metadata=dict(asked.metadata),
        send_at=asked.send_at,
        expires_at=asked.expires_at,
        created_at=world.now,
    )
    deliveries = [
        _delivery(notification, channel, address, world) for channel, address in targets.items()
    ]
    return Planned(asked, notification, deliveries)


def _category(asked: Submission, world: _World) -> Category | None:
    if not asked.category:
        return None
    try:
        return world.categories[asked.category]
    except KeyError:
        raise InvalidInput.of(
            "category", "unknown_category", f"There is no category {asked.category!r}."
        ) from None


def _content(asked: Submission, world: _World) -> tuple[TemplateVersion | None, render.Content]:
    if asked.content is not None:
        content = render.inline(asked.content)
        if not content:
            raise InvalidInput.of(
                "content",
                "incomplete",
                "An email needs a subject and a text or html; an SMS a text.",
            )
        return None, content
    try:
        version = world.versions[asked.template]
    except KeyError:
        raise InvalidInput.of(
            "template",
            "unknown_template",
            f"There is no published template {asked.template!r}.",
        ) from None
    return version, version.channels


def _targets(asked: Submission, content: render.Content, world: _World) -> dict[Channel, str]:
    """The channels to use and the address on each; addresses given win over those stored."""
    reachable = {**world.known_addresses.get(asked.to.user_id, {}), **asked.to.addresses}
    if not reachable:
        raise UnknownRecipient(
            "No address is known for this user; give one beside user_id.",
            errors=[FieldError("to.user_id", "unknown_recipient", "No address is known.")],
        )
    if not asked.channels:
        chosen = [channel for channel in Channel if channel in reachable and channel in content]
        if not chosen:
            raise NoChannel(
                f"There is content for {_names(content)}, and an address for {_names(reachable)}.",
                errors=[FieldError("channels", "no_channel", "No channel has both.")],
            )
        return {channel: reachable[channel] for channel in chosen}
    for index, channel in enumerate(asked.channels):
        if channel not in reachable:
            raise InvalidInput.of(
                f"channels.{index}", "no_address", f"No {channel.value} address is known."
            )
        if channel.value not in content:
            raise InvalidInput.of(
                f"channels.{index}", "no_content", f"There is no content for {channel.value}."
            )
    return {channel: reachable[channel] for channel in dict.fromkeys(asked.channels)}


def _names(channels: Iterable[str]) -> str:
    return ", ".join(Channel(name).value for name in channels) or "no channel"


def _check_carried(channel: Channel) -> None:
    if not registry.for_channel(channel):
        message = f"No provider for {channel.value} is configured."
        raise NoProvider(message, errors=[FieldError("channels", "no_provider", message)])


def _check_renders(
    channel: Channel, parts: Mapping[str, str], data: Mapping[str, Any] | None
) -> None:
    try:
        rendered = render.render(parts, data)
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


def _delivery(
    notification: Notification, channel: Channel, address: str, world: _World
) -> Delivery:
    digest = addresses.digest(channel, address)
    category = notification.category
    refusal = policy.decide(
        policy.Facts(
            now=world.now,
            expires_at=notification.expires_at,
            category=category.key if category else "",
            is_essential=is_essential(category),
            suppressed=world.suppressions.get((channel.value, digest), ()),
        )
    )
    later = notification.send_at is not None and notification.send_at > world.now
    waiting = State.SCHEDULED if later else State.QUEUED
    return Delivery(
        notification=notification,
        channel=channel,
        address=address,
        address_hash=digest,
        state=refusal.state if refusal else waiting,
        reason=refusal.reason if refusal else "",
        expires_at=notification.expires_at,
        created_at=world.now,
        updated_at=world.now,
    )
