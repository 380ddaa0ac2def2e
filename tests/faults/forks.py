"""A share of a test in a process of its own, with a database of its own: twice as soon on two cores."""

from __future__ import annotations

import multiprocessing
import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from django.conf import settings
from django.db import connection

from commsproject.common import valkey
from tests.faults.world import PATIENCE


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """Do `work` in a fork, with a copy of this test's database. It must have ended well by the end
    of the block. For use before this process has threads.
    """
    copy = f"{connection.settings_dict['NAME']}_beside"
    _copy_database(copy)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    fork = multiprocessing.get_context("fork").Process(target=_do, args=(work, copy, theirs))
    fork.start()
    theirs.close()
    try:
        yield
        assert ours.poll(PATIENCE), "the other process does not come to an end"
        wrong = ours.recv()
        assert not wrong, wrong
    finally:
        fork.kill()
        fork.join()
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {connection.ops.quote_name(copy)} WITH (FORCE)")


def _copy_database(copy: str) -> None:
    name = connection.settings_dict["NAME"]
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's; nobody may be in there
    quote = connection.ops.quote_name
    with connection._nodb_cursor() as cursor:  # as Django's own test runner does
        cursor.execute(f"DROP DATABASE IF EXISTS {quote(copy)}")
        cursor.execute(f"CREATE DATABASE {quote(copy)} TEMPLATE {quote(name)}")


def _do(work: Callable[[], None], database: str, answer: Connection) -> None:
    """In the fork. Its answer is what went wrong, or nothing."""
    connection.settings_dict["NAME"] = database
    settings.REDIS_URL = f"{settings.REDIS_URL.rpartition('/')[0]}/15"
    valkey.client.cache_clear()
    random.seed()
    try:
        work()
    except BaseException:
        answer.send(traceback.format_exc())
    else:
        answer.send("")
