"""What people are called, and what the pane beside a thread shows of one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Prefetch
from django.urls import reverse

from commsproject.common.models import ApiClient
from conversations import access, selectors
from conversations.models import Conversation, Entry, Participant
from conversations.types import Actor, Kind, Who
from notifications.admin import badges
from notifications.models import Consent, Delivery, Notification, QuietHours, Recipient
from notifications.selectors import status as furthest
from notifications.services import centre
from notifications.types import Channel

MOST = 8
"""Of each list of the pane, the latest."""

MOST_STAFF = 200

Writer = tuple[str, str]
"""Who, and their id."""


def names(user_ids: Collection[str]) -> dict[str, str]:
    """As they are called, where that is known; else by their ids."""
    known = Recipient.objects.filter(user_id__in=set(user_ids)).values_list("user_id", "data__name")
    called = {user_id: _line(name) for user_id, name in known if name}
    return {user_id: called.get(user_id) or user_id for user_id in user_ids}


def _line(name: object) -> str:
    return " ".join(str(name).split())[:100]


def authors(entries: Iterable[Entry]) -> dict[Writer, str]:
    return called({(one.who, one.person_id) for one in entries})


def called(writers: Collection[Writer]) -> dict[Writer, str]:
    """Staff, agents and people, by three queries."""
    ids = {who: [id_ for one, id_ in writers if one == who] for who in Who}
    staff = User.objects.filter(pk__in=[one for one in ids[Who.STAFF] if one.isdecimal()])
    agents = ApiClient.objects.filter(id__in=ids[Who.AGENT])
    return {
        **{(Who.USER.value, id_): name for id_, name in names(ids[Who.USER]).items()},
        **{(Who.STAFF.value, str(one.pk)): name_of(one) for one in staff},
        **{(Who.AGENT.value, str(one.id)): one.name for one in agents},
    }


def name_of(user: User) -> str:
    return user.get_full_name() or user.get_username()


def staff_as_json(user: User | None) -> dict[str, str] | None:
    return {"id": str(user.pk), "name": name_of(user)} if user is not None else None


def team() -> list[dict[str, str]]:
    """Who may be given a conversation."""
    rows = access.team().order_by("username")[:MOST_STAFF]
    return [{"id": str(one.pk), "name": name_of(one)} for one in rows]


# --- The pane ------------------------------------------------------------------------------------


def pane(viewer: User, conversation: Conversation) -> dict[str, Any]:
    """Of the person whom the conversation is about; what the viewer's role may not see is null."""
    user_id = about(conversation)
    person = Recipient.objects.filter(user_id=user_id).first()
    may_look = viewer.has_perm("notifications.view_recipient")
    may_read = viewer.has_perm("notifications.view_notification")
    return {
        "id": user_id,
        "name": names([user_id])[user_id] if user_id else "",
        "known": _known(person) if person is not None and may_look else None,
        "messages": _messages(person) if person is not None and may_read else None,
        "conversations": _conversations(user_id, conversation) if user_id else [],
    }


def about(conversation: Conversation) -> str:
    """The id of whom it is about; empty of nobody."""
    person = selectors.about([conversation.id]).get(conversation.id)
    return person.person_id if person is not None else ""


def _known(person: Recipient) -> dict[str, Any]:
    addresses = person.addresses.order_by("channel", "id")[:20]
    return {
        "url": reverse("admin:notifications_recipient_change", args=[person.pk]),
        "since": selectors.moment(person.created_at),
        "locale": person.locale,
        "time_zone": person.time_zone,
        "data": {str(key): str(value)[:200] for key, value in _flat(person.data)},
        "paused_until": selectors.moment(person.paused_until),
        "addresses": [
            {
                "channel": Channel(one.channel).label,
                "value": one.value,
                "is_verified": one.verified_at is not None,
            }
            for one in addresses
        ],
        "preferences": _preferences(person),
        "quiet": [str(one) for one in QuietHours.objects.filter(recipient=person)[:MOST]],
        "blocked": [
            f"{channel.label}: gets {what}".replace(" to you", "")
            for channel, what in centre.blocked(person)
        ],
        "consents": _consents(person),
    }


def _flat(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What agents have said of the person in plain words."""
    plain = [(key, value) for key, value in data.items() if isinstance(value, str | int | float)]
    return [(key, value) for key, value in plain if key != "name"][:MOST]


def _preferences(person: Recipient) -> list[dict[str, Any]]:
    return [
        {
            "category": line.category.name,
            "on": [switch.channel.label for switch in line.switches if switch.is_on],
            "off": [switch.channel.label for switch in line.switches if not switch.is_on],
        }
        for line in centre.lines(person)
    ]


def _consents(person: Recipient) -> list[dict[str, Any]]:
    rows = Consent.objects.filter(recipient=person).select_related("category").order_by("-id")
    return [
        {
            "said": one.get_act_display(),
            "about": one.category.name if one.category else "Everything",
            "by": Channel(one.channel).label if one.channel else "",
            "source": one.source,
            "at": selectors.moment(one.at),
        }
        for one in rows[:MOST]
    ]


def _messages(person: Recipient) -> list[dict[str, Any]]:
    """What was sent to them: what about and how far it got, never the words."""
    rows = Notification.objects.filter(recipient=person).order_by("-id")
    return [_message(one) for one in with_states(rows)[:MOST]]


def with_states(rows: Any) -> Any:
    deliveries = Delivery.objects.prefetch_related("attempts")
    related = rows.select_related("category", "template_version__template")
    return related.prefetch_related(Prefetch("deliveries", queryset=deliveries))


def _message(one: Notification) -> dict[str, Any]:
    template = one.template_version.template.name if one.template_version else ""
    channels = sorted({Channel(each.channel).label for each in one.deliveries.all()})
    return {
        "about": template or (one.category.name if one.category else "Message"),
        "channels": channels,
        **state_of(one),
        "at": selectors.moment(one.created_at),
    }


def state_of(one: Notification) -> dict[str, Any]:
    """How far a message got, and its page."""
    state = furthest(one)
    return {
        "state": state.label,
        "tone": badges.tone_of(state).value,
        "url": reverse("admin:notifications_notification_change", args=[one.pk]),
    }


def _conversations(user_id: str, but: Conversation) -> list[dict[str, Any]]:
    theirs = Participant.objects.filter(who=Who.USER, person_id=user_id, left_at=None)
    rows = Conversation.objects.filter(
        kind=Kind.SUPPORT, entries_made__gt=0, id__in=theirs.values("conversation")
    ).exclude(id=but.id)
    return [
        {
            "id": str(one.id),
            "title": one.title,
            "status": one.status,
            "active_at": selectors.moment(one.active_at),
        }
        for one in rows.order_by("-active_at")[:MOST]
    ]


def actor(user: User) -> Actor:
    return Actor(Who.STAFF, str(user.pk))


def sent(entries: Collection[Entry], carried: Mapping[UUID, UUID]) -> dict[str, dict[str, Any]]:
    """By entry: how far the message got that carried it to the person."""
    rows = with_states(Notification.objects.filter(id__in=carried.values()))
    states = {one.id: state_of(one) for one in rows}
    return {str(entry): states[key] for entry, key in carried.items() if key in states}
