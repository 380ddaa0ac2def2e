"""What the email vendors with an HTTP API share: Anymail writes the request, we read the answer.

The engine's messages go over the event loop (`carry`), plain Django mail through Anymail's backend
(`deliver`). What an answer means is the same for both.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import requests
from anymail.backends.base_requests import AnymailRequestsBackend
from anymail.exceptions import AnymailRequestsAPIError
from anymail.message import AnymailMessage
from django.conf import settings
from django.core.mail import EmailMessage
from typing_extensions import override

from notifications.providers.base import LoopProvider, Webhook
from notifications.providers.common import events, http, http_thread, shared_secret
from notifications.providers.common.email import EmailProvider, Handover
from notifications.providers.common.http_loop import LoopHttp
from notifications.types import (
    ErrorClass,
    Outbound,
    ProviderError,
    ProviderEvent,
    Report,
    Sent,
)

Codes = Mapping[tuple[int, str], ErrorClass]
"""HTTP status and the vendor's code, `""` where it has none, to what they mean."""

Texts = Sequence[tuple[str, str, ErrorClass]]
"""Codes whose text changes what they mean: code, what the text contains, class."""

MAX_ANSWER = 65_536
"""Bytes of an answer that are read. The real ones have a few hundred."""

_CODE = re.compile(r"[\w.-]{1,60}", re.ASCII)


class HttpEmailProvider(EmailProvider, LoopProvider):
    """Subclasses say in tables what the vendor answers, and read its events.

    Webhooks bring a secret of ours, or a subclass knows how they are signed.
    """

    backend: ClassVar[type[AnymailRequestsBackend]]
    """Anymail's, with `Careful`."""
    key_variable: ClassVar[str]
    """The variable with its key."""
    url_variable: ClassVar[str]
    """The variable with the URL of its API."""
    receipts_variable: ClassVar[str]
    """The variable with what its webhooks are verified by."""
    ref_field: ClassVar[str]
    """The field of an answer with the vendor's id of the message."""
    code_field: ClassVar[str] = ""
    text_field: ClassVar[str] = "message"
    """The fields of a refusal with the vendor's code, if it has any, and with its words."""
    codes: ClassVar[Codes]
    """Its error table. A code that is not in it counts by its status, but never as final: it is
    `temporary` and called `unmapped:...`.
    """
    texts: ClassVar[Texts] = ()

    def __init__(self, name: str, *, api_url: str, api_key: str, webhook_secret: str) -> None:
        super().__init__(name)
        self._api_url = api_url
        self._api_key = api_key
        self._secrets = webhook_secret
        self._http = LoopHttp(api_url, {})

    @property
    @override
    def receipts_need(self) -> str:
        return "" if self._secrets else self.receipts_variable

    @override
    def problems(self) -> list[str]:
        return [
            *http.key_problems(self.key_variable, self._api_key),
            *http.url_problems(self.url_variable, self._api_url),
        ]

    @override
    def connect(self) -> AnymailRequestsBackend:
        return self.backend(
            **self.account(),
            api_url=self._api_url,
            timeout=(settings.PROVIDER_CONNECT_TIMEOUT, settings.PROVIDER_READ_TIMEOUT),
            ignore_unsupported_features=False,
            ignore_recipient_status=True,  # our own reading of the answer decides
        )

    def account(self) -> Mapping[str, Any]:
        """What Anymail calls the credentials, and whatever else of the account it is to know."""
        return {"api_key": self._api_key}

    @override
    def verify(self, webhook: Webhook) -> None:
        shared_secret.check(webhook, self._secrets)

    @override
    def parse(self, webhook: Webhook) -> Sequence[Report]:
        found = json.loads(webhook.body)
        return events.of_each(found if isinstance(found, list) else [found], self.read)

    @abstractmethod
    def read(self, row: Mapping[str, Any]) -> Iterable[ProviderEvent]:
        """Our events for one of theirs: usually one, none for kinds we do not know.

        May raise whatever reading a malformed one raises (`events.MALFORMED`).
        """

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        (message,) = messages
        with self.before_sending():
            request = self._request(self.build(message))
        answer = await self._http.post(
            _bytes(request.body), url=str(request.url), headers=request.headers, read=MAX_ANSWER
        )
        return self.answer(answer.status, answer.headers, answer.json)

    @override
    async def aclose(self) -> None:
        await super().aclose()
        await self._http.aclose()

    def answer(self, status: int, headers: Mapping[str, str], data: Any) -> Sent:
        """What an answer says; `data` is its parsed body, None where it has none.

        Raises `ProviderError`.
        """
        fields: Mapping[str, Any] = data if isinstance(data, dict) else {}
        if 200 <= status < 300:
            ref = fields.get(self.ref_field)
            if isinstance(ref, str) and ref:
                return Sent(ref, status)
            raise ProviderError(
                ErrorClass.AMBIGUOUS, "malformed_answer", "No id.", http_status=status
            )
        raise self._refusal(status, headers, fields)

    def wait(self, headers: Mapping[str, str], status: int) -> float | None:
        """Seconds the vendor asks us to wait."""
        return http.retry_after(headers, status)

    @override
    def classify(self, error: Exception) -> ProviderError | None:
        if isinstance(error, AnymailRequestsAPIError):
            if error.response is not None:
                return self._refused(error.response)
            error = error.__cause__ if isinstance(error.__cause__, Exception) else error
        return http.transport_error(error) if isinstance(error, requests.RequestException) else None

    @override
    def receipt(self, mail: EmailMessage) -> Sent:
        response: requests.Response = mail.anymail_status.esp_response  # type: ignore[attr-defined]
        return self.answer(response.status_code, response.headers, _json(response))

    def _refusal(
        self, status: int, headers: Mapping[str, str], fields: Mapping[str, Any]
    ) -> ProviderError:
        error = http.status_error(status, headers)
        error.retry_after = self.wait(headers, status)
        code = str(fields.get(self.code_field, ""))
        if known := self.codes.get((status, code)):
            error.error_class, error.code = known, code or error.code
        elif _CODE.fullmatch(code) and error.error_class is ErrorClass.PERMANENT_MESSAGE:
            error.error_class, error.code = ErrorClass.TEMPORARY, f"unmapped:{code}"
        text = str(fields.get(self.text_field, ""))
        for of_code, part, error_class in self.texts:
            if of_code == error.code and part in text:
                error.error_class = error_class
        return error

    def _refused(self, response: requests.Response) -> ProviderError:
        try:
            self.answer(response.status_code, response.headers, _json(response))
        except ProviderError as error:
            return error
        return ProviderError(ErrorClass.AMBIGUOUS, "malformed_answer", "An answer that is none.")

    def _request(self, mail: AnymailMessage) -> requests.PreparedRequest:
        payload = self._writer.build_message_payload(mail, {})
        return requests.Request(**payload.get_request_params(self._writer.api_url)).prepare()

    @cached_property
    def _writer(self) -> AnymailRequestsBackend:
        return self.connect()

    def look_up(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> Any:
        """What the vendor's API answers to a GET, for `check`. Raises `ProviderError`."""
        url = f"{self._api_url.rstrip('/')}/{path}"
        return http_thread.look_up(url, headers=headers, auth=auth)


class Careful(Handover):
    """Mixed into an Anymail backend: no redirect is followed, as that would hand over the API key,
    and every refusal is an error with the vendor's answer in it.
    """

    def create_session(self) -> requests.Session:
        session: requests.Session = super().create_session()  # type: ignore[misc]
        session.max_redirects = 0
        return session

    def raise_for_status(self, response: requests.Response, payload: Any, message: Any) -> None:
        AnymailRequestsBackend.raise_for_status(self, response, payload, message)


def _bytes(body: bytes | str | None) -> bytes:
    return body.encode() if isinstance(body, str) else body or b""


def _json(response: requests.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None
