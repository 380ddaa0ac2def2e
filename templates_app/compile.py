"""From the source of one part to a program that can run.

The language, in short (docs: the template reference):

- `{{ value }}`, `{# comment #}`, `{% raw %}`, `{% if %}`/`elif`/`else`, `{% for x in list if ... %}`/`else` with
  `loop.index`, `index0`, `first`, `last` and `length`; at most 3 loops and 20 levels deep
- `a.b`, `a["b"]`, `a[0]`, `a[name]`; texts, numbers, lists of them; comparisons of two values, `in`, `and`,
  `or`, `not`, `x if y else z`; `is defined`, `undefined`, `none`, `even`, `odd`
- the filters of `templates_app.filters`, some of which write for the reader's language and time zone
- no calls, no assignments, no arithmetic (results come with the data), no other templates
- in the parts `html` and `mjml` a value stands in text or in a quoted attribute, never in a script or an `on...` attribute
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import jinja2
import minijinja
from jinja2 import nodes

from templates_app import tags
from templates_app.errors import (
    InvalidValue,
    MissingVariable,
    RenderLimit,
    TemplateError,
    TemplateSyntaxError,
)
from templates_app.expressions import Refused
from templates_app.filters import (
    FILTERS,
    MAX_PRINTED,
    compared,
    in_style,
    present,
    printed,
    searched,
    shown,
    start,
    text,
)
from templates_app.language import Reads, Traced, Translator
from templates_app.markup import LINK_START
from templates_app.printing import Path, Prints
from templates_app.types import PLAIN, Manner, NullIs
from templates_app.values import FREE, Admitted, own_key

ONE_LINE = frozenset({"subject", "title", "preheader", "link", "image", "badge", "collapse_id"})
"""Parts of one line without control characters; values lose theirs (see `rendering`)."""
MARKUP = frozenset({"html", "mjml"})
"""Parts where values are escaped, and stand only where that makes them safe."""
MAX_SOURCE = 65_536
"""Bytes of one part in UTF-8, as it is written."""
MAX_BUILT = 262_144
"""Bytes of one part as it is built: see `build`."""
MAX_TAGS = 20_480
"""Characters of one part between braces: what parsing costs."""
FUEL = 100_000
"""Steps of the engine for one part: a table of 500 rows with 10 columns takes about a quarter."""
BETWEEN = f"\x1f{secrets.token_hex(8)}\x1f"
"""Between the expressions of `Substitutions`: no value can contain what never leaves this process."""

_ENTITIES = (
    *(("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")),  # & first: the others have one
    *(('"', "&quot;"), ("'", "&#x27;"), ("/", "&#x2f;")),
)
_ESCAPED = re.compile("[<>&\"'/]")
_MOST_NAMES = MAX_PRINTED // FREE
"""Short texts that are never more than a part may print."""
_MAX_NAME = 100
_TAG = re.compile(r"\{[{%#].*?(?:[}%#]\}|\Z)", re.DOTALL)
_CONTROL = re.compile(r"[\x01-\x1f\x7f-\x9f\u2028\u2029]")
_PARSER = jinja2.Environment(keep_trailing_newline=True, autoescape=True)
_UNDEFINED_NAME = re.compile(r"`(.+)` is undefined")
_LAST_QUOTED = re.compile(r"'([^']+)'\W*$")


@dataclass(frozen=True, slots=True)
class Program:
    """A checked part. `variables` are its top-level names; `names` corrects the engine's in errors.

    `quick` prints what `prints` names by itself, where that `are_simple`.
    """

    part: str
    variables: frozenset[str]
    names: Mapping[str, str]
    prints: Prints
    engine: minijinja.Environment
    quick: minijinja.Environment

    @classmethod
    def of(
        cls,
        written: str,
        part: str,
        variables: Iterable[str],
        names: Mapping[str, str],
        prints: Collection[Path],
    ) -> Self:
        """From what a `Translator` wrote for the engine."""
        engines = _engine(written, part), _quick_engine(written, part)
        return cls(part, frozenset(variables), names, Prints.of(prints), *engines)

    def run(self, data: Admitted, manner: Manner = PLAIN) -> str:
        """The printed part, unfinished (see `rendering`). Raises MissingVariable, InvalidValue, RenderLimit."""
        start(manner)
        try:
            engine = self.quick if self.prints.are_simple(data) else self.engine
            return engine.render_template(self.part, **data.values)
        except minijinja.TemplateError as error:
            raise self._explained(error) from None
        except TemplateError as error:  # by a filter, which does not know the part
            error.part = self.part
            raise

    def _explained(self, error: minijinja.TemplateError) -> TemplateError:
        """Without the engine's own words: they may quote values."""
        if error.kind == "OutOfFuel":
            return RenderLimit("The template does too much work.", part=self.part)
        name = _UNDEFINED_NAME.fullmatch(error.detail or "")
        if error.kind == "UndefinedError" and name:
            return MissingVariable(self.names.get(name[1], name[1])[:_MAX_NAME], part=self.part)
        return InvalidValue(
            "A value cannot be used as the template uses it: a loop needs a list, `in` a list or a text.",
            part=self.part,
        )


def check(source: str, *, part: str) -> frozenset[str]:
    """The top-level names the source reads. Raises TemplateSyntaxError with line and column."""
    variables = compile_part(source, part).variables
    _check_size(source, part, MAX_SOURCE)
    return variables


def syntax_tree(source: str, part: str) -> nodes.Template:
    """Of a source that has been checked here. Raises TemplateSyntaxError."""
    compile_part(source, part)
    return _PARSER.parse(source)


@lru_cache(maxsize=512)
def compile_part(source: str, part: str, null_is: NullIs = "empty") -> Program:
    """A program, kept for the next time. Raises TemplateSyntaxError."""
    _check_source(source, part)
    translator = Translator(html=part in MARKUP, null_is=null_is)
    try:
        tree = _PARSER.parse(source)
        written = translator.translate(tree)
    except Refused as error:
        raise _located(source, part, error.message, error.line, error.needle) from None
    except jinja2.TemplateSyntaxError as error:
        message = error.message or "This is not a template."
        needle = _LAST_QUOTED.search(message)
        raise _located(
            source, part, _sentence(message), error.lineno, needle[1] if needle else ""
        ) from None
    except (RecursionError, ValueError):  # of Jinja's parser: a tower of brackets, 5,000 digits
        raise _located(source, part, "The template is too complicated.", 1) from None
    return Program.of(written, part, translator.variables, translator.names, translator.prints)


def located(
    source: str, part: str, data: Admitted, manner: Manner = PLAIN
) -> tuple[int, int] | None:
    """Line and column of the tag at which a checked source fails with this data; None where it
    does not.

    Runs it again, slower: for authors, not for messages.
    """
    source = tags.unix(source)
    tracer = Traced(html=part in MARKUP, null_is=manner.null_is)
    written = tracer.translate(_PARSER.parse(source))
    program = Program.of(written, part, tracer.variables, tracer.names, tracer.prints)
    last = 0

    def reached(number: int) -> str:
        nonlocal last
        last = number
        return ""

    for engine in (program.engine, program.quick):
        engine.add_filter("reached", reached)
    try:
        program.run(data, manner)
    except TemplateError:
        word, number = tracer.tags[last]
        alike = [tag for tag in tags.find(source) if _is_like(tag, word)]
        start = alike[number].start
        blank = len(alike[number].text) - len(alike[number].text.lstrip())
        return tags.place(source, start + blank)
    return None


def _is_like(tag: tags.Tag, word: str) -> bool:
    return tag.word == word if word else tag.kind is tags.Kind.VALUE


@dataclass(frozen=True, slots=True)
class Substitutions:
    """A part that only puts values into a text: `texts` has one more entry than `slots`, which say
    which of `expressions` follows each text. `reads` is what each of these depends on.
    """

    part: str
    texts: tuple[str, ...]
    slots: tuple[int, ...]
    expressions: tuple[str, ...]
    reads: tuple[Reads, ...]
    names: Mapping[str, str]

    def program(self, wanted: Collection[int]) -> Printer:
        """Prints the `wanted` expressions, with `BETWEEN` between them."""
        expressions = [self.expressions[each] for each in wanted]
        reads = [self.reads[each] for each in wanted]
        variables = frozenset().union(*(each.names for each in reads))
        written = BETWEEN.join(expressions)
        paths = [each.path for each in reads if each.path is not None]
        program = Program.of(written, self.part, variables, self.names, paths)
        names = [path[0] for path in paths if len(path) == 1]
        if len(names) > _MOST_NAMES or len(names) < len(reads) or not names:
            return program
        return Names(tuple(names), self.part in MARKUP, program)


@dataclass(frozen=True, slots=True)
class Names:
    """Prints names of the data and nothing else: short texts by itself, which is most of what is
    ever put into a message and takes the engine ten times as long. All else is left to the engine.
    """

    names: tuple[str, ...]
    is_escaped: bool
    program: Program

    def run(self, data: Admitted, manner: Manner = PLAIN) -> str:
        """As `Program.run`."""
        values = data.values
        found = [values.get(name) for name in self.names]
        texts = [value for value in found if type(value) is str and len(value) <= FREE]
        if len(texts) < len(found):
            return self.program.run(data, manner)
        printed = BETWEEN.join(texts)
        return escaped(printed) if self.is_escaped else printed


Printer = Program | Names


def escaped(text: str) -> str:
    """As the engine escapes a text in HTML."""
    if _ESCAPED.search(text):
        for character, entity in _ENTITIES:  # translate() takes four times as long
            text = text.replace(character, entity)
    return text


@lru_cache(maxsize=512)
def compile_substitutions(
    source: str, part: str, null_is: NullIs = "empty"
) -> Substitutions | None:
    """The texts and the expressions of a part, None where it has statements.

    Raises TemplateSyntaxError.
    """
    compile_part(source, part, null_is)
    translator = Translator(html=part in MARKUP, null_is=null_is)
    found = translator.substitutions(_PARSER.parse(source))
    if found is None:
        return None
    pieces, reads = found
    places = {expression: place for place, expression in enumerate(reads)}
    return Substitutions(
        part,
        tuple(pieces[::2]),
        tuple(places[each] for each in pieces[1::2]),
        tuple(reads),
        tuple(reads.values()),
        translator.names,
    )


def _check_size(source: str, part: str, limit: int) -> None:
    if len(source) > limit or len(source.encode()) > limit:
        raise _located("", part, f"The template is larger than {limit} bytes.", 1)


def _check_source(source: str, part: str) -> None:
    try:
        _check_size(source, part, MAX_BUILT)
    except UnicodeEncodeError as error:
        line = source.count("\n", 0, error.start) + 1
        raise _located(
            "", part, "The template has a character that is not Unicode.", line
        ) from None
    if sum(found.end() - found.start() for found in _TAG.finditer(source)) > MAX_TAGS:
        message = f"The template has more than {MAX_TAGS} characters in tags."
        raise _located("", part, message, 1)
    if part in ONE_LINE and (found := _CONTROL.search(source)):
        line = source.count("\n", 0, found.start()) + 1
        raise _located("", part, "This part is one line, without control characters.", line)
    for character, name in (("\0", "NUL character"), (LINK_START, "noncharacter")):
        if character in source:
            line = source.count("\n", 0, source.index(character)) + 1
            raise _located("", part, f"The template has a {name}.", line)


def _engine(written: str, part: str) -> minijinja.Environment:
    """Asks about all that it prints."""
    return _made(written, part, {"shown": lambda value: value}, printed)


def _quick_engine(written: str, part: str) -> minijinja.Environment:
    """Asks about what is not printed by its name."""
    return _made(written, part, {"shown": shown}, None)


def _made(
    written: str,
    part: str,
    more: Mapping[str, Callable[[object], object]],
    finalizer: Callable[[object], object] | None,
) -> minijinja.Environment:
    engine = minijinja.Environment(
        filters={
            "text": text,
            "present": present,
            "in_style": in_style,
            "own_key": own_key,
            "compared": compared,
            "searched": searched,
            **{name: known.function for name, known in FILTERS.items()},
            **more,
        },
        finalizer=finalizer,
        undefined_behavior="strict",
        fuel=FUEL,
        pycompat=False,
        keep_trailing_newline=True,
        auto_escape_callback=MARKUP.__contains__,
    )
    for name in engine.globals:
        engine.remove_global(name)
    try:
        engine.add_template(part, written)
    except minijinja.TemplateError as error:
        message = "The engine does not accept this template."
        raise _located("", part, message, error.line or 1) from None
    return engine


def _located(
    source: str, part: str, message: str, line: int, needle: str = ""
) -> TemplateSyntaxError:
    return TemplateSyntaxError(message, part=part, line=line, column=_column(source, line, needle))


def _column(source: str, line: int, needle: str) -> int:
    """Of the first token `needle` on the line, else of its first tag, else 1: Jinja's tree knows lines only."""
    first_tag, position = 0, 0
    try:
        for number, kind, token in _PARSER.lexer.tokeniter(source, None):
            position = source.find(token, position)
            if number == line and kind != "data":
                column = position - source.rfind("\n", 0, position)
                if token == needle:
                    return column
                first_tag = first_tag or column
            position += len(token)
    except (jinja2.TemplateSyntaxError, ValueError):
        pass  # the broken place itself: the tokens before it have been seen
    return first_tag or 1


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:300].rstrip(".") + "."
