"""The parameters of pages are the same for every list of the API."""

from __future__ import annotations

import re

import pytest
from rest_framework.test import APIClient

from commsproject.common.models import ApiClient
from notifications.models import Batch, Topic
from tests.factories import TemplateVersionFactory

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
