"""Writing templates: a draft may change, a published version never does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypedDict

from django.db import IntegrityError, transaction
from django.utils import timezone
from typing_extensions import Unpack

from commsproject.common.errors import CommsError, Conflict, FieldError, InvalidInput
from templates_app import complete, preview, selectors, variables
from templates_app.build import Built, attempt, build, invalid
from templates_app.hosted import Hosted
from templates_app.locales import Channels, is_tag, normal
from templates_app.models import WHOLE, Kind, Template, TemplateVersion
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
    title = "The template is in use"


class NothingToPublish(Conflict):
    code = "nothing_to_publish"
    title = "There is no draft to publish"


class ChangedMeanwhile(CommsError):
    code = "changed_meanwhile"
    status = 412
    title = "Somebody else changed this template in the meantime"


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


def stamp(template: Template, latest: TemplateVersion) -> str:
    """Of all that is stored: equal only where nothing was changed or published in between."""
    what = [
        latest.number,
        latest.published_at is None,
        template.archived_at is None,
        template.name,
        template.samples,
        {name: getattr(latest, name) for name in CONTENT},
    ]
    written = json.dumps(what, sort_keys=True).encode()
    return hashlib.sha256(written).hexdigest()[:32]


def locked(template: Template, expected: Collection[str] = ()) -> Template:
    """As it is stored now, until the transaction ends; before its versions and its experiments.

    Raises `ChangedMeanwhile` where stamps are expected and it has none of these.
    """
    found = Template.objects.select_for_update().get(id=template.id)
    if expected and stamp(found, latest := selectors.latest(found)) not in expected:
        who = latest.created_by or "Somebody"
        raise ChangedMeanwhile(f"{who} wrote v{latest.number}: read it again first.")
    return found


def check_key(key: str) -> None:
    """Whether a new template can have it. Raises `InvalidInput`, `KeyTaken`."""
    if key.lower() in RESERVED:
        raise InvalidInput.of("key", "reserved", "The API has an address of this name.")
    if Template.objects.filter(key__iexact=key).exists():
        raise _key_taken(key)


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
    check_key(key)
    template = Template(key=key, name=name, kind=kind, samples=list(samples))
    draft = TemplateVersion(template=template, number=1, channels={}, created_by=author)
    _write(draft, content)
    try:
        with transaction.atomic():
            template.save(force_insert=True)
    except IntegrityError:
        raise _key_taken(key) from None
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
    expected: Collection[str] = (),
    **content: Unpack[Content],
) -> Template:
    """Change the name, the samples, and the draft: made from here if the last version is published.

    None leaves a thing as it is in the last version. Raises `ChangedMeanwhile` (see `locked`) and
    `InvalidInput`: not for what is wrong with the sources of a draft that is unfinished, which
    publishing says.
    """
    template = locked(template, expected)
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
def restore(
    template: Template, number: int, *, author: str, expected: Collection[str] = ()
) -> TemplateVersion:
    """A draft that says what an earlier version said; what was drafted before is lost.

    Raises `NotFound`, `ChangedMeanwhile`, and `InvalidInput` where a partial is gone.
    """
    template = locked(template, expected)
    old, draft = selectors.version(template, number), _draft(template)
    for name in CONTENT:
        setattr(draft, name, getattr(old, name))
    draft.created_by = author
    _write(draft, {})
    draft.save()
    return draft


@transaction.atomic
def publish(template: Template, *, expected: Collection[str] = ()) -> TemplateVersion:
    """Make the draft the version in use, for good, with the partials and the layout of this moment.

    Raises `NothingToPublish`, `ChangedMeanwhile`, and `InvalidInput` where a part is missing or
    blank, where a partial is gone or has changed too much, and for every sample that cannot be
    rendered.
    """
    template = locked(template, expected)
    draft = template.versions.filter(published_at__isnull=True).order_by("number").first()
    if draft is None:
        raise NothingToPublish("Change the template first: that makes a draft.")
    draft.template = template
    _check_complete(draft)
    built = build(draft, selectors.library(draft))
    if template.kind in WHOLE and not built.content[""]:
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


@transaction.atomic
def archive(template: Template) -> None:
    """No new message can use it; those sent keep their version. Raises `InUse`."""
    template = locked(template)
    check_unused(template)
    shelve(template)


def check_unused(template: Template) -> None:
    """Raises `InUse`."""
    if template.experiment_id is not None:
        raise InUse(f"An A/B test of {template.key} runs: stop or decide it first.")
    if template.kind not in WHOLE and (users := selectors.users(template)):
        named = ", ".join(user.key for user in users[:_NAMED])
        named += " and others" if len(users) > _NAMED else ""
        raise InUse(f"{template.key} is used by {named}: change these first.")


def shelve(template: Template) -> None:
    """Archive it, whoever uses it: for a change of many templates, which checks this when all of
    it is done.
    """
    template.archived_at = timezone.now()
    template.save(update_fields=["archived_at"])


def unarchive(template: Template) -> None:
    """Messages can use it again."""
    template.archived_at = None
    template.save(update_fields=["archived_at"])


def _key_taken(key: str) -> KeyTaken:
    return KeyTaken(
        f"The key {key!r} is in use, or was until its template was archived; capital and small"
        " letters count as the same."
    )


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
    if draft.locale and not is_tag(draft.locale):
        message = "A language is a tag such as de or pt-BR."
        errors.append(FieldError("locale", "invalid", message))
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
