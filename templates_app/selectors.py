"""Reads of templates."""

from __future__ import annotations

from collections.abc import Collection

from commsproject.common.errors import NotFound
from templates_app import locales
from templates_app.models import Kind, Template, TemplateVersion


def published(
    keys: Collection[str], kinds: Collection[Kind] = (Kind.MESSAGE,)
) -> dict[str, TemplateVersion]:
    """Template key to the version in use, for those of `keys` that have one and are not archived.

    One query: the highest published number of each.
    """
    if not keys:
        return {}
    rows = (
        TemplateVersion.objects.filter(
            template__key__in=keys,
            template__kind__in=kinds,
            template__archived_at__isnull=True,
            published_at__isnull=False,
        )
        .select_related("template")
        .order_by("template_id", "-number")
        .distinct("template_id")
    )
    return {row.template.key: row for row in rows}


def get(key: str) -> Template:
    """A template that is not archived; raises `NotFound`."""
    found = Template.objects.filter(key=key, archived_at__isnull=True).first()
    if found is None:
        raise NotFound(f"There is no template {key!r}.")
    return found


def latest(template: Template) -> TemplateVersion:
    """The draft if there is one, else the version in use."""
    version = template.versions.order_by("-number").first()
    if version is None:
        raise NotFound("This template has no version.")
    return version


def parts(version: TemplateVersion, locale: str) -> locales.Channels:
    """What is rendered for a reader of `locale`, by channel.

    A draft, and what was published before versions were built, has it as it was written.
    """
    default, translations = version.channels, version.translations
    if version.built:
        default = version.built[""]
        translations = {name: theirs for name, theirs in version.built.items() if name}
    return locales.content(locale, version.locale, default, translations)
