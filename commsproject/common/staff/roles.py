"""Roles are Django's groups. A role is given what its row of the table names, and keeps what staff add.

A row lists permissions as `app.verb_model`, with `*` for any verb, model or both:
`notifications.view_*`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from django.contrib.auth.models import Group, Permission
from django.db.models import F

Table = Mapping[str, Collection[str]]


def fill(table: Table) -> None:
    """Make the groups that are missing, and give each what it lacks. Nothing is taken away."""
    Group.objects.bulk_create([Group(name=name) for name in table], ignore_conflicts=True)
    groups = dict(Group.objects.filter(name__in=table).values_list("name", "id"))
    known = named()
    link = Group.permissions.through
    link.objects.bulk_create(
        [
            link(group_id=groups[name], permission_id=known[one])
            for name, patterns in table.items()
            for one in matching(patterns, known)
        ],
        ignore_conflicts=True,
    )


def named() -> dict[str, int]:
    """All permissions: `notifications.view_batch` and the id."""
    rows = Permission.objects.values_list(
        F("content_type__app_label"), F("codename"), F("id")
    ).order_by()
    return {f"{app}.{codename}": key for app, codename, key in rows}


def matching(patterns: Collection[str], known: Collection[str]) -> set[str]:
    """A pattern that begins with `-` takes away what those before it have named."""
    found: set[str] = set()
    for pattern in patterns:
        matches = {one for one in known if fnmatchcase(one, pattern.removeprefix("-"))}
        found = found - matches if pattern.startswith("-") else found | matches
    return found
