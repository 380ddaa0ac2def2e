"""Writing templates: a draft may change, a published version never does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from django.db import IntegrityError, transaction
from django.utils import timezone
from typing_extensions import Unpack

from commsproject.common.errors import Conflict, FieldError, InvalidInput
from templates_app import complete, preview, selectors, variables
from templates_app.build import Built, attempt, build, invalid
from templates_app.hosted import Hosted
from templates_app.locales import Channels, normal
from templates_app.models import Kind, Template, TemplateVersion
from templates_app.schema import Schema
from templates_app.types import NullIs

_NAMED = 5  # users of a layout, in an error
RESERVED = frozenset({"export", "import"})
"""Keys whose addresses in the API are something else."""


class KeyTaken(Conflict):
    code = "key_taken"
    title = "There is a template with this key already"


class InUse(Conflict):
    code = "template_in_use"
    title = "Other templates use this one"


class NothingToPublish(Conflict):
    code = "nothing_to_publish"
    title = "There is no draft to publish"


class Besides(TypedDict, total=False):
    """What a version says beside its channels, as `TemplateVersion` has it; None is as if it were
    not there.
    """

    locale: str | None
    translations: Mapping[str, Channels] | None
    layout: str | None
    null_is: NullIs | None
    hosted: Mapping[str, Hosted] | None
    schema: Schema | None


class Content(Besides, total=False):
    channels: Channels | None


CONTENT = (*Besides.__annotations__, "channels")


def check(channels: Channels, *, kind: Kind = Kind.MESSAGE, **content: Unpack[Besides]) -> Built:
    """What publishing would make of it now.

    Raises `InvalidInput` with every error found, each with its part, line and column.
    """
    draft = TemplateVersion(template=Template(kind=kind), channels=channels, **_given(content))
    return build(draft, selectors.library(draft))


@transaction.atomic
def create(
    *,
    key: str,
    name: str,
    author: str,
    kind: Kind = Kind.MESSAGE,
    samples: Sequence[Mapping[str, Any]] = (),
    **content: Unpack[Content],
) -> Template:
    """A template with its first draft. Raises `InvalidInput`, `KeyTaken`."""
    if key in RESERVED:
        raise InvalidInput.of("key", "reserved", "The API has an address of this name.")
    template = Template(key=key, name=name, kind=kind, samples=list(samples))
    draft = TemplateVersion(template=template, number=1, channels={}, created_by=author)
    _write(draft, content)
    try:
        with transaction.atomic():
            template.save(force_insert=True)
    except IntegrityError:
        raise KeyTaken(
            f"The key {key!r} is in use, or was until its template was archived."
        ) from None
    draft.save()
    return template


@transaction.atomic
def revise(
    template: Template,
    *,
    author: str,
    name: str | None = None,
    samples: Sequence[Mapping[str, Any]] | None = None,
    is_unfinished: bool = False,
    **content: Unpack[Content],
) -> Template:
    """Change the name, the samples, and the draft: made from here if the last version is published.

    None leaves a thing as it is in the last version. Raises `InvalidInput`: not for what is wrong
    with the sources of a draft that is unfinished, which publishing says.
    """
    Template.objects.select_for_update().get(id=template.id)
    template.name = template.name if name is None else name
    template.samples = template.samples if samples is None else list(samples)
    changes = _given(content)
    draft = _draft(template)
    if changes:
        draft.created_by = author
        _write(draft, content, is_unfinished=is_unfinished)
        draft.save()
    elif samples is not None:
        _check_samples(template)
    template.save(update_fields=["name", "samples"])
    return template


@transaction.atomic
def restore(template: Template, number: int, *, author: str) -> TemplateVersion:
    """A draft that says what an earlier version said; what was drafted before is lost.

    Raises `NotFound`, and `InvalidInput` where a partial is gone.
    """
    Template.objects.select_for_update().get(id=template.id)
    old, draft = selectors.version(template, number), _draft(template)
    for name in CONTENT:
        setattr(draft, name, getattr(old, name))
    draft.created_by = author
    _write(draft, {})
    draft.save()
    return draft


@transaction.atomic
def publish(template: Template) -> TemplateVersion:
    """Make the draft the version in use, for good, with the partials and the layout of this moment.

    Raises `NothingToPublish`, and `InvalidInput` where a part is missing or blank, where a partial
    is gone or has changed too much, and for every sample that cannot be rendered.
    """
    Template.objects.select_for_update().get(id=template.id)  # before its versions, as `revise`
    draft = template.versions.filter(published_at__isnull=True).order_by("number").first()
    if draft is None:
        raise NothingToPublish("Change the template first: that makes a draft.")
    draft.template = template
    _check_complete(draft)
    built = build(draft, selectors.library(draft))
    if template.kind == Kind.MESSAGE and not built.content[""]:
        raise InvalidInput.of("channels", "required", "There is nothing in it that could be sent.")
    if errors := preview.failing_samples(draft, built.content):
        raise invalid(errors)
    draft.built, draft.pins, draft.variables = built.content, built.pins, built.variables
    draft.schema = variables.keep_edits(built.schema, draft.schema)
    draft.published_at = timezone.now()
    draft.save(update_fields=["published_at", "built", "pins", "variables", "schema"])
    return draft


def content(version: TemplateVersion, locale: str) -> Channels:
    """As `selectors.parts`; a draft as publishing would make it now. Raises `InvalidInput`."""
    if version.published_at is None:
        version.built = build(version, selectors.library(version)).content
    return selectors.parts(version, locale)


def archive(template: Template) -> None:
    """No new message can use it; those sent keep their version. Raises `InUse`."""
    if template.kind != Kind.MESSAGE and (users := selectors.users(template)):
        named = ", ".join(users[:_NAMED]) + (" and others" if len(users) > _NAMED else "")
        raise InUse(f"{template.key} is used by {named}: change these first.")
    shelve(template)


def shelve(template: Template) -> None:
    """Archive it, whoever names it: for a change of many templates that settles this itself."""
    template.archived_at = timezone.now()
    template.save(update_fields=["archived_at"])


def unarchive(template: Template) -> None:
    """Messages can use it again."""
    template.archived_at = None
    template.save(update_fields=["archived_at"])


def _given(content: Besides) -> dict[str, Any]:
    return {name: value for name, value in content.items() if value is not None}


def _write(draft: TemplateVersion, content: Content, *, is_unfinished: bool = False) -> None:
    """Fill in what is given, with all that is checked and found. Raises `InvalidInput`."""
    for name, value in _given(content).items():
        setattr(draft, name, value)
    _settle_locales(draft)
    _check_samples(draft.template)
    if not is_unfinished:
        _check_complete(draft)
    library = selectors.library(draft)
    built = attempt(draft, library) if is_unfinished else build(draft, library)
    draft.variables = built.variables
    if built.errors:  # nobody can tell yet which names are read: what is said of them stays
        return
    if (schema := content.get("schema")) is not None and (
        errors := variables.misfits(built.schema, schema)
    ):
        raise invalid(errors)
    draft.schema = variables.keep_edits(built.schema, draft.schema)


def _settle_locales(draft: TemplateVersion) -> None:
    """One spelling of each language. Raises `InvalidInput` for a second translation into one."""
    draft.locale = normal(draft.locale)
    found: dict[str, Channels] = {}
    errors: list[FieldError] = []
    for tag, channels in draft.translations.items():
        name = normal(tag)
        if name == draft.locale:
            message = f"{name} is the template's own language."
            errors.append(FieldError(f"translations.{tag}", "duplicate", message))
        elif name in found:
            message = f"There are two translations into {name}."
            errors.append(FieldError(f"translations.{tag}", "duplicate", message))
        found[name] = channels
    if errors:
        raise invalid(errors)
    draft.translations = found


def _check_complete(draft: TemplateVersion) -> None:
    if errors := complete.lacking(draft):
        raise invalid(errors)


def _check_samples(template: Template) -> None:
    if errors := preview.wrong_samples(template.samples):
        raise invalid(errors)


def _draft(template: Template) -> TemplateVersion:
    """The draft, or a new one that says what the last version says."""
    last = template.versions.order_by("-number").first()
    if last is None:
        return TemplateVersion(template=template, number=1, channels={})
    if last.published_at is None:
        last.template = template
        return last
    said = {name: getattr(last, name) for name in CONTENT}
    return TemplateVersion(template=template, number=last.number + 1, **said)
