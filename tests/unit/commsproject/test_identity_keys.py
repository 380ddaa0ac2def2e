from __future__ import annotations

import hashlib
import re
import threading
import time
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone

from commsproject.common.errors import InvalidInput
from commsproject.common.identity import keys
from commsproject.common.identity.errors import InvalidCredentials
from commsproject.common.identity.scopes import Scope
from commsproject.common.logging import redact
from commsproject.common.models import ApiClient, ApiKey


@pytest.fixture
def client(db) -> ApiClient:
    return ApiClient.objects.create(name="billing")


def test_a_key_is_shown_once_and_stored_as_a_digest(client):
    key, raw = keys.issue(client, [Scope.TEMPLATES_READ])
    assert re.fullmatch(r"comm_live_[A-Za-z0-9]{8}_[A-Za-z0-9]{43}", raw)
    assert key.prefix == raw[10:18]
    assert key.digest == hashlib.sha256(raw.encode()).hexdigest()
    secret = raw[19:]
    row = ApiKey.objects.values().get()
    assert secret not in f"{row}{key!r}{key}{vars(key)}"


def test_no_two_keys_are_alike(client):
    assert len({keys.issue(client, [])[1] for _ in range(50)}) == 50


def test_scopes_are_stored_once_each_in_a_fixed_order(client):
    key, _ = keys.issue(client, ["templates:write", "notifications:read", "templates:write"])
    assert key.scopes == ["notifications:read", "templates:write"]


def test_an_unknown_scope_is_refused_and_the_known_ones_listed(client):
    with pytest.raises(InvalidInput, match=r"no scope root.*audience:read"):
        keys.issue(client, ["templates:read", "root"])
    assert not ApiKey.objects.exists()


def test_a_key_cannot_be_born_expired(client):
    with pytest.raises(InvalidInput):
        keys.issue(client, [], timezone.now())


def test_a_key_authenticates_in_one_query(client, django_assert_num_queries):
    key, raw = keys.issue(client, Scope.values)
    keys.authenticate(raw)
    with django_assert_num_queries(1):
        found = keys.authenticate(raw)
        assert (found, found.client) == (key, client)


def _altered(raw: str) -> str:
    return raw[:-1] + ("a" if raw[-1] != "a" else "b")


@pytest.mark.parametrize(
    "alter",
    [
        _altered,
        lambda raw: raw[:-1],
        lambda raw: raw + "a",
        lambda raw: raw.upper(),
        lambda raw: raw.replace("live", "test"),
        lambda raw: f"comm_live_{'0' * 8}_{raw[19:]}",
        lambda raw: raw[:18],
        lambda raw: raw[:19] + "é" * 43,
        lambda raw: raw + "\n",
        lambda raw: "comm_",
        lambda raw: "comm_live_\x00\x00\x00\x00\x00\x00\x00\x00_" + raw[19:],
        lambda raw: "\ud800" * 10,
    ],
)
def test_anything_but_the_key_is_refused_after_the_same_query(
    client, alter, django_assert_num_queries
):
    _, raw = keys.issue(client, Scope.values)
    with django_assert_num_queries(1), pytest.raises(InvalidCredentials) as refusal:
        keys.authenticate(alter(raw))
    assert refusal.value.detail == keys.REFUSED


def test_a_revoked_key_is_refused_at_once_and_revoking_twice_keeps_the_first_time(client):
    key, raw = keys.issue(client, Scope.values)
    keys.authenticate(raw)
    keys.revoke(key)
    first = key.revoked_at
    assert first is not None
    with pytest.raises(InvalidCredentials):
        keys.authenticate(raw)
    keys.revoke(key)
    assert key.revoked_at == first


def test_a_key_ends_at_its_time(client):
    _, raw = keys.issue(client, [], timezone.now() + timedelta(hours=1))
    keys.authenticate(raw)
    with (
        time_machine.travel(timezone.now() + timedelta(hours=1)),
        pytest.raises(InvalidCredentials),
    ):
        keys.authenticate(raw)


def test_the_keys_of_an_inactive_agent_are_refused(client):
    _, raw = keys.issue(client, [])
    client.is_active = False
    client.save()
    with pytest.raises(InvalidCredentials):
        keys.authenticate(raw)


def test_use_is_noted_at_most_once_a_minute(client):
    key, raw = keys.issue(client, [])
    start = timezone.now().replace(microsecond=0)
    noted = []
    for seconds in (0, 59, 60, 61, 125):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            keys.authenticate(raw)
        key.refresh_from_db()
        assert key.last_used_at is not None
        noted.append((key.last_used_at - start).total_seconds())
    assert noted == [0, 0, 60, 60, 125]


def test_a_refused_key_counts_as_not_used(client):
    key, raw = keys.issue(client, [])
    keys.revoke(key)
    with pytest.raises(InvalidCredentials):
        keys.authenticate(raw)
    key.refresh_from_db()
    assert key.last_used_at is None


@pytest.mark.django_db(transaction=True)
def test_a_locked_row_does_not_hold_up_a_request():
    key, raw = keys.issue(ApiClient.objects.create(name="billing"), [])
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            ApiKey.objects.select_for_update().get(pk=key.pk)
            locked.set()
            done.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert locked.wait(5)
        started = time.monotonic()
        keys.authenticate(raw)
        assert time.monotonic() - started < 1
    finally:
        done.set()
        holder.join()
    key.refresh_from_db()
    assert key.last_used_at is None


def test_a_database_that_refuses_the_note_does_not_refuse_the_caller(client):
    key, raw = keys.issue(client, [])
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        assert keys.authenticate(raw) == key
        transaction.set_rollback(True)
    key.refresh_from_db()
    assert key.last_used_at is None


def test_the_log_blanks_whole_keys(client):
    _, raw = keys.issue(client, [])
    line = redact(None, "info", {"event": f"got {raw}, refused"})
    assert line["event"] == "got [key], refused"
