"""A server that stands still is given up by its clients, each of whom has a clock."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

from commsproject.common.postgres import session as sessions
from commsproject.common.postgres.session import ANSWERS_WITHIN, Session
from tests.fakes.proxy import TcpProxy

pytestmark = pytest.mark.django_db


def _info(host: str, port: int) -> str:
    found = connection.settings_dict
    return make_conninfo(
        host=host, port=port, user=found["USER"], password=found["PASSWORD"], dbname=found["NAME"]
    )


@pytest.fixture
def session() -> Iterator[Session]:
    found = connection.settings_dict
    with Session.connect(_info(found["HOST"], found["PORT"]), autocommit=True) as session:
        yield session


def test_those_of_the_pool_have_a_clock_that_ends_after_that_of_the_server():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')::interval")
        (server,) = cursor.fetchone()
    assert isinstance(connection.connection, Session)
    assert connection.connection.answers_within > server.total_seconds() + 10


def test_what_is_not_answered_in_time_is_an_outage_and_ends_the_session(session):
    started = time.monotonic()
    with (
        session.answering_within(0.3),
        pytest.raises(psycopg.OperationalError, match=r"did not answer for 0\.3 seconds"),
    ):
        session.cursor().execute("SELECT pg_sleep(2)")
    assert time.monotonic() - started < 1.5
    assert session.closed


def test_what_may_take_any_time_takes_it(session):
    session.answers_within = 0.2
    with session.answering_within(None):
        session.cursor().execute("SELECT pg_sleep(0.5)")
    assert session.answers_within == 0.2
    assert not session.closed


def test_a_pool_gives_out_none_that_stands_still(monkeypatch):
    monkeypatch.setattr(sessions, "CHECKED_WITHIN", 0.3)
    found = connection.settings_dict
    with (
        TcpProxy(int(found["PORT"]), found["HOST"]) as proxy,
        Session.connect(_info("127.0.0.1", proxy.port), autocommit=True) as session,
    ):
        ConnectionPool.check_connection(session)
        assert session.answers_within == ANSWERS_WITHIN
        with proxy.fault("blackhole"), pytest.raises(psycopg.OperationalError):
            ConnectionPool.check_connection(session)
        assert session.closed
