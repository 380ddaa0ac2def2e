"""What a reader would get: a version, saved or not, rendered with some data. Stores and sends nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import jinja2

from commsproject.common.errors import FieldError
from templates_app import compile as compiler
from templates_app import hosted, includes, locales, schema, selectors, variables
from templates_app.build import Built, Notice, attempt
from templates_app.errors import SourceError, TemplateError
from templates_app.models import WHOLE, Kind, Template, TemplateVersion
from templates_app.rendering import render
from templates_app.schema import Schema
from templates_app.types import Manner, NullIs
from templates_app.values import Admitted, admit

Parts = Mapping[str, str]

CONTENT = "Here is the content of the message."
"""What a layout is shown around."""

MAX_SAMPLES = 50
MAX_SECONDS = 5.0
"""Of a processor, for all samples of a version: hundreds of templates that work as hard as they may."""
MAX_NAME = 100
"""Characters of a sample's name."""

_WRITTEN_AS = {"html": ("html", "mjml"), "text": ("text", "html", "mjml")}
"""A part that is rendered to those that it can be made of."""

about: dict[str, Callable[[Parts], Mapping[str, Any]]] = {}
"""Channel to what the apps above know of its rendered parts: of an SMS the segments and prices, of
an email the headers. They register themselves when they are ready.
"""


@dataclass(frozen=True)
class Shown:
    """One channel as its reader gets it. `locale` is that of the text, `facts` as `about` gives them;
    `preheader` stands hidden in the HTML of an email, mail clients show it beside the subject.
    """

    channel: str
    locale: str
    parts: Parts
    facts: Mapping[str, Any] = field(default_factory=dict)
    preheader: str = ""


@dataclass(frozen=True)
class Preview:
    """`channels` as far as they could be rendered, in the order of the version.

    Of the `errors` those in sources are `SourceError`s, with channel, part, line and column; the
    others are about the data as a whole (`data`) or the layout (`layout`).
    """

    channels: Mapping[str, Shown]
    warnings: Sequence[Notice]
    errors: Sequence[FieldError]
    schema: Schema = field(default_factory=dict)
    """Of the data: found now, with what people have said of it."""
    hosted: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Provider to the variables it would be given for its own template."""


def preview(
    version: TemplateVersion,
    data: Mapping[str, Any],
    *,
    locale: str = "",
    time_zone: str = "",
    channel: str = "",
) -> Preview:
    """The version, perhaps unsaved, for a reader of `locale`: one channel of it, or all.

    `version.template` may be unsaved too: its `kind` counts. What is published is
    shown as it was built, everything else as publishing would build it now.
    """
    built = _built(version)
    data = _with_content(version, data)
    asked = variables.keep_edits(built.schema, version.schema)
    errors = list(built.errors)
    try:
        admitted = admit(data)
    except TemplateError as error:
        errors.append(FieldError("data", "template", str(error)))
        return Preview({}, built.notices, errors, asked)
    names = [name for name in built.content.get("", {}) if channel in ("", name)]
    found = [selected(version, built.content, name, locale) for name in names]
    texts = [text for text in found if text and text.built]
    errors += _wrong_data(asked, texts, data)
    shown: dict[str, Shown] = {}
    for text in texts:
        one, failed = text.shown(admitted, locale, time_zone)
        preheader = _preheader(text, admitted, text.manner(locale, time_zone))
        shown[text.channel] = replace(one, preheader=preheader)
        errors += failed
    manner = Manner.of(version.locale, locale, time_zone, cast("NullIs", version.null_is))
    kept = {} if channel not in ("", "email") else _hosted(version, admitted, manner, errors)
    return Preview(shown, built.notices, errors, asked, kept)


def _preheader(text: Text, data: Admitted, manner: Manner) -> str:
    """Empty where there is none, and where it cannot be rendered, which its own error tells."""
    source = text.written.get("preheader", "") if text.channel == "email" else ""
    if not source:
        return ""
    part, expansion = "preheader", includes.Expansion(selectors.made_of(text.version))
    try:
        source = expansion.expanded(source, channel="email", part=part, locale=text.locale)
        return render({part: source}, {}, data, manner)[part]
    except (TemplateError, jinja2.TemplateSyntaxError):
        return ""


def _wrong_data(
    asked: Schema, texts: Sequence[Text], data: Mapping[str, Any]
) -> Iterator[FieldError]:
    """What schemas say: that of the version, and of each text that is shown by itself."""
    schemas = [asked]
    for text in texts:
        null_is = cast("NullIs", text.version.null_is)
        schemas.append(variables.infer(text.built.items(), null_is))
    found = {one.path: one for each in reversed(schemas) for one in schema.validate(each, data)}
    for one in found.values():
        yield FieldError(f"data.{one.path}".rstrip("."), one.code, f"{one.path} {one.message}")


def _hosted(
    version: TemplateVersion, data: Admitted, manner: Manner, errors: list[FieldError]
) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    if any(hosted.errors(version.hosted)):
        return found
    for provider, one in version.hosted.items():
        try:
            found[provider] = hosted.values(one, {}, data, manner)
        except TemplateError as error:
            where = f"hosted.{provider}.variables"
            errors.append(SourceError.at(where, "render", error.message, (1, 1)))
    return found


@dataclass(frozen=True)
class Text:
    """One channel in one language: as it is rendered, and as its author wrote it.

    `tag` names the translation, "" the version's own language.
    """

    version: TemplateVersion
    channel: str
    tag: str
    built: Parts
    written: Parts

    @property
    def locale(self) -> str:
        return self.tag or self.version.locale

    def manner(self, locale: str, time_zone: str = "") -> Manner:
        null_is = cast("NullIs", self.version.null_is)
        return Manner.of(self.locale, locale, time_zone, null_is)

    def shown(
        self, data: Admitted, locale: str, time_zone: str = "", sample: str = ""
    ) -> tuple[Shown, list[SourceError]]:
        """The parts that can be rendered, and what is wrong with the others.

        `sample` names the data in what is said of them.
        """
        manner = self.manner(locale, time_zone)
        parts: dict[str, str] = {}
        errors: list[SourceError] = []
        for part, source in self.built.items():
            try:
                parts |= render({part: source}, {}, data, manner)
            except TemplateError as error:
                errors.append(self._explained(error, part, data, manner, sample))
        has_facts = self.channel in about and not errors
        facts = about[self.channel](parts) if has_facts else {}
        return Shown(self.channel, self.locale, parts, facts), list(dict.fromkeys(errors))

    def _explained(
        self, error: TemplateError, part: str, data: Admitted, manner: Manner, sample: str
    ) -> SourceError:
        """At the author's own tag; what fails only in a layout or a partial has no place of theirs."""
        prefix = f"translations.{self.tag}" if self.tag else "channels"
        own = next((name for name in _WRITTEN_AS.get(part, (part,)) if name in self.written), part)
        place = self._place(own, data, manner) or (1, 1)
        where = f"{prefix}.{self.channel}.{own}"
        return SourceError.at(where, "render", error.message, place, sample)

    def _place(self, part: str, data: Admitted, manner: Manner) -> tuple[int, int] | None:
        try:
            source = includes.without(self.written.get(part, ""))
            return compiler.located(source, part, data, manner)
        except (TemplateError, jinja2.TemplateSyntaxError):
            return None


def selected(
    version: TemplateVersion, content: Mapping[str, locales.Channels], channel: str, locale: str
) -> Text | None:
    """What a reader of `locale` gets on a channel; None where it could not be built."""
    having = [tag for tag in content if tag and channel in version.translations.get(tag, {})]
    return of_tag(version, content, channel, locales.chosen(locale, version.locale, having))


def of_tag(
    version: TemplateVersion, content: Mapping[str, locales.Channels], channel: str, tag: str
) -> Text | None:
    written = version.translations[tag] if tag else version.channels
    built = content.get(tag, {}).get(channel)
    return None if built is None else Text(version, channel, tag, built, written.get(channel, {}))


def warnings(version: TemplateVersion) -> Sequence[Notice]:
    """What publishing would say, or said, besides."""
    return attempt(version, selectors.library(version)).notices


def failing_samples(
    version: TemplateVersion, content: Mapping[str, locales.Channels]
) -> list[FieldError]:
    """Why samples of the template cannot be rendered, in any channel and language of what was built."""
    if version.template.kind not in WHOLE:  # of which nothing is built
        content = _built(version).content
    errors: list[FieldError] = []
    end = time.thread_time() + MAX_SECONDS
    for sample in version.template.samples:
        if time.thread_time() > end:
            message = "They take too long to be rendered in every channel and language."
            return [*errors, FieldError("samples", "too_slow", message)]
        data = admit(_with_content(version, sample["data"]))
        for tag, channels in content.items():
            for channel in channels:
                if text := of_tag(version, content, channel, tag):
                    errors += text.shown(data, sample.get("locale", ""), "", sample["name"])[1]
    return errors


def wrong_samples(samples: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """What is wrong with the samples themselves, as `samples.0.name`."""
    if len(samples) > MAX_SAMPLES:
        return [FieldError("samples", "too_many", f"At most {MAX_SAMPLES} samples.")]
    names = Counter(str(sample.get("name")) for sample in samples)
    return [
        FieldError(f"samples.{place}.{wrong[0]}", *wrong[1:])
        for place, sample in enumerate(samples)
        for wrong in _wrong(sample, names)
    ]


def _wrong(sample: Mapping[str, Any], names: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    """Field, code and message."""
    name, data, locale = sample.get("name"), sample.get("data"), sample.get("locale", "")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        yield "name", "invalid", f"A name has 1 to {MAX_NAME} characters on one line."
    elif names[name] > 1:
        yield "name", "duplicate", "Another sample has this name."
    if not isinstance(locale, str) or (locale and not locales.is_tag(locale)):
        yield "locale", "invalid", "A language is a tag such as de or pt-BR."
    if not isinstance(data, dict):
        yield "data", "invalid", "The data are a mapping."
        return
    try:
        admit(data)
    except TemplateError as error:
        yield "data", "template", str(error)


def _built(version: TemplateVersion) -> Built:
    if version.published_at is not None and version.built:
        return Built(version.built, version.pins, version.variables, [], version.schema)
    library = selectors.library(version)
    built = attempt(version, library)
    if version.template.kind in WHOLE:
        return built
    alone = TemplateVersion(
        template=Template(kind=Kind.MESSAGE),
        channels=version.channels,
        locale=version.locale,
        translations=version.translations,
        null_is=version.null_is,
    )
    return replace(built, content=attempt(alone, library).content)


def _with_content(version: TemplateVersion, data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"content": CONTENT, **data} if version.template.kind == Kind.LAYOUT else data
