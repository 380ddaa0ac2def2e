"""The expressions of the language: what a value may be made of, and how the engine is told."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable
from typing import NoReturn, cast

from jinja2 import nodes

from templates_app.errors import TemplateError
from templates_app.filters import FILTERS
from templates_app.types import NullIs
from templates_app.values import METHOD_NAMES, engine_name

Handlers = dict[type[nodes.Node], Callable[[nodes.Node], str]]

MAX_DEPTH = 20
"""Blocks and expressions inside each other."""

TESTS = frozenset({"defined", "undefined", "none", "even", "odd"})
LOOP_NAMES = frozenset({"index", "index0", "first", "last", "length"})

_COMPARISONS = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "lteq": "<=",
    "gt": ">",
    "gteq": ">=",
    "in": "in",
    "notin": "not in",
}
_ARITHMETIC = "Arithmetic is not part of the language: send the result with the data."
_REFUSED: dict[type[nodes.Node], tuple[str, str]] = {
    nodes.Call: ("(", "Functions and methods cannot be called: use a filter."),
    nodes.Assign: ("set", "Variables cannot be set: send the value with the data."),
    nodes.AssignBlock: ("set", "Variables cannot be set: send the value with the data."),
    nodes.With: ("with", "Variables cannot be set: send the value with the data."),
    nodes.Macro: ("macro", "Macros are not part of the language."),
    nodes.CallBlock: ("call", "Macros are not part of the language."),
    nodes.FilterBlock: ("filter", "Filters apply to values only, not to blocks."),
    nodes.Include: ("include", "Other templates cannot be included."),
    nodes.Import: ("import", "Other templates cannot be imported."),
    nodes.FromImport: ("from", "Other templates cannot be imported."),
    nodes.Extends: ("extends", "Other templates cannot be extended."),
    nodes.Block: ("block", "Blocks belong to inheritance, which is not part of the language."),
    nodes.Slice: (":", "Slices are not part of the language."),
    nodes.Dict: ("{", "Mappings cannot be written here: send them with the data."),
    nodes.Add: ("+", _ARITHMETIC),
    nodes.Sub: ("-", _ARITHMETIC),
    nodes.Mul: ("*", _ARITHMETIC),
    nodes.Div: ("/", _ARITHMETIC),
    nodes.FloorDiv: ("//", _ARITHMETIC),
    nodes.Mod: ("%", _ARITHMETIC),
    nodes.Pow: ("**", _ARITHMETIC),
    nodes.Pos: ("+", _ARITHMETIC),
    nodes.Concat: ("~", "Texts are joined by writing them next to each other."),
}
_MAX_OWNER = 500


class Refused(Exception):
    """Something outside the language. `needle` is the word to look for on `line` for its column."""

    def __init__(self, message: str, line: int, needle: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.needle = needle


class Expressions:
    """Checks the expressions of one part and writes them for the engine."""

    def __init__(self, *, html: bool, null_is: NullIs) -> None:
        self._is_html = html
        self._null_is = null_is
        self._is_localised = False
        self.variables: set[str] = set()
        """Top-level names the part reads."""
        self.names: dict[str, str] = {}
        """What the engine calls a value in its errors to what the author wrote, where they differ."""
        self._targets: list[str] = []
        """Names of the loops around."""
        self._depth = 0
        self._expressions: Handlers = {
            nodes.Const: self._constant,
            nodes.Name: self._name,
            nodes.Getattr: self._attribute,
            nodes.Getitem: self._item,
            nodes.Filter: self._filter,
            nodes.Test: self._test,
            nodes.Compare: self._comparison,
            nodes.And: lambda node: self._both(node, "and"),
            nodes.Or: lambda node: self._both(node, "or"),
            nodes.Not: self._not,
            nodes.CondExpr: self._choice,
            nodes.List: self._list,
            nodes.Tuple: self._list,
            nodes.Neg: self._negative,
        }

    def _expression(self, node: nodes.Node) -> str:
        return self._visit(node, self._expressions)

    def _visit(self, node: nodes.Node, allowed: Handlers) -> str:
        handle = allowed.get(type(node))
        if handle is None:
            needle, message = _REFUSED.get(
                type(node), ("", f"{type(node).__name__} is not part of the language.")
            )
            refuse(node, message, needle)
        if self._depth >= MAX_DEPTH:
            refuse(node, f"The template is nested deeper than {MAX_DEPTH} levels.")
        self._depth += 1
        written = handle(node)
        self._depth -= 1
        return written

    def _present(self, node: nodes.Node) -> str:
        """Where null would count as nothing, in a template that does not want this; else empty."""
        if self._null_is == "empty" or isinstance(node, nodes.Const):
            return ""
        name = _path(node, exact=True)
        name = "A value" if "..." in name else name[:_MAX_OWNER]
        return f"({self._required(node)}|present({json.dumps(name, ensure_ascii=False)}))"

    def _required(self, node: nodes.Node) -> str:
        """Where a missing value must not pass as null: `or` makes the engine look, and name it."""
        written = self._expression(node)
        if isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem):
            return f"({written} or {written})"
        return written

    def _constant(self, node: nodes.Node) -> str:
        value = cast("nodes.Const", node).value
        if value is None or isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            if not _is_text(value):
                refuse(node, "The text has a character that is not Unicode.")
            return json.dumps(value, ensure_ascii=False)
        if abs(value) >= 2**63 or not math.isfinite(value):
            refuse(node, "The number is too large.")
        return repr(value)

    def _name(self, node: nodes.Node) -> str:
        name = cast("nodes.Name", node).name
        check_public(node, name)
        if name == "loop":
            refuse(node, "`loop` has index, index0, first, last and length, inside a loop.", name)
        if name not in self._targets:
            self.variables.add(name)
        self._remember(node)
        return engine_name(name)

    def _attribute(self, node: nodes.Node) -> str:
        access = cast("nodes.Getattr", node)
        owner = access.node
        if isinstance(owner, nodes.Name) and owner.name == "loop":
            if not self._targets or access.attr not in LOOP_NAMES:
                refuse(
                    node,
                    "`loop` has index, index0, first, last and length, inside a loop.",
                    access.attr,
                )
            return f"loop.{access.attr}"
        check_public(node, access.attr)
        written = self._expression(owner)
        if access.attr in METHOD_NAMES:
            return self._guarded(access, written, json.dumps(access.attr))
        self._remember(access)
        return f"{written}.{access.attr}"

    def _item(self, node: nodes.Node) -> str:
        access = cast("nodes.Getitem", node)
        key = access.arg
        if isinstance(key, nodes.Const) and isinstance(key.value, str):
            check_public(node, key.value)
        elif not _is_whole_number(key) and not isinstance(key, nodes.Name):
            needle, message = _REFUSED.get(
                type(key), ("[", "Between [ and ] is a name, a text or a whole number.")
            )
            refuse(node, message, needle)
        written = self._expression(access.node)
        if isinstance(key, nodes.Name) or (
            isinstance(key, nodes.Const) and key.value in METHOD_NAMES
        ):
            return self._guarded(access, written, self._expression(key))
        self._remember(access)
        return f"{written}[{self._expression(key)}]"

    def _guarded(self, node: nodes.Node, owner: str, key: str) -> str:
        """Access by a key that could be the name of a method: see `values.own_key`."""
        if len(owner) > _MAX_OWNER:  # it is written twice
            refuse(node, "The expression is too long.")
        self._remember(node)
        return f"{owner}[({key}|own_key({owner}))]"

    def _remember(self, node: nodes.Node) -> None:
        engine, author = _path(node, exact=False), _path(node, exact=True)
        if engine != author and self.names.setdefault(engine, author) != author:
            self.names[engine] = engine

    def _filter(self, node: nodes.Node) -> str:
        call = cast("nodes.Filter", node)
        known = FILTERS.get(call.name)
        if known is None or call.node is None:
            close = difflib.get_close_matches(call.name, FILTERS, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            refuse(node, f"There is no filter {call.name[:40]}.{hint}", call.name)
        if call.kwargs or call.dyn_args is not None or call.dyn_kwargs is not None:
            refuse(node, f"The filter {call.name} takes no named arguments.", call.name)
        if not known.least <= len(call.args) <= known.most:
            refuse(node, f"The filter {call.name} takes {known.takes}.", call.name)
        # HTML is escaped where it is printed, so there the filter has nothing left to do but print.
        name = "text" if self._is_html and call.name in ("e", "escape") else call.name
        self._is_localised |= known.localised
        self._check_arguments(call)
        value = self._expression(call.node) if name == "default" else self._input(call.node)
        return f"({value}|{name}({', '.join(map(self._input, call.args))}))"

    def _input(self, node: nodes.Node) -> str:
        return self._present(node) or self._required(node)

    def _check_arguments(self, call: nodes.Filter) -> None:
        """Those that are written out: a wrong one must not wait for the first message."""
        written = [each.value for each in call.args if isinstance(each, nodes.Const)]
        if len(written) < len(call.args):
            return
        try:
            FILTERS[call.name].check(written)
        except TemplateError as error:
            refuse(call, f"{call.name}: {error.message}", call.name)

    def _test(self, node: nodes.Node) -> str:
        test = cast("nodes.Test", node)
        if test.name not in TESTS:
            refuse(
                node,
                f"There is no test {test.name[:40]}; there are {', '.join(sorted(TESTS))}.",
                test.name,
            )
        if test.args or test.kwargs or test.dyn_args is not None or test.dyn_kwargs is not None:
            refuse(node, f"The test {test.name} takes no arguments.", test.name)
        asks_presence = test.name in ("defined", "undefined")
        value = self._expression(test.node) if asks_presence else self._required(test.node)
        return f"({value} is {test.name})"

    def _comparison(self, node: nodes.Node) -> str:
        comparison = cast("nodes.Compare", node)
        if len(comparison.ops) != 1:
            refuse(node, "Compare two values at a time and join them with `and`.")
        other = comparison.ops[0]
        sign = _COMPARISONS[other.op]
        if sign in ("in", "not in"):
            owner = f"({self._required(other.expr)}|searched)"
            return f"({self._compared(comparison.expr)} {sign} {owner})"
        if isinstance(comparison.expr, nodes.Const) or isinstance(other.expr, nodes.Const):
            return f"({self._expression(comparison.expr)} {sign} {self._expression(other.expr)})"
        return f"({self._compared(comparison.expr)} {sign} {self._compared(other.expr)})"

    def _compared(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.Const):
            return self._expression(node)
        return f"({self._required(node)}|compared)"

    def _both(self, node: nodes.Node, word: str) -> str:
        pair = cast("nodes.BinExpr", node)
        return f"({self._expression(pair.left)} {word} {self._required(pair.right)})"

    def _not(self, node: nodes.Node) -> str:
        return f"(not {self._expression(cast('nodes.Not', node).node)})"

    def _choice(self, node: nodes.Node) -> str:
        choice = cast("nodes.CondExpr", node)
        other = '""' if choice.expr2 is None else self._required(choice.expr2)
        return f"({self._required(choice.expr1)} if {self._expression(choice.test)} else {other})"

    def _list(self, node: nodes.Node) -> str:
        items = cast("nodes.List", node).items
        if not all(isinstance(item, nodes.Const) for item in items):
            refuse(node, "A list in a template has texts and numbers only.")
        return "[" + ", ".join(map(self._expression, items)) + "]"

    def _negative(self, node: nodes.Node) -> str:
        number = cast("nodes.Neg", node).node
        if not isinstance(number, nodes.Const) or type(number.value) not in (int, float):
            refuse(node, _ARITHMETIC, "-")
        return f"-{self._expression(number)}"


def refuse(node: nodes.Node, message: str, needle: str = "") -> NoReturn:
    raise Refused(message, node.lineno, needle)


def _path(node: nodes.Node, *, exact: bool) -> str:
    """`order.items[0]` as the author wrote it, or as the engine names it: `order[...][0]`."""
    if isinstance(node, nodes.Name):
        return node.name if exact else engine_name(node.name)
    if isinstance(node, nodes.Getattr):
        key = f".{node.attr}" if exact or node.attr not in METHOD_NAMES else "[...]"
        return _path(node.node, exact=exact) + key
    if isinstance(node, nodes.Getitem):
        return _path(node.node, exact=exact) + _key(node.arg, exact=exact)
    return "..."


def _key(key: nodes.Node, *, exact: bool) -> str:
    if isinstance(key, nodes.Const) and (exact or key.value not in METHOD_NAMES):
        return f"[{key.value!r}]"
    return f"[{key.name}]" if exact and isinstance(key, nodes.Name) else "[...]"


def check_public(node: nodes.Node, name: str) -> None:
    if name.startswith("_"):
        refuse(node, "Names that begin with an underscore are not part of the language.", name)


def _is_whole_number(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Neg):
        node = node.node
    return isinstance(node, nodes.Const) and type(node.value) is int


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value
