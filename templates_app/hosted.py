"""Templates that email providers keep themselves: what of a message's data they are given.

`{"sendgrid": {"id": "d-1", "variables": {"first": "user.name|upper"}}}`: each variable is one
expression of our language, written as text; the provider escapes it where its template puts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from templates_app import tags
from templates_app.compile import check, compile_part
from templates_app.errors import SourceError, TemplateSyntaxError
from templates_app.rendering import finished
from templates_app.types import PLAIN, Manner
from templates_app.values import Admitted, admit

Hosted = Mapping[str, Any]
"""Of one provider: `id` and `variables`."""

PROVIDERS = frozenset({"sendgrid", "ses", "postmark", "mailgun", "brevo"})
"""Those that can: `hosts_templates` of the provider."""
MAX_VARIABLES = 100

_PART = "hosted"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


def errors(hosted: Mapping[str, Hosted]) -> Iterator[SourceError]:
    """What is wrong with it, as `hosted.sendgrid.variables.first`."""
    for provider, one in hosted.items():
        where = f"hosted.{provider}"
        if provider not in PROVIDERS:
            message = f"No such provider keeps templates; there are {', '.join(sorted(PROVIDERS))}."
            yield SourceError(where, "unknown_provider", message)
        elif not _ID.fullmatch(one["id"]):
            yield SourceError(f"{where}.id", "invalid", "This is no id of a template.")
        elif len(one["variables"]) > MAX_VARIABLES:
            message = f"At most {MAX_VARIABLES} variables."
            yield SourceError(f"{where}.variables", "too_many", message)
        else:
            yield from _errors_in(one["variables"], f"{where}.variables")


def _errors_in(variables: Mapping[str, str], where: str) -> Iterator[SourceError]:
    for name, expression in variables.items():
        if not _NAME.fullmatch(name):
            message = "A name has letters, digits and `_ . -`, and begins with a letter."
            yield SourceError(f"{where}.{name[:64]}", "invalid", message)
            continue
        try:
            check(source(expression), part=_PART)
            if len(tags.find(tags.unix(source(expression)))) != 1:
                raise TemplateSyntaxError("One expression only.", part=_PART, line=1, column=1)
        except TemplateSyntaxError as error:
            place = (error.line, max(1, error.column - len("{{ ")))
            yield SourceError.at(f"{where}.{name}", "syntax", error.message, place)


def source(expression: str) -> str:
    """The expression as the source of a part."""
    return f"{{{{ {expression} }}}}"


def sources(hosted: Hosted) -> list[tuple[str, str]]:
    """As parts and sources, for those that ask what a version reads."""
    return [(_PART, source(expression)) for expression in hosted["variables"].values()]


def values(
    hosted: Hosted,
    data: Mapping[str, object],
    shared: Admitted | None = None,
    manner: Manner = PLAIN,
) -> dict[str, str]:
    """The variables of one message by name. Raises TemplateError as `rendering.render` does."""
    admitted = admit(data, shared)
    return {
        name: finished(
            _PART, compile_part(source(expression), _PART, manner.null_is).run(admitted, manner)
        )
        for name, expression in hosted["variables"].items()
    }
