"""`/metrics` of a process that answers no other requests, at `METRICS_PORT`: of workers and schedulers.

It says what is the process's own. What is read from PostgreSQL each web process says for all.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from typing_extensions import override

from commsproject.common import metrics
from commsproject.common.commands import listening_host

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = structlog.get_logger(__name__)

SILENT_SECONDS = 10
"""After which a caller that says nothing is hung up on."""


def serve() -> None:
    """In a thread of its own, where `METRICS_PORT` is set. Without a port that is free the process goes
    on: its work matters more, and Prometheus misses it.
    """
    if not settings.METRICS_PORT:
        return
    try:
        server = Server(listening_host(), settings.METRICS_PORT)
    except OSError as error:
        log.error("no metrics", port=settings.METRICS_PORT, error=error.strerror)
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Handler(WSGIRequestHandler):
    timeout = SILENT_SECONDS

    @override
    def log_message(self, *_: Any) -> None:
        """Nothing: a scrape is no news."""


class Server(ThreadingMixIn, WSGIServer):
    """Raises OSError where the port is not to be had."""

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.set_app(_app)

    @override
    def server_bind(self) -> None:
        """Without asking the DNS for a name of ours, as `HTTPServer` does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


def _app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    response = metrics.answer(WSGIRequest(environ), metrics.own_text)
    start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
    return [response.content]
