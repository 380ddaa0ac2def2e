"""People, topics, categories and choices over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from commsproject.common.identity import issuer
from notifications.models import Category, Consent, Preference, Recipient, TopicMember
from notifications.services import recipients
from tests.factories import CategoryFactory

pytestmark = pytest.mark.django_db
V1 = "/api/v1"


def person(user_id: str) -> APIClient:
    client = APIClient()
    token = issuer.issue(user_id, timedelta(hours=1))
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def put(api: APIClient, path: str, body: Any, status: int = 200) -> Any:
    answer = api.put(V1 + path, body, format="json")
    assert answer.status_code == status, answer.json()
    return answer.json()


def post(api: APIClient, path: str, body: Any, status: int = 200) -> Any:
    answer = api.post(V1 + path, body, format="json")
    assert answer.status_code == status, answer.json()
    return answer.json()


def errors(api: APIClient, method: str, path: str, body: Any) -> list[tuple[str, str]]:
    answer = getattr(api, method)(V1 + path, body, format="json")
    assert answer.status_code == 400, answer.json()
    return [(error["field"], error["code"]) for error in answer.json()["errors"]]


# --- People --------------------------------------------------------------------------------------


def test_a_person_is_made_changed_and_keeps_what_is_not_named(api: APIClient) -> None:
    post(api, "/topics", {"key": "notes", "name": "Notes"}, 201)
    made = put(
        api,
        "/recipients/u-1",
        {
            "locale": "pt-BR",
            "time_zone": "America/Sao_Paulo",
            "data": {"plan": "pro"},
            "emails": ["Ada@Example.com"],
            "phones": ["+49 1511 2345678"],
            "topics": ["notes"],
        },
    )
    assert [address["value"] for address in made["addresses"]] == [
        "+4915112345678",
        "Ada@example.com",
    ]
    assert made["topics"] == ["notes"]
    again = put(api, "/recipients/u-1", {"locale": "pt"})
    assert again == {**made, "locale": "pt"}
    assert api.get(f"{V1}/recipients/u-1").json() == again
    assert api.get(f"{V1}/recipients?topic=notes").json()["results"] == [again]
    assert api.get(f"{V1}/recipients?topic=other").json()["results"] == []


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"locale": "not a tag"}, "locale", "invalid"),
        ({"time_zone": "Mars/Base"}, "time_zone", "unknown_time_zone"),
        ({"emails": ["no"]}, "emails.0", "bad_address"),
        ({"phones": ["12"]}, "phones.0", "bad_address"),
        ({"data": {str(n): n for n in range(51)}}, "data", "too_many"),
        ({"data": []}, "data", "not_a_dict"),
        ({"paused_until": "2026-01-01T00:00:00"}, "paused_until", "no_zone"),
        ({"user_id": "x"}, "user_id", "unknown_field"),
    ],
)
def test_what_is_wrong_with_a_person_is_named(
    api: APIClient, body: Any, field: str, code: str
) -> None:
    assert (field, code) in errors(api, "put", "/recipients/u-1", body)
    assert not Recipient.objects.exists()


def test_a_topic_that_is_not_there_changes_nothing(api: APIClient) -> None:
    put(api, "/recipients/u-1", {"locale": "pt", "topics": ["none"]}, 404)
    assert not Recipient.objects.exists()


def test_only_who_is_known_can_be_changed(api: APIClient) -> None:
    assert api.patch(f"{V1}/recipients/u-1", {"locale": "pt"}, format="json").status_code == 404
    assert not Recipient.objects.exists()


def test_addresses_are_added_once_verified_and_removed(api: APIClient) -> None:
    body = {"email": "ada@example.com"}
    first = post(api, "/recipients/u-1/addresses", body, 201)
    assert first["verified_at"] is None
    again = post(api, "/recipients/u-1/addresses", {**body, "verified": True})
    assert again["id"] == first["id"]
    assert again["verified_at"]
    assert post(api, "/recipients/u-1/addresses", body) == again
    path = f"{V1}/recipients/u-1/addresses"
    assert api.get(path).json()["results"] == [again]
    assert api.delete(f"{V1}/recipients/u-2/addresses/{first['id']}").status_code == 404
    assert api.delete(f"{path}/{first['id']}").status_code == 204
    assert api.delete(f"{path}/{first['id']}").status_code == 404


def test_a_person_has_a_bounded_number_of_addresses(api: APIClient) -> None:
    many = [f"ada+{n}@example.com" for n in range(recipients.MAX_ADDRESSES)]
    put(api, "/recipients/u-1", {"emails": many})
    post(api, "/recipients/u-1/addresses", {"email": "one.more@example.com"}, 409)
    assert len(api.get(f"{V1}/recipients/u-1").json()["addresses"]) == recipients.MAX_ADDRESSES


@pytest.mark.parametrize("body", [{}, {"email": "a@b.example", "phone": "+4915112345678"}])
def test_an_address_is_one_thing(api: APIClient, body: Any) -> None:
    assert errors(api, "post", "/recipients/u-1/addresses", body)[0][1] == "required"


# --- Topics --------------------------------------------------------------------------------------


def test_people_come_into_a_topic_and_leave_it(api: APIClient) -> None:
    post(api, "/topics", {"key": "notes", "name": "Notes"}, 201)
    post(api, "/topics", {"key": "notes", "name": "Again"}, 409)
    assert post(api, "/topics/notes/members", {"user_ids": ["a", "b", "a"]}) == {"changed": 2}
    assert post(api, "/topics/notes/members", {"user_ids": ["b", "c"]}) == {"changed": 1}
    listed = api.get(f"{V1}/topics/notes/members").json()["results"]
    assert [row["user_id"] for row in listed] == ["c", "b", "a"]
    gone = api.delete(f"{V1}/topics/notes/members", {"user_ids": ["a", "x"]}, format="json")
    assert gone.json() == {"changed": 1}
    assert api.delete(f"{V1}/topics/notes").status_code == 204
    assert not TopicMember.objects.exists()
    assert Recipient.objects.count() == 3
    assert api.get(f"{V1}/topics/notes").status_code == 404


# --- Categories ----------------------------------------------------------------------------------

STEP = {"channel": "email", "after": 600, "unless": "read"}


def test_a_category_is_made_and_changed(api: APIClient) -> None:
    made = post(
        api,
        "/categories",
        {
            "key": "news",
            "name": "News",
            "kind": "marketing",
            "channels": ["push"],
            "fallback": [STEP],
        },
        201,
    )
    assert made["fallback"] == [STEP]
    changed = api.patch(f"{V1}/categories/news", {"daily_cap": 3}, format="json").json()
    assert changed == {**made, "daily_cap": 3}
    post(api, "/categories", {"key": "news", "name": "x", "kind": "essential"}, 409)
    assert api.patch(f"{V1}/categories/none", {}, format="json").status_code == 404


@pytest.mark.parametrize(
    ("rules", "field", "code"),
    [
        ({"fallback": [STEP]}, "channels", "required"),
        ({"channels": ["email"], "fallback": [STEP]}, "fallback.0.channel", "repeated"),
        ({"channels": ["push"], "fallback": [{"channel": "email"}]}, "fallback.0", "invalid"),
        (
            {"channels": ["push"], "fallback": [{**STEP, "after": -1}]},
            "fallback.0.after",
            "invalid",
        ),
        (
            {"channels": ["push"], "fallback": [{**STEP, "after": True}]},
            "fallback.0.after",
            "invalid",
        ),
        (
            {"channels": ["push"], "fallback": [{**STEP, "unless": "x"}]},
            "fallback.0.unless",
            "invalid_choice",
        ),
        ({"channels": ["push", "push"]}, "channels", "repeated"),
        ({"needs_confirmation": True}, "needs_confirmation", "not_opt_in"),
        ({"kind": "essential", "is_opt_in": True}, "is_opt_in", "essential"),
        ({"kind": "essential", "digest_minutes": 5}, "digest_minutes", "essential"),
        ({"daily_cap": 0}, "daily_cap", "min_value"),
        ({"kind": "other"}, "kind", "invalid_choice"),
        ({"pause_reason": "x"}, "pause_reason", "unknown_field"),
    ],
)
def test_rules_that_do_not_go_together_are_refused(
    api: APIClient, rules: Any, field: str, code: str
) -> None:
    body = {"key": "news", "name": "News", "kind": "marketing", **rules}
    assert (field, code) in errors(api, "post", "/categories", body)
    assert not Category.objects.exists()


# --- Choices -------------------------------------------------------------------------------------


def choice(category: str = "", channel: str = "", is_on: bool | None = False) -> dict[str, Any]:
    return {"category": category, "channel": channel, "is_on": is_on}


def test_choices_are_written_taken_back_and_recorded(api: APIClient) -> None:
    CategoryFactory.create(key="news")
    body = {
        "preferences": [choice("news", "email"), choice(channel="sms")],
        "proof": {"form": "settings page"},
    }
    found = put(api, "/recipients/u-1/preferences", body)
    assert [(c["category"], c["channel"], c["is_on"]) for c in found["preferences"]] == [
        ("news", "email", False),
        ("", "sms", False),
    ]
    assert found["categories"][0]["key"] == "news"
    put(api, "/recipients/u-1/preferences", body)  # nothing new was said
    acts = Consent.objects.values_list("act", "source", "proof")
    assert list(acts) == [("withdrawn", "api", {"form": "settings page"})] * 2

    put(api, "/recipients/u-1/preferences", {"preferences": [choice("news", "email", None)]})
    put(person("u-1"), "/recipients/u-1/preferences", {"preferences": [choice("", "sms", True)]})
    assert list(Preference.objects.values_list("channel", "is_on")) == [("sms", True)]
    latest = Consent.objects.first()
    assert latest is not None
    assert (latest.act, latest.source) == ("given", "person")


def test_a_choice_about_nothing_that_is_there_changes_nothing(api: APIClient) -> None:
    CategoryFactory.create(key="code", kind=Category.Kind.ESSENTIAL)
    CategoryFactory.create(key="bill", is_optional=False)
    path = "/recipients/u-1/preferences"
    wishes = [choice("", "sms"), choice("none")]
    assert errors(api, "put", path, {"preferences": wishes}) == [
        ("preferences.1.category", "unknown_category")
    ]
    for key in ("code", "bill"):
        assert errors(api, "put", path, {"preferences": [choice(key)]}) == [
            ("preferences.0.is_on", "not_optional")
        ]
    assert not Preference.objects.exists()
    assert not Recipient.objects.exists()


def test_a_yes_that_must_be_confirmed_is_only_noted(api: APIClient) -> None:
    CategoryFactory.create(key="offers", is_opt_in=True, needs_confirmation=True)
    put(api, "/recipients/u-1/preferences", {"preferences": [choice("offers", is_on=True)]})
    assert not Preference.objects.exists()
    assert Consent.objects.get().act == Consent.Act.ASKED


def test_quiet_hours_replace_those_before(api: APIClient) -> None:
    path = "/recipients/u-1/quiet-hours"
    night = {"start": "22:00", "end": "07:00", "days": [6, 0, 0]}
    found = put(api, path, {"periods": [night], "time_zone": "Europe/Berlin"})
    assert found == {
        "periods": [{"start": "22:00:00", "end": "07:00:00", "days": [0, 6]}],
        "time_zone": "Europe/Berlin",
    }
    assert put(api, path, {"periods": []}) == {"periods": [], "time_zone": "Europe/Berlin"}
    wrong = {"periods": [{"start": "25:00", "end": "07:00", "days": [7]}]}
    assert {field for field, _ in errors(api, "put", path, wrong)} == {
        "periods.0.start",
        "periods.0.days.0",
    }


@pytest.mark.parametrize("what", ["preferences", "quiet-hours"])
def test_people_see_and_change_their_own_only(api: APIClient, what: str) -> None:
    own, other = person("u-1"), f"{V1}/recipients/u-2/{what}"
    assert own.get(f"{V1}/recipients/u-1/{what}").status_code == 200
    assert own.get(other).status_code == 404
    assert own.put(other, {"periods": []}, format="json").status_code in {400, 404}
    assert not Recipient.objects.exists()
    assert own.get(f"{V1}/recipients/u-1").status_code == 403
