"""What the provider gets: the calls for messages that go together, rendered."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from uuid import UUID

from commsproject.common.ids import new_id
from notifications import sms
from notifications.limits import Grant
from notifications.providers.base import Provider
from notifications.services import imprint, items, tracked
from notifications.services.allot import Way
from notifications.services.items import Item
from notifications.types import Channel, ErrorClass, Outbound, ProviderError
from templates_app.errors import TemplateError


@dataclass(eq=False)
class Call:
    """One provider call that is written down and not yet made: `items[i]` by `attempts[i]`.

    `outbound` is an error where the message could not be made after all: no call is made then.
    """

    way: Way
    items: Sequence[Item]
    attempts: Sequence[UUID]
    outbound: Sequence[Outbound] | ProviderError
    decided: float = field(default_factory=time.monotonic)
    """Seconds on the monotonic clock: not after it was last decided that it may be made."""
    grant: Grant = field(init=False)
    """The leave it has now."""

    def __post_init__(self) -> None:
        self.grant = self.way.grant

    @property
    def provider(self) -> Provider:
        return self.way.provider


# --- What the provider gets ------------------------------------------------------------------


def calls(way: Way, group: Sequence[Item]) -> list[Call]:
    """One call for all of `group`, and one that is not made for each that cannot be rendered.

    Rendered before the calls are written down: a message that kills its renderer was not sent.
    """
    source = items.source(group[0])
    keeper = way.provider.name if way.provider.name in source.hosted else ""
    form = source.form if len(group) > 1 and not keeper else None
    prefix = f"-{secrets.token_hex(8)}-"
    shared, names = (form.shared(prefix), form.placeholders(prefix)) if form else ({}, [])
    found: list[Call] = []
    good: list[tuple[Item, Outbound]] = []
    for item in group:
        try:
            if keeper:
                kept = source.hosted_values(keeper, item.data, item.reader)
                hosted = {keeper: source.hosted[keeper]["id"]}
                message = _outbound(item, source.template, {}, kept, hosted=hosted)
            elif form:
                manner = source.manner(item.reader)
                filled = form.values(item.data or {}, source.shared, manner)
                values = dict(zip(names, filled, strict=True))
                message = _outbound(item, source.template, shared, values)
            else:
                parts, segments = rendered(item)
                message = _outbound(item, source.template, parts, {}, segments)
        except TemplateError as error:
            refusal = ProviderError(ErrorClass.PERMANENT_MESSAGE, "render", str(error))
            found.append(Call(way, [item], [new_id()], refusal))
        except sms.TooLong as error:
            refusal = ProviderError(ErrorClass.PERMANENT_MESSAGE, "text_too_long", str(error))
            found.append(Call(way, [item], [new_id()], refusal))
        else:
            good.append((item, message))
    if good:
        messages = [message for _, message in good]
        attempts = [message.attempt_id for message in messages]
        found.append(Call(way, [item for item, _ in good], attempts, messages))
    return found


def rendered(item: Item) -> tuple[Mapping[str, str], int]:
    """The parts of one message as they go out, and the segments of a text message.

    Raises `TemplateError`, `sms.TooLong`.
    """
    parts = imprint.linked(items.source(item).render(item.data, item.reader), item)
    if item.channel is not Channel.SMS:
        return parts, 0
    fitted = sms.fit(parts["text"], item.long_text)
    return {**parts, "text": fitted.text}, fitted.segments


def _outbound(
    item: Item,
    template: str,
    parts: Mapping[str, str],
    values: Mapping[str, str],
    segments: int = 0,
    hosted: Mapping[str, str] = MappingProxyType({}),
) -> Outbound:
    attempt_id = new_id()
    parts, values = imprint.addressed(parts, item), imprint.linked(values, item)
    if item.is_tracked and "html" in parts:
        opens, clicks = item.tracks_opens, item.tracks_clicks
        html = tracked.mark(parts["html"], attempt_id, opens=opens, clicks=clicks)
        parts = {**parts, "html": html}
    return Outbound(
        attempt_id=attempt_id,
        delivery_id=item.id,
        notification_id=item.notification_id,
        channel=item.channel,
        to=item.to or item.address,
        app=item.app,
        parts=parts,
        values=values,
        number=item.attempts_made + 1,
        agent_id=item.agent_id,
        template_id=template,
        expires_at=item.expires_at,
        lane=item.lease.lane,
        segments=segments,
        reply_to=item.reply_to if item.channel is Channel.EMAIL else "",
        headers=imprint.headers(item),
        tags=item.tags,
        metadata=item.metadata,
        attachments=items.attachments(item),
        hosted=hosted,
    )
