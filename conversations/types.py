"""The words of this domain. No queries, no effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import TextChoices
from typing_extensions import override


class Kind(TextChoices):
    DIRECT = "direct", "Direct"
    GROUP = "group", "Group"
    SUPPORT = "support", "Support"


class Who(TextChoices):
    """Whose hand it is."""

    USER = "user", "Person"
    STAFF = "staff", "Staff"
    AGENT = "agent", "Agent"


class Role(TextChoices):
    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    MEMBER = "member", "Member"


class Status(TextChoices):
    """Of a support conversation."""

    OPEN = "open", "Open"
    PENDING = "pending", "Waiting for the person"
    CLOSED = "closed", "Closed"


class Medium(TextChoices):
    """How an entry came from its author, or went to the others."""

    CHAT = "chat", "Chat"
    EMAIL = "email", "Email"
    SMS = "sms", "Text message"


class EntryKind(TextChoices):
    TEXT = "text", "Text"
    SYSTEM = "system", "System"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: an end user by `user_id`, staff by primary key, an agent by its id."""

    who: Who
    id: str

    @override
    def __str__(self) -> str:
        return f"{self.who.value}:{self.id}"

    def json(self) -> dict[str, Any]:
        return {"kind": self.who.value, "id": self.id}
