"""Writing templates: a draft may change, a published version never does."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils import timezone

from commsproject.common.errors import Conflict, FieldError, InvalidInput
from templates_app.compile import check as check_part
from templates_app.errors import TemplateSyntaxError
from templates_app.models import Template, TemplateVersion

Channels = Mapping[str, Mapping[str, str]]
"""`{"email": {"subject": ..., "text": ..., "html": ...}, "sms": {"text": ...}}`."""


class KeyTaken(Conflict):
    code = "key_taken"
    title = "There is a template with this key already"


class NothingToPublish(Conflict):
    code = "nothing_to_publish"
    title = "There is no draft to publish"


def check(channels: Channels) -> list[str]:
    """The variables all parts together read, sorted.

    Raises `InvalidInput` with every error found, each with its part, line and column.
    """
    variables: set[str] = set()
    errors: list[FieldError] = []
    for channel, parts in channels.items():
        for part, source in parts.items():
            try:
                variables |= check_part(source, part=part)
            except TemplateSyntaxError as error:
                where = f"line {error.line}, column {error.column}"
                message = f"{error.message} ({where})"
                errors.append(FieldError(f"channels.{channel}.{part}", "syntax", message))
    if errors:
        raise InvalidInput(f"{errors[0].field}: {errors[0].message}", errors=errors)
    return sorted(variables)


@transaction.atomic
def create(*, key: str, name: str, channels: Channels, locale: str, author: str) -> Template:
    """A template with its first draft. Raises `InvalidInput`, `KeyTaken`."""
    variables = check(channels)
    try:
        with transaction.atomic():
            template = Template.objects.create(key=key, name=name)
    except IntegrityError:
        raise KeyTaken(
            f"The key {key!r} is in use, or was until its template was archived."
        ) from None
    _draft(template, 1, channels, variables, locale, author)
    return template


@transaction.atomic
def revise(
    template: Template,
    *,
    name: str | None,
    channels: Channels | None,
    locale: str | None,
    author: str,
) -> Template:
    """Change the name, and the draft: made from here if the last version is published.

    None leaves a thing as it is in the last version.
    """
    Template.objects.select_for_update().get(id=template.id)
    if name is not None:
        template.name = name
        template.save(update_fields=["name"])
    if channels is not None or locale is not None:
        last = template.versions.order_by("-number").first()
        channels = channels if channels is not None else last.channels if last else {}
        locale = locale if locale is not None else last.locale if last else ""
        variables = check(channels)
        if last is not None and last.published_at is None:
            last.channels, last.variables = dict(channels), variables
            last.locale, last.created_by = locale, author
            last.save(update_fields=["channels", "variables", "locale", "created_by"])
        else:
            _draft(template, last.number + 1 if last else 1, channels, variables, locale, author)
    return template


@transaction.atomic
def publish(template: Template) -> TemplateVersion:
    """Make the draft the version in use, for good. Raises `NothingToPublish`."""
    Template.objects.select_for_update().get(id=template.id)  # before its versions, as `revise`
    draft = template.versions.filter(published_at__isnull=True).order_by("number").first()
    if draft is None:
        raise NothingToPublish("Change the template first: that makes a draft.")
    draft.published_at = timezone.now()
    draft.save(update_fields=["published_at"])
    return draft


def archive(template: Template) -> None:
    """No new message can use it; those sent keep their version."""
    template.archived_at = timezone.now()
    template.save(update_fields=["archived_at"])


def _draft(
    template: Template,
    number: int,
    channels: Channels,
    variables: list[str],
    locale: str,
    author: str,
) -> None:
    TemplateVersion.objects.create(
        template=template,
        number=number,
        channels=channels,
        variables=variables,
        locale=locale,
        created_by=author,
    )
