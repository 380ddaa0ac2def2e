"""What the engine knows of people: told, erased, and let go in time."""

from __future__ import annotations

from commsproject.common.personal_data.registry import Holder, register
from notifications.services import erase, person_export, retention

HOLDER = Holder(
    name="notifications",
    names=erase.names,
    exports=person_export.EXPORTS,
    erasures={
        "schedules": erase.schedules,
        "messages": erase.messages,
        "batch rejections": erase.batch_rejections,
        "simulated messages": erase.simulator,
        "announcements": erase.announcements,
        "evidence": erase.evidence,
        "staff log": erase.staff_log,
        "person": erase.recipient,
        "late messages": erase.late_messages,
    },
    purges=tuple(retention.purges()),
)


def registered() -> None:
    register(HOLDER)
