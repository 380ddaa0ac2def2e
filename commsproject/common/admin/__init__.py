"""Staff pages: what they are built from, and those of the rows of this app."""

from __future__ import annotations

from commsproject.common.admin import agents, alerts, jobs, personal_data  # register themselves
from commsproject.common.admin.base import (
    BaseAdmin,
    EditableAdmin,
    Question,
    ReadOnlyAdmin,
    ReadOnlyInline,
    as_uuid,
)
from commsproject.common.admin.filters import Age
from commsproject.common.admin.show import Tone, ago, badge, code, link, shorten

__all__ = [
    "Age",
    "BaseAdmin",
    "EditableAdmin",
    "Question",
    "ReadOnlyAdmin",
    "ReadOnlyInline",
    "Tone",
    "agents",
    "ago",
    "alerts",
    "as_uuid",
    "badge",
    "code",
    "jobs",
    "link",
    "personal_data",
    "shorten",
]
