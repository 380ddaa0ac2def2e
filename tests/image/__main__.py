"""`make rollout`: builds the image's content in a clean folder, weighs it, and sends a message by it.

Where there is an engine, `docker build .` is the better test; this one needs none.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from commsproject import embedded
from tests.image import dockerfile
from tests.image.build import Build, files

ROOT = Path(__file__).resolve().parents[2]
BASE_MB = 130.01
"""On disk, of python:3.11.16-slim-bookworm for amd64, in August 2026: docker-library/repo-info,
repos/python/local/3.11-slim-bookworm.md.
"""
LIMIT_MB = 300
PORT = 8192
PATIENCE = 120.0


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="comms-image-") as folder:
        build = Build(ROOT, Path(folder), _say)
        stages = dockerfile.stages(ROOT / "Dockerfile")
        for stage in stages:
            build.do(stage)
        image = build.folder("")
        _weigh(image)
        _Image(build, stages[-1]).work(Path(folder))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _weigh(image: Path) -> None:
    total = BASE_MB
    for part in ("opt", "app"):
        size = sum(size for _, size, _ in files(image / part)) / 1e6
        total += size
        _say(f"/{part}: {size:.1f} MB")
    _say(f"With its base, {BASE_MB} MB: {total:.1f} MB of {LIMIT_MB}")
    if total >= LIMIT_MB:
        sys.exit("The image is too large.")


class _Image:
    """Its processes, run from the folder as a container would from its root, which is read-only."""

    def __init__(self, build: Build, stage: dockerfile.Stage) -> None:
        self._folder = build.folder("")
        self._cwd = build.workdir(stage)
        self._env = build.environment(stage)
        self._entrypoint = stage.last("ENTRYPOINT").words()
        self._default = stage.last("CMD").words()
        self._probe = json.loads(stage.last("HEALTHCHECK").rest.partition("CMD ")[2])

    def work(self, scratch: Path) -> None:
        before = list(files(self._folder))
        with _servers(scratch) as urls:
            self._env |= urls | _PRODUCTION
            self._run("migrate", "--verbosity", "0")
            key = self._run("create_api_key", "image-check").splitlines()[-1]
            with contextlib.ExitStack() as stack:
                for command in (self._default, ["worker"], ["scheduler"]):
                    stack.enter_context(self._started(scratch, command))
                _say(f"A message: {_send_one(key)}")
        if list(files(self._folder)) != before:
            sys.exit("The image was written to: its root would be read-only.")
        _say("Nothing was written to the image.")

    def _command(self, *arguments: str) -> list[str]:
        name, *rest = self._entrypoint
        return [f"{self._folder}/opt/venv/bin/{name}", *rest, *arguments]

    def _run(self, *arguments: str) -> str:
        _say(f"{' '.join(self._entrypoint)} {arguments[0]}")
        command = self._command(*arguments)
        answer = subprocess.run(
            command, cwd=self._cwd, env=self._env, check=True, stdout=subprocess.PIPE, text=True
        )
        return answer.stdout

    @contextlib.contextmanager
    def _started(self, scratch: Path, command: list[str]) -> Iterator[None]:
        """Returns when the health check is content, and demands a clean end."""
        env = {**self._env, "HEARTBEAT_FILE": str(scratch / f"{command[0]}.beat")}
        path = scratch / f"{command[0]}.log"
        with (
            path.open("w") as log,
            subprocess.Popen(
                self._command(*command), cwd=self._cwd, env=env, stdout=log, stderr=log
            ) as process,
        ):
            try:
                _eventually(lambda: self._is_healthy(env) or process.poll() is not None)
                if process.poll() is None:
                    _say(f"{command[0]} is healthy")
                    yield
            except BaseException:
                _say(f"{command[0]} said: {path.read_text()[-3000:]}")
                raise
            finally:
                process.terminate()
                code = process.wait(PATIENCE)
            if code:
                sys.exit(f"{command[0]} ended with {code}: {path.read_text()[-3000:]}")

    def _is_healthy(self, env: Mapping[str, str]) -> bool:
        name, *rest = self._probe
        command = [f"{self._folder}/opt/venv/bin/{name}", *rest]
        probe = subprocess.run(command, cwd=self._cwd, env=env, stderr=subprocess.DEVNULL)
        return probe.returncode == 0


_PRODUCTION = {
    "SECRET_KEY": "image-check-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKL",
    "ADDRESS_HASH_KEY": "image-check-0123456789-abcdefghijklmnopqrstuvwxyz",
    "PUBLIC_URL": "https://comms.example.com",
    "DEFAULT_FROM_EMAIL": "comms@example.com",
    "IDENTITY_JWKS_URL": "https://identity.example.com/jwks.json",
    "IDENTITY_ISSUER": "https://identity.example.com",
    "IDENTITY_AUDIENCE": "comms",
    "SIMULATOR": "true",
    "HOST": "127.0.0.1",
    "PORT": str(PORT),
    "HOME": "/nonexistent",
}


@contextlib.contextmanager
def _servers(scratch: Path) -> Iterator[dict[str, str]]:
    """A PostgreSQL and a Valkey, empty."""
    with contextlib.ExitStack() as stack:
        urls = {}
        for kind in (embedded.Postgres, embedded.Valkey):
            server = embedded.Server(kind, scratch / kind.name, durable=False)
            urls[kind.variable] = server.start()
            stack.callback(server.stop)
        yield urls


def _send_one(key: str) -> str:
    """Its status, when a provider has taken it."""
    body = {"to": {"email": "ada@simulator.test"}, "content": {"subject": "s", "text": "t"}}
    sent = _call("", key, json.dumps(body).encode())
    status = [""]

    def is_taken() -> bool:
        status[0] = _call(f"/{sent['id']}", key, None)["status"]
        return status[0] in ("sent", "delivered")

    _eventually(is_taken, lambda: f"It is {status[0]}.")
    return status[0]


def _call(path: str, key: str, body: bytes | None) -> Any:
    """As the proxy would, which ends TLS."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/api/v1/notifications{path}",
        data=body,
        headers={
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Host": "comms.example.com",
            "X-Forwarded-Proto": "https",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _eventually(condition: Callable[[], bool], told: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"Not within {PATIENCE:.0f} s. {told()}")
        time.sleep(1)


if __name__ == "__main__":
    os.umask(0o022)
    main()
