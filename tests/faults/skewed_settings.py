"""The impatient settings, for a process whose clock is wrong by CLOCK_SKEW seconds."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta

from django.utils import timezone

_SKEW = timedelta(seconds=float(os.environ["CLOCK_SKEW"]))
_right_now, _right_time = timezone.now, time.time


def _wrong_now() -> datetime:
    return _right_now() + _SKEW


def _wrong_time() -> float:
    return _right_time() + _SKEW.total_seconds()


timezone.now, time.time = _wrong_now, _wrong_time  # before anything else can import them

from tests.impatient_settings import *  # noqa: E402, F403
