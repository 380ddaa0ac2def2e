"""Failures rehearsed with two simulators, by the API and by staff; how the providers stand."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from notifications.models import ProviderState, SimulatorRule
from notifications.providers import registry
from notifications.services import audit, route
from notifications.types import Channel, ErrorClass, ProviderError
from tests.engine import drain, make_everything_due
from tests.walk import each

pytestmark = pytest.mark.django_db

PROVIDERS = "/api/v1/providers"
SCRIPT = f"{PROVIDERS}/simulator/script"


@pytest.fixture(autouse=True)
def two(settings: Any) -> None:
    """The providers of a laptop."""
    providers = deepcopy(settings.PROVIDERS)
    providers["simulator-b"]["ENABLED"] = True
    settings.PROVIDERS = providers
    settings.PROVIDER_READ_TIMEOUT = 0.05


def put(api: APIClient, *rules: dict[str, Any]) -> Any:
    return api.put(SCRIPT, {"rules": rules}, format="json")


def post(api: APIClient, **to: str) -> str:
    body = {
        "to": to or {"email": "ada@example.org"},
        "content": {"subject": "Hello", "text": "It works."},
    }
    answer = api.post("/api/v1/notifications", body, format="json")
    assert answer.status_code == 202, answer.content
    return str(answer.json()["id"])


def story(api: APIClient, notification_id: str) -> list[tuple[str, str]]:
    """Provider and outcome of each attempt."""
    (delivery,) = api.get(f"/api/v1/notifications/{notification_id}").json()["deliveries"]
    return [(attempt["provider"], attempt["state"]) for attempt in delivery["attempts"]]


def with_scopes(agent: ApiClient, *scopes: Scope) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {keys.issue(agent, list(scopes))[1]}")
    return client


# --- Failover --------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [{"email": "ada@example.org"}, {"phone": "+4915112345678"}], ids=str)
def test_while_one_is_out_the_other_carries_everything(api: APIClient, to: dict[str, str]) -> None:
    assert put(api, {"provider": "simulator", "answer": "error"}).status_code == 200
    ids = [post(api, **to) for _ in range(6)]
    drain()
    stories = [story(api, one) for one in ids]
    assert {last for *_, last in stories} == {("simulator-b", "accepted")}
    failed = [first for first, *rest in stories if rest]
    assert set(failed) == {("simulator", "failed")}
    assert {provider.name for provider in registry.for_channel(Channel.SMS)} == registry.SIMULATORS

    assert api.delete(SCRIPT).status_code == 204
    ProviderState.objects.all().delete()
    route._heard.clear()
    again = post(api, **to)
    drain()
    assert story(api, again) == [("simulator", "accepted")]
    assert list(audit.findings()) == []


def test_an_outcome_that_is_open_waits_before_the_other_is_asked(api: APIClient) -> None:
    put(api, {"provider": "simulator", "answer": "accept_then_error"})
    sent = post(api)
    drain()
    assert story(api, sent) == [("simulator", "unknown")]
    make_everything_due()
    drain()
    make_everything_due()
    drain()
    first, *later = story(api, sent)
    assert first == ("simulator", "unknown")
    assert later


# --- The page ---------------------------------------------------------------------------------

PAGE = settings.BASE_DIR / "docs/how-to/rehearse-failures.md"
BODIES = [json.loads(body) for body in re.findall(r"-d '(.*?)'\n", PAGE.read_text(), re.DOTALL)]


def test_what_the_page_posts_is_taken(api: APIClient) -> None:
    scripts = [body for body in BODIES if "rules" in body]
    assert (len(BODIES), len(scripts)) == (5, 4)
    for body in scripts:
        assert api.put(SCRIPT, body, format="json").status_code == 200, body
    for body in BODIES:
        if "rules" not in body:
            answer = api.post("/api/v1/notifications", body, format="json")
            assert answer.status_code == 202, answer.content


@pytest.mark.parametrize(
    ("column", "known"),
    [("Answer", SimulatorRule.Answer.values), ("Receipts", SimulatorRule.Receipts.values)],
)
def test_the_page_tells_of_all_there_is(column: str, known: list[str]) -> None:
    _, _, table = PAGE.read_text().partition(f"| {column} |")
    told = re.findall(r"^\| `(\w+)` \|", table.partition("\n\n")[0], re.MULTILINE)
    assert {*told, "normal"} == {*known, "normal"}


# --- The script's API ------------------------------------------------------------------------


def test_a_script_is_put_shown_and_removed(api: APIClient) -> None:
    given = [
        {"channel": "email", "answer": "throttle", "retry_after": 5, "percent": 20, "seconds": 60},
        {"provider": "simulator-b", "address": "*@slow.example", "latency": 2.5, "messages": 3},
        {"receipts": "late", "receipts_after": 90},
    ]
    answer = put(api, *given)
    assert answer.status_code == 200, answer.content
    shown = api.get(SCRIPT).json()["rules"]
    assert shown == answer.json()["rules"]
    for rule, asked in zip(shown, given, strict=True):
        asked.pop("seconds", None)
        assert asked.items() <= rule.items()
    assert [bool(rule["until"]) for rule in shown] == [True, False, False]
    put(api, {"answer": "reset"})
    assert [rule["answer"] for rule in api.get(SCRIPT).json()["rules"]] == ["reset"]
    assert api.delete(SCRIPT).status_code == 204
    assert api.get(SCRIPT).json() == {"rules": []}


WRONG: list[tuple[Any, str]] = [
    ([], ""),
    ({}, "rules"),
    ({"rules": "all"}, "rules"),
    ({"rules": [7]}, "rules.0"),
    ({"rules": [{}], "more": 1}, "more"),
    ({"rules": [{}] * 51}, "rules"),
    ({"rules": [{"kind": "error"}]}, "rules.0.kind"),
    ({"rules": [{"provider": "sendgrid"}]}, "rules.0.provider"),
    ({"rules": [{"provider": 5}]}, "rules.0.provider"),
    ({"rules": [{"channel": "inapp"}]}, "rules.0.channel"),
    ({"rules": [{"channel": "pigeon"}]}, "rules.0.channel"),
    ({"rules": [{"address": "a\nb"}]}, "rules.0.address"),
    ({"rules": [{"address": "a" * 321}]}, "rules.0.address"),
    ({"rules": [{"answer": "explode"}]}, "rules.0.answer"),
    ({"rules": [{"answer": "error", "status": 404}]}, "rules.0.status"),
    ({"rules": [{"answer": "error", "status": "503"}]}, "rules.0.status"),
    ({"rules": [{"answer": "error", "status": True}]}, "rules.0.status"),
    ({"rules": [{"status": 503}]}, "rules.0.status"),
    ({"rules": [{"answer": "throttle", "retry_after": 0}]}, "rules.0.retry_after"),
    ({"rules": [{"answer": "throttle", "retry_after": 3601}]}, "rules.0.retry_after"),
    ({"rules": [{"retry_after": 5}]}, "rules.0.retry_after"),
    ({"rules": [{"latency": -1}]}, "rules.0.latency"),
    ({"rules": [{"latency": "1"}]}, "rules.0.latency"),
    ({"rules": [{"latency": 61}]}, "rules.0.latency"),
    ({"rules": [{"receipts": "eaten"}]}, "rules.0.receipts"),
    ({"rules": [{"answer": "hang", "receipts": "late"}]}, "rules.0.receipts"),
    ({"rules": [{"receipts": "lost", "receipts_after": 5}]}, "rules.0.receipts_after"),
    ({"rules": [{"receipts": "late", "receipts_after": 86_401}]}, "rules.0.receipts_after"),
    ({"rules": [{"percent": 0}]}, "rules.0.percent"),
    ({"rules": [{"percent": 101}]}, "rules.0.percent"),
    ({"rules": [{"percent": 1.5}]}, "rules.0.percent"),
    ({"rules": [{"messages": 0}]}, "rules.0.messages"),
    ({"rules": [{"messages": 10**9}]}, "rules.0.messages"),
    ({"rules": [{"seconds": 0}]}, "rules.0.seconds"),
    ({"rules": [{"seconds": 10**6}]}, "rules.0.seconds"),
    ({"rules": [{}, {"percent": None}]}, "rules.1.percent"),
]


@each(("body", "field"), WRONG)
def test_a_wrong_script_is_refused_whole(api: APIClient, body: Any, field: str) -> None:
    put(api, {"answer": "refuse"})
    answer = api.put(SCRIPT, body, format="json")
    assert answer.status_code == 400, answer.content
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert [rule.answer for rule in SimulatorRule.objects.all()] == ["refuse"]


def test_reading_and_writing_are_two_scopes(agent: ApiClient) -> None:
    reads, writes = (
        with_scopes(agent, scope) for scope in (Scope.PROVIDERS_READ, Scope.PROVIDERS_WRITE)
    )
    assert [reads.get(url).status_code for url in (SCRIPT, PROVIDERS)] == [200, 200]
    assert (put(reads).status_code, reads.delete(SCRIPT).status_code) == (403, 403)
    assert (put(writes).status_code, writes.delete(SCRIPT).status_code) == (200, 204)
    assert writes.get(SCRIPT).status_code == 403
    assert APIClient().get(SCRIPT).status_code == APIClient().get(PROVIDERS).status_code == 401


def test_where_no_simulator_is_on_there_is_no_script(api: APIClient, settings: Any) -> None:
    providers = deepcopy(settings.PROVIDERS)
    for name in registry.SIMULATORS:
        providers[name]["ENABLED"] = False
    settings.PROVIDERS = providers
    assert api.get(SCRIPT).status_code == api.delete(SCRIPT).status_code == 404
    assert put(api).status_code == 404
    assert put(api, {"answer": "error"}).status_code == 404
    assert not SimulatorRule.objects.exists()


# --- How the providers stand -----------------------------------------------------------------


def test_every_provider_of_the_settings_is_listed_in_order(api: APIClient, settings: Any) -> None:
    body = api.get(PROVIDERS).json()
    assert [one["name"] for one in body["results"]] == list(settings.PROVIDERS)
    assert (body["next"], body["previous"]) == (None, None)
    rows = {one["name"]: one for one in body["results"]}
    assert rows["sendgrid"]["configured"] is False
    assert rows["sendgrid"]["channels"] == []
    assert rows["sendgrid"]["limit"] == {
        "count": 100,
        "seconds": 60.0,
        "free": 100,
        "promised_seconds": 0.0,
    }
    assert rows["simulator"]["channels"] == ["email", "sms", "push"]
    assert rows["simulator-b"]["channels"] == ["email", "sms"]
    assert rows["simulator"]["limit"] is None
    assert rows["simulator"]["breaker"] == {
        "state": "closed",
        "failures": 0,
        "until": None,
        "reason": "",
    }


def test_trouble_and_what_staff_did_show(api: APIClient) -> None:
    route.report([("simulator", ProviderError(ErrorClass.AUTH_CONFIG, "401", ""))])
    failed = ProviderError(ErrorClass.TEMPORARY, "503", "")
    route.report([("simulator:GB", failed)] * 5)
    route.weigh("simulator", 70, by="root")
    route.switch("simulator-b", on=False, by="root")
    one = api.get(f"{PROVIDERS}/simulator").json()
    assert one["breaker"]["state"] == "open"
    assert one["breaker"]["reason"] == "credentials refused (401)"
    assert [(part["name"], part["state"]) for part in one["parts"]] == [("GB", "open")]
    assert (one["weight"], one["health"]) == (70, 100)
    assert [change["now"] for change in one["changes"]] == ["weight 70", "open"]
    assert api.get(f"{PROVIDERS}/simulator-b").json()["enabled"] is False


def test_a_list_has_a_few_changes_and_a_provider_more(api: APIClient) -> None:
    for weight in range(1, 60):
        route.weigh("simulator", weight, by="root")
    with CaptureQueriesContext(connection) as queries:
        listed = {one["name"]: one for one in api.get(PROVIDERS).json()["results"]}
    assert sum("providerchange" in query["sql"] for query in queries) == 1
    assert [change["now"] for change in listed["simulator"]["changes"]] == [
        f"weight {n}" for n in range(59, 54, -1)
    ]
    assert listed["simulator-b"]["changes"] == []
    changes = api.get(f"{PROVIDERS}/simulator").json()["changes"]
    assert [change["now"] for change in changes] == [f"weight {n}" for n in range(59, 9, -1)]


@pytest.mark.parametrize("name", ["nobody", "simulator:GB", "%00", "x" * 300])
def test_no_provider_of_that_name(api: APIClient, name: str) -> None:
    ProviderState.objects.create(name="simulator:GB")
    assert api.get(f"{PROVIDERS}/{name}").status_code == 404


# --- Staff -----------------------------------------------------------------------------------


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


LIST = reverse("admin:notifications_simulatorrule_changelist")
ADD = reverse("admin:notifications_simulatorrule_add")
FORM = {
    "provider": "simulator",
    "channel": "email",
    "address": "*@slow.example",
    "answer": "error",
    "status": "503",
    "retry_after": "1",
    "latency": "0",
    "receipts": "normal",
    "receipts_after": "30",
    "percent": "50",
    "messages": "10",
    "until_0": "",
    "until_1": "",
}


def test_staff_write_the_script_and_take_it_away(staff: Client) -> None:
    assert staff.post(ADD, FORM).status_code == 302
    rule = SimulatorRule.objects.get()
    assert (rule.provider, rule.answer, rule.percent, rule.messages) == (
        "simulator",
        "error",
        50,
        10,
    )
    text = staff.get(LIST).content.decode()
    for part in ("An error: not taken", "*@slow.example", "50 %", "After 10"):
        assert part in text
    delete = reverse("admin:notifications_simulatorrule_delete", args=[rule.pk])
    assert staff.post(delete, {"post": "yes"}).status_code == 302
    assert not SimulatorRule.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("provider", "sendgrid"),
        ("channel", "inapp"),
        ("answer", "explode"),
        ("status", "404"),
        ("retry_after", "nan"),
        ("latency", "-1"),
        ("receipts_after", "inf"),
        ("percent", "0"),
        ("messages", "0"),
    ],
)
def test_staff_are_told_what_is_wrong(staff: Client, field: str, value: str) -> None:
    answer = staff.post(ADD, {**FORM, field: value})
    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors
    assert not SimulatorRule.objects.exists()


@pytest.mark.parametrize(("name", "leads"), [("simulator-b", True), ("sendgrid", False)])
def test_a_simulators_page_leads_to_the_script(staff: Client, name: str, leads: bool) -> None:
    page = reverse("admin:notifications_providerstate_change", args=[name])
    text = staff.get(page).content.decode()
    assert (f"{ADD}?provider={name}" in text) == leads
    if leads:
        form = staff.get(ADD, {"provider": name}).context["adminform"].form
        assert form["provider"].value() == name


def test_the_mailbox_leads_to_the_script(staff: Client) -> None:
    SimulatorRule.objects.create(answer="reset")
    mailbox = reverse("admin:notifications_simulatedmessage_changelist")
    text = staff.get(mailbox).content.decode()
    assert LIST in text
    assert "1 rule." in text
