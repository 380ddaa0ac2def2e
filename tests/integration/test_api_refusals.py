"""What every operation refuses in the same way."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from rest_framework.test import APIClient

from commsproject.common.identity import keys
from commsproject.common.models import ApiClient
from tests import api_calls
from tests.api_calls import Operation
from tests.inboxes import person

NOBODYS = str(UUID(int=7))
PATHS = {
    **dict.fromkeys(("key", "name", "user_id"), "nobodys"),
    "number": "7",
}

NEED_MORE = {"preferences_put", "suppressions_lift"}
"""A category that there is; a reason, in the query."""

FOR_ANYBODY = {
    *("addresses_add", "devices_register", "quiet_hours_put"),
    *("addresses_list", "devices_list", "preferences_get", "quiet_hours_get"),
    "templates_import_html",
}
"""A person of the identity service need not be known here before; a template is made by its import."""

pytestmark = pytest.mark.django_db


def path_of(operation: Operation) -> str:
    parts = operation.path.split("/")
    return "/".join(
        PATHS.get(part[1:-1], NOBODYS) if part.startswith("{") else part for part in parts
    )


def call(client: APIClient, operation: Operation, **options: Any) -> Any:
    method = getattr(client, operation.method.lower())
    return method(path_of(operation), **options)


def test_nobody_gets_in_without_credentials() -> None:
    answers = {call(APIClient(), one).status_code for one in api_calls.operations()}
    assert answers == {401}


def test_a_key_without_scopes_may_do_next_to_nothing(agent: ApiClient) -> None:
    _, secret = keys.issue(agent, ["alerts:read"])
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    allowed = {one.path for one in api_calls.operations() if call(client, one).status_code != 403}
    assert allowed == {
        *(f"/api/v1/{name}" for name in ("alerts", "alerts/{alert_id}", "push/web-key", "whoami"))
    }


def test_what_is_not_there_is_not_found(api: APIClient) -> None:
    """Whatever is asked of it, in words that the description shows."""
    answers = {
        told["operationId"]: _asked(api, operation, told)
        for operation, told in api_calls.operations().items()
        if "{" in operation.path
    }
    found = {name: status for name, status in answers.items() if status != 404}
    assert {name for name, status in found.items() if status == 400} == NEED_MORE
    assert {name for name, status in found.items() if status != 400} == FOR_ANYBODY


def _asked(api: APIClient, operation: Operation, told: dict[str, Any]) -> int:
    """The status; what was made is taken back."""
    for client in (api, person("u-42")):
        with transaction.atomic():
            status = int(call(client, operation, **example(told)).status_code)
            transaction.set_rollback(True)
        if status != 403:
            break
    return status


def example(told: dict[str, Any]) -> dict[str, Any]:
    content = told.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return {}
    (example, *_) = content["examples"].values()
    return {"data": example["value"], "format": "json"}


def test_a_page_of_a_strange_size_is_refused(api: APIClient) -> None:
    for operation, told in api_calls.operations().items():
        if (
            any(one["name"] == "limit" for one in told.get("parameters", ()))
            and "{" not in operation.path
        ):
            client = person("u-42") if "inbox" in operation.path else api
            assert call(client, operation, data={"limit": "no"}).status_code == 400, operation


def test_what_is_asked_wrongly_is_refused(api: APIClient) -> None:
    """Where no other test asks so."""
    answers = {
        "counts": person("u-42").get("/api/v1/inbox/counts", {"tag": ["x"] * 100}).status_code,
        "export": api.get("/api/v1/suppressions/export", {"channel": "pigeon"}).status_code,
        "import": api.post("/api/v1/suppressions/import", {}, format="json").status_code,
        "templates": api.get("/api/v1/templates/export", {"key": "a\0"}).status_code,
    }
    assert answers == {"counts": 400, "export": 400, "import": 415, "templates": 400}
