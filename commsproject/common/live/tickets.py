"""Tickets: leave to open one socket, which travels as a subprotocol and so in no address or log.

A ticket is a row that its redemption deletes, so it works once whatever becomes of Valkey. The row
holds a digest of the ticket, and the login sealed with a key that only the ticket gives.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import asdict
from datetime import timedelta

from cryptography.fernet import Fernet
from django.db import connection

from commsproject.common import clock
from commsproject.common.live.people import Kind, Person
from commsproject.common.live.sessions import Login
from commsproject.common.models import LiveTicket

SECONDS = 30
"""For which a ticket can be redeemed."""


def issue(login: Login, origin: str) -> str:
    """A ticket for `login`, to be used from `origin` (empty: from anywhere)."""
    ticket = secrets.token_urlsafe(32)
    payload = json.dumps({"origin": origin, **asdict(login)}).encode()
    LiveTicket.objects.create(
        digest=_digest(ticket),
        sealed=_seal(ticket).encrypt(payload),
        expires_at=clock.now() + timedelta(seconds=SECONDS),
    )
    return ticket


def redeem(ticket: str, origin: str) -> Login | None:
    """The login of a ticket, which ends with this; None where it is unknown, used or expired, or was
    given to another origin.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM common_liveticket WHERE digest = %s"
            " RETURNING sealed, expires_at > clock_timestamp()",
            [_digest(ticket)],
        )
        row = cursor.fetchone()
    if row is None or not row[1]:
        return None
    payload = json.loads(_seal(ticket).decrypt(bytes(row[0])))
    if payload.pop("origin") not in ("", origin):
        return None
    person = payload.pop("person")
    return Login(Person(Kind(person["kind"]), person["id"]), **payload)


def purge() -> None:
    """Delete those that nobody redeemed in time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM common_liveticket WHERE digest IN (SELECT digest FROM common_liveticket"
            " WHERE expires_at < clock_timestamp() LIMIT 10000 FOR UPDATE SKIP LOCKED)"
        )


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()


def _seal(ticket: str) -> Fernet:
    key = hashlib.sha256(b"live ticket:" + ticket.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
