"""The examples of the published description are requests that work and answers that come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common import alerts
from commsproject.common.alerts import Severity
from commsproject.common.models import ApiClient, PersonalDataJob
from commsproject.common.personal_data import work
from notifications.models import Address, Recipient
from notifications.types import ErrorClass
from tests import api_calls, api_tour
from tests.api_tour import Tour
from tests.engine import drain
from tests.factories import DeadLetterFactory
from tests.fakes.webpush import base64url
from tests.inboxes import person
from tests.integration.test_receipts import one_of_each as one_of_each

NDJSON, CSV = "application/x-ndjson", "text/csv"
ITEM, ENTRY = (f"019a0000-0000-7000-8000-0000000000{end}" for end in ("02", "22"))

pytestmark = pytest.mark.django_db


@pytest.fixture
def tour(api: APIClient, settings: Any) -> Iterator[Tour]:
    """On the day of the examples, in a service that has Web Push."""
    options = {"private_key": base64url(bytes(range(1, 33))), "subject": "mailto:push@example.com"}
    settings.PROVIDERS = {
        **settings.PROVIDERS,
        "webpush": {**settings.PROVIDERS["webpush"], "ENABLED": True, "OPTIONS": options},
    }
    with time_machine.travel("2026-11-22T09:30:00Z", tick=True):
        yield Tour(agent=api, user=person("u-42"))


def test_examples_work(tour: Tour, agent: ApiClient, request: pytest.FixtureRequest) -> None:
    """The chapters need each other: a topic has people, a message has a template."""
    people(tour)
    templates(tour)
    messages(tour)
    batches_and_schedules(tour)
    experiments(tour)
    dead_letters(tour, agent)
    inbox(tour)
    conversations(tour)
    webhooks(tour)
    operations(tour, request)
    farewell(tour)
    if request.config.getoption("write_examples"):
        api_tour.write(tour)
        return
    called = {one.operation_id for one in tour.shown}
    assert called >= {told["operationId"] for told in with_content()}
    for one in tour.shown:
        check(one)


def with_content() -> Iterator[dict[str, Any]]:
    for told in api_calls.operations().values():
        if any("content" in answer for code, answer in told["responses"].items() if code < "3"):
            yield told


def check(shown: api_tour.Shown) -> None:
    """What is published has the parts of what came just now."""
    name, _, kind = shown.key.partition(" ")
    _, told = api_tour.described(shown.operation_id)
    part = told["requestBody"] if name == "request" else told["responses"][name]
    content = part["content"]
    published = content[kind] if kind else next(iter(content.values()))
    values = [one["value"] for one in published.get("examples", {}).values()]
    assert values, f"{shown.operation_id}: no example of {shown.key}"
    if name != "request" and isinstance(shown.value, dict):
        assert any(value.keys() <= shown.value.keys() for value in values), shown


# --- Chapters --------------------------------------------------------------------------------


def people(tour: Tour) -> None:
    tour.at["key"] = "release-notes"
    tour.go("topics_make", 201)
    tour.go("topics_change", body={"name": "What is new"})
    tour.go("topics_get")
    tour.go("topics_list")
    tour.go("topics_add")
    tour.go("topics_members")
    tour.go("topics_remove", body={"user_ids": ["u-43"]})
    tour.agent.post("/api/v1/topics", {"key": "beta-testers", "name": "Beta"}, format="json")
    tour.go("categories_make", 201)
    tour.at["key"] = "news"
    tour.go("categories_change", body={"daily_cap": 3, "track_opens": True})
    tour.go("categories_get")
    tour.go("categories_list")
    tour.at["user_id"] = "u-1042"
    tour.go("recipients_put")
    tour.go("recipients_change")
    tour.go("recipients_get")
    tour.go("recipients_list")
    rows = '{"user_id": "u-7", "emails": ["grace@example.com"], "topics": ["release-notes"]}\n'
    tour.go("recipients_import", kind=NDJSON, body=rows)
    tour.go("recipients_import", kind=CSV, body="user_id,email\nu-8,alan@example.com\n")
    tour.go("addresses_add", 201)
    tour.go("addresses_add", 200)
    tour.go("addresses_list")
    tour.at["address_id"] = Address.objects.get(channel="sms").id
    tour.go("addresses_remove", 204)
    tour.go("preferences_put")
    tour.go("preferences_get")
    tour.go("quiet_hours_put")
    tour.go("quiet_hours_get")
    devices(tour)
    suppressions(tour)


def devices(tour: Tour) -> None:
    tour.go("push_web_key")
    tour.at["device_id"] = tour.go("devices_register", 201)["id"]
    tour.go("devices_register", 200)
    tour.go("devices_list")
    tour.go("devices_get")
    tour.go("devices_remove", 204)


def suppressions(tour: Tour) -> None:
    tour.at["suppression_id"] = tour.go("suppressions_add", 201)["id"]
    tour.go("suppressions_add", 200)
    tour.go("suppressions_get")
    tour.go("suppressions_list")
    tour.go("suppressions_export")
    row = '{"channel": "email", "address": "bob@example.com", "source": "old system"}\n'
    tour.go("suppressions_import", kind=NDJSON, body=row)
    tour.go("suppressions_import", kind=CSV, body="channel,address\nemail,eve@example.com\n")
    tour.go("suppressions_lift", 204, query={"why": "they asked us to"})


def templates(tour: Tour) -> None:
    tour.go("templates_create", 201)
    tour.at["key"] = "welcome"
    tour.go("templates_publish")
    tour.go("templates_change", body={"channels": welcome("Good to see you, {{ name }}")})
    tour.go("templates_publish")
    tour.go("templates_get")
    tour.go("templates_list")
    tour.go("templates_versions")
    tour.at["number"] = 1
    tour.go("templates_version")
    tour.go("templates_diff")
    tour.go("templates_restore")
    tour.go("templates_preview", body={"data": {"name": "Ada"}, "locale": "de"})
    proof = {"to": {"email": "delivered@simulator.test"}, "sample": "Ada"}
    tour.go("templates_test_send", 202, body=proof)
    tour.go("templates_export")
    row = {"key": "goodbye", "name": "Goodbye", "channels": {"sms": {"text": "Goodbye."}}}
    tour.go("templates_import", body={"templates": [row], "publish": True})
    tour.at["key"] = "landing"
    page = {"html": "<p>Hello {{ name }}</p>", "name": "Landing", "subject": "Hello"}
    tour.go("templates_import_html", 201, body=page)
    tour.go("templates_import_html", 200, body={**page, "html": "<p>Hi {{ name }}</p>"})
    tour.go("templates_archive", 204)
    tour.go("templates_unarchive")
    release = {
        "key": "release",
        "name": "Release",
        "channels": {"email": {"subject": "2.0", "text": "It is here."}, "push": {"title": "2.0"}},
    }
    tour.agent.post("/api/v1/templates", release, format="json")
    tour.agent.post("/api/v1/templates/release/publish")


def welcome(subject: str) -> dict[str, Any]:
    return {
        "email": {"subject": subject, "text": "Hello {{ name }}."},
        "push": {"title": subject},
    }


def messages(tour: Tour) -> None:
    tour.go("notifications_send", 202)
    hello = {"to": {"email": "ada@simulator.test"}, "content": {"subject": "Hello", "text": "Hi."}}
    tour.go("notifications_send", 200, body={**hello, "dry_run": True})
    later = {**hello, "send_at": "2026-11-23T09:00:00Z"}
    answer = tour.agent.post("/api/v1/notifications", later, format="json").json()
    tour.at["notification_id"] = answer["id"]
    tour.go("notifications_explain")
    tour.go("notifications_cancel")
    answer = tour.agent.post("/api/v1/notifications", hello, format="json").json()
    tour.at["notification_id"] = answer["id"]
    drain()
    tour.go("notifications_get")
    tour.go("notifications_list", query={"limit": "1"})
    tour.go("notifications_convert", body={"value": "19.90"})
    tour.go("bounces_list")
    tour.go("queues")


def batches_and_schedules(tour: Tour) -> None:
    tour.at["batch_id"] = tour.go("batches_send", 202)["id"]
    content = {"template": "welcome"}
    row = '{"to": {"email": "ada@simulator.test"}, "data": {"name": "Ada"}}\n'
    tour.go("batches_send", 202, kind=NDJSON, body=row, query=content)
    tour.go("batches_send", 202, kind=CSV, body="email,name\na@simulator.test,A\n", query=content)
    tour.go("batches_pause")
    tour.go("batches_resume")
    tour.go("batches_get")
    tour.go("batches_list", query={"limit": "1"})
    tour.go("batches_results")
    for kind in (NDJSON, CSV):
        tour.go("batches_results", accept=kind)
    tour.go("batches_cancel")
    rows = [{"to": {"email": "ada@simulator.test"}, "data": {"name": "Ada"}}]
    waiting = {"template": "welcome", "rows": rows, "approval": True}
    answer = tour.agent.post("/api/v1/batches", waiting, format="json").json()
    tour.at["batch_id"] = answer["id"]
    tour.go("batches_approve")
    tour.at["schedule_id"] = tour.go("schedules_create", 201)["id"]
    tour.go("schedules_change", body={"cron": "30 9 * * 1-5", "enabled": False})
    tour.go("schedules_get")
    tour.go("schedules_list")
    tour.go("schedules_delete", 204)


def experiments(tour: Tour) -> None:
    tour.at["key"] = "welcome"
    for subject in ("Welcome, dear {{ name }}", "Welcome"):
        draft = {"channels": welcome(subject)}
        tour.agent.patch("/api/v1/templates/welcome", draft, format="json")
        tour.agent.post("/api/v1/templates/welcome/publish")
    tour.at["experiment_id"] = tour.go("experiments_create", 201)["id"]
    tour.go("experiments_change", body={"name": "A shorter subject", "automatic": False})
    tour.go("experiments_start")
    tour.go("experiments_get")
    tour.go("experiments_list")
    tour.go("experiments_results")
    tour.go("experiments_stop")
    tour.go("experiments_decide", body={"winner": "short"})
    again = {
        "name": "Not begun",
        "goal": "opened",
        "variants": [{"name": "old", "version": 3}, {"name": "new", "version": 4}],
    }
    url = "/api/v1/templates/welcome/experiments"
    tour.at["experiment_id"] = tour.agent.post(url, again, format="json").json()["id"]
    tour.go("experiments_remove", 204)


def dead_letters(tour: Tour, agent: ApiClient) -> None:
    letters = [
        DeadLetterFactory.create(
            delivery__notification__client=agent,
            delivery__notification__content={"email": {"subject": "Hi", "text": "Hi."}},
            error_class=ErrorClass.TEMPORARY,
            providers=["sendgrid"],
        )
        for _ in range(2)
    ]
    tour.at["letter_id"] = letters[0].id
    tour.go("dead_letters_get")
    tour.go("dead_letters_list")
    tour.go("dead_letters_edit")
    tour.go("dead_letters_replay", 202)
    tour.go("dead_letters_replay_many", 202)


def inbox(tour: Tour) -> None:
    tour.at["announcement_id"] = tour.go("announcements_make", 201)["id"]
    tour.go("announcements_change", body={"title": "Maintenance on Sunday morning"})
    tour.go("announcements_publish")
    tour.go("announcements_get")
    tour.go("announcements_list")
    tour.go("announcements_end")
    draft = {"to": {"all": True}, "title": "Draft"}
    answer = tour.agent.post("/api/v1/announcements", draft, format="json").json()
    tour.at["announcement_id"] = answer["id"]
    tour.go("announcements_discard", 204)
    Recipient.objects.get_or_create(user_id="u-42")
    message = {
        "to": {"user_id": "u-42"},
        "channels": ["inapp"],
        "content": {"subject": "Your order", "text": "It is on its way."},
        "tags": ["order"],
        "actions": [{"key": "track", "label": "Track it"}],
    }
    answer = tour.agent.post("/api/v1/notifications", message, format="json").json()
    drain()
    tour.known[ITEM] = answer["deliveries"][0]["id"]
    for operation in ("list", "counts", "seen", "read", "act", "snooze", "archive"):
        tour.go(f"inbox_{operation}", by=tour.user)
    tour.go("presence_set", by=tour.user)
    tour.go("presence_get", by=tour.user)
    tour.go("ws_ticket", 201, by=tour.user)


def conversations(tour: Tour) -> None:
    user = tour.user
    tour.at["conversation_id"] = tour.go("conversations_start", 201, by=user)["id"]
    direct = {"kind": "direct", "participants": ["u-43"]}
    user.post("/api/v1/conversations", direct, format="json")
    tour.go("conversations_start", 200, by=user, body=direct)
    tour.go("conversations_change", by=user, body={"title": "Trip to Oslo and Bergen"})
    entry = tour.go("entries_write", 201, by=user)
    tour.go("entries_write", 200, by=user)
    tour.known[ENTRY] = tour.at["entry_id"] = entry["id"]
    tour.go("entries_edit", by=user, body={"body": "See you at **ten**."})
    tour.go("reactions_add", by=user)
    tour.go("reactions_remove", by=user, body={"entry": entry["id"], "emoji": "👍"})
    tour.go("pins_add", by=user, body={"entry": entry["id"]})
    tour.go("pins_list", by=user)
    tour.go("pins_remove", by=user, body={"entry": entry["id"]})
    upload(tour)
    tour.go("entries_list", by=user)
    tour.go("conversations_read", by=user, body={"seq": 1})
    tour.go("conversations_mute", by=user, body={"until": "2026-11-23T08:00:00Z"})
    tour.go("conversations_archive", by=user)
    tour.go("conversations_unarchive", by=user)
    tour.go("conversations_get", by=user)
    tour.go("conversations_list", by=user)
    tour.go("conversations_search", by=user, query={"q": "ten"})
    for accept in ("application/json", NDJSON, "text/plain"):
        tour.go("conversations_export", by=user, accept=accept)
    tour.go("participants_add", by=user, body={"user_ids": ["u-45"]})
    tour.go("participants_list", by=user)
    tour.at["user_id"] = "u-45"
    tour.go("participants_role", 204, by=user, body={"role": "admin"})
    tour.go("participants_remove", 204, by=user)
    tour.go("entries_delete", 204, by=user)
    support(tour)


def upload(tour: Tour) -> None:
    file = SimpleUploadedFile("plan.txt", b"Nine o'clock", "text/plain")
    answer = tour.go(
        "attachments_upload", 201, by=tour.user, kind="multipart/form-data", body={"file": file}
    )
    tour.at["attachment_id"] = answer["id"]
    tour.go("attachments_get", by=tour.user)


def support(tour: Tour) -> None:
    asked = {"kind": "support", "participants": ["u-42"]}
    answer = tour.agent.post("/api/v1/conversations", asked, format="json").json()
    tour.at["conversation_id"] = answer["id"]
    tour.go("conversations_assign", body={"assignee": None})
    tour.go("notes_write", 201, body={"body": "The order was shipped twice.", "client_id": "n-1"})
    tour.go("notes_write", 200, body={"body": "The order was shipped twice.", "client_id": "n-1"})
    tour.go("notes_list")


def webhooks(tour: Tour) -> None:
    tour.at["endpoint_id"] = tour.go("webhook_endpoints_make", 201)["id"]
    tour.go("webhook_endpoints_change", body={"events": ["notification.*"]})
    tour.go("webhook_endpoints_get")
    tour.go("webhook_endpoints_list")
    tour.go("webhook_endpoints_test", 202)
    tour.go("webhook_endpoints_deliveries")
    tour.go("webhook_endpoints_replay")
    tour.go("webhook_endpoints_rotate")
    tour.go("webhook_endpoints_delete", 204)


def operations(tour: Tour, request: pytest.FixtureRequest) -> None:
    tour.go("whoami")
    alerts.raise_once("k", severity=Severity.CRITICAL, title="ses is shut", detail="5 failures")
    tour.at["alert_id"] = tour.go("alerts_list")["results"][0]["id"]
    tour.go("alerts_get")
    tour.go("alerts_acknowledge")
    tour.at["name"] = "simulator"
    tour.go("providers_list")
    tour.go("providers_get")
    tour.go("simulator_script_put")
    tour.go("simulator_script_get")
    tour.go("simulator_script_delete", 204)
    for figure in ("summary", "series", "top"):
        for accept in ("application/json", CSV):
            query = {"by": "provider"} if figure == "top" else {}
            tour.go(f"analytics_{figure}", query=query, accept=accept)
    receipts = request.getfixturevalue("one_of_each")
    tour.at["receipt_id"] = receipts["set_aside"].id
    tour.go("webhook_receipts_list")
    tour.go("webhook_receipts_replay", 202)
    tour.go("webhook_receipts_replay_many", 202)


def farewell(tour: Tour) -> None:
    tour.at["key"] = "beta-testers"
    tour.go("topics_delete", 204)
    tour.at["user_id"] = "u-1042"
    tour.go("recipients_export", 202)
    while work.step():
        pass
    tour.go("recipients_export", 200)
    tour.go("recipients_erase", 202)
    tour.go("recipients_erasure", 202)
    while work.step() or PersonalDataJob.objects.filter(finished_at=None).update(
        due_at=timezone.now()
    ):
        pass  # the last parts wait for requests that had found the person
    tour.go("recipients_erasure", 200)
    tour.go("recipients_erase", 200)
