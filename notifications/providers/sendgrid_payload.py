"""The JSON of SendGrid's mail/send, equal to what Anymail sends and written in a twelfth of the time.

Vendor's facts: twilio.com/docs/sendgrid/api-reference/mail-send, twilio/sendgrid-oai.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

import orjson
from anymail.backends.base import AnymailBaseBackend
from anymail.message import AnymailMessage
from anymail.utils import parse_address_list
from django.conf import settings

from notifications.providers.common.email import (
    UNSAFE,
    attach,
    check,
    check_recipient,
    message_id,
)
from notifications.providers.common.labels import labels
from notifications.types import ErrorClass, Outbound, ProviderError

MAX_MESSAGES = 1000
"""Personalizations of one request; the same limit for recipients."""
MAX_SUBSTITUTIONS = 10_000
"""Bytes of placeholders and values of one personalization."""
MAX_CUSTOM_ARGS = 10_000
"""Bytes of one personalization's custom arguments; they must stay below."""
MAX_REQUEST = 30_000_000

UNTRACKED = {"subscription_tracking": {"enable": False}}
"""SendGrid's subscription tracking would put its own link in place of our List-Unsubscribe."""

_USUAL = re.compile(
    r"[a-z0-9_+-]+(\.[a-z0-9_+-]+)*@[a-z0-9-]+(\.[a-z0-9-]+)+", re.ASCII | re.IGNORECASE
)
"""An address that Anymail passes on as it is."""

_Data = dict[str, Any]


class Payloads:
    """Writes requests. `backend` is Anymail's: it decides what is seldom needed. `name` is that of
    the provider, by which messages name the templates that SendGrid keeps.
    """

    def __init__(self, backend: AnymailBaseBackend, name: str) -> None:
        self._backend = backend
        self._name = name

    def write(self, messages: Sequence[Outbound]) -> bytes:
        """The body of one request. Raises `ProviderError` for what SendGrid would not take."""
        data = self._one(messages[0]) if len(messages) == 1 else self._many(messages)
        body = orjson.dumps(data)
        if len(body) > MAX_REQUEST:
            _refuse("too_large", f"More than {MAX_REQUEST} bytes.")
        return body

    def _one(self, message: Outbound) -> _Data:
        template = message.hosted.get(self._name, "")
        check(message, template)
        person: _Data = {"to": self._people(message.to)}
        if template:
            person["dynamic_template_data"] = message.values
        return {
            **self._common(message),
            **_untracked([message]),
            "personalizations": [person],
            "headers": _headers(message),
            "custom_args": labels(message),
        }

    def _many(self, messages: Sequence[Outbound]) -> _Data:
        first = messages[0]
        _check_batch(messages, first.hosted.get(self._name, ""))
        subject = first.parts.get("subject", "")
        in_subject = [name for name in first.values if name in subject]
        return {
            **self._common(first),
            **_untracked(messages),
            "personalizations": [self._person(message, in_subject) for message in messages],
        }

    def _person(self, message: Outbound, in_subject: Sequence[str]) -> _Data:
        check_recipient(message)
        for name in in_subject:
            if UNSAFE.search(message.values.get(name, "")):
                _refuse("line_break", "A line break in a value of the subject.")
        found: _Data = {
            "to": self._people(message.to),
            "custom_args": labels(message),
            "headers": _headers(message),
        }
        if message.values:
            found[_values_field(message)] = message.values
            _check_size(message.values, MAX_SUBSTITUTIONS, "substitutions_too_large")
        _check_size(found["custom_args"], MAX_CUSTOM_ARGS - 1, "custom_args_too_large")
        return found

    def _common(self, message: Outbound) -> _Data:
        data: _Data = {"from": self._people(settings.DEFAULT_FROM_EMAIL)[0]}
        if message.hosted:
            data["template_id"] = message.hosted[self._name]
        else:
            data |= _content(message.parts)
        if message.reply_to:
            data["reply_to_list"] = self._people(message.reply_to)
        if message.tags:
            data["categories"] = list(dict.fromkeys(message.tags))
        if message.attachments:
            data["attachments"] = self._attachments(message)
        return data

    def _people(self, text: str) -> list[dict[str, str]]:
        if _USUAL.fullmatch(text):
            return [{"email": text}]
        return _parsed(text, self._backend.idna_encode)

    def _attachments(self, message: Outbound) -> Any:
        mail = AnymailMessage(body="x", to=[message.to])
        for attachment in message.attachments:
            attach(mail, attachment)
        return self._backend.build_message_payload(mail, {}).data["attachments"]


def _content(parts: Mapping[str, str]) -> _Data:
    data: _Data = {
        "content": [
            {"type": kind, "value": parts[part]}
            for part, kind in (("text", "text/plain"), ("html", "text/html"))
            if parts.get(part)
        ]
    }
    if subject := parts.get("subject"):
        data["subject"] = subject
    return data


def _values_field(message: Outbound) -> str:
    """Ours are put in as they are, those of a template of SendGrid's are its own language's."""
    return "dynamic_template_data" if message.hosted else "substitutions"


@lru_cache(maxsize=1024)
def _parsed(text: str, idna_encode: Callable[[str], str]) -> list[dict[str, str]]:
    return [each.as_dict(idna_encode=idna_encode) for each in parse_address_list([text])]


def _headers(message: Outbound) -> dict[str, str]:
    headers = {"Message-ID": message_id(message), **message.headers}
    if _differ(tuple(headers)):
        return headers
    return dict({name.lower(): (name, value) for name, value in headers.items()}.values())


@lru_cache(maxsize=1024)
def _differ(names: Sequence[str]) -> bool:
    return len({name.lower() for name in names}) == len(names)


def _untracked(messages: Sequence[Outbound]) -> _Data:
    for message in messages:
        for name in message.headers:
            if name.lower() == "list-unsubscribe":
                return {"tracking_settings": UNTRACKED}
    return {}


def _check_batch(messages: Sequence[Outbound], template: str) -> None:
    first = messages[0]
    if len(messages) > MAX_MESSAGES:
        _refuse("batch_too_long", f"More than {MAX_MESSAGES} messages.")
    if len({message.to.lower() for message in messages}) < len(messages):
        _refuse("same_address", "An address may be only once in a batch.")
    for message in messages:
        if not _alike(message, first):
            _refuse("mixed_batch", "Messages of a batch have all but values and headers in common.")
    check(first, template)


def _alike(message: Outbound, first: Outbound) -> bool:
    return (
        message.parts == first.parts
        and message.hosted == first.hosted
        and message.reply_to == first.reply_to
        and message.tags == first.tags
        and message.attachments == first.attachments
        and message.values.keys() == first.values.keys()
    )


def _check_size(values: Mapping[str, str], limit: int, code: str) -> None:
    if len(orjson.dumps(values)) > limit:  # with quotes and colons, which do not count
        size = sum(len(name.encode()) + len(text.encode()) for name, text in values.items())
        if size > limit:
            _refuse(code, f"More than {limit} bytes for one recipient.")


def _refuse(code: str, detail: str) -> NoReturn:
    raise ProviderError(ErrorClass.PERMANENT_MESSAGE, code, detail)
