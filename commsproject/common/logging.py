"""Structured logs: one JSON object a line, with the request id, never with what people wrote.

The rule is kept in two places. Code logs ids, states, codes and counts only. And whatever a
library logs passes `redact`, which blanks addresses, tokens and keys by their shape.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse

_http = structlog.get_logger("http")

_SECRETS = re.compile(
    r"(?P<email>(?<![\w.!#$%&'*+/=?^`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(\.[\w-]+)+)"
    r"|(?P<jwt>\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*)"
    r"|(?P<bearer>(?i:bearer|basic)\s+[\w.~+/=-]{8,})"
    r"|(?P<key>\bcomm_[a-z]+_\w+|\bSG\.[\w-]{8,}\.[\w-]+|\bAKIA[0-9A-Z]{12,})"
    r"|(?P<url>\b\w+://[^/\s:@]*:[^/\s@]+@)"
    r"|(?P<phone>\+\d{8,15}\b)"
)


_ROWS = re.compile(
    r"^(?P<name>[ |]*(?:DETAIL|CONTEXT)): .*?"
    r"(?=^[ |]*(?:The above exception was the direct cause|During handling of the above)|\Z)",
    re.DOTALL | re.MULTILINE,
)
"""What PostgreSQL adds to an error: the row that failed, with all that somebody wrote, over as many
lines as that has. In a traceback it ends with the exception.
"""


def _blank(match: re.Match[str]) -> str:
    return f"[{match.lastgroup}]"


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: blank what looks like an address, a token or a key."""
    for key, value in event.items():
        event[key] = _redacted(value)
    return event


def _redacted(value: Any) -> Any:
    match value:
        case str():
            return _SECRETS.sub(_blank, _ROWS.sub(r"\g<name>: [row]\n", value))
        case None | bool() | int() | float():
            return value
        case dict():
            return {_redacted(key): _redacted(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted(item) for item in value]
    return _redacted(repr(value))  # as it would be printed


def without_paths(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A processor: Django logs failed requests with their path, and ours may carry tokens."""
    event.pop("request", None)
    if event.get("logger") == "django.request":
        event["event"] = str(event["event"]).partition(":")[0]
    return event


_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    without_paths,
    redact,
]


def configuration(level: str) -> dict[str, Any]:
    """Django's LOGGING: ours and every library's lines through the same processors."""
    _ask_only_what_is_printed()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_PROCESSORS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(),
                ],
                "foreign_pre_chain": [structlog.stdlib.ExtraAdder(), *_PROCESSORS],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django and uvicorn print paths and, at DEBUG, bodies and SQL with values.
            "django": {"level": "WARNING", "handlers": [], "propagate": True},
            # Its lines about 4xx have paths, and those of unsubscribe links carry tokens.
            "django.request": {"level": "ERROR"},
            "uvicorn": {"level": "WARNING", "handlers": [], "propagate": True},
            "botocore": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            "dramatiq": {"level": "WARNING"},
            # Of an address that it does not understand it prints all, the token too.
            "apprise": {"level": "CRITICAL"},
        },
    }


def _ask_only_what_is_printed() -> None:
    """No line says which source line, thread or process wrote it, and to find out takes a fifth of
    its time (logging's own documentation, "Optimization").
    """
    logging._srcfile = None  # noqa: SLF001 - documented there
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class AccessLogMiddleware:
    """One line a request: see `note_request`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.monotonic()
        response = self.get_response(request)
        match = request.resolver_match
        note_request(request.method, match.route if match else None, response.status_code, started)
        return response


def note_request(
    method: str | None, route: str | None, status: int, started: float, **more: str
) -> None:
    """Method, route, status, milliseconds. The route, not the path: paths of unsubscribe links carry
    tokens.
    """
    _http.log(
        logging.WARNING if status >= 500 else logging.INFO,
        "request",
        method=method,
        route=route,
        status=status,
        ms=round((time.monotonic() - started) * 1000, 1),
        **more,
    )
