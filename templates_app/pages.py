"""A page of HTML as the email of a template, of a new one or of one that is there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from commsproject.common.errors import InvalidInput
from templates_app import html_import, selectors, services
from templates_app.html_import import Imported
from templates_app.models import Template


@dataclass(frozen=True)
class Loaded:
    """`action` is `created`, `changed` or `unchanged`; `published` the number of the version that
    was published, if any; `notices` say what was left out of the page.
    """

    template: Template
    action: str
    published: int | None
    notices: Sequence[str]


@transaction.atomic
def load(
    key: str,
    page: str,
    *,
    author: str,
    name: str = "",
    subject: str = "",
    publish: bool = False,
    expected: Collection[str] = (),
) -> Loaded:
    """Of a template that is there only the body of its email changes, the subject if the page has a
    title, and what is told. A new one has its key for a name unless told, and no other channel.

    Raises `InvalidInput`, `KeyTaken` where it is archived, `ChangedMeanwhile` (see `services.locked`).
    """
    found = html_import.imported(page)
    template = Template.objects.filter(key=key, archived_at=None).first()
    if template is None:
        email = _email(found, subject, {})
        template = services.create(
            key=key, name=name or key, author=author, channels={"email": email}
        )
        action = "created"
    else:
        template, action = _changed(template, found, subject, name, author, expected)
    draft = selectors.latest(template)
    is_new = publish and draft.published_at is None
    published = services.publish(template).number if is_new else None
    return Loaded(template, action, published, found.notices)


def _changed(
    template: Template,
    found: Imported,
    subject: str,
    name: str,
    author: str,
    expected: Collection[str],
) -> tuple[Template, str]:
    template = services.locked(template, expected)
    before = selectors.latest(template).channels
    channels = {**before, "email": _email(found, subject, before.get("email", {}))}
    changes: dict[str, Any] = {"channels": channels} if channels != before else {}
    if name and name != template.name:
        changes["name"] = name
    if not changes:
        return template, "unchanged"
    return services.revise(template, author=author, **changes), "changed"


def _email(found: Imported, subject: str, before: dict[str, str]) -> dict[str, str]:
    made = {"subject": subject or found.subject, "html": found.html, "text": found.text}
    kept = {part: text for part, text in before.items() if part != "mjml"}
    email = kept | {part: text for part, text in made.items() if text}
    if "subject" not in email:
        message = "The page has no title: say the subject."
        raise InvalidInput.of("subject", "required", message)
    return email
