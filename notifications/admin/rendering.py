"""What a stored message says, made again from its version and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from notifications import sms
from notifications.models import Category, Delivery, Notification
from notifications.services import render
from notifications.types import Channel
from templates_app.errors import TemplateError
from templates_app.types import Reader


@dataclass(frozen=True)
class Rendered:
    """The parts of a delivery, or the `problem` why they cannot be shown."""

    delivery: Delivery
    channel: Channel
    parts: Mapping[str, str]
    problem: str = ""


def is_sensitive(row: Notification) -> bool:
    """Staff never see what such a message says."""
    return row.category is not None and row.category.is_sensitive


def of_message(row: Notification) -> Sequence[Rendered]:
    return [parts(row, delivery) for delivery in row.deliveries.all()]


def parts(
    row: Notification, delivery: Delivery, edited: Mapping[str, Any] | None = None
) -> Rendered:
    """`edited` is the data of a replay, in place of the message's own."""
    channel = Channel(delivery.channel)
    if is_sensitive(row):
        problem = "Only its reader sees what a message of this category says."
        return Rendered(delivery, channel, {}, problem)
    try:
        return Rendered(delivery, channel, _made(row, channel, edited))
    except _REFUSALS as error:
        return Rendered(delivery, channel, {}, str(error))


def segments(row: Notification) -> int:
    """Of its text message, also where staff do not see what that says. None of what cannot go out."""
    try:
        _, found = sms.count(_made(row, Channel.SMS)["text"])
    except _REFUSALS:
        return 0
    return found


class _Gone(Exception):
    pass


_REFUSALS = (TemplateError, sms.TooLong, _Gone)


def _made(
    row: Notification, channel: Channel, edited: Mapping[str, Any] | None = None
) -> Mapping[str, str]:
    source = render.of_message(row, channel)
    if source is None or row.erased_at is not None:
        raise _Gone("The content of this message is no longer kept.")
    found = source.render(_data(row, edited), Reader(row.locale, row.time_zone))
    if channel is Channel.SMS:
        rule = row.category.long_text if row.category else Category.LongText.SPLIT
        found["text"] = sms.fit(found["text"], rule).text
    return found


def _data(row: Notification, edited: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    own = row.data if edited is None else edited
    shared = row.batch.data if row.batch else None
    return shared if own is None else {**(shared or {}), **own}
