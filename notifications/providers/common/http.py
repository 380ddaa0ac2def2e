"""What a failed HTTP call means, the same for every provider that is called over HTTP.

One question decides: may the vendor have taken the request? Where that cannot be ruled out the
class is `ambiguous`.
"""

from __future__ import annotations

import json
import math
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from requests import exceptions as failed
from urllib3.exceptions import ConnectTimeoutError

from notifications.types import ErrorClass, ProviderError

STATUSES: Mapping[int, ErrorClass] = {
    401: ErrorClass.AUTH_CONFIG,
    403: ErrorClass.AUTH_CONFIG,
    404: ErrorClass.AUTH_CONFIG,
    405: ErrorClass.AUTH_CONFIG,
    406: ErrorClass.AUTH_CONFIG,
    408: ErrorClass.AMBIGUOUS,
    429: ErrorClass.THROTTLED,
    503: ErrorClass.TEMPORARY,  # the vendors' word for "not now"
}
"""The statuses that say more than their hundred does."""

HUNDREDS: Mapping[int, ErrorClass] = {
    3: ErrorClass.AUTH_CONFIG,  # no vendor redirects: the URL is wrong, or not the vendor's
    4: ErrorClass.PERMANENT_MESSAGE,
    5: ErrorClass.AMBIGUOUS,
}

_UNUSABLE = (
    failed.InvalidURL,
    failed.MissingSchema,
    failed.InvalidSchema,
    failed.InvalidHeader,
)

TRANSPORT: tuple[tuple[type[Exception] | tuple[type[Exception], ...], ErrorClass, str], ...] = (
    (failed.ConnectTimeout, ErrorClass.TEMPORARY, "connect_timeout"),
    (failed.ReadTimeout, ErrorClass.AMBIGUOUS, "read_timeout"),
    (failed.ProxyError, ErrorClass.AUTH_CONFIG, "proxy"),
    (failed.TooManyRedirects, ErrorClass.AUTH_CONFIG, "redirect"),
    (_UNUSABLE, ErrorClass.AUTH_CONFIG, "bad_url"),
)
"""What `requests` raises, the special before the general: most are also `ConnectionError`s."""

CAUSES: tuple[tuple[type[Exception], ErrorClass, str], ...] = (
    (ssl.SSLCertVerificationError, ErrorClass.AUTH_CONFIG, "certificate"),
    # urllib3 counts refusals and unknown hosts among its connect timeouts.
    (ConnectTimeoutError, ErrorClass.TEMPORARY, "connect_failed"),
)
"""What is inside a `requests.ConnectionError` that proves the request never left."""

MIN_WAIT, MAX_WAIT = 1.0, 3600.0
"""Seconds. What vendors ask us to wait is kept within these."""


_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_URL = re.compile(rf"https?://{_HOST}(?::(?P<port>[0-9]{{1,5}}))?(?:/[\w./~%-]*)?", re.ASCII)


_KEY = re.compile(r"[!-~]*")


def is_url(text: str) -> bool:
    """Whether something can be asked there: no credentials in it, no query."""
    found = _URL.fullmatch(text)
    return found is not None and 0 < int(found["port"] or 443) < 65536


def url_problems(variable: str, url: str) -> list[str]:
    """What is wrong with an API's URL: nothing, or a sentence that names the variable."""
    if is_url(url):
        return []
    return [f"{variable} is no URL: write it as https://api.example.com/, or leave it out."]


def key_problems(variable: str, key: str) -> list[str]:
    """What is wrong with a key that goes into a header: nothing, or a sentence that names the
    variable.
    """
    if _KEY.fullmatch(key):
        return []
    return [f"{variable} has blanks, line breaks or letters in it that no key has."]


@dataclass(frozen=True, repr=False)
class Answer:
    """An answer. `headers` do not care about case. `body` is what was asked for of it and came in
    time, maybe cut: the status counts all the same.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The parsed body; None where it is no JSON, or not all of it."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def status_class(status: int, special: Mapping[int, ErrorClass] = STATUSES) -> ErrorClass:
    """The class of an HTTP status that is no success. `special` goes before the general rule."""
    known = special.get(status) or STATUSES.get(status)
    return known or HUNDREDS.get(status // 100, ErrorClass.AMBIGUOUS)


def response_error(
    response: requests.Response, special: Mapping[int, ErrorClass] = STATUSES
) -> ProviderError:
    """The error an answer other than 2xx stands for. Nothing of its body is kept."""
    return status_error(response.status_code, response.headers, special)


def status_error(
    status: int, headers: Mapping[str, str], special: Mapping[int, ErrorClass] = STATUSES
) -> ProviderError:
    """The same, of an answer's status and headers, which must not care about case."""
    if (
        300 <= status < 400 and "Location" in headers
    ):  # to follow it would hand over the credentials
        return unanswered(ErrorClass.AUTH_CONFIG, "redirect")
    return ProviderError(
        status_class(status, special),
        str(status),
        f"The provider answered HTTP {status}.",
        http_status=status,
        retry_after=retry_after(headers, status),
    )


def transport_error(error: Exception) -> ProviderError:
    """The error of a call without an answer: what `requests` itself raised.

    Anymail wraps it and keeps only its text: pass the wrapper's `__cause__`.
    """
    for kinds, error_class, code in TRANSPORT:
        if isinstance(error, kinds):
            return unanswered(error_class, code)
    inside = list(causes(error))
    for kind, error_class, code in CAUSES:
        if any(isinstance(cause, kind) for cause in inside):
            return unanswered(error_class, code)
    return unanswered(ErrorClass.AMBIGUOUS, "connection_lost")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those it was made of, down to the first.

    Follows `args[0]`, `reason` and `__cause__`. Not `__context__`: after a failover that is the
    error of another provider.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = (getattr(error, "reason", None), *error.args[:1], error.__cause__)
        error = next((each for each in inner if isinstance(each, BaseException)), None)


def retry_after(headers: Mapping[str, str], status: int) -> float | None:
    """Seconds the vendor asks us to wait, at least 1 and at most 3600; None where it does not say.

    Reads `Retry-After` (seconds or an HTTP date, RFC 9110 section 10.2.3), else of a 429
    `X-RateLimit-Reset` (epoch seconds, as SendGrid sends it with every answer). `headers` must not
    care about case.
    """
    try:
        wait = _wait(headers, status)
    except (ValueError, OverflowError):
        return None
    if wait is None or math.isnan(wait):
        return None
    return min(max(wait, MIN_WAIT), MAX_WAIT)


def _wait(headers: Mapping[str, str], status: int) -> float | None:
    if value := headers.get("Retry-After", "").strip():
        if value.isdigit():
            return float(value)
        return parsedate_to_datetime(value).timestamp() - _their_time(headers)
    value = headers.get("X-RateLimit-Reset", "").strip() if status == 429 else ""
    if value:
        return float(value) - _their_time(headers)
    return None


def _their_time(headers: Mapping[str, str]) -> float:
    """When the vendor answered, by its own clock: a moment it names is to be compared with that."""
    said = headers.get("Date", "").strip()
    return parsedate_to_datetime(said).timestamp() if said else time.time()


def unanswered(error_class: ErrorClass, code: str) -> ProviderError:
    """The error of a call that got no answer."""
    return ProviderError(error_class, code, f"The call had no answer: {code.replace('_', ' ')}.")
