"""Staff pages: what they are built from, and those of the rows of this app."""

from __future__ import annotations

from commsproject.common.admin import (  # register themselves
    agents,
    alerts,
    audit,
    jobs,
    personal_data,
    sessions,
)
from commsproject.common.admin.base import (
    BaseAdmin,
    EditableAdmin,
    Question,
    ReadOnlyAdmin,
    ReadOnlyInline,
    StaffModelAdmin,
    as_uuid,
)
from commsproject.common.admin.filters import Age
from commsproject.common.admin.show import Tone, ago, badge, code, link, moment, shorten

__all__ = [
    "Age",
    "BaseAdmin",
    "EditableAdmin",
    "Question",
    "ReadOnlyAdmin",
    "ReadOnlyInline",
    "StaffModelAdmin",
    "Tone",
    "agents",
    "ago",
    "alerts",
    "as_uuid",
    "audit",
    "badge",
    "code",
    "jobs",
    "link",
    "moment",
    "personal_data",
    "sessions",
    "shorten",
]
