"""Traces by OpenTelemetry, where `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector: docs/how-to/trace.md.

A message's trace has the message's own id, and its first span the last half of it. So nothing has to
travel with the rows: who holds the id, in whatever process, knows the trace. The request that brought
the message is in its sender's trace, and the two are linked.

Off, nothing is imported, and a call costs the look at a variable. Spans name ids, kinds and outcomes,
never addresses or content.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from typing_extensions import override

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanContext, Tracer

_HALF = 2**64 - 1
_RANDOM = 2**62 - 1
"""The bits of a uuid7 that are by chance (RFC 9562, 5.7): all of the last half but the variant."""


class _Tracing:
    """Two tracers, as which messages are traced is decided here, and of requests by their senders."""

    def __init__(self, requests: TracerProvider, messages: TracerProvider, share: float) -> None:
        self._providers = (requests, messages)
        self.requests: Tracer = requests.get_tracer("comms")
        self.messages: Tracer = messages.get_tracer("comms")
        self._share = share

    def chosen(self, messages: Iterable[UUID]) -> list[UUID]:
        """Those to be traced: every process chooses the same."""
        return [one for one in messages if (one.int & _RANDOM) < self._share * _RANDOM]

    def stop(self) -> None:
        """Send what is left."""
        for provider in self._providers:
            provider.shutdown()


_tracing: _Tracing | None = None
_begun: ContextVar[UUID | None] = ContextVar("message whose trace begins", default=None)


def start() -> None:
    """Trace from now on, if a collector is named. Raises ImproperlyConfigured."""
    global _tracing
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    try:
        _tracing = _made(_share())
    except ImportError:
        raise ImproperlyConfigured(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set: install requirements/otel.txt."
        ) from None


def _share() -> float:
    """Raises ImproperlyConfigured."""
    try:
        share = float(os.environ.get("OTEL_TRACES_SAMPLER_ARG", "1"))
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise ImproperlyConfigured("OTEL_TRACES_SAMPLER_ARG is a share, such as 0.1.")
    return share


def is_on() -> bool:
    return _tracing is not None


def stop() -> None:
    """Send what is left, and trace no more."""
    global _tracing
    tracing, _tracing = _tracing, None
    if tracing:
        tracing.stop()


def _made(share: float) -> _Tracing:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider, sampling
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        """Those of a message whose trace begins, else any."""

        @override
        def generate_trace_id(self) -> int:
            message = _begun.get()
            return message.int if message else super().generate_trace_id()

        @override
        def generate_span_id(self) -> int:
            message = _begun.get()
            return message.int & _HALF if message else super().generate_span_id()

    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "comms")})
    by_sender = sampling.ParentBased(sampling.TraceIdRatioBased(share))
    requests = TracerProvider(sampler=by_sender, resource=resource)
    messages = TracerProvider(sampler=sampling.ALWAYS_ON, resource=resource, id_generator=Ids())
    for provider in (requests, messages):
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return _Tracing(requests, messages, share)


# --- What is traced --------------------------------------------------------------------------


def accepted(messages: Sequence[UUID]) -> None:
    """Begin the trace of each message: it has been committed."""
    if _tracing is None:
        return
    from opentelemetry import trace
    from opentelemetry.context import Context

    request = trace.get_current_span().get_span_context()
    links = [trace.Link(request)] if request.is_valid else []
    for message in _tracing.chosen(messages):
        token = _begun.set(message)
        try:
            span = _tracing.messages.start_span(
                "accept", Context(), links=links, start_time=_made_at(message)
            )
        finally:
            _begun.reset(token)
        span.end()


@contextmanager
def _call(
    tracing: _Tracing, provider: str, channel: str, messages: Sequence[UUID]
) -> Iterator[Callable[[str], None]]:
    from opentelemetry import trace

    first, *others = [_context_of(message) for message in messages]
    parent = trace.set_span_in_context(trace.NonRecordingSpan(first))
    waited = tracing.messages.start_span("queue", parent, start_time=_made_at(messages[0]))
    waited.end()
    with tracing.messages.start_as_current_span(
        f"send {provider}",
        parent,
        kind=trace.SpanKind.CLIENT,
        links=[trace.Link(other) for other in others],
        attributes={"comms.provider": provider, "comms.channel": channel},
    ) as span:
        yield lambda outcome: span.set_attribute("comms.outcome", outcome)


@contextmanager
def _nothing() -> Iterator[Callable[[str], None]]:
    yield lambda _outcome: None


def call(provider: str, channel: str, messages: Iterable[UUID]) -> Any:
    """A context in which one call to a provider is made, for all of `messages`. It gives a function
    that takes the outcome.
    """
    chosen = _tracing.chosen(messages) if _tracing else []
    return _call(_tracing, provider, channel, chosen) if _tracing and chosen else _nothing()


def _context_of(message: UUID) -> SpanContext:
    """The first span of a message's trace, wherever that was made."""
    from opentelemetry.trace import SpanContext, TraceFlags

    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(message.int, message.int & _HALF, is_remote=True, trace_flags=flags)


def _made_at(message: UUID) -> int:
    """Nanoseconds of the epoch: a uuid7 begins with the milliseconds."""
    return (message.int >> 80) * 1_000_000


class TracingMiddleware:
    """A span for each request, in the trace of who sent it (`traceparent`, W3C Trace Context)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if _tracing is None:
            raise MiddlewareNotUsed
        self.get_response = get_response
        self._tracer = _tracing.requests

    def __call__(self, request: HttpRequest) -> HttpResponse:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {name.lower(): value for name, value in request.headers.items()}
        with self._tracer.start_as_current_span(
            str(request.method),
            TraceContextTextMapPropagator().extract(carrier),
            kind=trace.SpanKind.SERVER,
        ) as span:
            response = self.get_response(request)
            route = request.resolver_match.route if request.resolver_match else "none"
            span.update_name(f"{request.method} {route}")
            span.set_attribute("http.response.status_code", response.status_code)
        return response
