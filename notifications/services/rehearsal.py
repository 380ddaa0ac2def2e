"""The simulators' script: what they do wrong from now on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.db import connection, transaction

from commsproject.common.errors import NotFound
from notifications.models import SimulatorRule
from notifications.providers import registry

log = structlog.get_logger(__name__)


def simulators() -> list[str]:
    """The names of those that are on."""
    return [name for name in registry.enabled() if name in registry.SIMULATORS]


def script() -> list[SimulatorRule]:
    """In the order in which the rules are tried. Raises `NotFound` where there is no simulator."""
    _some()
    return list(SimulatorRule.objects.all())


@transaction.atomic
def replace(rules: Sequence[Mapping[str, Any]], *, by: str) -> list[SimulatorRule]:
    """This script in place of the last one. Raises `NotFound` as `script` does."""
    _some()
    with connection.cursor() as cursor:  # two at once would leave the rules of both
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('simulator script', 0))")
    SimulatorRule.objects.all().delete()
    found = SimulatorRule.objects.bulk_create(SimulatorRule(**rule) for rule in rules)
    log.info("simulator script", rules=len(found), by=by)
    return found


def _some() -> None:
    if not simulators():
        raise NotFound("There is no simulator here: in production it is on with SIMULATOR=true.")
