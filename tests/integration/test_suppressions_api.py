"""The suppression list, bounces and imports over HTTP."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import Alert, ApiClient
from notifications.models import (
    Attempt,
    Category,
    CategoryDelta,
    LiftedSuppression,
    Recipient,
    Suppression,
)
from notifications.services import bounce_rates, status
from notifications.services.bounce_rates import Rates
from notifications.types import EventType, ProviderEvent
from tests.engine import drain
from tests.factories import AttemptFactory, CategoryFactory, SuppressionFactory

pytestmark = pytest.mark.django_db
V1 = "/api/v1"


def upload(api: APIClient, path: str, body: Any, kind: str = "text/csv") -> Any:
    answer = api.generic("POST", V1 + path, body, content_type=kind)
    assert answer.status_code == 200, answer.content
    return answer.json()


# --- The list ------------------------------------------------------------------------------------


def test_an_address_is_added_found_and_lifted_with_a_reason(api: APIClient) -> None:
    CategoryFactory.create(key="news")
    body = {"channel": "email", "address": "Ada@Example.COM", "scope": "news"}
    made = api.post(f"{V1}/suppressions", body, format="json")
    assert made.status_code == 201
    entry = made.json()
    assert (entry["address"], entry["reason"], entry["expires_at"]) == (
        *("Ada@example.com", "manual"),
        None,
    )
    soon = (timezone.now() + timedelta(days=1)).isoformat()
    again = api.post(f"{V1}/suppressions", {**body, "expires_at": soon}, format="json")
    assert (again.status_code, again.json()["id"]) == (200, entry["id"])
    assert again.json()["expires_at"] is not None
    for query, found in {
        "": 1,
        "channel=email&reason=manual&scope=news": 1,
        "address=ada@example.com": 1,
        "scope=*": 0,
        "address=bob@example.com": 0,
        "reason=bounce": 0,
    }.items():
        assert len(api.get(f"{V1}/suppressions?{query}").json()["results"]) == found, query
    for query in ("channel=fax", "reason=x", "address=nobody", "cursor=x"):
        assert api.get(f"{V1}/suppressions?{query}").status_code == 400, query
    one = f"{V1}/suppressions/{entry['id']}"
    assert api.get(one).json()["id"] == entry["id"]
    assert api.delete(one).status_code == 400
    assert api.delete(f"{one}?why=She wrote to us").status_code == 204
    assert api.delete(f"{one}?why=Again").status_code == api.get(one).status_code == 404
    lifted = LiftedSuppression.objects.get()
    assert (lifted.why, lifted.reason, lifted.scope) == ("She wrote to us", "manual", "news")
    assert lifted.lifted_by
    assert lifted.address_hash == entry["address_hash"]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"channel": "email"}, "address", "required"),
        ({"channel": "email", "address": "+4915112345678"}, "address", "bad_address"),
        ({"channel": "push", "address": "x"}, "channel", "invalid_choice"),
        ({"channel": "sms", "address": "+4915112345678", "scope": "no"}, "scope", ""),
        ({"channel": "email", "address_hash": "zz"}, "address_hash", "invalid"),
        ({"channel": "email", "address": "a@b.com", "expires_at": "2027-01-01T00:00"}, "", ""),
        ({"channel": "email", "address": "a@b.com", "more": 1}, "more", "unknown_field"),
        ({"channel": "email", "address": 5}, "address", "not_a_text"),
    ],
)
def test_what_is_no_entry_is_told(api, body, field, code):
    answer = api.post(f"{V1}/suppressions", body, format="json")
    assert answer.status_code == 400
    told = answer.json()["errors"][0]
    assert field in told["field"]
    assert code in told["code"]
    assert not Suppression.objects.exists()


def test_an_export_can_be_imported_with_erased_addresses(api: APIClient) -> None:
    CategoryFactory.create(key="news")
    rows = [
        {"channel": "email", "address": "ada@simulator.test", "reason": "unsubscribe"},
        {"channel": "sms", "address": "+4915112345678", "scope": "news", "source": "old system"},
        {"channel": "email", "address": "nonsense"},
        {"channel": "email", "address": "ada@simulator.test", "reason": "unsubscribe"},  # again
    ]
    body = "\n".join([*map(json.dumps, rows), "{"])
    done = upload(api, "/suppressions/import", body, "application/x-ndjson")
    assert (done["received"], done["stored"], done["rejected"]) == (5, 3, 2)
    assert [(e["number"], e["field"], e["code"]) for e in done["errors"]] == [
        (3, "address", "bad_address"),
        (5, "", "malformed"),
    ]
    assert Suppression.objects.count() == 2
    Suppression.objects.update(address="")
    before = set(Suppression.objects.values_list("channel", "address_hash", "scope", "reason"))
    answer = api.get(f"{V1}/suppressions/export")
    assert answer["Content-Type"].startswith("text/csv")
    text = answer.getvalue().decode()
    assert "ada@" not in text
    Suppression.objects.all().delete()
    assert upload(api, "/suppressions/import", text)["stored"] == 2
    after = set(Suppression.objects.values_list("channel", "address_hash", "scope", "reason"))
    assert after == before


def test_people_are_imported_and_of_a_bad_row_nothing_stays(api: APIClient) -> None:
    api.post(f"{V1}/topics", {"key": "notes", "name": "Notes"}, format="json")
    csv = (
        "user_id,email,phone,locale,topics,data.plan\r\n"
        "u-1,ada@example.com,+49 1511 2345678,de,notes,pro\r\n"
        "u-2,bob@example.com,,,nowhere,\r\n"
        "u-3,not an address,,,,\r\n"
        ",eve@example.com,,,,\r\n"
        "u-5,too,few\r\n"
        'u-6,"six@example.com",,,,\r\n'
    )
    done = upload(api, "/recipients/import", csv)
    assert (done["received"], done["stored"], done["rejected"]) == (6, 2, 4)
    told = [(e["number"], e["field"], e["code"]) for e in done["errors"]]
    assert sorted(told) == [
        *((2, "", "not_found"), (3, "emails.0", "bad_address")),
        *((4, "user_id", "required"), (5, "", "cells")),
    ]
    assert set(Recipient.objects.values_list("user_id", flat=True)) == {"u-1", "u-6"}
    ada = api.get(f"{V1}/recipients/u-1").json()
    assert (ada["locale"], ada["topics"], ada["data"]) == ("de", ["notes"], {"plan": "pro"})
    assert {one["value"] for one in ada["addresses"]} == {"ada@example.com", "+4915112345678"}
    many = "user_id,email\n" + "".join(f"p-{n},bad\n" for n in range(150))
    assert len(upload(api, "/recipients/import", many)["errors"]) == 100
    for body, kind, code in (
        ("email\na@b.com\n", "text/csv", 400),
        ('user_id,email\n"u', "text/csv", 400),
        ("{}", "application/json", 415),
    ):
        answer = api.generic("POST", f"{V1}/recipients/import", body, content_type=kind)
        assert answer.status_code == code


HOSTILE: list[tuple[str, Any, int | list[tuple[str, str]]]] = [
    # (kind, body, how many are stored or what is told of the one row)
    ("csv", "\ufeffuser_id,email\r\nu-1,ada@example.com\r\n", 1),
    ("csv", 'user_id,data.note\nu-1,"=HYPERLINK(""http://evil.example"")"\n', 1),
    ("csv", "user_id,data,data.plan\nu-1,x,y\n", [("data", "not_a_dict")]),
    ("csv", "user_id,emails,email\nu-1,x,ada@example.com\n", [("emails", "not_a_list")]),
    ("csv", "user_id,data.note\nu-1,a\0b\n", [("data.note", "control_character")]),
    ("csv", "user_id\nu-\0001\n", [("user_id", "control_character")]),
    ("csv", "user_id,locale\nu-1,d\0e\n", [("locale", "control_character")]),
    ("csv", "user_id,paused_until\nu-1,tomorrow\n", [("paused_until", "")]),
    ("ndjson", '{"user_id": "u-1", "data": {"a": "\\u0000"}}', [("", "malformed")]),
    ("ndjson", '{"user_id": "u-1", "user_id": "u-2"}', [("", "malformed")]),
    ("ndjson", '{"user_id": "u-1", "data": {"a": 1e999}}', [("", "malformed")]),
    ("ndjson", "[" * 5000, [("", "malformed")]),
    ("ndjson", b'{"user_id": "\xff"}', [("", "malformed")]),
    ("ndjson", '{"user_id": "' + "x" * 1_000_000 + '"}', [("", "too_large")]),
    ("ndjson", '["u-1"]', [("", "invalid")]),
    ("ndjson", '{"user_id": ["u-1"]}', [("user_id", "not_a_text")]),
]

BROKEN: list[Any] = [
    "",
    "user_id,user_id\nu-1,u-2\n",
    "user_id,\nu-1,x\n",
    "user_id," + ",".join(map(str, range(101))) + "\n",
    "user_id\ru-1\r",
    'user_id\n"u-1',
    b"user_id\n\xff\n",
    "user_id\n" + "x" * 2_000_000,
    'user_id,data.x\nu-1,"' + "x\n" * 600_000,
]


def test_a_hostile_upload_is_an_error_of_its_row_or_of_the_whole(api: APIClient) -> None:
    kinds = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
    for kind, body, expected in HOSTILE:
        done = upload(api, "/recipients/import", body, kinds[kind])
        if isinstance(expected, int):
            assert (done["stored"], done["errors"]) == (expected, []), body[:60]
            continue
        told = [(error["field"], error["code"]) for error in done["errors"]]
        assert (done["stored"], done["rejected"]) == (0, 1), body[:60]
        for (field, code), (found, said) in zip(expected, told, strict=True):
            assert found.startswith(field), (body[:60], told)
            assert code in said, (body[:60], told)
    for body in BROKEN:
        answer = api.generic("POST", f"{V1}/recipients/import", body, content_type="text/csv")
        assert answer.status_code == 400, body[:60]
    assert list(Recipient.objects.values_list("user_id", flat=True)) == ["u-1"]


def test_what_a_spreadsheet_would_run_is_exported_as_text_and_comes_back(api: APIClient) -> None:
    formula = "=HYPERLINK(A1)"
    rows = [
        {"channel": "email", "address": "=1+1@example.com", "source": formula},
        {"channel": "sms", "address": "+4915112345678", "source": "-5"},
    ]
    upload(api, "/suppressions/import", "\n".join(map(json.dumps, rows)), "application/x-ndjson")
    before = set(Suppression.objects.values_list("address_hash", "source"))
    text = api.get(f"{V1}/suppressions/export").getvalue().decode()
    cells = {cell for line in csv.reader(text.splitlines()) for cell in line}
    assert {"'=1+1@example.com", f"'{formula}", "+4915112345678", "-5"} <= cells
    Suppression.objects.all().delete()
    assert upload(api, "/suppressions/import", text)["stored"] == 2
    assert set(Suppression.objects.values_list("address_hash", "source")) == before


def with_scope(agent: ApiClient, scope: Scope) -> APIClient:
    _, secret = keys.issue(agent, [scope])
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def test_lists_are_for_those_who_may_see_them(agent: ApiClient) -> None:
    reader = with_scope(agent, Scope.AUDIENCE_READ)
    assert reader.get(f"{V1}/suppressions").status_code == 200
    assert reader.get(f"{V1}/bounces").status_code == 200
    for path in ("suppressions", "suppressions/import", "recipients/import"):
        assert reader.post(f"{V1}/{path}", {}, format="json").status_code in (403, 415)
    other = with_scope(agent, Scope.NOTIFICATIONS_READ)
    assert other.get(f"{V1}/suppressions/export").status_code == 403


# --- Bounces -------------------------------------------------------------------------------------

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def report(kind: EventType, days: int = 0, *, attempt: Attempt | None = None, **more: Any) -> None:
    """Of a message of its own to one address, so many days after the first."""
    attempt = attempt or AttemptFactory.create(delivery__address="ada@simulator.test")
    at = timezone.now() - timedelta(days=20 - days)
    status.apply("simulator", [ProviderEvent(kind, at, f"{attempt.id}", attempt.id, **more)])


def test_soft_bounces_on_three_days_wear_an_address_out_unless_something_arrives(api) -> None:
    bounced = EventType.BOUNCED
    for day in (0, 0, 0, 1):
        report(bounced, day, code="4.2.2")
    report(EventType.DELIVERED, 2)
    for day in (3, 3, 4):
        report(bounced, day, code="4.2.2")
    for day in (5, 6, 7, 8):
        report(bounced, day, code="5.7.1", permanent=True)  # refused for what we are
    assert not Suppression.objects.exists()
    report(bounced, 9, code="4.2.2")
    entry = Suppression.objects.get()
    assert (entry.reason, entry.address) == ("bounce", "ada@simulator.test")
    kinds = [row["kind"] for row in api.get(f"{V1}/bounces").json()["results"]]
    assert kinds == ["soft", *["block"] * 4, *["soft"] * 7]
    assert len(api.get(f"{V1}/bounces?kind=block&channel=email").json()["results"]) == 4
    assert api.get(f"{V1}/bounces?kind=odd").status_code == 400


def test_a_bounce_is_told_with_its_category_and_sender(api) -> None:
    category = CategoryFactory.create(key="news")
    attempt = AttemptFactory.create(
        delivery__notification__category=category, delivery__notification__agent_id="shop"
    )
    report(EventType.BOUNCED, attempt=attempt, permanent=True, code="5.1.1", detail="unknown")
    asked = "category=news&sender=shop&provider=simulator"
    (row,) = api.get(f"{V1}/bounces?{asked}").json()["results"]
    assert (row["kind"], row["code"], row["detail"]) == ("hard", "5.1.1", "unknown")
    assert api.get(f"{V1}/bounces?category=other").json()["results"] == []
    bounce_rates.tend()
    assert bounce_rates.rates()[category.id] == Rates(0, 1, 0)


# --- Rates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "severity"),
    [
        (Rates(999, 999, 999), None),
        (Rates(1000, 49, 0), None),
        (Rates(1000, 50, 0), "warning"),
        (Rates(1000, 100, 0), "critical"),
        (Rates(10_000, 0, 9), None),
        (Rates(10_000, 0, 10), "warning"),
        (Rates(10_000, 0, 30), "critical"),
        (Rates(10_000, 600, 30), "critical"),
    ],
)
def test_what_is_too_much(rates, severity):
    found = rates.trouble()
    assert (found and found[0].value) == severity


def test_a_category_that_bounces_too_much_pauses_until_staff_switch_it_on(api) -> None:
    news = CategoryFactory.create(key="news")
    codes = CategoryFactory.create(key="codes", kind=Category.Kind.ESSENTIAL)
    for category in (news, codes):
        bounce_rates.sent({category.id: 1000})
        bounce_rates.came_back([category.id] * 60, [None])
    bounce_rates.tend()
    assert not CategoryDelta.objects.exists()
    assert Alert.objects.filter(severity="warning", resolved_at=None).count() == 2
    assert not Category.objects.filter(is_paused=True).exists()
    for category in (news, codes):
        bounce_rates.came_back([category.id] * 40, [])
    for _ in range(2):
        bounce_rates.tend()
    assert list(Category.objects.filter(is_paused=True)) == [news]  # codes go on
    assert Alert.objects.filter(severity="critical", resolved_at=None).count() == 2
    shown = api.get(f"{V1}/categories/news").json()
    assert shown["pause_reason"] == "10.0% of its messages bounced in 24 hours"
    body = {
        "to": {"email": "ada@simulator.test"},
        "category": "news",
        "content": {"subject": "Hello", "text": "It works."},
    }
    api.post(f"{V1}/notifications", body, format="json")
    drain()
    assert not Attempt.objects.exists()
    api.patch(f"{V1}/categories/news", {"is_paused": False}, format="json")
    bounce_rates.tend()
    assert not Category.objects.filter(is_paused=True).exists()
    assert Alert.objects.filter(resolved_at=None).count() == 1
    api.post(f"{V1}/notifications", body, format="json")
    drain()
    bounce_rates.tend()
    assert bounce_rates.rates()[news.id] == Rates(1, 0, 0)


def test_an_entry_that_is_over_holds_nobody_back(api) -> None:
    SuppressionFactory.create(expires_at=timezone.now() - timedelta(seconds=1))
    body = {"to": {"email": "ada@simulator.test"}, "content": {"subject": "Hi", "text": "x"}}
    api.post(f"{V1}/notifications", body, format="json")
    drain()
    assert Attempt.objects.count() == 1
