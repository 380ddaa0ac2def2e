"""Writing templates: a draft may change, a published version never does."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils import timezone

from commsproject.common.errors import Conflict
from templates_app import includes, selectors
from templates_app.build import Built, build
from templates_app.includes import Library
from templates_app.locales import Channels
from templates_app.models import Kind, Template, TemplateVersion

Translations = Mapping[str, Channels]
"""Channels by locale."""


class KeyTaken(Conflict):
    code = "key_taken"
    title = "There is a template with this key already"


class NothingToPublish(Conflict):
    code = "nothing_to_publish"
    title = "There is no draft to publish"


def check(
    channels: Channels,
    *,
    kind: Kind = Kind.MESSAGE,
    locale: str = "",
    translations: Translations | None = None,
    layout: str = "",
) -> Built:
    """What publishing would make of it now.

    Raises `InvalidInput` with every error found, each with its part, line and column.
    """
    draft = TemplateVersion(
        channels=channels, locale=locale, translations=translations or {}, layout=layout
    )
    return build(draft, kind, _library(draft))


@transaction.atomic
def create(
    *,
    key: str,
    name: str,
    channels: Channels,
    locale: str,
    author: str,
    kind: Kind = Kind.MESSAGE,
    translations: Translations | None = None,
    layout: str = "",
) -> Template:
    """A template with its first draft. Raises `InvalidInput`, `KeyTaken`."""
    draft = TemplateVersion(
        number=1,
        channels=channels,
        locale=locale,
        translations=translations or {},
        layout=layout,
        created_by=author,
    )
    draft.variables = build(draft, kind, _library(draft)).variables
    try:
        with transaction.atomic():
            draft.template = Template.objects.create(key=key, name=name, kind=kind)
    except IntegrityError:
        raise KeyTaken(
            f"The key {key!r} is in use, or was until its template was archived."
        ) from None
    draft.save()
    return draft.template


@transaction.atomic
def revise(
    template: Template,
    *,
    name: str | None,
    channels: Channels | None,
    locale: str | None,
    author: str,
    translations: Translations | None = None,
    layout: str | None = None,
) -> Template:
    """Change the name, and the draft: made from here if the last version is published.

    None leaves a thing as it is in the last version.
    """
    Template.objects.select_for_update().get(id=template.id)
    if name is not None:
        template.name = name
        template.save(update_fields=["name"])
    asked = {"channels": channels, "locale": locale, "translations": translations, "layout": layout}
    changes = {field: value for field, value in asked.items() if value is not None}
    if changes:
        draft = _draft(template)
        for field, value in changes.items():
            setattr(draft, field, value)
        draft.created_by = author
        draft.variables = build(draft, template.kind, _library(draft)).variables
        draft.save()
    return template


@transaction.atomic
def publish(template: Template) -> TemplateVersion:
    """Make the draft the version in use, for good, with the partials and the layout of this moment.

    Raises `NothingToPublish`, and `InvalidInput` where a partial is gone or has changed too much.
    """
    Template.objects.select_for_update().get(id=template.id)  # before its versions, as `revise`
    draft = template.versions.filter(published_at__isnull=True).order_by("number").first()
    if draft is None:
        raise NothingToPublish("Change the template first: that makes a draft.")
    built = build(draft, template.kind, _library(draft))
    draft.built, draft.pins, draft.variables = built.content, built.pins, built.variables
    draft.published_at = timezone.now()
    draft.save(update_fields=["published_at", "built", "pins", "variables"])
    return draft


def content(version: TemplateVersion, locale: str) -> Channels:
    """As `selectors.parts`; a draft as publishing would make it now. Raises `InvalidInput`."""
    if version.published_at is None:
        version.built = build(version, version.template.kind, _library(version)).content
    return selectors.parts(version, locale)


def archive(template: Template) -> None:
    """No new message can use it; those sent keep their version."""
    template.archived_at = timezone.now()
    template.save(update_fields=["archived_at"])


def _draft(template: Template) -> TemplateVersion:
    """The draft, or a new one that says what the last version says."""
    last = template.versions.order_by("-number").first()
    if last is None:
        return TemplateVersion(template=template, number=1, channels={})
    if last.published_at is None:
        return last
    return TemplateVersion(
        template=template,
        number=last.number + 1,
        channels=last.channels,
        locale=last.locale,
        translations=last.translations,
        layout=last.layout,
    )


def _library(version: TemplateVersion) -> Library:
    """The layout and the partials that it names, and those that they name."""
    found: dict[str, TemplateVersion] = {}
    wanted = includes.keys(version)
    for _ in range(includes.MAX_DEPTH + 1):
        new = selectors.published(wanted - found.keys(), kinds=(Kind.LAYOUT, Kind.PARTIAL))
        found |= new
        wanted = {key for one in new.values() for key in includes.keys(one)}
    return found
