"""What the editor's buttons do. Each takes what the browser sent and gives what it shows next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from typing_extensions import override

from commsproject.common.errors import InvalidInput
from templates_app import build, html_import, selectors, services, variables
from templates_app.admin import content, state
from templates_app.admin.content import Content
from templates_app.models import Template, TemplateVersion


class ChangedMeanwhile(services.ChangedMeanwhile):
    """`theirs` is what is stored now, as `state.stored` gives it."""

    theirs: Mapping[str, Any] | None = None

    @override
    def problem(self) -> dict[str, Any]:
        told = {} if self.theirs is None else {"theirs": self.theirs}
        return {**super().problem(), **told}


@transaction.atomic
def save(template: Template, asked: Mapping[str, Any], author: str) -> bool:
    """Whether there was anything to save.

    Raises InvalidInput, and ChangedMeanwhile where `stamp` is no longer that of what is stored.
    """
    written = content.read(asked.get("content"))
    locked, latest = _locked(template, asked)
    before = content.of(locked, latest)
    if written != before:
        _revise(locked, written, before, author)
    return written != before


@transaction.atomic
def publish(template: Template, asked: Mapping[str, Any]) -> int:
    """The number that is in use now. Raises InvalidInput, NothingToPublish, ChangedMeanwhile."""
    locked, _ = _locked(template, asked)
    return services.publish(locked).number


def _locked(template: Template, asked: Mapping[str, Any]) -> tuple[Template, TemplateVersion]:
    """As the browser knows it, until the end of the transaction. Raises ChangedMeanwhile."""
    locked = services.locked(template)
    latest = selectors.latest(locked)
    if asked.get("stamp") != services.stamp(locked, latest):
        who = latest.created_by or "Somebody"
        error = ChangedMeanwhile(f"{who} saved v{latest.number}.")
        error.theirs = state.stored(locked)
        raise error
    return locked, latest


def _revise(template: Template, written: Content, before: Content, author: str) -> None:
    """Only what changed: the name and the samples belong to no version."""
    changes: dict[str, Any] = {
        field: value for field, value in vars(written).items() if value != getattr(before, field)
    }
    if "schema" in changes:  # may speak of names that the sources read no longer
        version = written.version(template.kind)
        found = build.attempt(version, selectors.library(version))
        if not found.errors:
            changes["schema"] = variables.keep_edits(found.schema, written.schema)
    services.revise(template, author=author, is_unfinished=True, **changes)


def imported(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A page of HTML as the parts of an email. Raises InvalidInput."""
    page = asked.get("html")
    if not isinstance(page, str) or not page.strip() or len(page) > html_import.MAX_PAGE:
        raise InvalidInput.of("html", "invalid", "Paste a page of HTML, of at most 1 MB.")
    return vars(html_import.imported(page))
