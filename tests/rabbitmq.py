"""A RabbitMQ of the tests' own, where the machine has the server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import amqp

from commsproject.common.outbox.brokers.rabbitmq import EXCHANGE
from tests.processes import eventually, free_port

_PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/rabbitmq/bin"


def server() -> str | None:
    """The server's program. Not the one that Debian puts into the path: it wants an account."""
    own = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    return str(own) if own.exists() else shutil.which("rabbitmq-server", path=_PLACES)


class RabbitNode:
    """One node and the daemon in which it registers, in a directory of their own."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="comms-rabbit-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._heard: list[dict[str, Any]] = []
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def __enter__(self) -> RabbitNode:
        directory, names = str(self._directory), str(free_port())
        env = {
            **os.environ,
            "HOME": directory,
            "ERL_EPMD_PORT": names,
            "RABBITMQ_NODENAME": "tests@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": directory,
            "RABBITMQ_LOG_BASE": directory,
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": f"{directory}/none",
            "RABBITMQ_GENERATED_CONFIG_DIR": directory,
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{directory}/plugins",
        }
        try:
            self._start(["epmd", "-port", names, "-address", "127.0.0.1"], env)
            self._start([server() or ""], env)
            eventually(self._listens, 60)
            with self._channel() as channel:
                channel.exchange_declare(EXCHANGE, "topic", durable=True, auto_delete=False)
                channel.queue_declare("heard", durable=True, auto_delete=False)
                channel.queue_bind("heard", EXCHANGE, "#")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its data is nobody's
            process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def heard(self) -> list[dict[str, Any]]:
        """All since the start."""
        with self._channel() as channel:
            while (message := channel.basic_get("heard", no_ack=True)) is not None:
                self._heard.append(json.loads(message.body))
        return list(self._heard)

    def forget(self) -> None:
        self.heard()
        self._heard.clear()

    def has_queue(self, name: str) -> bool:
        """Whether somebody has declared it and waits for what comes."""
        with suppress(amqp.exceptions.NotFound), self._channel() as channel:
            return bool(channel.queue_declare(name, passive=True).consumer_count)
        return False

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """A queue that is full: what is routed to it too is answered with a nack."""
        full = {"x-max-length": 0, "x-overflow": "reject-publish"}
        with self._channel() as channel:
            channel.queue_declare("full", auto_delete=False, arguments=full)
            channel.queue_bind("full", EXCHANGE, "#")
            yield
            channel.queue_delete("full")

    def _start(self, command: list[str], env: dict[str, str]) -> None:
        with (self._directory / "log").open("ab") as log:
            process = subprocess.Popen(
                command, env=env, stdout=log, stderr=log, start_new_session=True
            )
        self._processes.append(process)

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True
        return False

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        with amqp.Connection(f"127.0.0.1:{self.port}") as connection:
            yield connection.channel()
