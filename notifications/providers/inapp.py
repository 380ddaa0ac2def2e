"""The in-app inbox: a provider with nobody behind it. A message that is stored has arrived."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, NoReturn
from uuid import UUID

import orjson
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, transaction
from typing_extensions import override

from commsproject.common import clock
from commsproject.common.copy import copy_rows
from notifications import heads, weblinks
from notifications.models import InboxItem, Notification, Recipient
from notifications.providers.base import Provider
from notifications.types import Channel, ErrorClass, Outbound, ProviderError, Sent, Wanted

PARTS = ("title", "body", "link", "image")

MOST_BYTES = 32 * 1024
"""Of one item: it has to fit into a frame of the socket."""

USUAL_DAYS = 90
"""In the inbox, where a message has no category that says more or less."""


class InApp(Provider):
    """No options. A message is for a `user_id`."""

    channels = frozenset({Channel.INAPP})
    concurrency: ClassVar[int] = 4  # the engine needs the same database
    batch_limit: ClassVar[int] = 500

    @override
    def lacks(self, wanted: Wanted) -> str:
        return "attachments" if wanted.has_attachments else super().lacks(wanted)

    @override
    def send(self, message: Outbound) -> Sent:
        return self.send_all([message])

    @override
    def send_all(self, messages: Sequence[Outbound]) -> Sent:
        contents = [_content(message, parts) for message, parts in _filled(messages)]
        try:
            with transaction.atomic():
                _store(messages, contents)
        except (DataError, UnicodeError):
            raise ProviderError(
                ErrorClass.PERMANENT_MESSAGE, "not_storable", "A part is too long, or no text."
            ) from None
        except IntegrityError:
            raise _unknown() from None  # erased in between
        except (OperationalError, InterfaceError):
            # The item is unique: stored although we did not hear of it, it is found next time.
            raise ProviderError(
                ErrorClass.TEMPORARY, "database", "The database could not be reached."
            ) from None
        return Sent(is_delivered=True)


def _filled(messages: Sequence[Outbound]) -> list[tuple[Outbound, Mapping[str, str]]]:
    """Each with its own parts: those of a batch call have placeholders."""
    names = sorted(messages[0].values, key=len, reverse=True)
    if not names:
        return [(message, message.parts) for message in messages]
    placeholder = re.compile("|".join(map(re.escape, names)))
    return [(message, _with_values(message, placeholder)) for message in messages]


def _with_values(message: Outbound, placeholder: re.Pattern[str]) -> Mapping[str, str]:
    def value(found: re.Match[str]) -> str:
        return message.values[found[0]]

    return {name: placeholder.sub(value, text) for name, text in message.parts.items()}


def _content(message: Outbound, parts: Mapping[str, str]) -> Mapping[str, str]:
    """What the item says. Raises `ProviderError`."""
    if message.attachments:
        _refuse("attachments", "The inbox takes no files.")
    if not (parts.get("title") or parts.get("body")):
        _refuse("no_content", "Neither title nor body.")
    link, image = parts.get("link", ""), parts.get("image", "")
    if (link and not weblinks.is_link(link)) or (image and not weblinks.is_image(image)):
        _refuse("bad_link", "A link or image that is no address of the web.")
    return {name: parts.get(name, "") for name in PARTS}


def _store(messages: Sequence[Outbound], contents: Sequence[Mapping[str, str]]) -> None:
    """The items of those that have none yet."""
    asked = {message.to for message in messages}
    people = dict(Recipient.objects.filter(user_id__in=asked).values_list("user_id", "id"))
    held = heads.lock(people.values())
    if len(held) < len(asked):
        raise _unknown()
    stored = InboxItem.objects.filter(id__in=[message.delivery_id for message in messages])
    known = set(stored.values_list("id", flat=True))
    sources = _sources(messages)
    now = clock.now()
    items = []
    for message, content in zip(messages, contents, strict=True):
        if message.delivery_id not in known:
            item = _item(message, content, sources.get(message.notification_id), now)
            item.recipient_id = people[message.to]
            held[item.recipient_id].put_in(item)
            items.append(item)
    copy_rows(InboxItem, items)
    heads.write(held[item.recipient_id] for item in items)


def _sources(messages: Sequence[Outbound]) -> Mapping[UUID, Notification]:
    """What was asked for beside the content."""
    rows = Notification.objects.select_related("category").only("actions", "category__inbox_days")
    return rows.in_bulk([message.notification_id for message in messages])


def _item(
    message: Outbound, content: Mapping[str, str], source: Notification | None, now: datetime
) -> InboxItem:
    category = source.category if source else None
    leaves = now + timedelta(days=category.inbox_days if category else USUAL_DAYS)
    item = InboxItem(
        id=message.delivery_id,
        category=category,
        tags=list(dict.fromkeys(message.tags)),
        actions=(source and source.actions) or [],
        data=dict(message.metadata),
        shown_at=now,
        created_at=now,
        expires_at=min(message.expires_at or leaves, leaves),
        **content,
    )
    try:
        size = len(orjson.dumps([content, item.data, item.actions]))
    except TypeError:  # halves of characters
        raise UnicodeError from None
    if size > MOST_BYTES:
        _refuse("too_large", f"An item has at most {MOST_BYTES} bytes.")
    return item


def _unknown() -> ProviderError:
    return ProviderError(ErrorClass.PERMANENT_RECIPIENT, "unknown_user", "There is no such person.")


def _refuse(code: str, detail: str) -> NoReturn:
    raise ProviderError(ErrorClass.PERMANENT_MESSAGE, code, detail)
