"""No provider is ever called from a web process: every endpoint and every staff page is used, and
the providers, which are traps, see no connection. Then a worker comes, and they do.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Model
from django.middleware.csrf import _get_new_csrf_string
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone
from typing_extensions import override

from commsproject.common.alerts import targets
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import Alert, AlertTarget, ApiClient, StaffSession
from notifications.models import Attempt
from notifications.services import devices, submit
from notifications.services.asked import Submission, Target
from notifications.types import Channel, Platform
from templates_app.admin import state as editor
from templates_app.models import Experiment, Template
from tests.factories import CHANNELS, DeadLetterFactory
from tests.fakes.behaviours import Status
from tests.fakes.fcm import GoogleTokenServer
from tests.fakes.http import FakeHttpServer
from tests.fakes.server import FakeServer, StreamServer
from tests.faults.nursery import Nursery
from tests.faults.world import PATIENCE, accept, is_ready
from tests.processes import eventually, free_port
from tracking.models import WebhookEndpoint, WebhookReceipt

AGENT = "billing"


class _Trap(FakeServer):
    touched = 0

    @override
    def _opened(self, transport: asyncio.BaseTransport) -> None:
        self.touched += 1
        super()._opened(transport)


class HttpTrap(_Trap, FakeHttpServer):
    """Refuses for now, so that the next provider is tried too."""

    def __init__(self) -> None:
        super().__init__()
        self.script.always(Status(503))


class SmtpTrap(_Trap, StreamServer):
    @override
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"421 later\r\n")


class DeafTrap(_Trap, StreamServer):
    """Hangs up."""

    @override
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        return


class GoogleTrap(_Trap, GoogleTokenServer):
    """Gives tokens, which a web process has no use for."""


TRAPS: dict[str, type[_Trap]] = {
    "sendgrid": HttpTrap,
    "aws": HttpTrap,  # email and text messages
    "postmark": HttpTrap,
    "mailgun": HttpTrap,
    "resend": HttpTrap,
    "brevo": HttpTrap,
    "smtp": SmtpTrap,
    "twilio": HttpTrap,
    "google": GoogleTrap,
    "fcm": HttpTrap,
    "apns": DeafTrap,
}


@pytest.fixture
def traps() -> Iterator[dict[str, _Trap]]:
    """All providers but Web Push, whose services are where a browser says."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(kind()) for name, kind in TRAPS.items()}


def env(traps: dict[str, _Trap]) -> dict[str, str]:
    where = {name: f"{trap.host}:{trap.port}" for name, trap in traps.items()}
    google = cast("GoogleTrap", traps["google"])
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return {
        "DJANGO_SETTINGS_MODULE": "tests.impatient_settings",
        "SENDGRID_API_KEY": "SG.fake",
        "SENDGRID_API_URL": f"http://{where['sendgrid']}/v3/",
        "AWS_ACCESS_KEY_ID": "AKIAFAKEFAKEFAKEFAKE",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "AWS_SES_REGION": "us-east-1",
        "AWS_SNS_REGION": "us-east-1",
        "AWS_SMS_ORIGINATION_IDENTITY": "+14255550182",
        "AWS_ENDPOINT_URL": f"http://{where['aws']}",
        "POSTMARK_SERVER_TOKEN": "fake",
        "POSTMARK_API_URL": f"http://{where['postmark']}/",
        "MAILGUN_API_KEY": "fake",
        "MAILGUN_SENDER_DOMAIN": "example.org",
        "MAILGUN_API_URL": f"http://{where['mailgun']}/v3/",
        "RESEND_API_KEY": "fake",
        "RESEND_API_URL": f"http://{where['resend']}/",
        "BREVO_API_KEY": "fake",
        "BREVO_API_URL": f"http://{where['brevo']}/v3/",
        "SMTP_URL": f"smtp://{where['smtp']}",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "fake",
        "TWILIO_FROM_NUMBER": "+15005550006",
        "TWILIO_API_URL": f"http://{where['twilio']}",
        "FCM_SERVICE_ACCOUNT": google.service_account(),
        "FCM_API_URL": f"http://{where['fcm']}",
        "APNS_KEY": pem.decode(),
        "APNS_KEY_ID": "ABC123DEFG",
        "APNS_TEAM_ID": "DEF123GHIJ",
        "APNS_TOPIC": "org.example.app",
        "APNS_API_URL": f"http://{where['apns']}",
        "VAPID_PRIVATE_KEY": "AQ" * 21 + "E",
        "VAPID_SUBJECT": "mailto:ops@example.org",
    }


# --- The API -----------------------------------------------------------------------------------


class Agent:
    """Calls endpoints, and knows which of them were answered with success."""

    def __init__(self, url: str, secret: str) -> None:
        headers = {"Authorization": f"Bearer {secret}"}
        self._client = httpx2.Client(base_url=url, headers=headers, timeout=60, trust_env=False)
        self.used: set[tuple[str, str]] = set()

    def __enter__(self) -> Agent:
        self._client.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._client.__exit__(*error)

    def call(self, method: str, pattern: str, *values: object, body: Any = None) -> Any:
        """`pattern` has `{}` for each of `values`."""
        path = f"/api/v1/{pattern.format(*values)}"
        answer = self._client.request(method, path, json=body)
        assert answer.status_code < 300, (method, path, answer.text)
        self.used.add((method, pattern))
        kind = answer.headers.get("Content-Type", "")
        return answer.json() if kind.startswith("application/json") else None

    def knock(self, method: str, pattern: str) -> None:
        """Ask something, about nothing that is there: only that it does not break."""
        values = ["019a0000-0000-7000-8000-000000000000"] * pattern.count("{}")
        body: Any = None if method == "GET" else {}
        answer = self._client.request(method, f"/api/v1/{pattern.format(*values)}", json=body)
        assert answer.status_code < 500, (method, pattern, answer.text)

    def look(self, path: str) -> None:
        """Anything outside the API."""
        assert self._client.get(path).status_code < 500, path


def endpoints() -> set[tuple[str, str]]:
    patterns: list[Any] = get_resolver().url_patterns
    (root,) = [one for one in patterns if str(one.pattern) == "api/v1/"]
    return {
        (method, re.sub(r"<[\w:]+>", "{}", f"{group.pattern}{pattern.pattern}"))
        for group in root.url_patterns
        for pattern in group.url_patterns
        for method in pattern.callback.cls.required_scopes
    }


def message(**changes: Any) -> dict[str, Any]:
    return {
        "to": {"email": "ada@example.org"},
        "template": "welcome",
        "data": {"name": "A"},
    } | changes


def use_the_api(agent: Agent, letters: list[str]) -> None:
    call = agent.call
    call("GET", "whoami")
    use_templates(call)
    sent = call("POST", "notifications", body=message(priority="urgent"))
    call("POST", "notifications", body=message())
    call("POST", "notifications", body=message(dry_run=True))
    text = {"content": {"text": "It works."}, "channels": ["sms"], "priority": "urgent"}
    call("POST", "notifications", body={"to": {"phone": "+14255550101"}, **text})
    call("GET", "notifications")
    call("GET", "notifications/{}", sent["id"])
    call("GET", "notifications/{}/explain", sent["id"])
    call("POST", "notifications/{}/convert", sent["id"], body={})
    proof = {"to": {"email": "ada@example.org"}, "data": {"name": "A"}}
    call("POST", "templates/{}/test-send", "welcome", body=proof)
    use_people(call)
    late = call("POST", "notifications", body=message(send_at="2027-06-01T00:00:00Z"))
    call("POST", "notifications/{}/cancel", late["id"])
    use_batches(call)
    use_schedules(call)
    call("GET", "queues")
    use_providers(call)
    use_devices(call)
    use_announcements(call)
    call("GET", "dead-letters")
    call("GET", "dead-letters/{}", letters[0])
    call("PATCH", "dead-letters/{}", letters[0], body={"to": "bob@example.org"})
    call("POST", "dead-letters/{}/replay", letters[0])
    call("POST", "dead-letters/replay", body={"ids": letters[1:2]})
    call("DELETE", "templates/{}", "farewell")
    for path in ("/", "/health", "/api/schema/", "/api/docs/", "/metrics", "/webhooks/sendgrid/"):
        agent.look(path)


def use_providers(call: Callable[..., Any]) -> None:
    call("GET", "providers")
    call("GET", "providers/{}", "sendgrid")
    call("PUT", "providers/simulator/script", body={"rules": []})
    call("GET", "providers/simulator/script")
    call("DELETE", "providers/simulator/script")


def use_people(call: Callable[..., Any]) -> None:
    call("PUT", "recipients/{}", "ada", body={"emails": ["ada@example.org"]})
    call("POST", "topics", body={"key": "all", "name": "All"})
    call("POST", "topics/{}/members", "all", body={"user_ids": ["ada"]})
    call("POST", "notifications", body=message(to={"topic": "all"}))
    made = call("POST", "conversations", body={"kind": "support", "participants": ["ada"]})
    call("POST", "conversations/{}/entries", made["id"], body={"body": "Hello"})


def use_devices(call: Callable[..., Any]) -> None:
    device = {"platform": "apns", "token": "4f" * 32}
    made = call("POST", "recipients/{}/devices", "ada", body=device)
    note = {"content": {"title": "Hello", "text": "It works."}, "channels": ["push"]}
    call("POST", "notifications", body={"to": {"user_id": "ada"}, **note})
    call("GET", "recipients/{}/devices", "ada")
    call("GET", "recipients/{}/devices/{}", "ada", made["id"])
    call("DELETE", "recipients/{}/devices/{}", "ada", made["id"])
    call("POST", "recipients/{}/devices", "ada", body=device)  # for staff to remove
    call("GET", "push/web-key")


def use_announcements(call: Callable[..., Any]) -> None:
    body = {"to": {"all": True}, "title": "Hear, hear"}
    made = [call("POST", "announcements", body=body)["id"] for _ in range(3)]
    call("GET", "announcements")
    call("GET", "announcements/{}", made[0])
    call("PATCH", "announcements/{}", made[0], body={"title": "Listen"})
    call("POST", "announcements/{}/publish", made[0])
    call("POST", "announcements/{}/end", made[0])
    call("DELETE", "announcements/{}", made[1])  # the third is for staff


def use_templates(call: Callable[..., Any]) -> None:
    for key in ("welcome", "farewell"):
        call("POST", "templates", body={"key": key, "name": key, "channels": CHANNELS})
        call("POST", "templates/{}/publish", key)
    call("GET", "templates")
    call("GET", "templates/{}", "welcome")
    call("GET", "templates/{}/versions", "welcome")
    call("PATCH", "templates/{}", "farewell", body={"name": "Farewell"})
    call("POST", "templates/{}/preview", "welcome", body={"data": {"name": "Ada"}})


def use_batches(call: Callable[..., Any]) -> None:
    def made(**changes: Any) -> str:
        row = {"to": {"email": "ada@example.org"}, "data": {"name": "Ada"}}
        body = {"template": "welcome", "rows": [row], **changes}
        return str(call("POST", "batches", body=body)["id"])

    first, second = made(), made(approval=True)
    made(canary={"percent": 10, "wait": 1, "max_failures": 5})
    call("GET", "batches")
    call("GET", "batches/{}", first)
    call("GET", "batches/{}/results", first)
    for action in ("pause", "resume"):
        call("POST", f"batches/{{}}/{action}", first)
    call("POST", "batches/{}/approve", second)
    call("POST", "batches/{}/cancel", second)


def use_schedules(call: Callable[..., Any]) -> None:
    body = {"name": "daily", "cron": "0 9 * * *", "notification": message()}
    schedules = [call("POST", "schedules", body={**body, "name": name})["id"] for name in "ab"]
    call("GET", "schedules")
    call("GET", "schedules/{}", schedules[0])
    call("PATCH", "schedules/{}", schedules[0], body={"cron": "0 10 * * *"})
    call("DELETE", "schedules/{}", schedules[1])


# --- The staff pages ----------------------------------------------------------------------------


ENDS_OURS: Sequence[type[Model]] = (User, StaffSession)
"""What comes last: who ends everybody's sessions ends their own."""


class Staff:
    """A superuser who looks at every page, and presses every button of it."""

    def __init__(self, url: str) -> None:
        User.objects.create_superuser("root", password="x")
        User.objects.create_user("other", password="x", is_staff=True)
        browser = Client()
        browser.force_login(User.objects.get(username="root"))
        token = _get_new_csrf_string()
        cookies = {name: cookie.value for name, cookie in browser.cookies.items()}
        self._client = httpx2.Client(
            base_url=url,
            cookies={**cookies, "csrftoken": token},
            headers={"X-CSRFToken": token},
            timeout=60,
            trust_env=False,
        )
        self.pressed: set[str] = set()
        """Names of pages and actions that did what they do: the answer leads elsewhere."""

    def __enter__(self) -> Staff:
        self._client.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._client.__exit__(*error)

    def use_all(self) -> None:
        self._get("/admin/")
        self._get("/admin/analytics/")
        others = [model for model in admin.site._registry if model not in ENDS_OURS]
        models = [*others, *ENDS_OURS]
        for model in models[:-1]:
            self._get(self._list(model))
            page = admin.site._registry[model]
            for name in page_names(page):
                if not name.endswith("_delete"):
                    self._use(model, name)
            for action in page.actions or ():
                self.act(model, str(action))
        for model in models[:-1]:  # what belongs to others goes with them
            for name in page_names(admin.site._registry[model]):
                if name.endswith("_delete"):
                    self._use(model, name)
        self.act(models[-1], "end_selected")

    def act(self, model: type[Model], action: str) -> None:
        """An action on all rows of the list, and yes to its question."""
        rows = model._default_manager.all()
        if model is User:  # nobody is to put themselves out here
            rows = rows.exclude(is_superuser=True)
        chosen = [str(row.pk) for row in rows]
        data = {"action": action, "_selected_action": chosen, "post": "yes"}
        self._press(action, self._list(model), data)

    def _use(self, model: type[Model], name: str) -> None:
        if name.endswith(("_changelist", "_add")) or name in OF_A_LIST:
            self._get(reverse(f"admin:{name}"))
            return
        for row in model._default_manager.all():
            path = address(name, row)
            self._get(path)
            if name in EDITOR:
                self._write(name, path, cast("Template", row))
            elif not name.endswith(("_change", "_history")) and not isinstance(row, User):
                self._press(name, path, {"post": "yes"})

    def _list(self, model: type[Model]) -> str:
        options = model._meta
        return reverse(f"admin:{options.app_label}_{options.model_name}_changelist")

    def _get(self, path: str) -> None:
        assert self._client.get(path).status_code < 500, path

    def _press(self, name: str, path: str, data: dict[str, Any]) -> None:
        answer = self._client.post(path, data=data)
        assert answer.status_code < 500, (path, answer.text[-2000:])
        assert "/login/" not in answer.headers.get("location", ""), path
        if answer.status_code == 302 or (name in ANSWERS and answer.status_code == 200):
            self.pressed.add(name)

    def _write(self, name: str, path: str, template: Template) -> None:
        """What the editor's page sends, all in one: each takes what it needs."""
        asked = {
            **editor.stored(template),
            "data": {"name": "Ada"},
            "locale": "en",
            "html": "<p>Hello</p>",
            "channel": "email",
            "to": "ada@example.org",
        }
        answer = self._client.post(path, json=asked)
        assert answer.status_code < 500, (path, answer.text[-2000:])
        if answer.status_code == 200:
            self.pressed.add(name)


def address(name: str, row: Model) -> str:
    """Of a page of one row; some also name another."""
    more: list[object] = []
    if name == "templates_app_template_restore":
        more = [1]
    elif name == "templates_app_experiment_decide":
        more = [cast("Experiment", row).variants.all()[0].pk]
    query = "?from=1&to=1" if name == "templates_app_template_compare" else ""
    return reverse(f"admin:{name}", args=[row.pk, *more]) + query


def page_names(page: Any) -> list[str]:
    """Pages of one's own before those that put away, and those that delete last."""
    names = [str(pattern.name) for pattern in page.get_urls() if pattern.name]
    return sorted(set(names), key=lambda name: (name.endswith(("archive", "_delete")), name))


EDITOR = {
    f"templates_app_template_{name}" for name in ("draft", "publish", "import", "preview", "test")
}
"""They take JSON."""
ANSWERS = {
    "common_apiclient_issue_key",
    "templates_app_template_compare",
    "templates_app_template_pictures",
    "templates_app_template_versions",
    "tracking_webhookendpoint_rotate",
    "tracking_webhookendpoint_secret",
}
"""What they do is a page; it does not lead elsewhere."""
FETCHES_PICTURES = "templates_app_template_pictures"
"""By the browser of who looks, not by us; without a preview it refuses."""
SHOWN_ONLY = "notifications_batch_standing"
"""What the page of a batch asks for again and again."""
ASKS_NAME_SERVERS = "notifications_providerstate_domain"
"""And no vendor; only once it was told which domain."""
OF_A_LIST = {ASKS_NAME_SERVERS, "common_auditevent_export"}
"""Pages of no single row."""


def buttons() -> set[str]:
    """All that staff can press beside Django's own: pages with a question, and actions."""
    usual = ("_changelist", "_add", "_history", "_delete", "_change")
    own = {
        name
        for page in admin.site._registry.values()
        for name in page_names(page)
        if not name.endswith(usual)
        and not name.startswith("auth_")
        and name not in {FETCHES_PICTURES, SHOWN_ONLY, *OF_A_LIST}
    }
    actions = {str(one) for page in admin.site._registry.values() for one in page.actions or ()}
    return own | actions


def rows_for_staff(agent: ApiClient, trap: _Trap) -> None:
    """Of what no call of an agent makes. Hooks lead to a trap too."""
    url = f"http://{trap.host}:{trap.port}/hook"
    endpoint = WebhookEndpoint.objects.create(client=agent, url=url)
    endpoint.deliveries.create(event_id="1", type="notification.sent", body="{}")
    WebhookReceipt.objects.create(provider="sendgrid", dedupe="1", body=b"[]")
    target = AlertTarget(name="On call")
    targets.put(target, f"json://{trap.host}:{trap.port}")
    target.save()
    Alert.objects.create(key="a", severity="warning", title="Something is wrong")
    template = Template.objects.create(key="compared", name="Compared")
    experiment = Experiment.objects.create(template=template, name="A/B")
    for number, name in enumerate("ab", 1):
        version = template.versions.create(
            number=number, channels=CHANNELS, variables=["name"], published_at=timezone.now()
        )
        experiment.variants.create(name=name, version=version)
    template.versions.create(number=3, channels=CHANNELS, variables=["name"])  # to be published


def accept_one_each() -> None:
    """An email, a text message, and one for a phone of each kind."""
    accept(1)
    client = ApiClient.objects.create(name="by-hand")
    tokens = {Platform.APNS: "5f" * 32, Platform.FCM: "cB1xYz0123:APA91b" + "x" * 120}
    for platform, token in tokens.items():
        devices.register("bob", platform=platform, token=token)
    to_phones = [
        (Channel.SMS, Target(addresses={Channel.SMS: "+14255550102"})),
        (Channel.PUSH, Target(user_id="bob")),
    ]
    with transaction.atomic():
        submit.accept(
            client,
            [
                Submission(to=to, channels=[channel], content={"text": "It works."})
                for channel, to in to_phones
            ],
        )


def test_web_calls_nobody(
    transactional_db: None, traps: dict[str, _Trap], tmp_path: Path, settings: Any
) -> None:
    settings.WEBHOOK_NETWORKS = ("127.0.0.0/8",)  # nothing but the web process itself holds back
    agent = ApiClient.objects.create(name=AGENT)
    secret = keys.issue(agent, list(Scope))[1]
    letters: list[Any] = [
        DeadLetterFactory(
            delivery__notification__client=agent, delivery__address=f"{n}@example.org"
        )
        for n in "abcd"
    ]
    rows_for_staff(agent, traps["sendgrid"])
    before = Attempt.objects.count()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with Nursery(tmp_path, **env(traps), WEBHOOK_NETWORKS="127.0.0.0/8") as nursery:
        nursery.start("web", PORT=str(port))
        eventually(lambda: is_ready(port), PATIENCE)
        with Agent(url, secret) as caller:
            use_the_api(caller, [str(letter.pk) for letter in letters])
            assert caller.used <= endpoints()
            for method, pattern in sorted(endpoints() - caller.used):
                caller.knock(method, pattern)
        with Staff(url) as staff:
            staff.use_all()
            assert staff.pressed >= buttons()
        accept_one_each()  # staff have cancelled all that was there
        assert {name: trap.touched for name, trap in traps.items()} == dict.fromkeys(traps, 0)
        assert Attempt.objects.count() == before

        nursery.start("worker")
        eventually(lambda: all(trap.touched for trap in traps.values()), PATIENCE)
