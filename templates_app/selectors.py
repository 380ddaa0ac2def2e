"""Reads of templates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from commsproject.common.errors import InvalidInput, NotFound
from templates_app import includes, locales
from templates_app.includes import Library
from templates_app.models import Kind, Template, TemplateVersion


class InUse(NamedTuple):
    """What messages that name a template get, and the experiment that runs on it."""

    version: TemplateVersion
    experiment_id: UUID | None


_IN_USE = """
SELECT DISTINCT ON (template.id) template.key, version.id, template.experiment_id
FROM templates_app_template AS template
JOIN templates_app_templateversion AS version ON version.template_id = template.id
WHERE template.key = ANY(%s) AND template.kind = 'message' AND template.archived_at IS NULL
  AND version.published_at IS NOT NULL
ORDER BY template.id, version.number DESC
"""


def in_use(keys: Collection[str]) -> dict[str, InUse]:
    """The same versions as `published`, by template key. For every request: which they are is asked
    each time, what they say only once in a process. With all its languages that may be a megabyte.
    """
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_IN_USE, [list(keys)])
        return {key: InUse(kept(id_), experiment) for key, id_, experiment in cursor.fetchall()}


@lru_cache(maxsize=256)
def kept(version_id: UUID) -> TemplateVersion:
    """A published version, which never changes, as does its template's key: nothing else of the
    template is to be read from it.
    """
    return TemplateVersion.objects.select_related("template").get(id=version_id)


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


def any_state(key: str) -> Template:
    """A template, archived or not; raises `NotFound`."""
    found = Template.objects.filter(key=key).first()
    if found is None:
        raise NotFound(f"There is no template {key!r}.")
    return found


def latest(template: Template) -> TemplateVersion:
    """The draft if there is one, else the version in use."""
    version = template.versions.order_by("-number").first()
    if version is None:
        raise NotFound("This template has no version.")
    return version


def users(template: Template) -> list[Template]:
    """The templates whose version in use, or draft, names this layout or partial; by key."""
    newest = (
        TemplateVersion.objects.filter(template__archived_at__isnull=True)
        .exclude(template=template)
        .select_related("template")
        .defer("built", "schema")
        .order_by("template_id", "-number")
        .distinct("template_id")
    )
    in_use = newest.filter(published_at__isnull=False)
    found = {
        row.template.key: row.template
        for row in (*newest, *in_use)
        if template.key in includes.keys(row)
    }
    return [found[key] for key in sorted(found)]


def version(template: Template, number: int) -> TemplateVersion:
    """Raises `NotFound`."""
    found = template.versions.filter(number=number).first()
    if found is None:
        raise NotFound(f"This template has no version {number}.")
    return found


def sample(template: Template, name: str) -> Mapping[str, Any]:
    """`name`, `data` and perhaps `locale`. Raises `InvalidInput`."""
    samples: list[Mapping[str, Any]] = template.samples
    found = next((one for one in samples if one["name"] == name), None)
    if found is None:
        raise InvalidInput.of("sample", "unknown_sample", "This template has no such sample.")
    return found


def library(version: TemplateVersion) -> Library:
    """The layout and the partials that it names, and those that they name."""
    found: dict[str, TemplateVersion] = {}
    wanted = includes.keys(version)
    for _ in range(includes.MAX_DEPTH + 1):
        new = published(wanted - found.keys(), kinds=(Kind.LAYOUT, Kind.PARTIAL))
        found |= new
        wanted = {key for one in new.values() for key in includes.keys(one)}
    return found


def made_of(version: TemplateVersion) -> Library:
    """The layout and the partials of a published version, as they were then; of a draft the
    `library`.
    """
    if version.published_at is None:
        return library(version)
    numbers = {pin["key"]: pin["number"] for pin in version.pins}
    if not numbers:
        return {}
    rows = TemplateVersion.objects.filter(
        template__key__in=numbers, number__in=numbers.values()
    ).select_related("template")
    return {row.template.key: row for row in rows if numbers[row.template.key] == row.number}


def parts(version: TemplateVersion, locale: str) -> locales.Channels:
    """What is rendered for a reader of `locale`, by channel.

    A draft, and what was published before versions were built, has it as it was written.
    """
    content = _content(version)
    return {channel: content[tag(version, channel, locale)][channel] for channel in content[""]}


def tag(version: TemplateVersion, channel: str, locale: str) -> str:
    """Which translation a reader of `locale` gets on a channel; "" is the version's own language."""
    if not version.translations:
        return ""
    content = _content(version)
    having = [name for name, theirs in content.items() if name and channel in theirs]
    return locales.chosen(locale, version.locale, having)


def text(version: TemplateVersion, channel: str, tag: str) -> Mapping[str, str]:
    """The parts of one channel in one language; none where a provider has the only body."""
    return _content(version)[tag].get(channel, {})


def _content(version: TemplateVersion) -> Mapping[str, locales.Channels]:
    return version.built or {"": version.channels, **version.translations}
