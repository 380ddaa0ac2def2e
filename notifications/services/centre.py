"""What the preference centre shows a person, and what they change there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import transaction

from notifications import addresses, policy
from notifications.models import Category, Device, Notification, Recipient, Suppression
from notifications.providers import registry
from notifications.services import fallback, people, preferences, recipients, suppress
from notifications.services.preferences import Said, Wish
from notifications.types import Channel, SuppressionReason
from templates_app.links import Unsubscribe

Place = tuple[str, Channel]
"""A category's key and a channel: where one switch is."""


@dataclass(frozen=True)
class Switch:
    channel: Channel
    is_on: bool


@dataclass(frozen=True)
class Line:
    """One category. `fixed` says why it cannot be turned off, empty where it can."""

    category: Category
    switches: Sequence[Switch]
    fixed: str

    def place(self, switch: Switch) -> Place:
        return self.category.key, switch.channel


@dataclass
class Saved:
    """What is other than before. `asked` are off until the link that was sent is followed."""

    on: list[Place] = field(default_factory=list)
    off: list[Place] = field(default_factory=list)
    asked: list[Place] = field(default_factory=list)


def lines(person: Recipient) -> list[Line]:
    """By name; those that cannot be turned off come last."""
    found = people.by_id([person.id])
    choices = found[person.id].choices if person.id in found else ()
    refused = {channel: _scopes(channel, of) for channel, of in digests(person).items()}
    carried = [channel for channel in Channel if registry.for_channel(channel)]
    made = [
        _line(category, choices, refused, carried) for category in Category.objects.order_by("name")
    ]
    return sorted((line for line in made if line.switches), key=lambda line: bool(line.fixed))


def _line(
    category: Category,
    choices: Sequence[policy.Choice],
    refused: Mapping[Channel, Collection[str]],
    carried: Iterable[Channel],
) -> Line:
    used = {*category.channels, *(step.channel for step in fallback.steps(category))}
    switches = [
        Switch(channel, _is_on(category, channel, choices, refused.get(channel, ())))
        for channel in carried
        if channel in used or not category.channels
    ]
    return Line(category, switches, _why_fixed(category))


def _why_fixed(category: Category) -> str:
    if category.kind == Category.Kind.ESSENTIAL:
        return "Needed to use your account, so it cannot be turned off."
    if not preferences.may_turn_off(category):
        return "About things you have done, so it cannot be turned off."
    return ""


def _is_on(
    category: Category, channel: Channel, choices: Sequence[policy.Choice], refused: Collection[str]
) -> bool:
    """What `policy.decide` would say of it, but for the moment."""
    if category.kind == Category.Kind.ESSENTIAL:
        return True
    if {Suppression.ALL, category.key} & set(refused):
        return False
    if category.is_opt_in:
        choices = [choice for choice in choices if choice.category == category.key]
    elif not category.is_optional:
        return True
    choice = policy.chosen(choices, category.key, channel)
    return choice.is_on if choice else not category.is_opt_in


def digests(person: Recipient) -> Mapping[Channel, Sequence[str]]:
    """The hashes of all addresses of a person, by channel."""
    found: dict[Channel, list[str]] = defaultdict(list)
    for channel, value in person.addresses.values_list("channel", "value"):
        found[Channel(channel)].append(addresses.digest(Channel(channel), value))
    found[Channel.INAPP].append(addresses.digest(Channel.INAPP, person.user_id))
    devices = Device.objects.filter(recipient=person, removed_at=None)
    for id_, platform in devices.values_list("id", "platform"):
        found[Channel.PUSH].append(addresses.digest(Channel.PUSH, f"{platform}:{id_}"))
    return found


def _scopes(channel: Channel, hashes: Collection[str]) -> set[str]:
    """What the person has unsubscribed from there."""
    rows = Suppression.objects.filter(
        channel=channel, address_hash__in=hashes, reason=SuppressionReason.UNSUBSCRIBE
    )
    return set(rows.values_list("scope", flat=True))


# --- Changes -------------------------------------------------------------------------------------


@transaction.atomic
def save(
    person: Recipient, wanted: Collection[Place], shown: Collection[Place], said: Said
) -> Saved:
    """Write the switches that are other than before. Those that were not `shown` stay."""
    recipients.make(person.user_id)  # two such forms wait for each other
    saved = Saved()
    before = {line.place(one): (line, one) for line in lines(person) for one in line.switches}
    for place in sorted(set(shown) & before.keys()):
        line, switch = before[place]
        if line.fixed or (place in wanted) is switch.is_on:
            continue
        if switch.is_on:
            saved.off.append(place)
        elif line.category.needs_confirmation:
            saved.asked.append(place)
        else:
            saved.on.append(place)
    off = [*saved.off, *_opt_in(person, saved.on, before)]
    wishes = [Wish(*place, is_on=True) for place in (*saved.on, *saved.asked)]
    wishes += [Wish(*place, is_on=False) for place in off if place not in saved.asked]
    preferences.put(person.user_id, wishes, said)
    return saved


@transaction.atomic
def confirm(person: Recipient, category: Category, channel: str, said: Said) -> None:
    """What was asked for holds from now on; on a channel, or on all (`""`)."""
    recipients.make(person.user_id)
    before = {line.place(one): (line, one) for line in lines(person) for one in line.switches}
    on = [place for place in before if place[0] == category.key and channel in ("", place[1])]
    off = [Wish(*place, is_on=False) for place in _opt_in(person, on, before)]
    preferences.put(person.user_id, off, said)
    preferences.confirm(person.user_id, category, channel, said)


def _opt_in(
    person: Recipient, on: Collection[Place], before: Mapping[Place, tuple[Line, Switch]]
) -> set[Place]:
    """Take what contradicts `on` off the suppression list; what has to be turned off by name so that
    nothing else comes back with it.
    """
    known = digests(person)
    still_off: set[Place] = set()
    why = suppress.Lift("the person", "turned on in the preference centre")
    for channel in {channel for _, channel in on}:
        keys = [key for key, one in on if one == channel]
        suppress.opt_in(channel, known.get(channel, ()), why, keys)
        if suppress.opt_in(channel, known.get(channel, ()), why):
            still_off |= {
                place
                for place, (line, switch) in before.items()
                if place[1] == channel and place not in on and not line.fixed and not switch.is_on
            }
    return still_off


# --- Links in messages ---------------------------------------------------------------------------


def unsubscribe(link: Unsubscribe, *, everything: bool = False) -> None:
    """Of the link's category, or of `everything` on its channel: the address, and of a person who is
    known the choice too, with the record that it was made.
    """
    person = reader(link)
    scope = Suppression.ALL if everything else link.scope
    category = Category.objects.filter(key=scope).first()
    said = Said("unsubscribe link", {"delivery": str(link.delivery_id)}, link.address_hash)
    if person is None:
        preferences.note_withdrawal(category, link.channel, said)
    elif category is None or preferences.may_turn_off(category):
        key = category.key if category else ""
        preferences.put(person.user_id, [Wish(key, link.channel, is_on=False)], said)
    suppress.unsubscribe(link, everything=everything)


def reader(link: Unsubscribe) -> Recipient | None:
    """Whom the message was for, while that is known."""
    of_message = Notification.objects.filter(deliveries=link.delivery_id).values("recipient")
    return Recipient.objects.filter(id__in=of_message).first()
