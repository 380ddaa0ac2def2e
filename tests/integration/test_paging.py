"""The parameters of pages are the same for every list of the API."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.api import pagination
from commsproject.common.models import ApiClient
from notifications.models import Batch, Delivery, Notification, Topic
from notifications.states import State
from tests.factories import DeliveryFactory, TemplateVersionFactory

pytestmark = pytest.mark.django_db


def lists(api: APIClient) -> list[str]:
    """The paths that answer pages, or take what a page takes, by the schema."""
    schema = api.get("/api/schema/?format=json").json()
    found = []
    for path, operations in schema["paths"].items():
        get = operations.get("get", {})
        answers = get.get("responses", {}).get("200", {}).get("content", {}).values()
        names = [each["schema"].get("$ref", "").rpartition("/")[2] for each in answers]
        pages = [name for name in names if name.endswith("Page")]
        if pages or {"limit", "cursor"} <= {one["name"] for one in get.get("parameters", [])}:
            found.append(path)
    return found


def test_paging_that_makes_no_sense_is_refused(api: APIClient, agent: ApiClient) -> None:
    key = TemplateVersionFactory.create().template.key
    Topic.objects.create(key=key, name="Of the same key")
    names = {"batch_id": Batch.objects.create(client=agent).id, "key": key, "user_id": "u-1"}
    tried = set()
    for path in lists(api):
        if not set(re.findall(r"{(\w+)}", path)) <= names.keys():
            continue
        url = path.format_map(names)
        if api.get(url).status_code in {400, 403}:  # it wants more; for people's own tokens
            continue
        tried.add(path.removeprefix("/api/v1/"))
        assert api.get(url, {"limit": "200"}).status_code == 200, path
        for query in (
            *({"limit": text} for text in ("0", "-1", "x", "", "201", "99999", "1e9", "\uff12")),
            *({"cursor": text} for text in ("x", "cD1ub25zZW5zZQ==")),
        ):
            answer = api.get(url, query)
            assert answer.status_code == 400, (path, query)
            assert [error["field"] for error in answer.json()["errors"]] == list(query), path
    assert tried >= {
        *("notifications", "batches", "batches/{batch_id}/results", "dead-letters", "schedules"),
        *("templates", "templates/{key}/versions", "recipients/{user_id}/devices"),
    }


def walk(api: APIClient, url: str | None, link: str = "next") -> list[list[str]]:
    """The ids of each page, as the links lead."""
    pages = []
    while url:
        page = api.get(url).json()
        pages.append([row["id"] for row in page["results"]])
        url = page[link]
        assert len(pages) < 20
    return pages


def test_a_page_of_what_is_rare_reads_no_more_than_any_other(
    api: APIClient, agent: ApiClient, monkeypatch: Any
) -> None:
    """It is short, even empty, and its links go on: there and back nothing is missed."""
    monkeypatch.setattr(pagination, "LOOK", 5)
    rows = [DeliveryFactory.create(notification__client=agent) for _ in range(23)]
    DeliveryFactory.create(state=State.DEAD)  # somebody else's
    dead = [rows[number] for number in (0, 1, 9, 10, 11, 22)]
    Delivery.objects.filter(id__in=[row.id for row in dead]).update(state=State.DEAD)
    wanted = [str(row.notification_id) for row in reversed(dead)]

    pages = walk(api, "/api/v1/notifications?status=dead&limit=2")
    assert list(chain.from_iterable(pages)) == wanted
    assert [len(page) for page in pages] == [1, 0, 2, 1, 2, 0]
    last = api.get("/api/v1/notifications?status=dead&limit=2").json()
    while last["next"]:
        last = api.get(last["next"]).json()
    back = walk(api, last["previous"], "previous")
    assert last["results"] == []
    assert list(chain.from_iterable(reversed(back))) == wanted
    assert walk(api, "/api/v1/notifications?status=failed") == [[]] * 5
    assert walk(api, f"/api/v1/notifications?status=dead&reference={wanted[0]}") == [[]]


def test_a_list_since_a_moment_reads_nothing_older(api: APIClient, agent: ApiClient) -> None:
    old = DeliveryFactory.create(notification__client=agent).notification
    Notification.objects.filter(id=old.id).update(created_at=timezone.now() - timedelta(days=1))
    new = DeliveryFactory.create(notification__client=agent).notification

    def since(moment: str) -> list[str]:
        (page,) = walk(api, f"/api/v1/notifications?created_after={moment}")
        return page

    now = timezone.now()
    assert since(f"{now - timedelta(minutes=1):{_FORM}}") == [str(new.id)]
    assert since(f"{now - timedelta(days=2):{_FORM}}") == [str(new.id), str(old.id)]
    assert since("0001-01-01T00:00:00Z") == [str(new.id), str(old.id)]
    assert since(f"{now + timedelta(days=1):{_FORM}}") == []


_FORM = "%Y-%m-%dT%H:%M:%SZ"
