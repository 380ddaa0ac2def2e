from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from commsproject.common.identity import keys
from commsproject.common.identity.errors import InvalidCredentials
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient, ApiKey

SECRET = re.compile(r"comm_live_[A-Za-z0-9]{8}_[A-Za-z0-9]{43}")


@pytest.fixture
def staff(client, db):
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def form_of(agent):
    return reverse("admin:common_apiclient_issue_key", args=[agent.pk])


def test_a_key_is_shown_in_one_answer_and_never_again(staff, agent):
    assert SECRET.search(staff.get(form_of(agent)).content.decode()) is None
    answer = staff.post(form_of(agent), {"scopes": ["templates:read"]})
    found = SECRET.search(answer.content.decode())
    assert found is not None
    assert "no-store" in answer["Cache-Control"]
    assert keys.authenticate(found[0]).scopes == ["templates:read"]
    assert SECRET.search(str(answer.cookies)) is None
    key = ApiKey.objects.get()
    pages = [
        reverse("admin:common_apiclient_change", args=[agent.pk]),
        reverse("admin:common_apiclient_changelist"),
        reverse("admin:common_apikey_change", args=[key.pk]),
        reverse("admin:common_apikey_changelist"),
        reverse("admin:common_apiclient_history", args=[agent.pk]),
    ]
    for url in pages:
        shown = staff.get(url).content.decode()
        assert SECRET.search(shown) is None
        assert key.digest not in shown
    assert found[0] not in str(list(LogEntry.objects.values()))
    assert found[0] not in str(dict(staff.session))


def test_a_key_cannot_be_issued_without_a_scope_or_into_the_past(staff, agent):
    past = {"scopes": list(Scope.values), "expires_at_0": "2020-01-01", "expires_at_1": "00:00"}
    for data in ({}, {"scopes": ["nonsense"]}, past):
        answer = staff.post(form_of(agent), data)
        assert answer.context["form"].errors
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_by_post_after_a_question(staff, agent):
    key, secret = keys.issue(agent, list(Scope))
    url = reverse("admin:common_apikey_revoke", args=[key.pk])
    assert (
        url in staff.get(reverse("admin:common_apiclient_change", args=[agent.pk])).content.decode()
    )
    assert "Revoke the key" in staff.get(url).content.decode()
    assert keys.authenticate(secret) == key
    assert staff.post(url).status_code == 302
    with pytest.raises(InvalidCredentials):
        keys.authenticate(secret)
    assert "Revoked" in staff.get(reverse("admin:common_apikey_changelist")).content.decode()


def test_many_keys_are_revoked_at_once(staff, agent):
    issued = [keys.issue(agent, list(Scope))[0] for _ in range(3)]
    data = {"action": "revoke_selected", "_selected_action": [key.pk for key in issued[:2]]}
    staff.post(reverse("admin:common_apikey_changelist"), data)
    assert ApiKey.objects.filter(revoked_at__isnull=False).count() == 2


def test_who_may_only_look_can_neither_issue_nor_revoke(client, agent):
    key, secret = keys.issue(agent, list(Scope))
    viewer = User.objects.create_user("viewer", password="x", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_api"))
    client.force_login(viewer)
    shown = client.get(reverse("admin:common_apiclient_change", args=[agent.pk])).content.decode()
    assert "Issue a key" not in shown
    assert client.post(form_of(agent), {"scopes": list(Scope.values)}).status_code == 403
    assert client.post(reverse("admin:common_apikey_revoke", args=[key.pk])).status_code == 403
    data = {"action": "revoke_selected", "_selected_action": [key.pk]}
    client.post(reverse("admin:common_apikey_changelist"), data)
    assert keys.authenticate(secret) == key


def test_keys_and_agents_are_found_by_their_names(staff, agent):
    key, secret = keys.issue(agent, list(Scope))
    keys.issue(ApiClient.objects.create(name="other"), list(Scope))
    for term in (key.prefix, f"comm_live_{key.prefix}_", secret):
        answer = staff.get(reverse("admin:common_apikey_changelist"), {"q": term})
        assert list(answer.context["cl"].result_list) == [key]
    answer = staff.get(reverse("admin:common_apiclient_changelist"), {"q": "billing"})
    assert list(answer.context["cl"].result_list) == [agent]


def test_an_agent_is_made_and_deactivated(staff):
    staff.post(
        reverse("admin:common_apiclient_add"),
        {"name": "shop", "is_active": "on", "keys-TOTAL_FORMS": 0, "keys-INITIAL_FORMS": 0},
    )
    agent = ApiClient.objects.get(name="shop")
    staff.post(
        reverse("admin:common_apiclient_change", args=[agent.pk]),
        {"name": "shop", "keys-TOTAL_FORMS": 0, "keys-INITIAL_FORMS": 0},
    )
    agent.refresh_from_db()
    assert not agent.is_active
