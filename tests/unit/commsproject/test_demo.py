from __future__ import annotations

import io
import stat

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from commsproject.common.models import ApiClient
from notifications.models import Category, Delivery, Notification
from templates_app.models import Template
from tests.engine import drain

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def directory(settings, monkeypatch, tmp_path):
    settings.DEVELOPMENT = True
    monkeypatch.setenv("COMMS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("COMMS_ADMIN_PASSWORD", raising=False)
    return tmp_path / "data"


def seed():
    return call_command("seed_demo", stdout=io.StringIO())


def test_the_first_run_makes_an_account_that_can_sign_in(directory, client):
    said = seed()
    file = directory / "admin-password"
    password = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "admin" in said
    assert password in said
    assert client.login(username="admin", password=password)
    assert User.objects.get().is_superuser


def test_running_it_again_changes_nothing_and_says_the_same():
    first = seed()
    counted = [
        model.objects.count() for model in (ApiClient, Category, Notification, Template, User)
    ]
    assert seed() == first
    assert counted == [
        model.objects.count() for model in (ApiClient, Category, Notification, Template, User)
    ]


def test_the_messages_end_in_every_way():
    seed()
    drain()
    states = set(Delivery.objects.values_list("state", flat=True))
    assert states == {"sent", "failed"}
    assert Delivery.objects.count() == 6


def test_a_password_somebody_chose_is_set_and_neither_said_nor_stored(
    monkeypatch, directory, client
):
    monkeypatch.setenv("COMMS_ADMIN_PASSWORD", "chosen-by-me")
    assert "chosen-by-me" not in seed()
    assert client.login(username="admin", password="chosen-by-me")
    assert not directory.exists()
    monkeypatch.setenv("COMMS_ADMIN_PASSWORD", "changed-my-mind")
    seed()
    assert client.login(username="admin", password="changed-my-mind")


def test_a_password_that_was_changed_since_stays(directory, client):
    seed()
    account = User.objects.get()
    account.set_password("my own")
    account.save()
    said = seed()
    assert (directory / "admin-password").read_text().strip() not in said
    assert client.login(username="admin", password="my own")


def test_it_is_refused_in_production(settings):
    settings.DEVELOPMENT = False
    with pytest.raises(CommandError):
        seed()
    assert not User.objects.exists()
