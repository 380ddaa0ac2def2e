"""What the analytics know of a provider, on its pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tracking.services import folding
from tracking.services.rollups import Key

LIST = reverse("admin:notifications_providerstate_changelist")
ONE = reverse("admin:notifications_providerstate_change", args=["simulator"])


@pytest.fixture
def calls(db: None) -> None:
    """Eight, of which two failed; and more on another day."""
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    key = Key("email", "simulator")
    folding.add([(now, key, "calls", 8), (now, key, "calls_failed", 2)])
    folding.add([(now - timedelta(days=3), key, "calls_failed", 100)])


@pytest.mark.usefixtures("calls")
def test_how_many_of_its_calls_went_well_is_on_the_pages_of_a_provider(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root", password="x"))
    for url in (LIST, ONE):
        shown = client.get(url).content.decode()
        assert ">75% of 8</a>" in shown
        assert 'href="/admin/analytics/?provider=simulator"' in shown


@pytest.mark.usefixtures("calls")
def test_who_may_not_see_the_analytics_does_not_see_it_there(client: Client) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_providerstate"))
    client.force_login(viewer)
    for url in (LIST, ONE):
        answer = client.get(url)
        assert answer.status_code == 200
        assert "75%" not in answer.content.decode()
