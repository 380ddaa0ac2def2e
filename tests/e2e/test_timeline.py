"""The story of a message as staff read it: on a desk and on a phone."""

from __future__ import annotations

from django.urls import reverse
from playwright.sync_api import expect

from commsproject.common.models import ApiClient
from notifications.models import Notification
from tests.e2e.conftest import PHONE
from tests.integration.test_timeline import STORY, sent_by


def test_the_story_of_a_message_is_read_from_top_to_bottom(visit, transactional_db) -> None:
    message: Notification = sent_by(ApiClient.objects.create(name="billing"))
    page = reverse("admin:notifications_notification_change", args=[message.id])
    for name, options in (("message", {}), ("message-phone", {"viewport": PHONE})):
        desk = visit(**options)
        shown = desk.go(page)
        expect(shown.locator(".comms-timeline li")).to_have_count(len(STORY))
        assert desk.fits()
        desk.shot(name)
