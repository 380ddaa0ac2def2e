from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django.test import Client

from commsproject.common import alerts
from commsproject.common.models import Alert

WORDS: dict[str, Any] = {"severity": alerts.Severity.WARNING, "title": "Nearly used up"}


@pytest.mark.django_db
class TestOneAfterTheOther:
    def test_what_lasts_is_one_alert_with_the_words_of_the_last_time(self):
        assert alerts.raise_once("a", **WORDS)
        first = Alert.objects.get()
        assert not alerts.raise_once(
            "a", severity=alerts.Severity.CRITICAL, title="Used up", detail="All of it."
        )
        again = Alert.objects.get()
        assert (again.id, again.raised_at) == (first.id, first.raised_at)
        assert (again.severity, again.title, again.detail) == ("critical", "Used up", "All of it.")
        assert again.seen_at > first.seen_at

    def test_what_comes_back_is_another_alert(self):
        alerts.raise_once("a", **WORDS)
        assert alerts.resolve("a")
        assert not alerts.resolve("a")
        assert alerts.raise_once("a", **WORDS)
        assert Alert.objects.count() == 2
        assert [alert.resolved_at for alert in alerts.standing()] == [None]

    def test_each_key_has_its_own(self):
        alerts.raise_once("a", **WORDS)
        alerts.raise_once("b", **WORDS)
        alerts.resolve("a")
        assert [alert.key for alert in alerts.standing()] == ["b"]

    def test_the_database_sees_to_it(self):
        Alert.objects.create(key="a", **WORDS)
        with pytest.raises(IntegrityError):
            Alert.objects.create(key="a", **WORDS)

    def test_long_words_are_cut(self):
        alerts.raise_once("a", severity=alerts.Severity.WARNING, title="x" * 300, detail="y" * 2000)
        found = Alert.objects.get()
        assert (len(found.title), len(found.detail)) == (200, 1000)


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_is_news():
    def tell(_number: int) -> bool:
        try:
            return alerts.raise_once("a", **WORDS)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        news = list(pool.map(tell, range(8)))
    assert news.count(True) == 1
    assert Alert.objects.count() == 1


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def test_the_dashboard_shows_what_stands_and_nothing_else(staff):
    assert "Nearly used up" not in staff.get("/admin/").content.decode()
    alerts.raise_once("a", **WORDS)
    page = staff.get("/admin/").content.decode()
    assert "Nearly used up" in page
    assert f"/admin/common/alert/{Alert.objects.get().id}/change/" in page
    alerts.resolve("a")
    assert "Nearly used up" not in staff.get("/admin/").content.decode()


def test_the_list_begins_with_what_stands(staff):
    for key in ("old", "standing", "gone"):
        alerts.raise_once(key, severity=alerts.Severity.CRITICAL, title=f"It is {key}")
    alerts.resolve("old")
    alerts.resolve("gone")
    page = staff.get("/admin/common/alert/").content.decode()
    places = [page.index(f"It is {key}") for key in ("standing", "gone", "old")]
    assert places == sorted(places)


def test_health_does_not_look_at_alerts(client, db):
    before = client.get("/health").status_code
    alerts.raise_once("a", severity=alerts.Severity.CRITICAL, title="Bad")
    assert client.get("/health").status_code == before
