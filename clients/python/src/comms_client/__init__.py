"""A client of the communication service: `Comms` for plain code, `AsyncComms` for asyncio.

with Comms("https://comms.example.com", "comm_live_...") as comms:
    comms.notifications.send(to={"email": "ada@example.org"}, content={"text": "It works."})
"""

from __future__ import annotations

from comms_client import models, webhooks
from comms_client.calls import Call, Retries
from comms_client.client import AsyncRows, Rows
from comms_client.errors import (
    ApiError,
    CommsError,
    Conflict,
    FieldError,
    Forbidden,
    InvalidRequest,
    NoAnswer,
    NotFound,
    RateLimited,
    ServiceFailed,
    Unauthenticated,
)
from comms_client.operations import AsyncComms, Comms

__all__ = [
    "ApiError",
    "AsyncComms",
    "AsyncRows",
    "Call",
    "Comms",
    "CommsError",
    "Conflict",
    "FieldError",
    "Forbidden",
    "InvalidRequest",
    "NoAnswer",
    "NotFound",
    "RateLimited",
    "Retries",
    "Rows",
    "ServiceFailed",
    "Unauthenticated",
    "models",
    "webhooks",
]
