"""What the preference centre shows a person, and what they change there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Q

from commsproject.common import clock
from notifications import addresses, policy
from notifications.models import (
    Category,
    Delivery,
    Device,
    Notification,
    Recipient,
    Suppression,
)
from notifications.providers import registry
from notifications.services import fallback, people, preferences, recipients, suppress
from notifications.services.preferences import Said, Wish
from notifications.types import Channel, SuppressionReason
from templates_app.links import Unsubscribe

Place = tuple[str, Channel]
"""A category's key and a channel: where one switch is. `""`: all categories."""


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


_BLOCKED = {
    SuppressionReason.BOUNCE: "nothing, as messages to you came back",
    SuppressionReason.MANUAL: "nothing, as we have been asked not to write to you",
    SuppressionReason.COMPLAINT: "only what you need to use your account, as one of our messages "
    "was marked as spam",
}
"""What no switch changes, the strictest first."""


def blocked(person: Recipient) -> list[tuple[Channel, str]]:
    """The channels on which each address of the person is on the list for another reason than their
    wish, and what they get there at present.
    """
    found = ((channel, _why_blocked(channel, of)) for channel, of in digests(person).items())
    return [(channel, _BLOCKED[reason]) for channel, reason in found if reason]


def _why_blocked(channel: Channel, hashes: Collection[str]) -> SuppressionReason | None:
    """The strictest reason of the address that has the least strict one; None: one has none."""
    rows = Suppression.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=clock.now()),
        channel=channel,
        address_hash__in=hashes,
        scope=Suppression.ALL,
        reason__in=_BLOCKED,
    )
    order, strictest = list(_BLOCKED), dict[str, int]()
    for digest, reason in rows.values_list("address_hash", "reason"):
        place = order.index(SuppressionReason(reason))
        strictest[digest] = min(place, strictest.get(digest, place))
    is_all = strictest.keys() == set(hashes)
    return order[max(strictest.values())] if strictest and is_all else None


def unsubscribed(person: Recipient) -> list[Place]:
    """Where they have unsubscribed, by a link or a word; the category `""`: from everything."""
    found = {
        ("" if scope == Suppression.ALL else scope, channel)
        for channel, of in digests(person).items()
        for scope in _scopes(channel, of)
    }
    return sorted(found)


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
    wishes = [Wish(*place, is_on=True) for place in (*saved.on, *saved.asked)]
    wishes += [Wish(*place, is_on=False) for place in saved.off]
    choose(person.user_id, wishes, said)
    if saved.off:
        settle(person)
    return saved


def settle(person: Recipient) -> None:
    """After the transaction: nothing that was about to leave for them is on its way any more."""
    suppress.settle(digests(person).items())


@transaction.atomic
def choose(user_id: str, wishes: Sequence[Wish], said: Said) -> None:
    """Write what a person themselves has said. A yes takes back the unsubscribing that it contradicts,
    never a complaint or a bounce; what else was off by it stays off.

    Raises `InvalidInput`, and changes nothing.
    """
    person = recipients.make(user_id)
    before = _switches(person)
    later = set(Category.objects.filter(needs_confirmation=True).values_list("key", flat=True))
    yes = [wish for wish in wishes if wish.is_on and wish.category not in later]
    back = _take_back(person, yes)
    again = [Wish(*place, is_on=True) for place in sorted(back.places)]
    changed = preferences.put(user_id, [*wishes, *again], said)
    known = {(one.category, one.channel) for one in changed}
    for wish in again:
        if (wish.category, wish.channel) not in known:
            preferences.note_again(person, wish, said)
    _keep_off(person, before, yes, back, said)


@transaction.atomic
def confirm(person: Recipient, category: Category, channel: str, said: Said) -> None:
    """What was asked for holds from now on; on a channel, or on all (`""`)."""
    recipients.make(person.user_id)
    before = _switches(person)
    yes = [Wish(category.key, channel, is_on=True)]
    back = _take_back(person, yes)
    for one in (channel, *sorted(back.channels - {channel})):
        preferences.confirm(person.user_id, category, one, said)
    _keep_off(person, before, yes, back, said)


def _switches(person: Recipient) -> dict[Place, bool]:
    """Those that the person can turn."""
    return {
        line.place(one): one.is_on
        for line in lines(person)
        if not line.fixed
        for one in line.switches
    }


@dataclass(frozen=True)
class _Back:
    """Where an unsubscribing was taken back (a category `""`: all), and the channels on which that
    was one from everything, by a yes to less than everything.
    """

    places: set[Place]
    partly: set[Channel]

    @property
    def channels(self) -> set[Channel]:
        return {channel for _, channel in self.places}


_WHY = suppress.Lift("the person", "turned on again")


def _take_back(person: Recipient, yes: Sequence[Wish]) -> _Back:
    """Take off the suppression list what contradicts it."""
    known = digests(person)
    places: set[Place] = set()
    partly: set[Channel] = set()
    for wish in sorted(yes, key=lambda wish: bool(wish.category)):  # everything first
        for channel in [Channel(wish.channel)] if wish.channel else known:
            hashes = known.get(channel, ())
            of_all = suppress.opt_in(channel, hashes, _WHY)
            if suppress.opt_in(channel, hashes, _WHY, [wish.category]) or of_all:
                places.add((wish.category, channel))
            if of_all and wish.category:
                partly.add(channel)
    return _Back(places, partly)


def _keep_off(
    person: Recipient, before: Mapping[Place, bool], yes: Sequence[Wish], back: _Back, said: Said
) -> None:
    """Who was out of everything and is back for some of it stays out of the rest, also of what is
    still to come; a choice that is closer than this one is turned off by name.
    """
    if not back.partly:
        return
    rest = [Wish("", channel, is_on=False) for channel in sorted(back.partly)]
    preferences.put(person.user_id, rest, said)
    now = _switches(person)
    wrong = [
        place
        for place, was_on in before.items()
        if now[place] and not was_on and not any(_is_about(wish, place) for wish in yes)
    ]
    preferences.put(person.user_id, [Wish(*place, is_on=False) for place in wrong], said)


def _is_about(wish: Wish, place: Place) -> bool:
    return wish.category in ("", place[0]) and wish.channel in ("", place[1])


# --- Links in messages ---------------------------------------------------------------------------


def unsubscribe(link: Unsubscribe, *, everything: bool = False) -> None:
    """Of the link's category, or of `everything` on its channel: the address, and of a person who is
    known the choice too, where there is one; always with the record that it was made.
    """
    person = reader(link)
    scope = Suppression.ALL if everything else link.scope
    category = Category.objects.filter(key=scope).first()
    said = Said("unsubscribe link", {"delivery": str(link.delivery_id)}, link.address_hash)
    if person is not None and (category is None or preferences.may_turn_off(category)):
        key = category.key if category else ""
        preferences.put(person.user_id, [Wish(key, link.channel, is_on=False)], said)
    else:
        preferences.note_withdrawal(category, link.channel, said)
    suppress.unsubscribe(link, everything=everything)


def reader(link: Unsubscribe) -> Recipient | None:
    """Whom the message was for, while that is known."""
    of_message = Notification.objects.filter(deliveries=link.delivery_id).values("recipient")
    return Recipient.objects.filter(id__in=of_message).first()


# --- Words in messages ---------------------------------------------------------------------------


@transaction.atomic
def stop(channel: Channel, said: Said) -> bool:
    """Somebody wrote from `said.address_hash` that they want no more messages there; whether that is
    new.
    """
    preferences.note_withdrawal(None, channel, said)
    return suppress.add(
        channel=channel,
        address_hash=said.address_hash,
        reason=SuppressionReason.UNSUBSCRIBE,
        source=said.source,
    )


@transaction.atomic
def start(channel: Channel, said: Said) -> bool:
    """The opposite: a no to everything on the channel is taken back, whichever way it was said;
    whether there was one. What was turned off by name stays off.
    """
    lift = suppress.Lift(said.source, "the person asked for messages again")
    was_out = suppress.opt_in(channel, [said.address_hash], lift)
    person = _written_to(channel, said.address_hash)
    if person and person.preferences.filter(category=None, channel=channel, is_on=False).exists():
        preferences.put(person.user_id, [Wish("", channel, is_on=None)], said)
        was_out = True
    if was_out:
        preferences.note_again(person, Wish("", channel, is_on=True), said)
    return was_out


def _written_to(channel: Channel, address_hash: str) -> Recipient | None:
    """Whom our last message to the address was for."""
    sent = Delivery.objects.filter(address_hash=address_hash, channel=channel)
    last = sent.filter(notification__recipient__isnull=False).order_by("-id")
    return Recipient.objects.filter(id__in=last.values("notification__recipient")[:1]).first()
