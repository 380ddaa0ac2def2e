"""Somebody writes just now: told to the others who follow the key, and true for a few seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commsproject.common.live.frames import ClientFrame, Schema, ServerFrame
from commsproject.common.live.people import Kind, Session
from commsproject.common.live.registry import Relay

EVERY = 2.0
"""Seconds between two of one connection that are passed on; clients need not send more often."""

LASTS_MS = 6000


def relay(feed: str, field: str, frame_type: str = "typing") -> Relay:
    """The frame `typing`, whose `field` holds a key of `feed`; by another name where it is taken."""
    key: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
    person: Schema = {
        "type": "object",
        "properties": {"kind": {"enum": [kind.value for kind in Kind]}, "id": {"type": "string"}},
        "required": ["kind", "id"],
        "additionalProperties": False,
    }
    example = {"type": frame_type, field: "01936f1c-7c2e-7a5b-9d3f-0a1b2c3d4e5f"}

    def make(session: Session, frame: Mapping[str, Any]) -> dict[str, Any]:
        who = {"kind": session.person.kind.value, "id": session.person.id}
        return {"type": frame_type, field: frame[field], "person": who, "lasts_ms": LASTS_MS}

    return Relay(
        ClientFrame(
            frame_type,
            "This person is writing. Send it again every few seconds while that is so.",
            {field: key},
            example,
        ),
        ServerFrame(
            frame_type,
            "Somebody is writing. Show it for `lasts_ms`, or until an entry of that person comes.",
            {field: key, "person": person, "lasts_ms": {"type": "integer", "minimum": 1}},
            {**example, "person": {"kind": "user", "id": "u-1042"}, "lasts_ms": LASTS_MS},
        ),
        feed,
        field,
        make,
        EVERY,
    )
