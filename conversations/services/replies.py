"""What the team answers goes to people as they came: into the chat, by email or by text message."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from django.db import transaction

from commsproject.common.errors import CommsError, Conflict, InvalidInput
from commsproject.common.models import ApiClient
from conversations import markup, reply_to, selectors
from conversations.models import Attachment, Entry, Notice, Participant
from conversations.services import attachments as files
from conversations.services import entries, notices, reminders
from conversations.types import Actor, EntryKind, Kind, Medium
from notifications.models import Address, Category
from notifications.services import submit
from notifications.services.asked import Submission, Target
from notifications.services.submit import Accepted
from notifications.states import PENDING
from notifications.types import Channel
from tracking.models import InboundMessage

CATEGORY = "support"
TEMPLATE = "support-reply"
"""Made at its first use; from then on it is staff's. It gets `text`, the same as `blocks` for HTML
(`conversations.markup.Block`), and `subject`, which may be empty.
"""

MOST_BYTES = 7_000_000
"""Of the files of an email: larger ones are refused by many mailboxes."""

_CHANNELS = {Medium.EMAIL: Channel.EMAIL, Medium.SMS: Channel.SMS}

_SUBJECTS = {
    "en": "Your message to us",
    "de": "Ihre Nachricht an uns",
    "es": "Su mensaje",
    "fr": "Votre message",
    "it": "Il suo messaggio",
    "nl": "Uw bericht aan ons",
    "pl": "Pańska wiadomość do nas",
    "pt": "A sua mensagem",
}


@dataclass(frozen=True)
class Way:
    """A medium by which a person can be answered, and the address; the chat has none."""

    medium: Medium
    address: str = ""


def ways(conversation_id: UUID) -> list[Way]:
    """As the person came last comes first."""
    person = _person(conversation_id)
    if person is None:
        return [Way(Medium.CHAT)]
    known = list(
        Address.objects.filter(
            recipient__user_id=person.person_id, channel__in=_CHANNELS.values()
        ).order_by("id")
    )
    last, sender = _last(person)
    found = [Way(Medium.CHAT)]
    for medium, channel in _CHANNELS.items():
        values = [one.value for one in known if one.channel == channel]
        if values:
            found.append(Way(medium, sender if sender in values else values[0]))
    return sorted(found, key=lambda way: way.medium != last)


def _person(conversation_id: UUID) -> Participant | None:
    """Whom it is about; nobody where they have left."""
    person = selectors.about([conversation_id]).get(conversation_id)
    return person if person is not None and person.left_at is None else None


def _last(person: Participant) -> tuple[str, str]:
    """The medium of what they wrote last, and the address it came from, where it did."""
    texts = Entry.objects.filter(
        conversation=person.conversation_id,
        kind=EntryKind.TEXT,
        who=person.who,
        person_id=person.person_id,
    )
    entry = texts.order_by("-seq").first()
    if entry is None:
        return Medium.CHAT, ""
    return entry.medium, _sender(entry)


def _sender(entry: Entry) -> str:
    prefix, _, key = entry.client_id.partition(":")
    if prefix != "inbound" or entry.medium == Medium.CHAT:
        return ""
    rows = InboundMessage.objects.filter(id=key)
    return rows.values_list("sender", flat=True).first() or ""


@transaction.atomic
def send(
    actor: Actor,
    conversation_id: UUID,
    body: str,
    *,
    medium: Medium,
    client_id: str = "",
    reply_to: UUID | None = None,
    attachments: Sequence[UUID] = (),
) -> tuple[Entry, bool]:
    """Write an entry and bring it to the person by `medium`; it, and whether it is new.

    Raises `NotFound`, `NotAllowed`, `InvalidInput`, and `Conflict` where it would not reach them: it
    is not written then.
    """
    entry, is_new = entries.post(
        actor,
        conversation_id,
        body,
        medium=medium,
        client_id=client_id,
        reply_to=reply_to,
        attachments=attachments,
    )
    if is_new and medium is not Medium.CHAT:
        _carry(entry, medium)
    return entry, is_new


def _carry(entry: Entry, medium: Medium) -> None:
    if entry.conversation.kind != Kind.SUPPORT:
        raise Conflict("Only what the support team answers goes out by other ways than the chat.")
    way = next((one for one in ways(entry.conversation_id) if one.medium == medium), None)
    person = _person(entry.conversation_id)
    if way is None or person is None:
        raise Conflict(f"The person has no address for this: {medium.label}.")
    _make_template()
    agent, _ = ApiClient.objects.get_or_create(name=reminders.SYSTEM, defaults={"is_active": False})
    channel, enclosed = _CHANNELS[medium], _enclosed(entry, medium)
    body = entry.body or ", ".join(one["filename"] for one in enclosed)
    (result,) = submit.accept(
        agent,
        [
            Submission(
                to=Target(user_id=person.person_id, addresses={channel: way.address}),
                template=TEMPLATE,
                data={
                    "text": markup.text(body),
                    "blocks": [asdict(one) for one in markup.blocks(body)],
                    "subject": person.conversation.title,
                },
                channels=[channel],
                category=_category().key,
                reply_to=_reply_to(person, medium),
                attachments=enclosed,
                metadata={"conversation": str(entry.conversation_id)},
            )
        ],
    )
    if isinstance(result, CommsError):
        raise result
    _check_goes_out(result)
    Notice.objects.create(
        notification_id=result.response["id"], participant=person, entry_id=entry.id
    )


def _check_goes_out(result: Accepted) -> None:
    deliveries = result.response["deliveries"]
    if not any(one["status"] in PENDING for one in deliveries):
        reasons = ", ".join(one["reason"] or one["status"] for one in deliveries)
        raise Conflict(f"It would not reach the person: {reasons or 'no address'}.")


def _reply_to(person: Participant, medium: Medium) -> str:
    return reply_to.address(person.id) if medium is Medium.EMAIL else ""


def _enclosed(entry: Entry, medium: Medium) -> list[dict[str, str]]:
    found = list(Attachment.objects.filter(entry=entry.id))
    if found and medium is not Medium.EMAIL:
        raise InvalidInput.of("attachments", "not_by_sms", "Files do not go by text message.")
    if sum(one.size for one in found) > MOST_BYTES:
        message = f"The files of an email may have {MOST_BYTES // 1_000_000} MB together."
        raise InvalidInput.of("attachments", "too_large", message)
    return [_file(one) for one in found]


def _file(one: Attachment) -> dict[str, str]:
    with files.storage().open(one.key) as content:
        text = base64.b64encode(content.read()).decode()
    return {"filename": one.name, "content": text, "content_type": one.media_type}


def _category() -> Category:
    """Answers to what somebody has asked: nobody turns them off but by STOP or a complaint."""
    defaults = {
        "name": "Answers of the support team",
        "is_optional": False,
        "channels": [Channel.EMAIL, Channel.SMS],
    }
    category, _ = Category.objects.get_or_create(key=CATEGORY, defaults=defaults)
    return category


def _make_template() -> None:
    answer = "Have you tried the **other** one?"
    blocks = [asdict(one) for one in markup.blocks(answer)]
    sample = {"text": markup.text(answer), "blocks": blocks, "subject": "It does not work"}
    notices.make(
        TEMPLATE,
        "Answer of the support team",
        {locale: _parts(subject) for locale, subject in _SUBJECTS.items()},
        sample={"name": "An answer", "data": sample},
    )


_HTML = """\
{% for block in blocks %}\
{% if block.is_quote %}<blockquote>{% endif %}\
<p>{% if block.marker %}{{ block.marker }} {% endif %}{% for run in block.runs %}\
{% if run.link %}<a href="{{ run.link }}">{{ run.text }}</a>\
{% elif run.style == "strong" %}<strong>{{ run.text }}</strong>\
{% elif run.style == "em" %}<em>{{ run.text }}</em>\
{% elif run.style == "s" %}<s>{{ run.text }}</s>\
{% elif run.style == "code" %}<code>{{ run.text }}</code>\
{% else %}{{ run.text }}{% endif %}\
{% if run.ends_line %}<br>{% endif %}{% endfor %}</p>\
{% if block.is_quote %}</blockquote>{% endif %}
{% endfor %}"""


def _parts(subject: str) -> dict[str, dict[str, str]]:
    return {
        "email": {
            "subject": "{% if subject %}Re: {{ subject }}{% else %}" + subject + "{% endif %}",
            "text": "{{ text }}",
            "html": _HTML,
        },
        "sms": {"text": "{{ text }}"},
    }


def carried(entries: Iterable[Entry]) -> Mapping[UUID, UUID]:
    """Of entries that went out by another way than the chat, the message that carried each."""
    rows = Notice.objects.filter(entry__in=[one.id for one in entries])
    return {row.entry_id: row.notification_id for row in rows if row.entry_id is not None}
