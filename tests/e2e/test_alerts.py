"""A person on call: from the dashboard to the acknowledgement, on a telephone."""

from __future__ import annotations

from typing import Any

import pytest

from commsproject.common import alerts
from commsproject.common.alerts import notices, rules, targets
from commsproject.common.models import Alert, AlertTarget, Severity
from tests.e2e.conftest import DESK, PHONE

MESSAGE = "0199c0de-7a11-7c40-b5d8-1f2e3d4c5b6a"


@pytest.fixture
def trouble(transactional_db: None) -> Alert:
    rules._make_defaults()
    pager = AlertTarget(name="Pager of the week")
    targets.put(pager, "ntfys://ntfy.example.org/s3cret")
    pager.save()
    for key, severity, title in (
        ("old", Severity.WARNING, "12 deliveries by sms were given up in 5 min"),
        ("quota", Severity.WARNING, "81% of the day's quota at ses is used"),
        (
            "failed",
            Severity.CRITICAL,
            f"A message (codes) failed: {MESSAGE}: permanent_recipient: 21211",
        ),
    ):
        alerts.raise_once(key, severity=severity, title=title, detail="Look at it soon.")
    notices.write()
    alerts.resolve("old")
    return Alert.objects.get(key="failed")


def test_an_alert_is_acknowledged_on_a_telephone(trouble: Alert, visit: Any) -> None:
    on_call = visit(viewport=PHONE)
    page = on_call.go("/admin/")
    on_call.shot("alerts-home-phone")
    page.get_by_role("link", name="A message (codes) failed").click()
    on_call.shot("alert-phone")
    page.get_by_role("link", name="Acknowledge").click()
    page.get_by_label("Note").fill("I look at it.")
    on_call.shot("alert-acknowledge-phone")
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("I look at it.").wait_for()
    assert on_call.fits()
    trouble.refresh_from_db()
    assert trouble.note == "I look at it."
    page.set_viewport_size(DESK)
    for name, path in (
        ("alerts-home", "/admin/"),
        ("alerts", "/admin/common/alert/"),
        ("alert", f"/admin/common/alert/{trouble.id}/change/"),
        ("alert-rules", "/admin/common/alertrule/"),
        ("alert-targets", "/admin/common/alerttarget/"),
    ):
        on_call.go(path)
        on_call.shot(name)
    page.set_viewport_size(PHONE)
    on_call.go("/admin/common/alert/")
    on_call.shot("alerts-phone")
    assert not on_call.errors
