"""The template language: what is allowed, and how it is handed to the engine.

`Translator` walks Jinja's syntax tree, refuses everything that is not on its list and writes the rest
down again in full parentheses: text and statements here, values in `expressions`. Only this text reaches MiniJinja, so the two parsers cannot disagree
about what was checked. In the written text the engine's fuel also pays for literal text in loops.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from jinja2 import nodes
from typing_extensions import override

from templates_app.expressions import Expressions, Handlers, Refused, check_public, refuse
from templates_app.markup import Markup, Misplaced
from templates_app.printing import EACH, Path
from templates_app.types import NullIs
from templates_app.values import METHOD_NAMES, engine_name

MAX_LOOPS = 3
"""Loops inside each other."""
TEXT_PER_FUEL = 64
"""Bytes of literal text in a loop that cost one unit of fuel."""
_WIDEST = 4  # bytes of a character in UTF-8

_BRACE = re.compile(r"\{(?=[{%#]|\Z)")


@dataclass(frozen=True, slots=True)
class Reads:
    """What an expression depends on: top-level names of the data, and perhaps who reads it.

    `path`: it is the value that lies there.
    """

    names: frozenset[str]
    is_localised: bool
    path: Path | None


class Translator(Expressions):
    """Checks one part and writes it for the engine; afterwards `variables`, `names` and `prints`
    are known.
    """

    def __init__(self, *, html: bool, null_is: NullIs) -> None:
        super().__init__(html=html, null_is=null_is)
        self.prints: set[Path] = set()
        """What it prints by its name. All else passes the filter `shown`."""
        self._items: dict[str, Path | None] = {}
        """Where the items of the loops around lie."""
        self._markup = Markup() if html else None
        self._statements: Handlers = {
            nodes.Output: self._output,
            nodes.If: self._if,
            nodes.For: self._for,
        }

    def translate(self, template: nodes.Template) -> str:
        """The source for the engine. Raises Refused."""
        return self._body(template.body)

    def substitutions(self, template: nodes.Template) -> tuple[list[str], dict[str, Reads]] | None:
        """Literal text and expressions for the engine in turn, text first and last; and what each
        expression reads.

        None where the part has a statement. The text has its marks (see `markup`). Raises Refused.
        """
        pieces = [""]
        reads: dict[str, Reads] = {}
        for output in template.body:
            if not isinstance(output, nodes.Output):
                return None
            for child in output.nodes:
                if isinstance(child, nodes.TemplateData):
                    pieces[-1] += self._marked(child)
                else:
                    self.variables, self._is_localised, self.prints = set(), False, set()
                    expression = self._value(child)
                    path = next(iter(self.prints), None)
                    reads[expression] = Reads(frozenset(self.variables), self._is_localised, path)
                    pieces += [expression, ""]
        return pieces, reads

    def _body(self, body: Sequence[nodes.Node]) -> str:
        return "".join(self._visit(node, self._statements) for node in body)

    def _output(self, node: nodes.Node) -> str:
        return "".join(
            self._text(child) if isinstance(child, nodes.TemplateData) else self._value(child)
            for child in cast("nodes.Output", node).nodes
        )

    def _marked(self, node: nodes.TemplateData) -> str:
        text = node.data
        if self._markup:
            try:
                text = self._markup.feed(text)
            except Misplaced as error:
                line = node.lineno + text.count("\n", 0, error.position)
                raise Refused(str(error), line) from None
        return text

    def _text(self, node: nodes.TemplateData) -> str:
        text = self._marked(node)
        per_fuel = TEXT_PER_FUEL if text.isascii() else TEXT_PER_FUEL // _WIDEST
        size = per_fuel if self._targets else len(text)
        pieces = (text[start : start + size] for start in range(0, len(text), size or 1))
        return "{##}".join(_BRACE.sub('{{ "{" }}', piece) for piece in pieces)

    def _value(self, node: nodes.Node) -> str:
        in_style = False
        if self._markup:
            try:
                in_style = self._markup.value()
            except Misplaced as error:
                refuse(node, str(error))
        written = self._present(node)
        if in_style:
            return "{{ (" + (written or self._expression(node)) + ")|in_style }}"
        path = None if written else self._path(node)
        if path is None:
            return "{{ (" + (written or self._required(node)) + ")|shown }}"
        self.prints.add(path)
        return "{{ " + self._expression(node) + " }}"

    def _path(self, node: nodes.Node) -> Path | None:
        """Where in the data a value lies, if that can be said without the data."""
        match node:
            case nodes.Name(name=name) if name in self._targets:
                return self._items[name]
            case nodes.Name(name=name):
                return (engine_name(name),)
            case nodes.Getattr(node=nodes.Name(name="loop")):
                return None
            case nodes.Getattr(node=owner, attr=key):
                pass
            case nodes.Getitem(node=owner, arg=nodes.Const(value=str(key))):
                pass
            case _:
                return None
        above = self._path(owner)
        return None if above is None or key in METHOD_NAMES else (*above, key)

    def _if(self, node: nodes.Node) -> str:
        branch = cast("nodes.If", node)
        written = "{% if " + self._expression(branch.test) + " %}" + self._body(branch.body)
        for other in branch.elif_:
            written += "{% elif " + self._expression(other.test) + " %}" + self._body(other.body)
        return written + "{% else %}" + self._body(branch.else_) + "{% endif %}"

    def _for(self, node: nodes.Node) -> str:
        loop = cast("nodes.For", node)
        if loop.recursive:
            refuse(node, "Loops cannot be recursive.", "recursive")
        if not isinstance(loop.target, nodes.Name):
            refuse(node, "A loop has one name before `in`.", "for")
        if len(self._targets) >= MAX_LOOPS:
            refuse(node, f"At most {MAX_LOOPS} loops can be inside each other.", "for")
        target = loop.target.name
        if target == "loop":
            refuse(node, "`loop` is the name of the loop itself.", "loop")
        check_public(loop.target, target)
        head = f"{{% for {engine_name(target)} in {self._present(loop.iter) or self._expression(loop.iter)}"
        outer = self._items.get(target)
        lies = self._path(loop.iter)
        self._items[target] = None if lies is None else (*lies, EACH)
        self._targets.append(target)
        if loop.test is not None:
            head += f" if {self._expression(loop.test)}"
        body = self._body(loop.body)
        self._targets.pop()
        self._items[target] = outer
        return f"{head} %}}{body}{{% else %}}{self._body(loop.else_)}{{% endfor %}}"


class Traced(Translator):
    """Writes a call of `reached` before each value, `if` and `for`: the engine then tells how far
    it came. `tags` says which tag a number stands for: a kind, and how many of it come before.
    """

    def __init__(self, *, html: bool, null_is: NullIs) -> None:
        super().__init__(html=html, null_is=null_is)
        self.tags: list[tuple[str, int]] = []
        self._seen: Counter[str] = Counter()

    @override
    def _value(self, node: nodes.Node) -> str:
        return self._mark("") + super()._value(node)

    @override
    def _if(self, node: nodes.Node) -> str:
        return self._mark("if") + super()._if(node)

    @override
    def _for(self, node: nodes.Node) -> str:
        return self._mark("for") + super()._for(node)

    def _mark(self, word: str) -> str:
        self.tags.append((word, self._seen[word]))
        self._seen[word] += 1
        return f"{{{{ {len(self.tags) - 1}|reached }}}}"
