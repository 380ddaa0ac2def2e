"""What can go wrong with a call: one class for each thing that a caller does about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """One field of the request that is wrong: `to.email`, what for programs, what for people."""

    field: str
    code: str
    message: str

    @classmethod
    def of(cls, told: Any) -> FieldError:
        """Of whatever came: a newer service says more, a proxy something else."""
        known = told if isinstance(told, Mapping) else {}
        return cls(*(str(known.get(name, "")) for name in ("field", "code", "message")))


class CommsError(Exception):
    """Whatever this package raises."""


class NoAnswer(CommsError):
    """No answer came, with all the tries that were allowed: refused, cut off or too slow.

    A message that was sent with an idempotency key may be sent again under the same key.
    """


class ApiError(CommsError):
    """The service refused (RFC 9457). `code` is stable; `errors` names the fields that are wrong."""

    def __init__(self, status: int, problem: Mapping[str, Any], request_id: str = "") -> None:
        self.status = status
        self.code = str(problem.get("code", ""))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        errors = problem.get("errors")
        self.errors = tuple(map(FieldError.of, errors if isinstance(errors, list) else ()))
        self.request_id = request_id
        """What the service's log calls this request."""
        super().__init__(f"{status} {self.code}: {self.detail}")


class InvalidRequest(ApiError):
    """400, 413, 415, 422: mend the request."""


class Unauthenticated(ApiError):
    """401: the key or token is missing, unknown, expired or revoked."""


class Forbidden(ApiError):
    """403: the detail names the scope that is missing."""


class NotFound(ApiError):
    """404, 410: no such thing, or not yours."""


class Conflict(ApiError):
    """409, 412: the state of the thing does not allow it."""


class RateLimited(ApiError):
    """429, with all the tries that were allowed."""


class ServiceFailed(ApiError):
    """5xx, with all the tries that were allowed."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    **dict.fromkeys((400, 413, 415, 422), InvalidRequest),
    401: Unauthenticated,
    403: Forbidden,
    **dict.fromkeys((404, 410), NotFound),
    **dict.fromkeys((409, 412), Conflict),
    429: RateLimited,
}


def error_of(status: int, problem: Mapping[str, Any], request_id: str) -> ApiError:
    kind = _BY_STATUS.get(status, ServiceFailed if status >= 500 else ApiError)
    return kind(status, problem, request_id)
