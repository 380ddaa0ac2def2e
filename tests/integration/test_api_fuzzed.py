"""Schemathesis asks whatever the description allows, and what it does not: no answer is a 5xx or unlike
the description. The draws are always the same; `make fuzz` makes more of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.db import connection
from django.test.client import ClientHandler
from hypothesis import HealthCheck, Phase
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from tests import api_calls
from tests.api_tour import Tour
from tests.integration import test_api_examples as chapters
from tests.integration.test_api_examples import tour as tour

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
HANDLER = ClientHandler()
OF_PEOPLE = ("/api/v1/inbox", "/api/v1/presence", "/api/v1/ws-ticket")
APPS: Mapping[str, tuple[str, ...]] = {
    "messages": ("notifications", "batches", "schedules", "dead-letters", "queues", "providers"),
    "people": ("recipients", "topics", "categories", "suppressions", "bounces", "push"),
    "content": ("templates", "announcements", "inbox", "presence", "ws-ticket"),
    "talk": ("conversations",),
    "operations": ("webhook-endpoints", "webhook-receipts", "analytics", "alerts", "whoami"),
}

pytestmark = pytest.mark.django_db


def test_every_part_of_the_api_is_asked() -> None:
    parts = {operation.path.split("/")[3] for operation in api_calls.operations()}
    assert parts == {part for some in APPS.values() for part in some}


@pytest.mark.parametrize("some", APPS)
def test_no_answer_is_unlike_the_description(
    some: str, tour: Tour, request: pytest.FixtureRequest
) -> None:
    with connection.cursor() as cursor:  # requests are thought of in this test's transaction
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    chapters.people(tour)
    chapters.templates(tour)
    tour.at["conversation_id"] = tour.go("conversations_start", 201, by=tour.user)["id"]
    tour.at["schedule_id"] = tour.go("schedules_create", 201)["id"]
    tour.at["endpoint_id"] = tour.go("webhook_endpoints_make", 201)["id"]
    tour.at["batch_id"] = tour.go("batches_send", 202)["id"]
    examples = 60 if request.config.getoption("full_faults") else 4
    schema = schemathesis.openapi.from_dict(api_calls.description())
    schema.app = app
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path.split("/")[3] in APPS[some]:
            _ask(operation, tour, examples)


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The service, in this test's transaction: as WSGI servers call it, it would end at the answer."""
    response: Any = HANDLER(environ)
    start_response(f"{response.status_code} {response.reason_phrase}", [*response.items()])
    return list(response.streaming_content) if response.streaming else [response.content]


def _ask(operation: Any, tour: Tour, examples: int) -> None:
    client = tour.user if operation.path.startswith(OF_PEOPLE) else tour.agent
    authorization = client._credentials["HTTP_AUTHORIZATION"]  # type: ignore[attr-defined]  # DRF's own

    @hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        known = {name: str(tour.at[name]) for name in case.path_parameters if name in tour.at}
        case.path_parameters.update(known)
        response = case.call(headers={"Authorization": authorization})
        case.validate_response(response, checks=CHECKS)

    ask()
