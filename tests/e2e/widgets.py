"""The widgets as others embed them: pages of another origin, with a policy as strict as can be."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

from django.utils import timezone
from playwright.sync_api import (
    APIResponse,
    Browser,
    BrowserContext,
    Locator,
    Page,
    Route,
    expect,
)
from typing_extensions import override

from commsproject.common.identity import issuer
from conversations.models import Conversation, Entry
from conversations.types import Who
from tests.e2e.conftest import DESK, SCREENSHOTS
from tests.processes import Process, eventually, free_port

MODULES = Path(__file__).resolve().parents[2] / "commsproject/console/static/comms"
WAIT = 90_000
"""Milliseconds: a server that starts, a client that waits its time."""

TYPES = {".js": "text/javascript", ".html": "text/html; charset=utf-8"}

PAGE = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><title>A shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/page.css">
<script type="module" src="/page.js"></script>
<script type="module" src="/comms/comms-chat.js"></script>
<script type="module" src="/comms/comms-inbox.js"></script>
</head><body><main><h1>A shop</h1>{widgets}</main></body></html>"""

STYLE = "body { margin: 8px } comms-chat { height: 560px }"

SCRIPT = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
const names = JSON.parse(new URL(location).searchParams.get("names") ?? "{}");
for (const widget of document.querySelectorAll("comms-chat, comms-inbox")) {
  widget.people = (ids) => Object.fromEntries(ids.map((id) => [id, { name: names[id] ?? id }]));
}
"""


NO_LOOKS = """
const every = window.setInterval;
window.setInterval = (action, wait) => (wait === 30_000 ? 0 : every(action, wait));
"""
"""No look at the list each half minute: what comes has to be told."""


class Held:
    """The next answer to an address, until it is let go."""

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        self._is_taken = False
        self._answers: list[tuple[Route, APIResponse]] = []
        page.route(url, self._take)

    def _take(self, route: Route) -> None:
        if self._is_taken:
            route.fallback()
            return
        self._is_taken = True
        self._answers.append((route, route.fetch()))

    def wait(self) -> None:
        def is_there() -> bool:
            self._page.wait_for_timeout(50)  # which lets the browser's events in
            return bool(self._answers)

        eventually(is_there)

    def let_go(self) -> None:
        route, answer = self._answers[0]
        with self._page.expect_response(route.request.url):
            route.fulfill(response=answer)


class Server:
    """A web process of ours that can be killed and started again on its port."""

    def __init__(self, log: Path, origin: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._origins = f"127.0.0.1,{origin}"
        self.start()

    def start(self) -> None:
        env = {"PORT": str(self.port), "LIVE_ORIGINS": self._origins, "LOG_LEVEL": "WARNING"}
        self.process = Process("web", log=self._log, LIVE_RECONNECT_SECONDS="1", **env)

    def wait(self) -> None:
        """Until it answers."""
        for _ in range(1200):
            with suppress(OSError), urlopen(f"{self.url}/health/live"):
                return
            time.sleep(0.1)
        raise AssertionError("The web process does not answer.")


class Shop(ThreadingHTTPServer):
    """Somebody else's site: its pages, its copy of the modules, and `/token` of who is signed in."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.service = ""
        self.is_signed_in = True
        self.tokens = 0  # that were asked for

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_address[1]}"

    def policy(self) -> str:
        socket = self.service.replace("http", "ws")
        return (
            "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none';"
            f" connect-src 'self' {self.service} {socket}; img-src 'self' {self.service}"
        )


class _Answers(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/token":
            self._token(query["user"])
        elif url.path.startswith("/comms/"):
            file = MODULES / url.path.removeprefix("/comms/")
            self._answer(TYPES[file.suffix], file.read_bytes())
        elif url.path == "/page.js":
            self._answer(TYPES[".js"], SCRIPT.encode())
        elif url.path == "/page.css":
            self._answer("text/css", STYLE.encode())
        elif url.path == "/favicon.ico":
            self._answer("image/x-icon", b"")
        else:
            self._answer(TYPES[".html"], self._page(query).encode())

    def _token(self, user: str) -> None:
        self.server.tokens += 1
        if self.server.is_signed_in:
            self._answer("text/plain", issuer.issue(user, timedelta(hours=1)).encode())
        else:
            self._answer("text/plain", b"Sign in", 401)

    def _page(self, query: dict[str, str]) -> str:
        def given(*names: str) -> str:
            pairs = [(name, query[name]) for name in names if name in query]
            return " ".join(f'{name}="{html.escape(value)}"' for name, value in pairs)

        common = f'url="{self.server.service}" token-url="/token?user={query["user"]}"'
        common += " " + given("theme", "dir")
        chat = given("with", "conversation", "support")
        widgets = f"<comms-inbox {common} tags='order'></comms-inbox><comms-chat {common} {chat}></comms-chat>"
        return PAGE.format(lang=query.get("lang", "en"), widgets=widgets)

    def _answer(self, media_type: str, content: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", self.server.policy())
        self.end_headers()
        self.wfile.write(content)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def embedded(log: Path) -> Iterator[tuple[Shop, Server]]:
    """The shop and the service that it uses."""
    shop = Shop()
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    server = Server(log, "localhost")
    shop.service = server.url
    try:
        server.wait()
        yield shop, server
    finally:
        shop.shutdown()
        shop.server_close()
        if server.process.runs:
            server.process.stop()


class Visitor:
    """Somebody in the shop, in a browser of their own. `errors` are those of the console."""

    def __init__(self, browser: Browser, shop: Shop, user: str, **options: Any) -> None:
        self.user = user
        self._shop = shop
        self.context: BrowserContext = browser.new_context(
            **{"viewport": DESK, "locale": "en-GB", **options}
        )
        self.context.set_default_timeout(WAIT)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self._listen()

    def _listen(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)

    def _heard(self, message: Any) -> None:
        # While the service is away its requests fail, and the browser says so.
        expected = ("ERR_", "WebSocket connection", "Failed to load", "CORS policy")
        if message.type == "error" and not any(one in message.text for one in expected):
            self.errors.append(message.text)

    def tab(self) -> Visitor:
        """Another page of the same browser."""
        other = copy(self)
        other.page = self.context.new_page()
        other._listen()
        return other

    def go(self, **query: str) -> Visitor:
        self.page.goto(f"{self._shop.url}/?{urlencode({'user': self.user, **query})}")
        expect(self.bell).to_be_visible(timeout=WAIT)
        return self

    @property
    def chat(self) -> Locator:
        return self.page.locator("comms-chat")

    @property
    def inbox(self) -> Locator:
        return self.page.locator("comms-inbox")

    @property
    def bell(self) -> Locator:
        return self.inbox.locator(".bell")

    @property
    def box(self) -> Locator:
        return self.chat.locator("textarea")

    @property
    def entries(self) -> Locator:
        """Those that the service has."""
        return self.chat.locator(".entry[data-id]")

    def is_live_list(self) -> None:
        expect(self.chat.locator(".banner.none")).to_have_count(1, timeout=WAIT)

    def is_live(self) -> None:
        self.is_live_list()
        expect(self.box).to_be_visible(timeout=WAIT)

    def say(self, text: str) -> None:
        self.box.fill(text)
        self.box.press("Enter")

    def said(self) -> list[str]:
        return self.entries.locator(".text").all_inner_texts()

    def entry(self, text: str) -> Locator:
        return self.entries.filter(has_text=text)

    def choose(self, action: str) -> None:
        """Of the options of the conversation."""
        self.chat.get_by_role("button", name="Conversation options").click()
        self.chat.locator(".choices").get_by_role("button", name=action, exact=True).click()

    def act(self, text: str, action: str) -> None:
        """Press a button at a message."""
        self.entry(text).hover()
        self.entry(text).get_by_role("button", name=action, exact=True).click()

    def shot(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


Visit = Callable[..., Visitor]


@contextmanager
def visiting(browser: Browser, shop: Shop) -> Iterator[Visit]:
    """Makes visitors. Nothing of theirs may fail, or be refused by the page's policy."""
    visitors: list[Visitor] = []

    def make(user: str, **options: Any) -> Visitor:
        visitors.append(Visitor(browser, shop, user, **options))
        return visitors[-1]

    yield make
    refused = [one.page.evaluate("window.violations") for one in visitors]
    for one in visitors:
        one.context.close()
    assert [error for one in visitors for error in one.errors] == []
    assert [each for some in refused for each in some] == []


def both(visit: Visit, **of_bob: Any) -> tuple[Visitor, Visitor]:
    """Ada and Bob, each with the other."""
    ada, bob = visit("ada"), visit("bob", **of_bob)
    ada.go(**{"with": "bob"})
    bob.go(**{"with": "ada"})
    for one in (ada, bob):
        one.is_live()
    return ada, bob


def fill(talk: Any, until: int) -> None:
    """Entries of both, up to a seq."""
    conversation = Conversation.objects.get(id=talk["id"])
    now = timezone.now()
    Entry.objects.bulk_create(
        (
            Entry(
                conversation=conversation,
                seq=number,
                changed_seq=number,
                number=number,
                who=Who.USER,
                person_id=("ada", "bob")[number // 3 % 2],
                body=f"message {number}",
                created_at=now,
            )
            for number in range(conversation.last_seq + 1, until + 1)
        ),
        batch_size=1000,
    )
    Conversation.objects.filter(id=conversation.id).update(last_seq=until, entries_made=until)


def uploaded(chat: Locator) -> None:
    """All that was chosen: it is listed a moment after that, and goes on its way."""
    expect(chat.locator(".uploads li")).not_to_have_count(0)
    expect(chat.locator(".uploads progress")).to_have_count(0)
