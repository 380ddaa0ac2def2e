"""Tries to sign in, counted before they are looked at: a hundred at once are a hundred."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from math import ceil

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest
from django.utils import timezone

from commsproject.common.errors import CommsError
from commsproject.common.models import SignInTry

WINDOW = timedelta(minutes=15)
LIMITS = {"pair": 5, "account": 30, "address": 50, "code": 5}
"""Tries in the window: of an account from one network address, of an account, of an address, and
codes of an account. Offices share an address; a botnet has many."""

Counted = tuple[str, str]
"""What is counted, of `LIMITS`, and whose."""


class TooManyTries(CommsError):
    code = "too_many_tries"
    status = 429
    title = "Too many tries"


def of_password(request: HttpRequest, username: str) -> list[Counted]:
    name, address = username.strip().casefold(), _address(request)
    return [("account", name), ("address", address), ("pair", f"{name} {address}")]


def of_code(request: HttpRequest, user_id: object) -> list[Counted]:
    return [("code", str(user_id)), ("address", _address(request))]


@transaction.atomic
def count(tries: list[Counted]) -> None:
    """Raises `TooManyTries`, and counts nothing then: who waits may try again."""
    now = timezone.now()
    keys = {_key(one): LIMITS[one[0]] for one in sorted(tries)}
    with connection.cursor() as cursor:
        for key in keys:  # one after the other, in the same order everywhere
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
    recent = SignInTry.objects.filter(key__in=keys, at__gt=now - WINDOW).order_by("-at")
    times = list(recent.values_list("key", "at"))
    for key, limit in keys.items():
        found = [at for one, at in times if one == key]
        if len(found) >= limit:
            _refuse((found[limit - 1] + WINDOW - now).total_seconds())
    SignInTry.objects.bulk_create(SignInTry(key=key, at=now) for key in keys)


def _refuse(seconds: float) -> None:
    minutes = max(ceil(seconds / 60), 1)
    unit = "minute" if minutes == 1 else "minutes"
    raise TooManyTries(
        f"Too many tries. Try again in {minutes} {unit}.", retry_after=max(ceil(seconds), 1)
    )


def forgive(tries: list[Counted]) -> None:
    """After a success. The address stays as it is: one account of one's own would free it."""
    keys = [_key(one) for one in tries if one[0] != "address"]
    SignInTry.objects.filter(key__in=keys).delete()


def _address(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _key(counted: Counted) -> str:
    key = f"sign-in:{settings.ADDRESS_HASH_KEY}".encode()
    return hmac.new(key, "\0".join(counted).encode(), hashlib.sha256).hexdigest()
