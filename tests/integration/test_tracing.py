"""A message is one trace from the API through the queue to the provider, at a collector on a socket."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rest_framework.test import APIClient
from typing_extensions import override

from commsproject.common import tracing
from commsproject.common.ids import new_id
from tests.engine import drain
from tests.processes import ROOT

CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"
BODY = {
    "to": {"email": "ada.canary@simulator.test"},
    "content": {"subject": "canary-subject", "text": "canary-text"},
}


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.bodies: list[bytes] = []

    def spans(self) -> list[Any]:
        found = []
        for body in self.bodies:
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found


class _Take(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/x-protobuf"
        self.server.bodies.append(body)  # type: ignore[attr-defined]  # a Collector
        self.send_response(200)
        self.end_headers()

    @override
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        where = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
        tracing.start()
        yield server
        tracing.stop()
        server.shutdown()
        thread.join()


def attributes(span: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


@pytest.mark.django_db(transaction=True)
def test_from_the_api_to_the_provider_is_one_trace(collector: Collector, api: APIClient) -> None:
    answer = api.post(
        "/api/v1/notifications",
        BODY,
        format="json",
        headers={"traceparent": f"00-{CALLER}-00f067aa0ba902b7-01"},
    )
    drain()
    tracing.stop()

    message = UUID(answer.json()["id"])
    spans = collector.spans()
    (request,) = [span for span in spans if span.trace_id.hex() == CALLER]
    assert request.name == "POST api/v1/notifications"
    assert request.parent_span_id.hex() == "00f067aa0ba902b7"

    mine = {span.name: span for span in spans if span.trace_id == message.bytes}
    assert set(mine) == {"accept", "queue", "send simulator"}
    first = mine["accept"]
    assert not first.parent_span_id
    assert [link.span_id for link in first.links] == [request.span_id]
    for name in ("queue", "send simulator"):
        assert mine[name].parent_span_id == first.span_id
    sent = mine["send simulator"]
    assert attributes(sent) == {
        "comms.provider": "simulator",
        "comms.channel": "email",
        "comms.outcome": "sent",
    }
    assert first.start_time_unix_nano == mine["queue"].start_time_unix_nano
    assert mine["queue"].end_time_unix_nano <= sent.end_time_unix_nano
    assert len(spans) == 4
    assert not [body for body in collector.bodies if b"canary" in body]


@pytest.mark.django_db(transaction=True)
def test_a_call_for_many_is_in_one_trace_and_tells_of_the_others(collector: Collector) -> None:
    messages = [new_id() for _ in range(3)]
    with tracing.call("ses", "email", messages) as outcome:
        outcome("throttled")
    tracing.stop()
    (sent,) = [span for span in collector.spans() if span.name == "send ses"]
    assert sent.trace_id == messages[0].bytes
    assert [link.trace_id for link in sent.links] == [one.bytes for one in messages[1:]]
    assert attributes(sent)["comms.outcome"] == "throttled"


def test_a_share_is_the_same_messages_everywhere(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [UUID(int=(7 << 76) | (2 << 62) | (one << 54)) for one in range(256)]
    tracing.stop()
    for share, at_least in (("0", 0), ("0.25", 60), ("1", 250)):
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", share)
        tracing.start()
        assert tracing._tracing is not None
        chosen = tracing._tracing.chosen(messages)
        assert at_least <= len(chosen) <= at_least + 6
        tracing.accepted(messages)
        tracing.stop()
        assert len({span.trace_id for span in collector.spans()}) == len(chosen)
        collector.bodies.clear()


def test_a_share_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    for share in ("a tenth", "1.5", "-0.1", "nan"):
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", share)
        with pytest.raises(ImproperlyConfigured, match="OTEL_TRACES_SAMPLER_ARG"):
            tracing.start()


def test_without_the_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(ImproperlyConfigured, match=r"requirements/otel\.txt"):
        tracing.start()


def test_off_it_loads_nothing() -> None:
    code = (
        "import sys; from commsproject.common import tracing; tracing.start(); tracing.accepted([]);"
        "sys.exit('opentelemetry' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
