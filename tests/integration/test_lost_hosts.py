"""What lets a connection end whose other host has vanished. Hosts that do: tests/faults/test_many_machines.py."""

from __future__ import annotations

import time

import pytest
from django.db import OperationalError, connection, transaction

PATIENCE = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "idle_in_transaction_session_timeout": "30s",
    "statement_timeout": "1min",
    "lock_timeout": "10s",
}


@pytest.mark.django_db
def test_postgresql_gives_up_a_lost_host_and_its_locks() -> None:
    with connection.cursor() as cursor:
        for name, value in PATIENCE.items():
            cursor.execute(f"SHOW {name}")
            assert cursor.fetchone() == (value,), name


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("limit", ["idle_in_transaction_session_timeout", "transaction_timeout"])
def test_a_session_that_was_ended_for_standing_still_is_an_outage(limit: str) -> None:
    """As after a machine was suspended. psycopg has it as an internal error."""

    @transaction.atomic
    def stand_still() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL {limit} = '20ms'")
            while True:
                time.sleep(0.1)
                cursor.execute("SELECT 1")

    try:
        with pytest.raises(OperationalError):
            stand_still()
    finally:
        connection.close()


def test_a_pool_tries_again_with_the_next_request() -> None:
    """psycopg_pool's pause between two attempts doubles until `reconnect_timeout`."""
    pool = connection.settings_dict["OPTIONS"]["pool"]
    assert pool["reconnect_timeout"] <= pool["timeout"]
