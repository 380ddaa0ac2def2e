from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks

from commsproject.common import valkey
from commsproject.common.checks import broker_has_no_known_hole
from tests.fakes.proxy import TcpProxy


@pytest.mark.parametrize(
    ("told", "warned"),
    [
        ({"valkey_version": "7.2.10"}, "Valkey 7.2.10"),
        ({"valkey_version": "7.2.11"}, ""),
        ({"valkey_version": "8.0.5", "redis_version": "7.2.4"}, "Valkey 8.0.5"),
        ({"valkey_version": "8.1.3"}, "Valkey 8.1.3"),
        ({"valkey_version": "8.1.4", "redis_version": "7.2.4"}, ""),
        ({"valkey_version": "9.0.0"}, ""),
        ({"valkey_version": "9.1.1"}, "Valkey 9.1.1"),
        ({"valkey_version": "9.1.2"}, ""),
        ({"valkey_version": "9.2.0"}, ""),
        ({"redis_version": "5.0.14"}, "Redis 5.0.14"),
        ({"redis_version": "6.2.20"}, ""),
        ({"redis_version": "7.0.15"}, "Redis 7.0.15"),
        ({"redis_version": "8.2.1"}, "Redis 8.2.1"),
        ({"redis_version": "8.4.0"}, ""),
        ({"redis_version": "255.255.255"}, ""),
        ({}, ""),
    ],
)
def test_a_broker_whose_scripts_have_a_hole_is_told(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], warned: str
) -> None:
    monkeypatch.setattr(valkey, "ask", lambda _question, *, what: told)
    assert broker_has_no_known_hole(None) == []  # nobody is asked
    found = broker_has_no_known_hole(None, databases=["default"])
    expected = f"The broker is {warned}: its scripts have a known hole."
    assert [one.msg for one in found] == ([expected] if warned else [])


@pytest.mark.django_db
def test_that_of_make_run_has_none_and_one_that_is_away_stops_no_migration(
    broker: TcpProxy,
) -> None:
    info: Any = valkey.client().info("server")
    assert info["valkey_version"]
    assert told() == []
    with broker.fault("refuse"):
        assert told() == []


def told() -> list[str]:
    return [one.id or "" for one in run_checks(databases=["default"]) if one.id == "common.W004"]
