"""The widgets as others embed them: pages of another origin, with a policy as strict as can be."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from typing_extensions import override

from commsproject.common.identity import issuer
from tests.e2e.conftest import DESK, SCREENSHOTS
from tests.processes import Process, free_port

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
            token = issuer.issue(query["user"], timedelta(hours=1))
            self._answer("text/plain", token.encode())
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

    def _page(self, query: dict[str, str]) -> str:
        def given(*names: str) -> str:
            pairs = [(name, query[name]) for name in names if name in query]
            return " ".join(f'{name}="{html.escape(value)}"' for name, value in pairs)

        common = f'url="{self.server.service}" token-url="/token?user={query["user"]}"'
        common += " " + given("theme", "dir")
        chat = given("with", "conversation")
        widgets = f"<comms-inbox {common} tags='order'></comms-inbox><comms-chat {common} {chat}></comms-chat>"
        return PAGE.format(lang=query.get("lang", "en"), widgets=widgets)

    def _answer(self, media_type: str, content: bytes) -> None:
        self.send_response(200)
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
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)

    def _heard(self, message: Any) -> None:
        # While the service is away its requests fail, and the browser says so.
        expected = ("ERR_", "WebSocket connection", "Failed to load", "CORS policy")
        if message.type == "error" and not any(one in message.text for one in expected):
            self.errors.append(message.text)

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

    def act(self, text: str, action: str) -> None:
        """Press a button at a message."""
        self.entry(text).hover()
        self.entry(text).get_by_role("button", name=action, exact=True).click()

    def shot(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


Visit = Callable[..., Visitor]
