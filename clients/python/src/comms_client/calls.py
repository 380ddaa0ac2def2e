"""What is sent, and what is done about an answer: the same for both clients. Nothing here waits."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from comms_client.errors import ApiError, error_of

KEY = "Idempotency-Key"
_SAFE = frozenset({"GET", "PUT", "DELETE"})
_NOT_DONE = frozenset({429})
"""The service did nothing: any call may be made again."""
_PERHAPS_DONE = frozenset({500, 502, 503, 504})
"""503 too: the service says so where its database went away, which may be while it stored the work."""


@dataclass(frozen=True)
class Call:
    """One operation with its arguments. `path` begins behind `/api/v1`."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    files: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def may_be_repeated(self) -> bool:
        """Whether doing it twice is as good as doing it once."""
        return self.method in _SAFE or KEY in self.headers


@dataclass(frozen=True)
class Retries:
    """`times` beyond the first try; seconds between them grow from `first` to `most`, with full jitter,
    and are never less than the service asks for. One that asks for more than `most` gets an error.
    """

    times: int = 4
    first: float = 0.2
    most: float = 30.0

    def wait(self, tried: int, asked: float = 0.0) -> float | None:
        """Seconds before the next try after `tried` ones, or None: give up."""
        if tried > self.times or asked > self.most:
            return None
        drawn = random.uniform(0, min(self.most, self.first * 2 ** (tried - 1)))  # noqa: S311
        return asked + drawn if asked else drawn


def key() -> str:
    """A new idempotency key."""
    return str(uuid.uuid4())  # noqa: TID251 - any unique text


def wait_after_answer(
    call: Call, answer: httpx.Response, retries: Retries, tried: int
) -> float | None:
    """Seconds until `call` is made again, None where `answer` is the last word."""
    again = answer.status_code in _NOT_DONE or (
        call.may_be_repeated and (answer.status_code in _PERHAPS_DONE or _is_in_flight(answer))
    )
    return retries.wait(tried, _retry_after(answer)) if again else None


def wait_after_failure(
    call: Call, error: httpx.TransportError, retries: Retries, tried: int
) -> float | None:
    """The same where no answer came. What never left may always be sent again."""
    never_left = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return retries.wait(tried) if never_left or call.may_be_repeated else None


def result(answer: httpx.Response) -> Any:
    """What the operation gives: JSON, text, None. Raises ApiError."""
    if not answer.is_success:
        raise problem(answer)
    if not answer.content:
        return None
    if answer.headers.get("content-type", "").startswith("application/json"):
        return answer.json()
    return answer.text


def problem(answer: httpx.Response) -> ApiError:
    try:
        told = answer.json()
    except ValueError:  # a proxy's page
        told = {}
    if answer.has_redirect_location:
        told = {"detail": f"The service is at {answer.headers['location']}: give that address."}
    request_id = answer.headers.get("x-request-id", "")
    return error_of(answer.status_code, told if isinstance(told, dict) else {}, request_id)


def next_query(call: Call, page: Mapping[str, Any]) -> dict[str, Any] | None:
    """The query of the page after `page`, None where there is none.

    The link is taken apart: its host may be another than the one that is called here, and is not to get
    the key.
    """
    link = page.get("next")
    return {**call.query, **parse_qs(urlsplit(link).query)} if link else None


def _is_in_flight(answer: httpx.Response) -> bool:
    return answer.status_code == 409 and problem(answer).code == "idempotency_key_in_flight"


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() else 0.0
