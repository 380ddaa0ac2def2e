"""Templates that an email provider keeps, from the version to the wire."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest
from rest_framework.test import APIClient

from commsproject.common.errors import InvalidInput
from notifications import providers
from notifications.models import Delivery
from notifications.providers.base import Provider
from notifications.states import State
from notifications.types import Lane
from templates_app import hosted, preview, selectors, services
from tests.email_world import EmailWorld, email_world
from tests.engine import drain

pytestmark = pytest.mark.django_db

KEPT = {"sendgrid": {"id": "d-1", "variables": {"first": "user.name|upper", "n": "n"}}}
LOCAL = {"email": {"subject": "Hi {{ user.name }}", "text": "{{ n }}"}}
DATA = {"user": {"name": "<Ada>"}, "n": 5}


def publish(channels: dict[str, Any], named: dict[str, Any] = KEPT) -> None:
    template = services.create(
        key="kept", name="K", channels=channels, locale="en", author="ada", hosted=named
    )
    services.publish(template)


def send(api: APIClient, **fields: Any) -> Any:
    body = {"template": "kept", "to": {"email": "ada@example.org"}, "data": DATA, **fields}
    return api.post("/api/v1/notifications", body, format="json")


@pytest.fixture
def world():
    with email_world() as world:
        yield world


def test_the_keeper_is_given_id_and_variables_and_nobody_else_is_asked(
    api: APIClient, world: EmailWorld
):
    publish({})
    assert send(api).status_code == 202
    drain()
    (mail,) = world.sendgrid.messages
    assert mail.payload["template_id"] == "d-1"
    assert mail.personalization["dynamic_template_data"] == {"first": "<ADA>", "n": "5"}
    assert "content" not in mail.payload
    assert "List-Unsubscribe" in mail.payload["headers"]

    world.sendgrid.refuse()
    assert send(api).status_code == 202
    drain()
    assert world.taken() == {"sendgrid": 1, "ses": 0, "smtp": 0}
    assert Delivery.objects.latest("id").state == State.QUEUED


def test_with_a_body_of_its_own_another_provider_steps_in(api: APIClient, world: EmailWorld):
    publish(LOCAL)
    world.sendgrid.refuse()
    assert send(api).status_code == 202
    drain()
    assert world.taken() == {"sendgrid": 0, "ses": 1, "smtp": 0}
    assert world.ses.messages.last.message["Subject"] == "Hi <Ada>"


def test_a_batch_shares_its_calls(api: APIClient, world: EmailWorld):
    publish({})
    rows = [{"to": {"email": f"p{n}@example.org"}, "data": {"n": n}} for n in range(3)]
    body = {"template": "kept", "data": {"user": {"name": "x"}}, "rows": rows}
    assert api.post("/api/v1/batches", body, format="json").status_code == 202
    drain(Lane.BULK)
    assert len(world.sendgrid.ledger) == 1
    said = {
        m.recipient: m.personalization["dynamic_template_data"] for m in world.sendgrid.messages
    }
    assert said == {f"p{n}@example.org": {"first": "X", "n": str(n)} for n in range(3)}


def test_where_no_keeper_is_on_it_says_so(api: APIClient):
    publish({})
    answer = send(api)
    assert answer.status_code == 202
    (delivery,) = answer.json()["deliveries"]
    assert (delivery["status"], delivery["reason"]) == (
        "failed",
        "no provider can carry it: template",
    )


def test_data_that_the_variables_lack_are_refused(api: APIClient, world: EmailWorld):
    publish({})
    problem = send(api, data={"user": {}}).json()
    assert {error["field"] for error in problem["errors"]} == {"data.n", "data.user.name"}


def test_what_is_wrong_is_told_when_it_is_saved():
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"fax": {"id": "1", "variables": {}}}, "hosted.fax"),
        ({"ses": {"id": "a\nb", "variables": {}}}, "hosted.ses.id"),
        ({"ses": {"id": "a", "variables": {"1": "x"}}}, "hosted.ses.variables.1"),
        ({"ses": {"id": "a", "variables": {"x": "a b"}}}, "hosted.ses.variables.x"),
        ({"ses": {"id": "a", "variables": {"x": "a }}{{ b"}}}, "hosted.ses.variables.x"),
        ({"ses": {"id": "a", "variables": {"x": "__class__"}}}, "hosted.ses.variables.x"),
        (
            {"ses": {"id": "a", "variables": {f"x{n}": "a" for n in range(101)}}},
            "hosted.ses.variables",
        ),
    ]
    for named, field in wrong:
        with pytest.raises(InvalidInput) as caught:
            publish({}, named)
        assert [error.field for error in caught.value.errors] == [field]


def test_it_is_told_that_nobody_can_step_in_and_that_nothing_can_be_sent():
    publish({})
    version = selectors.latest(selectors.get("kept"))
    [notice] = preview.warnings(version)
    assert (notice.code, notice.field) == ("no_local_body", "hosted")
    assert preview.preview(version, DATA).hosted == {"sendgrid": {"first": "<ADA>", "n": "5"}}
    services.revise(version.template, author="ada", hosted={})
    with pytest.raises(InvalidInput):
        services.publish(version.template)


def test_the_providers_named_are_those_that_can():
    def all_of(kind: Any) -> set[type[Provider]]:
        return {kind, *(one for each in kind.__subclasses__() for one in all_of(each))}

    for module in pkgutil.iter_modules(providers.__path__):
        importlib.import_module(f"{providers.__name__}.{module.name}")
    keepers = {one.__module__ for one in all_of(Provider) if one.hosts_templates}
    assert {f"{providers.__name__}.{name}" for name in hosted.PROVIDERS} == {
        name for name in keepers if name.startswith(providers.__name__)
    }
