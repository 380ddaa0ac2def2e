"""The provider of docs/how-to/add-a-provider.md."""

from __future__ import annotations

import json
from typing import ClassVar

from typing_extensions import override

from notifications.providers.base import Provider
from notifications.providers.common import http
from notifications.providers.common.defects import caught
from notifications.providers.common.http import Answer
from notifications.providers.common.http_thread import ThreadHttp
from notifications.types import Channel, ErrorClass, Outbound, ProviderError, Sent


class Acme(Provider):
    """SMS by Acme. Options: `api_key`, `api_url`."""

    channels: ClassVar = frozenset({Channel.SMS})

    def __init__(self, name: str, *, api_key: str, api_url: str) -> None:
        super().__init__(name)
        self._url = f"{api_url}/messages"
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._http = ThreadHttp()

    @override
    def send(self, message: Outbound) -> Sent:
        with caught(ErrorClass.PERMANENT_MESSAGE):
            body = self._written(message)
        with caught(ErrorClass.AMBIGUOUS):
            return self._read(self._http.call("POST", self._url, headers=self._headers, data=body))

    def _written(self, message: Outbound) -> bytes:
        if message.headers or message.reply_to or message.attachments or message.values:
            raise ProviderError(ErrorClass.PERMANENT_MESSAGE, "unsupported_field")
        request = {
            "to": message.to,
            "text": message.parts["text"],
            "custom": {"attempt_id": str(message.attempt_id)},
        }
        return json.dumps(request).encode()

    def _read(self, answer: Answer) -> Sent:
        if answer.status != 202:
            raise http.status_error(answer.status, answer.headers)
        if not isinstance(answer.json, dict):
            raise http.unanswered(ErrorClass.AMBIGUOUS, "malformed_answer")
        return Sent(str(answer.json["id"]), answer.status)
