from __future__ import annotations

import pytest
from django.urls import reverse

from commsproject.common import health


@pytest.fixture
def development(settings):
    settings.DEVELOPMENT = True


@pytest.mark.django_db
@pytest.mark.usefixtures("development")
def test_the_landing_page_says_what_runs_and_how_to_begin(client):
    shown = client.get("/").content.decode()
    for link in (
        "admin:index",
        "docs",
        "schema",
        "admin:notifications_simulatedmessage_changelist",
    ):
        assert f'href="{reverse(link)}"' in shown
    assert "the simulator carries it" in shown
    assert "manage.py create_api_key demo" in shown
    assert shown.count("curl ") == 5
    assert "<script" not in shown
    assert "style=" not in shown


@pytest.mark.django_db
@pytest.mark.usefixtures("development")
def test_the_landing_page_is_up_when_the_rest_is_not(client, monkeypatch):
    def away():
        raise ConnectionError

    monkeypatch.setattr(health, "_database", away)
    answer = client.get("/")
    assert answer.status_code == 200
    assert "Needs a look" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.usefixtures("development")
def test_a_real_provider_is_named_instead_of_the_simulator(client, settings):
    settings.PROVIDERS = {
        **settings.PROVIDERS,
        "smtp": {
            "CLASS": "notifications.providers.smtp.SMTP",
            "ENABLED": True,
            "OPTIONS": {"url": "smtp://localhost"},
        },
    }
    shown = client.get("/").content.decode()
    assert "smtp" in shown
    assert shown.count("the simulator carries it") == 2  # SMS and push


def test_in_production_it_only_leads_to_the_staff_pages(client):
    answer = client.get("/")
    assert answer.status_code == 302
    assert answer["Location"] == reverse("admin:index")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "loose"),
    [
        ("/", ""),
        ("/health/live", ""),
        ("/u/nonsense", ""),
        ("/administration", ""),
        ("/admin/login/", "script-src 'self' 'unsafe-eval'"),
        ("/api/docs/", "style-src 'self' 'unsafe-inline'"),
    ],
)
def test_every_answer_has_a_policy_and_few_are_loose(client, path, loose):
    policy = client.get(path)["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert loose in policy
    assert bool(loose) == ("unsafe" in policy)


def test_developers_see_their_error_pages(client, settings):
    settings.DEBUG = True
    assert "Content-Security-Policy" not in client.get("/no-such-page")
