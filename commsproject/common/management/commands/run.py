"""`make run`: the database, the demo data and every process of the service, in one terminal."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import os
import sys
from collections.abc import Iterator

from django.conf import settings
from django.core.management import CommandError, call_command, get_commands
from django.db import connection, connections
from typing_extensions import override

from commsproject import embedded
from commsproject.common.commands import DatabaseCommand
from commsproject.common.live.server import OPTIONS
from commsproject.common.supervisor import Console, Service, Supervisor, http_status
from commsproject.embedded.system import port_is_free

_READY_SECONDS = 60
_MIGRATING = 0x636F6D6D73 + 1  # an advisory lock; that of the scheduler plus one
_READY = """
  The service runs at  {url}/
  Staff pages          {url}/admin/
  {sign_in}
  API documentation    {url}/api/docs/
  Simulated mailbox    {url}/admin/notifications/simulatedmessage/

  Ctrl-C stops everything and keeps the data.
"""


class Command(DatabaseCommand):
    help = "Migrate, make demo data, then run web, workers and scheduler until Ctrl-C."

    @override
    def handle(self, *args: object, **options: object) -> None:
        self.host, self.port = _address()
        local = self.host in {"127.0.0.1", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
        self.url = f"http://{'localhost' if local else self.host}:{self.port}"
        os.environ.setdefault("PUBLIC_URL", self.url)
        services = _services(self.host, self.port)
        self.console = Console(["run", *(service.name for service in services)])
        try:
            self.sign_in = self._prepare()
            jobs = [self._announce, self._watch_servers]
            Supervisor(services, self.console, jobs=jobs).run()
        except embedded.EmbeddedError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            pass
        self._say("stopped")

    def _say(self, text: str) -> None:
        for line in text.splitlines():
            self.console.line("run", line)

    def _prepare(self) -> str:
        """Bring the database up to date. Returns how to sign in."""
        self._say("bringing the database up to date")
        with _alone():
            call_command("migrate", verbosity=0, interactive=False)
        sign_in = "Make a staff account with `.venv/bin/python manage.py createsuperuser`."
        if "seed_demo" in get_commands():
            self._say("looking after the demo data")
            sign_in = call_command("seed_demo", stdout=io.StringIO()) or sign_in
        for opened in connections.all(initialized_only=True):
            opened.close()
            # The pool has threads, and we are about to fork.
            if close_pool := getattr(opened, "close_pool", None):
                close_pool()
        return sign_in

    async def _announce(self) -> None:
        """Tell where to look as soon as the service is ready for it."""
        self._say("starting web, workers and scheduler")
        for quarter in itertools.count():
            status = await http_status(_near(self.host), self.port, "/health/ready")
            if status == 200:
                break
            if quarter == _READY_SECONDS * 4:
                self._say(
                    f"still not ready after {_READY_SECONDS} s: /health/ready answers {status},"
                    " or nobody if 0. The lines above may tell why. Waiting on."
                )
            await asyncio.sleep(0.25)
        self._say(_READY.format(url=self.url, sign_in=self.sign_in))

    async def _watch_servers(self) -> None:
        while True:
            for server in embedded.provided:
                self._say(server.check())
            await asyncio.sleep(1)


def _address() -> tuple[str, int]:
    host, text = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "8002")
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise CommandError(f"PORT is {text!r}. It must be a number from 1 to 65535.")
    if not port_is_free(int(text), host):
        raise CommandError(
            f"Port {text} of {host} is in use, or not allowed. Stop what uses it, or choose another"
            f" one: PORT={int(text) % 65535 + 1} make run"
        )
    return host, int(text)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Two that start at once on one database must not both migrate it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_MIGRATING])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_MIGRATING])


def _near(host: str) -> str:
    """Where to ask for a server that listens on `host`: 0.0.0.0 is no address to call."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def _services(host: str, port: int) -> list[Service]:
    root = settings.BASE_DIR
    manage = [sys.executable, str(root / "manage.py")]
    web = [sys.executable, "-m", "uvicorn", "commsproject.asgi:application", "--app-dir", str(root)]
    # The application configures all logging, uvicorn's and the lines of requests too.
    web += ["--host", host, "--port", str(port), "--no-access-log"]
    web += ["--lifespan", "off", "--timeout-graceful-shutdown", "5", *OPTIONS]
    return [
        Service("web", web),
        Service("urgent", [*manage, "worker", "--lane", "urgent"]),
        Service("bulk", [*manage, "worker", "--lane", "normal", "--lane", "bulk"]),
        Service("scheduler", [*manage, "scheduler"]),
    ]
