"""What the socket knows of a person: when they were last there, and whether they are now."""

from __future__ import annotations

import contextlib

from commsproject.common import valkey
from commsproject.common.live.presence import store
from commsproject.common.models import LastSeen
from commsproject.common.personal_data.registry import Erased, Holder, Person, register
from commsproject.common.personal_data.rows import fields, told


def last_seen(person: Person, _after: str) -> Erased:
    return Erased(LastSeen.objects.filter(user_id=person.user_id).delete()[0])


def presence(person: Person, _after: str) -> Erased:
    """Away with Valkey, it is gone by itself within a few heartbeats."""
    with contextlib.suppress(valkey.Away):
        store.forget(store.users([person.user_id]))
    return Erased()


HOLDER = Holder(
    name="live",
    exports={
        "last seen": told(
            lambda person: LastSeen.objects.filter(user_id=person.user_id),
            lambda row: fields(row, "user_id"),
        )
    },
    erasures={"last seen": last_seen, "presence": presence},
)


def registered() -> None:
    register(HOLDER)
