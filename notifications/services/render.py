"""From a template version or inline content, and data, to the parts a provider sends."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, cast

from notifications.models import Notification
from notifications.types import Channel
from templates_app import hosted as hosting
from templates_app import merge, rendering
from templates_app import selectors as templates
from templates_app.errors import TemplateError
from templates_app.hosted import Hosted
from templates_app.models import TemplateVersion
from templates_app.types import Manner, NullIs, Reader
from templates_app.values import Admitted

Content = Mapping[str, Mapping[str, str]]
"""Channel to part name to source: `{"email": {"subject": ..., "html": ...}}`."""

_ON_A_SCREEN = {
    "title": ("title", "subject"),
    "body": ("body", "text"),
    "link": ("link",),
    "image": ("image",),
}
_INLINE: Mapping[Channel, Mapping[str, tuple[str, ...]]] = {
    Channel.EMAIL: {"subject": ("subject",), "text": ("text",), "html": ("html",)},
    Channel.SMS: {"text": ("text",)},
    Channel.PUSH: _ON_A_SCREEN,
    Channel.INAPP: _ON_A_SCREEN,
}
"""The parts of each channel, and what they are called in a request: the first that is given."""

_SAYS_SOMETHING = {
    Channel.EMAIL: {"subject", "text", "html"},
    Channel.SMS: {"text"},
    Channel.PUSH: {"text", "title", "body"},
    Channel.INAPP: {"text", "title", "body"},
}
"""Without any of these, what is given is meant for other channels."""


def inline(content: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The `content` of a request, as content by channel: what each channel can use."""
    found: dict[str, dict[str, str]] = {}
    for channel, names in _INLINE.items():
        given = {part: next(filter(None, map(content.get, of)), "") for part, of in names.items()}
        parts = {part: text for part, text in given.items() if text}
        if content.keys() & _SAYS_SOMETHING[channel] and is_complete(channel, parts):
            found[channel.value] = parts
    return found


def is_complete(channel: Channel, parts: Mapping[str, str]) -> bool:
    """Whether there is enough to send: a subject and a body for an email, a text for an SMS, a
    title or a body to be shown on a screen.
    """
    match channel:
        case Channel.EMAIL:
            return bool(parts.get("subject")) and bool(parts.get("text") or parts.get("html"))
        case Channel.SMS:
            return bool(parts.get("text", "").strip())  # who sends blanks is refused by vendors
    return bool(parts.get("title") or parts.get("body"))


NOBODY = Reader()


@dataclass(frozen=True, eq=False, repr=False)
class Source:
    """What messages say on one channel before their own data is filled in: the parts, the key of
    their template, and the data that they `shared`, if any.

    `written` is the language of the words, `null_is` as in `TemplateVersion`. One object for all
    messages of a version and language, or of a batch: its identity is its equality.
    """

    parts: Mapping[str, str]
    template: str = ""
    shared: Admitted | None = None
    written: str = ""
    null_is: NullIs = "empty"
    hosted: Mapping[str, Hosted] = field(default_factory=dict)
    """By provider, the template that it keeps itself and uses instead of the parts."""

    @property
    def kept_by(self) -> Collection[str]:
        """The only providers that have a text, where there is none here."""
        return () if self.parts else self.hosted.keys()

    @cached_property
    def form(self) -> merge.MergeForm | None:
        """The batch form, with what shared data decides settled; None where there is none."""
        try:
            return merge.merge_form(self.parts, self.shared, self.null_is)
        except TemplateError:  # literal content need not be a template
            return None

    def fits(self, own: Mapping[str, Any] | None) -> bool:
        """Whether a message with this data of its own can use the batch form."""
        if self.form is None or (own is None and self.shared is None):
            return False
        return self.form.settled.isdisjoint(own or ())

    def manner(self, reader: Reader) -> Manner:
        return _manner(self.written, self.null_is, reader)

    def hosted_values(
        self, provider: str, own: Mapping[str, Any] | None, reader: Reader
    ) -> dict[str, str]:
        """The variables of the template that a provider keeps. Raises `TemplateError`."""
        manner = self.manner(reader)
        return hosting.values(self.hosted[provider], own or {}, self.shared, manner)

    def render(self, own: Mapping[str, Any] | None, reader: Reader = NOBODY) -> dict[str, str]:
        """The parts of one message; without any data (None) they are literal text.

        Raises `templates_app.errors.TemplateError`.
        """
        if own is None and self.shared is None:
            return rendering.literal(self.parts)
        if self.shared and self.fits(own) and self.form:  # less is left to do for each
            return self.form.render(own or {}, self.shared, self.manner(reader))
        return rendering.render(self.parts, own or {}, self.shared, self.manner(reader))

    def check(self, own: Mapping[str, Any] | None, reader: Reader = NOBODY) -> dict[str, str]:
        """The errors of `render`, and enough of its parts for `is_complete`."""
        if self.shared and self.fits(own) and self.form:
            return self.form.check(own or {}, self.shared, self.manner(reader))
        return self.render(own, reader)


def source(
    version: TemplateVersion, channel: str, tag: str, shared: Admitted | None = None
) -> Source:
    """What a version says on a channel in one of its languages, as `templates.tag` names it."""
    return Source(
        templates.text(version, channel, tag),
        version.template.key,
        shared,
        tag or version.locale,
        cast("NullIs", version.null_is),
        version.hosted if channel == Channel.EMAIL else {},
    )


def of_message(notification: Notification, channel: Channel) -> Source | None:
    """What a stored message says on a channel, without its batch's data; None where it is gone."""
    version, batch = notification.template_version, notification.batch
    if version is not None:
        tag = templates.tag(version, channel.value, notification.locale)
        return source(version, channel.value, tag)
    content = notification.content or (batch.content if batch else None) or {}
    return Source(content[channel.value]) if channel.value in content else None


@lru_cache(maxsize=4096)
def _manner(written: str, null_is: NullIs, reader: Reader) -> Manner:
    return Manner.of(written, reader.locale, reader.time_zone, null_is)
