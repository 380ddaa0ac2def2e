"""What can be wrong with a template or with the data it is given.

Messages carry names and positions, never a value of the data: they reach logs.
"""

from __future__ import annotations

from dataclasses import dataclass

from commsproject.common.errors import FieldError


@dataclass(frozen=True)
class SourceError(FieldError):
    """An error of an author's at its place: `field` is `channels.email.html`, or of a translation
    `translations.de.email.html`. `line` and `column` count from 1; `sample` names the data with
    which it showed, "" where it shows with any.
    """

    line: int = 1
    column: int = 1
    sample: str = ""

    @classmethod
    def at(
        cls, field: str, code: str, message: str, place: tuple[int, int], sample: str = ""
    ) -> SourceError:
        """The message says the place, too: not everybody shows the rest."""
        where = f"line {place[0]}, column {place[1]}"
        where += f", with the sample {sample!r}" if sample else ""
        return cls(field, code, f"{message} ({where})", *place, sample)

    @property
    def locale(self) -> str:
        """Of the translation, "" of the version's own language."""
        return self._place[0]

    @property
    def channel(self) -> str:
        return self._place[1]

    @property
    def part(self) -> str:
        return self._place[2]

    @property
    def _place(self) -> list[str]:
        kind, *rest = self.field.split(".")
        return [*([] if kind == "translations" else [""]), *rest, "", "", ""]


class TemplateError(Exception):
    """Base of every error of this app's language.

    `part` is the part of the template ("html", "subject" ...; empty where the data itself is wrong),
    `message` one sentence for the author.
    """

    def __init__(self, message: str, *, part: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.part = part


class TemplateSyntaxError(TemplateError):
    """The source is outside the language. `line` and `column` count from 1; the column is a best effort."""

    def __init__(self, message: str, *, part: str, line: int, column: int) -> None:
        super().__init__(message, part=part)
        self.line = line
        self.column = column


class MissingVariable(TemplateError):
    """The template reads `name` ("user", "order.total"), which the data does not have."""

    def __init__(self, name: str, *, part: str) -> None:
        super().__init__(f"{name} is not in the data.", part=part)
        self.name = name


class InvalidValue(TemplateError):
    """A value is of a kind that cannot be used at that place, or is not JSON."""


class UnsafeLink(TemplateError):
    """A rendered link has a scheme that could run code or hide its content."""


class RenderLimit(TemplateError):
    """The data, the work or the output is larger than a message may need."""


class InvalidSchema(TemplateError):
    """The description of the data, as edited, is no schema; `where` is the name that it describes."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.detail = message
