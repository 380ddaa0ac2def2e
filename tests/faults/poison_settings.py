"""The impatient settings, for workers that can be poisoned."""

from __future__ import annotations

from tests.impatient_settings import *  # noqa: F403
from tests.impatient_settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = [*_APPS, "tests.faults.poison.Poison"]
