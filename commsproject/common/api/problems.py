"""Every error leaves as `application/problem+json` (RFC 9457), from wherever it was raised."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.defaults import server_error
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from commsproject.common.errors import (
    CommsError,
    FieldError,
    InvalidInput,
    NotFound,
    ServiceUnavailable,
)

CONTENT_TYPE = "application/problem+json"

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What an error of the operating system is called where nothing more can be stored."""

log = structlog.get_logger(__name__)


class TooLarge(CommsError):
    code = "too_large"
    status = 413
    title = "The request body is too large"


class Unauthenticated(CommsError):
    code = "unauthenticated"
    status = 401
    title = "Credentials are missing or not valid"


class Forbidden(CommsError):
    code = "forbidden"
    status = 403
    title = "These credentials do not allow this"


class InternalError(CommsError):
    code = "internal"
    status = 500
    title = "Something went wrong here; it was logged"


def answer(error: CommsError, headers: dict[str, str] | None = None) -> HttpResponse:
    """`error` as a plain Django response."""
    response = HttpResponse(
        json.dumps(error.problem()), status=error.status, content_type=CONTENT_TYPE
    )
    for name, value in {**_headers(error), **(headers or {})}.items():
        response[name] = value
    return response


def handle(exc: Exception, context: dict[str, Any]) -> HttpResponseBase | None:
    """DRF's exception handler. None lets Django's own handling (a logged 500) go on."""
    error = translate(exc)
    if error is None:
        return None
    set_rollback()
    headers = _headers(error)
    if header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = header
    return Response(
        error.problem(), status=error.status, headers=headers, content_type=CONTENT_TYPE
    )


def translate(exc: Exception) -> CommsError | None:
    """The error of ours that `exc` stands for, or None where it is a defect."""
    match exc:
        case CommsError():
            return exc
        case Http404():
            return NotFound()
        case PermissionDenied():
            return Forbidden()
        case RequestDataTooBig():
            return TooLarge()
        case SuspiciousOperation():
            return InvalidInput("The request was refused as malformed.")
        case OperationalError() | InterfaceError():
            log.warning("database unavailable", error=type(exc.__cause__ or exc).__name__)
            return ServiceUnavailable("The database cannot be reached; try again.", retry_after=1)
        case exceptions.APIException():
            return _from_drf(exc)
        case OSError():
            return disk_full(exc)
    return None


def disk_full(exc: OSError) -> ServiceUnavailable | None:
    """None where `exc` is something else."""
    if exc.errno not in _FULL:
        return None
    log.error("disk full", error=errno.errorcode[exc.errno])
    return ServiceUnavailable("There is no room to store this; try again.", retry_after=30)


def uncaught(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`: what was raised in a view, or in a middleware above `ProblemMiddleware`."""
    exc = sys.exc_info()[1]
    error = translate(exc) if isinstance(exc, Exception) else None
    if _is_for_programs(request):
        return answer(error or InternalError())
    if error is None:
        return server_error(request)
    text = f"{error.detail}\n"
    return HttpResponse(text, "text/plain", error.status, headers=_headers(error))


class ProblemMiddleware:
    """The same shape for what no DRF view answers: unknown paths, CSRF, defects."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_plain_error = response.status_code >= 400 and not hasattr(response, "data")
        if _is_for_programs(request) and is_plain_error and not self._is_problem(response):
            if response.status_code == 404:
                return answer(NotFound(f"There is no {request.path}."))
            if response.status_code == 400:
                return answer(InvalidInput("The request was refused as malformed."))
            if response.status_code >= 500:
                return answer(InternalError())
        return response

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        if not _is_for_programs(request):
            return None
        error = translate(exc)
        return answer(error) if error else None

    @staticmethod
    def _is_problem(response: HttpResponse) -> bool:
        return response.headers.get("Content-Type", "").startswith(CONTENT_TYPE)


def _is_for_programs(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/webhooks/"))


def _headers(error: CommsError) -> dict[str, str]:
    return {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}


def _from_drf(exc: exceptions.APIException) -> CommsError:
    match exc:
        case exceptions.ValidationError():
            errors = list(_flatten(exc.detail, ""))
            first = errors[0]
            where = f"{first.field}: " if first.field else ""
            return InvalidInput(f"{where}{first.message}", errors=errors)
        case exceptions.ParseError():
            return InvalidInput.of("", "malformed", str(exc.detail))
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return Unauthenticated(str(exc.detail))
        case exceptions.PermissionDenied():
            return Forbidden(str(exc.detail))
        case exceptions.NotFound():
            return NotFound()
    error = _Other(str(exc.detail))
    error.set(exc)
    return error


class _Other(CommsError):
    """Method not allowed, unsupported media type, not acceptable: DRF's own words."""

    def set(self, exc: exceptions.APIException) -> None:
        """Every other error has these as its class's own; here they are DRF's, one by one."""
        self.code = exc.default_code  # type: ignore[misc]
        self.status = exc.status_code  # type: ignore[misc]
        self.title = exc.default_code.replace("_", " ").capitalize()  # type: ignore[misc]


def _flatten(detail: Any, path: str) -> Iterator[FieldError]:
    """DRF's nested error structure as dotted paths: `to.email`, `channels.0`."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from _flatten(value, f"{path}.{name}".strip("."))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, dict | list)
            yield from _flatten(value, f"{path}.{index}".strip(".") if nested else path)
    else:
        yield FieldError(path, getattr(detail, "code", "invalid"), str(detail))
