"""Alerts for programs and for people on call: seen, looked after, set up."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from rest_framework.test import APIClient

from commsproject.common import alerts
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import (
    Alert,
    AlertNotice,
    AlertRule,
    AlertTarget,
    ApiClient,
    Severity,
)

V1 = "/api/v1/alerts"
pytestmark = pytest.mark.django_db


def wrong(key: str = "a", severity: Severity = Severity.WARNING) -> Alert:
    alerts.raise_once(key, severity=severity, title=f"{key} is wrong", detail="Look at it.")
    return Alert.objects.get(key=key)


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["key"] for row in answer.json()["results"]]


def test_alerts_are_listed_and_looked_up(api: APIClient) -> None:
    for key, severity in (
        ("a", Severity.WARNING),
        ("b", Severity.CRITICAL),
        ("c", Severity.CRITICAL),
    ):
        wrong(key, severity)
    alerts.resolve("c")
    alerts.acknowledge(Alert.objects.get(key="b"), by="staff ada")
    for query, found in (
        ("", ["c", "b", "a"]),
        ("?state=standing", ["b", "a"]),
        ("?state=resolved", ["c"]),
        ("?severity=critical&acknowledged=false", ["c"]),
        ("?acknowledged=true", ["b"]),
        ("?limit=1", ["c"]),
    ):
        assert ids(api.get(V1 + query)) == found, query
    for query in ("?state=open", "?severity=bad", "?nonsense=1", "?limit=0", "?cursor=x"):
        assert api.get(V1 + query).status_code == 400, query
    one = api.get(f"{V1}/{Alert.objects.get(key='a').id}").json()
    assert (one["title"], one["detail"], one["resolved_at"]) == ("a is wrong", "Look at it.", None)
    assert api.get(f"{V1}/0199c0de-7a11-7c40-b5d8-1f2e3d4c5b6a").status_code == 404


def test_one_looks_after_it_and_the_others_see_who(api: APIClient, agent: ApiClient) -> None:
    url = f"{V1}/{wrong().id}/acknowledge"
    assert api.post(url, {"note": "x" * 1001}, format="json").status_code == 400
    assert api.post(url, {"by": "me"}, format="json").status_code == 400
    answer = api.post(url, {"note": "I look at it."}, format="json").json()
    assert (answer["acknowledged_by"], answer["note"]) == (f"agent {agent.name}", "I look at it.")
    again = api.post(url, {"note": "It is the vendor."}, format="json").json()
    assert again["note"] == "It is the vendor."
    assert again["acknowledged_at"] == answer["acknowledged_at"]
    _, key = keys.issue(ApiClient.objects.create(name="other"), list(Scope))
    other = APIClient(HTTP_AUTHORIZATION=f"Bearer {key}")
    refused = other.post(url, {}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "alert_acknowledged")
    assert agent.name in refused.json()["detail"]


def test_a_key_needs_the_scope(agent: ApiClient) -> None:
    _, key = keys.issue(agent, [Scope.ALERTS_READ])
    caller = APIClient(HTTP_AUTHORIZATION=f"Bearer {key}")
    alert = wrong()
    assert caller.get(V1).status_code == 200
    assert caller.post(f"{V1}/{alert.id}/acknowledge").status_code == 403
    assert APIClient().get(V1).status_code == 401


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer
    return str(answer.content.decode())


def test_a_person_on_call_acknowledges_with_a_note(staff: Client) -> None:
    alert = wrong(severity=Severity.CRITICAL)
    page = f"/admin/common/alert/{alert.id}/"
    assert "Nobody looks after it yet" in text(staff.get(f"{page}change/"))
    assert "a is wrong" in text(staff.get(f"{page}acknowledge/"))
    alert.refresh_from_db()
    assert alert.acknowledged_by == ""  # looking changes nothing
    shown = text(staff.post(f"{page}acknowledge/", {"note": "On it"}, follow=True))
    assert "You look after it." in shown
    assert "On it" in shown
    assert "Nobody looks after it yet" not in shown
    assert "staff root looks after it" in text(staff.get("/admin/"))
    for state, there in (("new", False), ("standing", True), ("resolved", False)):
        listed = text(staff.get(f"/admin/common/alert/?state={state}"))
        assert ("a is wrong" in listed) is there, state
    User.objects.create_superuser("late", password="x")
    staff.force_login(User.objects.get(username="late"))
    assert "staff root did" in text(staff.post(f"{page}acknowledge/", follow=True))


def test_who_may_only_look_may_not_acknowledge(client: Client) -> None:
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_alert"))
    client.force_login(looker)
    alert = wrong()
    assert "Acknowledge" not in text(client.get(f"/admin/common/alert/{alert.id}/change/"))
    assert client.post(f"/admin/common/alert/{alert.id}/acknowledge/").status_code == 403


def test_a_targets_address_goes_in_and_never_comes_out(
    staff: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    add = "/admin/common/alerttarget/add/"
    form = {"name": "Pager", "least": "critical", "is_active": "on"}
    for address in ("", "slack://s3cret"):
        shown = text(staff.post(add, {**form, "address": address}))
        assert not AlertTarget.objects.exists()
        assert "s3cret" not in shown
    staff.post(add, {**form, "address": "json://hooks.example.org/s3cret"})
    target = AlertTarget.objects.get()
    sealed = bytes(target.sealed)
    page = f"/admin/common/alerttarget/{target.id}/"
    assert "s3cret" not in text(staff.get(f"{page}change/"))
    staff.post(f"{page}change/", {**form, "name": "Night", "address": ""})
    target.refresh_from_db()
    assert (target.name, bytes(target.sealed)) == ("Night", sealed)
    assert not AlertNotice.objects.exists()
    staff.get(f"{page}try/")
    assert not AlertNotice.objects.exists()
    staff.post(f"{page}try/")
    assert AlertNotice.objects.get().kind == "test"
    assert "s3cret" not in str(capfd.readouterr())
    assert "Night" in text(staff.get("/admin/common/alerttarget/"))


def test_a_rule_is_changed_and_has_to_be_able_to_recover(staff: Client) -> None:
    form = {
        "name": "Slow codes",
        "key": "slow-codes",
        "measure": "queue_age",
        "only": "urgent",
        "severity": "critical",
        "enabled": "on",
        "bound": "5",
        "recovery": "5",
        "minimum": "0",
        "window_seconds": "300",
        "cool_down_seconds": "60",
    }
    add = "/admin/common/alertrule/add/"
    assert "Less than the bound" in text(staff.post(add, form))
    staff.post(add, {**form, "recovery": "1"})
    rule = AlertRule.objects.get()
    page = f"/admin/common/alertrule/{rule.id}/change/"
    staff.post(page, {**form, "recovery": "1", "bound": "7", "measure": "silence", "key": "x"})
    rule.refresh_from_db()
    assert (rule.bound, rule.measure, rule.key) == (7, "queue_age", "slow-codes")
    AlertRule.objects.create(key="few", name="Few", measure="no_receipts", bound=0.055, recovery=0)
    AlertRule.objects.create(key="lost", name="Lost", measure="dead_letters", bound=60, recovery=0)
    listed = text(staff.get("/admin/common/alertrule/"))
    for shown in ("Slow codes", ">7 s<", "5 min", ">5.5 %<", ">60<"):
        assert shown in listed, shown
