"""The first sign-in where a second factor is demanded, and the next one, with a code."""

from __future__ import annotations

import base64
import time
from typing import Any

from commsproject.common.models import AuditEvent, StaffSession
from commsproject.common.staff import totp
from tests.e2e.axe import violations
from tests.e2e.conftest import DESK, PASSWORD, PHONE


def test_a_second_factor_from_the_first_sign_in_on(visit: Any, settings: Any) -> None:
    ada = visit(viewport=PHONE)
    ada.context.clear_cookies()
    settings.STAFF_TWO_FACTOR = True
    page = ada.go("/admin/notifications/notification/")
    assert violations(page) == []
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", "another long password")
    page.click("[type=submit]")
    page.get_by_text("correct username and password").wait_for()
    page.fill("[name=password]", PASSWORD)
    page.click("[type=submit]")
    page.wait_for_url("**/admin/security/second-factor/")
    page.get_by_role("img", name="QR code of the key below").wait_for()
    ada.shot("second-factor-phone")
    assert violations(page) == []
    assert ada.fits()
    page.set_viewport_size(DESK)
    ada.shot("second-factor")
    secret = base64.b32decode(page.locator("pre").inner_text().replace(" ", ""))
    page.get_by_role("textbox", name="Code").fill("000000")
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_text("Not the code of this key").wait_for()
    step = int(time.time()) // totp.STEP
    page.get_by_role("textbox", name="Code").fill(totp.code(secret, step))
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_text("Keep these recovery codes now").wait_for()
    ada.shot("recovery-codes")
    assert violations(page) == []
    codes = page.locator("pre").inner_text().split()
    page.get_by_role("link", name="I have kept them").click()
    page.get_by_text("10 recovery codes left").wait_for()
    ada.shot("security")
    page.set_viewport_size(PHONE)
    ada.shot("security-phone")
    page.set_viewport_size(DESK)

    StaffSession.objects.all().delete()
    ada.go("/admin/")
    page.get_by_text("Your session has ended").wait_for()
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.click("[type=submit]")
    page.wait_for_url("**/admin/login/code/")
    ada.shot("sign-in-code")
    assert violations(page) == []
    page.get_by_role("textbox", name="Code").fill(totp.code(secret, step))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Not a code that is good now").wait_for()
    page.get_by_role("textbox", name="Code").fill(codes[0])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("9 recovery codes left").wait_for()

    ada.go("/admin/common/auditevent/")
    ada.shot("audit-trail")
    event = AuditEvent.objects.filter(action="security_set_up").latest("id")
    ada.go(f"/admin/common/auditevent/{event.pk}/change/")
    ada.shot("audit-event")
    ada.go("/admin/common/staffsession/")
    ada.shot("staff-sessions")
