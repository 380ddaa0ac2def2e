"""The one base of every error this service answers with, and its one JSON shape (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class FieldError:
    """One field that is wrong: its dotted path in the request, a stable code, a sentence."""

    field: str
    code: str
    message: str


class CommsError(Exception):
    """An error a caller can act on.

    Subclasses fix `code` (stable, for programs), `status` (HTTP) and `title` (for people);
    `detail` says what happened this time and what to do. Never put content, addresses or
    secrets into it: problems are logged.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request could not be carried out"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Iterable[FieldError] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        self.retry_after = retry_after
        """Seconds after which the caller may try again."""

    def problem(self) -> dict[str, Any]:
        """The body of an `application/problem+json` answer."""
        body: dict[str, Any] = {
            "type": f"urn:comms:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.errors:
            body["errors"] = [vars(error) for error in self.errors]
        return body


class InvalidInput(CommsError):
    """Something in the request is wrong; `errors` names each field."""

    code = "invalid"
    status = 400
    title = "The request is not valid"

    @classmethod
    def of(cls, field: str, code: str, message: str) -> InvalidInput:
        return cls(message, errors=[FieldError(field, code, message)])


class NotFound(CommsError):
    """No such thing, or not the caller's: the two are never told apart."""

    code = "not_found"
    status = 404
    title = "Not found"


class Conflict(CommsError):
    """The request is fine, the present state of the thing does not allow it."""

    code = "conflict"
    status = 409
    title = "The state of the resource does not allow this"


class RateLimited(CommsError):
    """Too much of one caller; nothing was done."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"


class ServiceUnavailable(CommsError):
    """A part this request needs is away. Where the database was lost during the commit, what was asked
    may have been done.
    """

    code = "unavailable"
    status = 503
    title = "Temporarily unavailable"
