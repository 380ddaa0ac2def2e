"""`make run`: the database, the demo data and every process of the service, in one terminal."""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import sys
from typing import NoReturn

from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections
from typing_extensions import override

from commsproject import embedded
from commsproject.common.commands import DatabaseCommand, listen_on
from commsproject.common.supervisor import Console, Service, Supervisor, http_status
from commsproject.embedded.system import port_is_free

_READY_SECONDS = 60
_READY = """
  The service runs at  {url}/
  Try it               {url}/demo/
  Staff pages          {url}/admin/
  {sign_in}
  API documentation    {url}/api/docs/
  Simulated mailbox    {url}/admin/notifications/simulatedmessage/

  Ctrl-C stops everything and keeps the data.
"""

_NO_ACCOUNT = "Make a staff account with `.venv/bin/python manage.py createsuperuser`."


class Command(DatabaseCommand):
    help = "Migrate, make demo data, then run web, workers and scheduler until Ctrl-C."

    @override
    def handle(self, *args: object, **options: object) -> None:
        self.host, self.port = _address()
        local = self.host in {"127.0.0.1", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
        self.url = f"http://{'localhost' if local else self.host}:{self.port}"
        os.environ.setdefault("PUBLIC_URL", self.url)
        services = _services()
        self.console = Console(["run", *(service.name for service in services)])
        try:
            self.sign_in = self._prepare()
            jobs = [self._announce, self._watch_servers]
            Supervisor(services, self.console, jobs=jobs).run()
        except embedded.EmbeddedError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            pass
        self._end()

    def _end(self) -> NoReturn:
        """Stop the servers and be gone: on a busy machine Python takes seconds to take itself apart,
        of the ten that are promised for everything.
        """
        try:
            embedded.release()
        except embedded.EmbeddedError as error:
            raise CommandError(str(error)) from error
        self._say("stopped")
        os._exit(0)

    def _say(self, text: str) -> None:
        for line in text.splitlines():
            self.console.line("run", line)

    def _prepare(self) -> str:
        """Bring the database up to date. Returns how to sign in."""
        self._say("bringing the database up to date")
        call_command("migrate", verbosity=0, interactive=False)
        self._say("looking after the demo data")
        sign_in: str = call_command("seed_demo", stdout=io.StringIO()) or _NO_ACCOUNT
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
                answers = f"answers {status}" if status else "is not answered yet"
                self._say(
                    f"not ready after {_READY_SECONDS} s: /health/ready {answers}. The lines above may"
                    " tell why; a busy machine needs longer. Waiting on."
                )
            await asyncio.sleep(0.25)
        self._say(_READY.format(url=self.url, sign_in=self.sign_in))

    async def _watch_servers(self) -> None:
        while True:
            for server in embedded.provided:
                self._say(server.check())
            await asyncio.sleep(1)


def _address() -> tuple[str, int]:
    host, port = listen_on()
    if not port_is_free(port, host):
        raise CommandError(
            f"Port {port} of {host} is in use, or not allowed. Stop what uses it, or choose another"
            f" one: PORT={port % 65535 + 1} make run"
        )
    return host, port


def _near(host: str) -> str:
    """Where to ask for a server that listens on `host`: 0.0.0.0 is no address to call."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def _services() -> list[Service]:
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    return [
        Service("web", [*manage, "web"]),
        Service("urgent", [*manage, "worker", "--lane", "urgent"]),
        Service("bulk", [*manage, "worker", "--lane", "normal", "--lane", "bulk"]),
        Service("scheduler", [*manage, "scheduler"]),
    ]
