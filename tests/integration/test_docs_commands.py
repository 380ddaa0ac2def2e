"""Every command of the documentation is run, page by page, in a folder like that of the project.

Calls go to one live server. `manage.py` commands are answered by this process, which has imported
everything already. What cannot be run here has a stand-in, with its reason and the place where the
same is run; stand-ins still look at the arguments.
"""

from __future__ import annotations

import ast
import configparser
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest
import yaml
from django.contrib.auth import get_user_model
from django.core.management import get_commands, load_command_class
from rest_framework.test import APIClient
from typing_extensions import override

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from commsproject.console import demo
from tests.documents import PAGES, ROOT, fences, named
from tests.factories import DeadLetterFactory
from tests.walk import each


class Elsewhere(NamedTuple):
    """What is not run here: why, and what shows that it works."""

    why: str
    file: str
    says: str
    """A word of that file without which it would not show it."""


PROGRAMS = {
    "make": Elsewhere("its targets take minutes", ".ci/run", "make"),
    "docker": Elsewhere("needs an engine", "tests/image/__main__.py", "Dockerfile"),
    "kubectl": Elsewhere("needs a cluster", "Makefile", "kubernetes-validate"),
    "createdb": Elsewhere(
        "needs PostgreSQL's own programs", "deploy/backup/drill.sh", "CREATE DATABASE"
    ),
    "redis-cli": Elsewhere(
        "waits for ever", "tests/integration/test_events_out.py", "consume-events.md"
    ),
    ".venv/bin/pip": Elsewhere("needs a package index", "tests/image/build.py", "pip"),
    "pip": Elsewhere("needs a package index", "tests/integration/test_python_client.py", "README"),
    "deploy/backup/backup.sh": Elsewhere(
        "needs PostgreSQL's own programs", "tests/integration/test_backup.py", "backup.sh"
    ),
    "deploy/backup/drill.sh": Elsewhere(
        "needs PostgreSQL's own programs", "tests/integration/test_backup.py", "drill.sh"
    ),
    "deploy/backup/restore.sh": Elsewhere(
        "needs PostgreSQL's own programs", "tests/integration/test_backup.py", "restore.sh"
    ),
}
COMMANDS = {
    "check": Elsewhere("needs other settings", "Makefile", "check --deploy"),
    "web": Elsewhere("does not end", "commsproject/common/management/commands/run.py", '"web"'),
    "worker": Elsewhere(
        "does not end", "commsproject/common/management/commands/run.py", '"worker"'
    ),
    "scheduler": Elsewhere(
        "does not end", "commsproject/common/management/commands/run.py", '"scheduler"'
    ),
    "smoke": Elsewhere("needs a service outside", "tests/integration/test_run.py", "smoke"),
    "check_domain": Elsewhere(
        "asks the DNS", "tests/integration/test_check_domain.py", "check_domain"
    ),
}
ADDED = {
    "migrate": ["--check"],
    "collectstatic": ["--dry-run", "--verbosity=0"],
    "createsuperuser": ["--noinput", "--username=root", "--email=root@example.org"],
}
"""To commands that would ask, or change the project."""

NEEDED = ("bash", "curl", "openssl", "python3")

MADE = {
    "docs/how-to/receive-webhooks.md": (
        "/api/v1/webhook-endpoints",
        {"url": "https://hooks.example.com/first", "events": ["notification.failed"]},
    ),
}
MESSAGE = (
    "/api/v1/notifications",
    {"to": {"email": "ada@simulator.test"}, "content": {"subject": "Hello", "text": "It works."}},
)


def prepare(agent: ApiClient, folder: Path) -> None:
    """What pages find, besides what those before them left."""
    demo.content()
    DeadLetterFactory.create(delivery__notification__client=agent)
    get_user_model().objects.create_user("ada", is_staff=True)
    (folder / ".data/postgres").mkdir(parents=True)
    (folder / ".data/postgres/log").write_text("ready\n")


def an_id(api: APIClient, page: Path) -> str:
    """For `$ID` where a page does not say what it is."""
    path, body = MADE.get(named(page), MESSAGE)
    answer = api.post(path, body, format="json")
    assert answer.status_code in (201, 202), answer.content
    return str(answer.json()["id"])


# --- A folder like the project's --------------------------------------------------------------

ASK = """#!/bin/sh
printf '%s\\0' "{name}" "$@" | exec {curl} -sS --fail-with-body --data-binary @- "$DESK"
"""
CURL = """#!/bin/sh
exec {curl} -sS --fail-with-body "$@"
"""
PYTHON3 = """#!/bin/sh
case "$1$2" in -mvenv) exit;; esac
exec {python3} "$@"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    programs = {name: shutil.which(name) for name in NEEDED}
    if missing := [name for name, place in programs.items() if place is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    script(tmp_path / "bin/curl", CURL, programs)
    script(tmp_path / "bin/python3", PYTHON3, programs)
    script(tmp_path / ".venv/bin/python", ASK, programs, name="python")
    for name in PROGRAMS:
        place = name if "/" in name else f"bin/{name}"
        script(tmp_path / place, ASK, programs, name=name)
    return tmp_path


def script(file: Path, text: str, programs: dict[str, str | None], name: str = "") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.format(**programs, name=name))
    file.chmod(0o755)


class Desk(ThreadingHTTPServer):
    """Answers what the stand-ins ask: does `manage.py` commands, or notes what was called."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Counter)
        self.folder = folder
        self.called: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def does(self, name: str, *arguments: str) -> tuple[int, str]:
        if name == "python":
            assert arguments[0] == "manage.py", arguments
            return self._manage(*arguments[1:])
        self.called.add(name)
        for argument in arguments:
            file = argument.removeprefix("--kustomize=")
            if (
                re.match(r"(deploy/(backup|kubernetes)|requirements)/", file)
                and not (self.folder / file).exists()
            ):
                return 500, f"{name} is given {file}, which does not exist"
        return 200, ""

    def _manage(self, name: str, *arguments: str) -> tuple[int, str]:
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                command = load_command_class(get_commands()[name], name)
                if name in COMMANDS:
                    self.called.add(name)
                    command.create_parser("manage.py", name).parse_args(arguments)
                else:
                    command.run_from_argv(["manage.py", name, *arguments, *ADDED.get(name, [])])
        except SystemExit as ended:
            if ended.code:
                return 500, out.getvalue() + err.getvalue()
        return 200, out.getvalue()


class _Counter(BaseHTTPRequestHandler):
    server: Desk

    def do_POST(self) -> None:
        words = self.rfile.read(int(self.headers["Content-Length"])).decode().split("\0")[:-1]
        try:
            status, text = self.server.does(*words)
        except BaseException as error:
            status, text = 500, repr(error)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    @override
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def desk(folder: Path) -> Iterator[Desk]:
    with Desk(folder) as desk:
        thread = Thread(target=desk.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield desk
        desk.shutdown()
        thread.join()


# --- The commands ------------------------------------------------------------------------------


def shell(page: Path) -> str:
    return "\n".join(fences(page, "sh", "bash", "shell", "console"))


def runs(script: str, folder: Path, env: dict[str, str]) -> None:
    """Every command of it ends well: `bash -e`, and curl fails where it is answered an error."""
    said = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert said.returncode == 0, said.stdout[-2000:]


def test_every_command_works(
    live_server: Any, desk: Desk, agent: ApiClient, api: APIClient, subtests: pytest.Subtests
) -> None:
    prepare(agent, desk.folder)
    _, key = keys.issue(agent, list(Scope))
    given = {
        **os.environ,
        "PATH": f"{desk.folder / 'bin'}:{os.environ['PATH']}",
        "NO_PROXY": "*",
        "DESK": desk.url,
        "API": f"{live_server.url}/api/v1",
        "KEY": key,
    }
    for page in PAGES:
        for table in fences(page, "csv"):
            (desk.folder / "rows.csv").write_text(table)
        script = shell(page).replace("http://localhost:8002", live_server.url)
        if script:
            with subtests.test(page=named(page)):
                runs(script, desk.folder, {**given, "ID": an_id(api, page)})
        for code in fences(page, "python"):
            if code.startswith("from comms_client import Comms\n"):
                with subtests.test(page=named(page), code=code):
                    code = code.replace("http://localhost:8002", live_server.url)
                    exec(compile(code, named(page), "exec"), {"KEY": key})
    assert desk.called == PROGRAMS.keys() | COMMANDS.keys(), "a stand-in that no page needs"


@each(("name", "place"), {**PROGRAMS, **COMMANDS}.items())
def test_what_is_not_run_here_is_run_elsewhere(name: str, place: Elsewhere) -> None:
    assert place.says in (ROOT / place.file).read_text(), name


# --- Other snippets ----------------------------------------------------------------------------


def compiles(text: str) -> None:
    """A module, or entries of a dictionary; `await` may stand by itself."""
    with contextlib.suppress(SyntaxError):
        compile(f"{{{text}}}", "page", "eval")
        return
    compile(text, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


READERS: dict[str, Callable[[str], object]] = {
    "python": compiles,
    "json": json.loads,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
    "ini": lambda text: configparser.RawConfigParser(strict=False).read_string(text),
}


@each("page", PAGES)
def test_every_snippet_can_be_read(page: Path) -> None:
    for kind, read in READERS.items():
        for text in fences(page, kind):
            read(text)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_every_snippet_of_javascript_can_be_read() -> None:
    texts = [(named(page), text) for page in PAGES for text in fences(page, "js")]
    assert texts
    for page, text in texts:
        said = subprocess.run(
            ["node", "--check", "--input-type=module", "-"],
            input=text,
            capture_output=True,
            text=True,
        )
        assert said.returncode == 0, f"{page}: {said.stderr}"
