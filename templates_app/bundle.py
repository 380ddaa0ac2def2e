"""Many templates at once, as documents: out as they were last written, in all together or not at all.

A document is what `as_code` has; here it is checked, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from django.db import transaction

from commsproject.common.errors import CommsError, FieldError, InvalidInput
from templates_app import build, demands, includes, selectors, services, variables
from templates_app.as_code import DEFAULTS, Document
from templates_app.models import Kind, Template, TemplateVersion
from templates_app.services import InUse

MAX_DOCUMENTS = 1000

PARTS: Mapping[str, Collection[str]] = {
    "email": ("subject", "preheader", "text", "html", "mjml"),
    "sms": ("text",),
    "push": ("title", "body", "link", "badge", "image", "collapse_id"),
    "inapp": ("title", "body", "link", "image"),
}

_KEY = re.compile(r"[-a-zA-Z0-9_]{1,100}")


@dataclass(frozen=True)
class Change:
    """What became of one template: `created`, `changed`, `unchanged` or `archived`; `published` is
    the version that was published with it, if any.
    """

    key: str
    action: str
    published: int | None = None


# --- Out ---------------------------------------------------------------------------------------


def export(keys: Collection[str] = ()) -> list[Document]:
    """The templates that are not archived, or those of them with `keys`, by key."""
    rows = TemplateVersion.objects.filter(template__archived_at__isnull=True)
    if keys:
        rows = rows.filter(template__key__in=keys)
    latest = rows.select_related("template").order_by("template_id", "-number")
    found = [_document(row) for row in latest.distinct("template_id")]
    return sorted(found, key=lambda document: str(document["key"]))


def _document(version: TemplateVersion) -> Document:
    template = version.template
    return {
        "key": template.key,
        "name": template.name,
        "kind": template.kind,
        "locale": version.locale,
        "layout": version.layout,
        "null_is": version.null_is,
        "samples": template.samples,
        "schema": version.schema if _is_described(version) else {},
        "hosted": version.hosted,
        "channels": _written(version.channels),
        "translations": {
            locale: written
            for locale, channels in version.translations.items()
            if (written := _written(channels))
        },
    }


def _written(channels: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    return {channel: parts for channel, parts in channels.items() if parts}


def _is_described(version: TemplateVersion) -> bool:
    """Whether people have said more of the data than its uses tell."""
    if version.schema == {}:
        return False
    return bool(version.schema != variables.keep_edits(_found(version), {}))


def _found(version: TemplateVersion) -> Mapping[str, Any]:
    """The schema as found; what was built need not be built once more for that."""
    if version.built:
        return demands.found(version)
    return build.attempt(version, selectors.made_of(version)).schema


# --- In ----------------------------------------------------------------------------------------


@transaction.atomic
def load(
    documents: Sequence[Mapping[str, Any]],
    *,
    author: str,
    publish: bool = False,
    prune: bool = False,
    dry_run: bool = False,
) -> list[Change]:
    """Make the templates what `documents` say, as drafts, or published. `prune`: those that no
    document names are archived. `dry_run`: nothing is kept.

    Raises `InvalidInput` with all that is wrong, as `templates.<index>.<field>`; nothing is changed
    then.
    """
    _raise([flaw for index, each in enumerate(documents) for flaw in _flaws(each, index)])
    index_of = {each["key"]: index for index, each in enumerate(documents)}
    if len(index_of) < len(documents):
        raise InvalidInput.of("templates", "duplicate", "Two templates have the same key.")
    errors: list[FieldError] = []
    gone = _shelved(index_of) if prune else []
    changes = [Change(template.key, "archived") for template in gone]
    for document in _in_order([_full(each) for each in documents]):
        try:
            with transaction.atomic():
                changes.append(_load_one(document, author, publish=publish))
        except CommsError as error:
            errors += _of_document(error, index_of[document["key"]])
    _raise(errors or list(_in_use(gone)))
    transaction.set_rollback(dry_run)
    return sorted(changes, key=lambda change: change.key)


def _raise(errors: Sequence[FieldError]) -> None:
    if errors:
        raise InvalidInput(f"{errors[0].field}: {errors[0].message}", errors=errors)


def _of_document(error: CommsError, index: int) -> Iterator[FieldError]:
    where = f"templates.{index}"
    for each in error.errors:
        yield replace(each, field=f"{where}.{each.field}")
    if not error.errors:
        yield FieldError(where, error.code, error.detail)


def _full(document: Mapping[str, Any]) -> Document:
    return {**DEFAULTS, "channels": {}, "translations": {}, **document}


def _shelved(kept: Collection[str]) -> list[Template]:
    """Archived before the rest is built, which may no longer name them."""
    rows = Template.objects.select_for_update().filter(archived_at__isnull=True)
    gone = list(rows.exclude(key__in=kept).order_by("key"))
    for template in gone:
        services.shelve(template)
    return gone


def _in_use(gone: Iterable[Template]) -> Iterator[FieldError]:
    """Once all are written: what was archived and is still needed."""
    for template in gone:
        try:
            services.check_unused(template)
        except InUse as error:
            yield FieldError("prune", error.code, error.detail)


def _in_order(documents: Sequence[Document]) -> list[Document]:
    """Each after the layout and the partials it names: these have to be published before it."""
    by_key = {document["key"]: document for document in documents}
    done: dict[str, Document] = {}

    def visit(key: str, trail: tuple[str, ...]) -> None:
        if key in done or key in trail or key not in by_key:
            return  # in use already, or a circle: what builds it says so
        document = by_key[key]
        for named in sorted(includes.keys(_version(document))):
            visit(named, (*trail, key))
        done[key] = document

    for key in by_key:
        visit(key, ())
    return list(done.values())


def _version(document: Document) -> TemplateVersion:
    return TemplateVersion(
        layout=document["layout"],
        channels=document["channels"],
        translations=document["translations"],
    )


def _load_one(document: Document, author: str, *, publish: bool) -> Change:
    template = Template.objects.select_for_update().filter(key=document["key"]).first()
    if template is None:
        made = services.create(
            key=document["key"], kind=document["kind"], author=author, **_said(document)
        )
        return _published(made, Change(made.key, "created"), publish=publish)
    if template.kind != document["kind"]:
        message = f"It is a {template.kind}, for good: archive it and take another key."
        raise InvalidInput.of("kind", "fixed", message)
    was_archived = template.archived_at is not None
    if was_archived:
        services.unarchive(template)
    has_changed = _revised(template, document, author) or was_archived
    change = Change(template.key, "changed" if has_changed else "unchanged")
    return _published(template, change, publish=publish)


def _said(document: Document) -> dict[str, Any]:
    return {name: document[name] for name in _SAID}


_SAID = (*(name for name in DEFAULTS if name != "kind"), "channels", "translations")


def _revised(template: Template, document: Document, author: str) -> bool:
    """Whether it says anything else than before. A document says less than what is made of it."""
    before = _document(selectors.latest(template))
    if before == document:
        return False
    with transaction.atomic():
        revised = services.revise(template, author=author, **_said(document))
        is_same = _document(selectors.latest(revised)) == before
        transaction.set_rollback(is_same)
    return not is_same


def _published(template: Template, change: Change, *, publish: bool) -> Change:
    if not publish:
        return change
    latest = selectors.latest(template)
    if latest.published_at is not None:
        if latest.pins == _newest(latest):
            return change
        services.restore(template, latest.number, author=latest.created_by)
    return replace(change, published=services.publish(template).number)


def _newest(version: TemplateVersion) -> list[dict[str, Any]]:
    """What its layout and partials would be pinned to now."""
    pinned = selectors.published(
        [pin["key"] for pin in version.pins], kinds=(Kind.LAYOUT, Kind.PARTIAL)
    )
    return [{"key": key, "number": pinned[key].number} for key in sorted(pinned)]


# --- What a document may be --------------------------------------------------------------------


def _flaws(document: object, index: int) -> Iterator[FieldError]:
    where = f"templates.{index}"
    if not isinstance(document, Mapping):
        yield FieldError(where, "not_an_object", "A template is an object.")
        return
    for name in sorted(document.keys() - {"key", "channels", "translations", *DEFAULTS}):
        yield FieldError(f"{where}.{str(name)[:50]}", "unknown_field", "There is no such field.")
    for name, code, message in _wrong(_full(document)):
        yield FieldError(f"{where}.{name}", code, message)


def _wrong(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Field, code and message of what is not of its form."""
    key = document.get("key")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        yield "key", "invalid", "Letters, digits, - and _, at most 100."
    yield from _wrong_texts(document)
    if not isinstance(document["schema"], dict):
        yield "schema", "invalid", "A JSON Schema is an object."
    samples = document["samples"]
    if not isinstance(samples, list) or not all(isinstance(each, dict) for each in samples):
        yield "samples", "invalid", "A list of objects: name, data and perhaps locale."
    yield from _wrong_hosted(document["hosted"])
    yield from _wrong_channels(document["channels"], "channels")
    translations = document["translations"]
    if not isinstance(translations, dict):
        yield "translations", "invalid", "Channels by locale."
        return
    for locale, channels in translations.items():
        yield from _wrong_channels(channels, f"translations.{str(locale)[:50]}")


def _wrong_texts(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name, limit in (("name", 200), ("locale", 35), ("layout", 100)):
        if not isinstance(document[name], str) or len(document[name]) > limit:
            yield name, "invalid", f"A text of at most {limit} characters."
        elif name == "name" and not document[name].strip():
            yield name, "required", "A template has a name."
    for name, choices in (("kind", Kind.values), ("null_is", ["empty", "error"])):
        if document[name] not in choices:
            yield name, "invalid", f"One of: {', '.join(choices)}."


def _wrong_hosted(hosted: object) -> Iterator[tuple[str, str, str]]:
    message = "Provider to an object of its template's `id` and `variables`, name to expression."
    if not isinstance(hosted, dict):
        yield "hosted", "invalid", message
        return
    for provider, one in hosted.items():
        if (
            not isinstance(one, dict)
            or one.keys() != {"id", "variables"}
            or not isinstance(one["id"], str)
            or not isinstance(one["variables"], dict)
            or not all(isinstance(each, str) for each in one["variables"].values())
        ):
            yield f"hosted.{str(provider)[:50]}", "invalid", message


def _wrong_channels(channels: object, where: str) -> Iterator[tuple[str, str, str]]:
    if not isinstance(channels, dict):
        yield where, "invalid", "Parts by channel."
        return
    for channel, parts in channels.items():
        at = f"{where}.{str(channel)[:50]}"
        if channel not in PARTS:
            yield at, "unknown_channel", f"There is no such channel. There are {_names(PARTS)}."
        elif not isinstance(parts, dict):
            yield at, "invalid", "Sources by part."
        else:
            yield from _wrong_parts(parts, at, cast("str", channel))


def _wrong_parts(
    parts: Mapping[str, object], where: str, channel: str
) -> Iterator[tuple[str, str, str]]:
    for part, source in parts.items():
        at = f"{where}.{str(part)[:50]}"
        if part not in PARTS[channel]:
            message = f"There is no such part. There are {_names(PARTS[channel])}."
            yield at, "unknown_part", message
        elif not isinstance(source, str):
            yield at, "not_a_text", "Not a text."


def _names(some: Iterable[str]) -> str:
    return ", ".join(some)
