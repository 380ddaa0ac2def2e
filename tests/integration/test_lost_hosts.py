"""What lets a connection end whose other host has vanished. Hosts that do: tests/faults/test_many_machines.py."""

from __future__ import annotations

import pytest
from django.db import connection

PATIENCE = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "idle_in_transaction_session_timeout": "30s",
    "statement_timeout": "1min",
}


@pytest.mark.django_db
def test_postgresql_gives_up_a_lost_host_and_its_locks() -> None:
    with connection.cursor() as cursor:
        for name, value in PATIENCE.items():
            cursor.execute(f"SHOW {name}")
            assert cursor.fetchone() == (value,), name


def test_a_pool_tries_again_with_the_next_request() -> None:
    """psycopg_pool's pause between two attempts doubles until `reconnect_timeout`."""
    pool = connection.settings_dict["OPTIONS"]["pool"]
    assert pool["reconnect_timeout"] <= pool["timeout"]
