"""Why a socket is closed: the codes that a client sees, and what it should do then."""

from __future__ import annotations

from enum import Enum


class Close(Enum):
    """`code` and `reason` of the close frame. 4000 to 4999 are ours to define (RFC 6455, 7.4.2)."""

    AWAY = 1013, "try again later"
    """We cannot serve just now: connect again after a while."""

    UNAUTHENTICATED = 4401, "no valid ticket"
    """The ticket is missing, used or expired: get a new one."""

    ENDED = 4403, "the session has ended"
    """The token has expired or is revoked, or staff signed out: sign in again."""

    SLOW = 4408, "frames are not read"
    """What was sent was not read in time: connect again and resume."""

    FLOOD = 4429, "too many frames"
    """Send less, then connect again."""

    CROWD = 4430, "too many connections"
    """This person, address or process has as many as it may: close one, or try later."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


FROM_THE_SERVER = {
    1009: "A frame of more than 64 KB.",
    1011: "No answer to a ping, or a defect here, which was logged: connect again and resume.",
    1012: "The service restarts: connect again after `hello.reconnect_after_ms`, and resume.",
}
"""Codes that the web server itself closes with."""
