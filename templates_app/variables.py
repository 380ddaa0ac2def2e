"""The variables of a template: found in its sources as a schema, and described by its authors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from jinja2 import nodes

from commsproject.common.errors import FieldError
from templates_app.compile import syntax_tree
from templates_app.errors import InvalidSchema
from templates_app.filters import FILTERS, Kind
from templates_app.links import ours
from templates_app.schema import DIALECT, TYPES, Schema, check
from templates_app.types import NullIs

_SCALAR = frozenset({"string", "number", "boolean"})
_OF_KIND: dict[Kind, frozenset[str] | None] = {
    "any": None,
    "sized": None,
    "text": _SCALAR,
    "number": frozenset({"string", "number"}),
    "date": frozenset({"string"}),
    "list": frozenset({"array"}),
}
_FORMAT_OF: dict[Kind, str] = {"number": "decimal", "date": "iso8601"}
_DATA = ""
"""Stands for the data among the names of loops."""


@dataclass
class _Use:
    """A value of the data, as far as the sources tell. `types` is None while anything will do."""

    types: frozenset[str] | None = None
    format: str = ""
    takes_null: bool = True
    properties: dict[str, _Use] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    items: _Use | None = None

    def narrow(self, types: frozenset[str] | None, format_: str = "") -> None:
        """Two uses that no value could serve (in two branches, say) leave everything open."""
        if types is not None:
            self.types = types if self.types is None else self.types & types
            self.format = self.format or format_

    def join(self, other: _Use) -> None:
        """What holds for a message that has the one content or the other."""
        self.narrow(other.types, other.format)
        self.takes_null &= other.takes_null
        self.required &= other.required
        for name, use in other.properties.items():
            mine = self.properties.setdefault(name, use)
            if mine is not use:
                mine.join(use)
        if self.items is not None and other.items is not None:
            self.items.join(other.items)
        self.items = self.items or other.items

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.types:
            names = [name for name in TYPES if name in self.types]
            names += ["null"] * self.takes_null
            found["type"] = names[0] if len(names) == 1 else names
            if self.format and "string" in self.types:
                found["format"] = self.format
        if self.properties:
            found["properties"] = {name: use.schema() for name, use in self.properties.items()}
        if self.required:
            found["required"] = sorted(self.required)
        if self.items is not None:
            found["items"] = self.items.schema()
        return found


class _Reader:
    """Walks checked sources. What is `certain` is read in every render: of the data, of an item of a loop."""

    def __init__(self, null_is: NullIs) -> None:
        self.data = _Use(frozenset({"object"}), takes_null=False)
        self._refuses_null = null_is == "error"
        self._loops: dict[str, _Use] = {}
        self._certain = frozenset({_DATA})

    def body(self, statements: Iterable[nodes.Node]) -> None:
        for node in statements:
            match node:
                case nodes.Output():
                    for child in node.nodes:
                        self._read(child, _SCALAR)
                case nodes.If():
                    self._if(node)
                case nodes.For():
                    self._for(node)

    def _if(self, node: nodes.If) -> None:
        self._read(node.test)
        certain, self._certain = self._certain, frozenset()
        self.body(node.body)
        for other in node.elif_:
            self._if(other)
        self.body(node.else_)
        self._certain = certain

    def _for(self, node: nodes.For) -> None:
        iterated = self._read(node.iter, frozenset({"array"}))
        item = _Use()
        if iterated is not None:
            iterated.items = item = iterated.items or item
        target = cast("nodes.Name", node.target).name
        certain, loops = self._certain, self._loops
        self._loops, self._certain = {**loops, target: item}, frozenset({target})
        if node.test is not None:
            self._read(node.test)
            self._certain = frozenset()
        self.body(node.body)
        self._loops, self._certain = loops, frozenset()
        self.body(node.else_)
        self._certain = certain

    def _read(
        self,
        node: nodes.Node,
        types: frozenset[str] | None = None,
        *,
        format_: str = "",
        is_optional: bool = False,
    ) -> _Use | None:
        """The use behind an expression, if it is one of the data, narrowed to `types`."""
        match node:
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                use = self._path(node, is_optional=is_optional)
                if use is not None:
                    use.narrow(types, format_)
                    if types and self._refuses_null and not is_optional and self._is_certain(node):
                        use.takes_null = False
                return use
            case nodes.Filter():
                return self._filter(node, types, format_)
            case nodes.Test():
                self._read(node.node, is_optional=node.name in ("defined", "undefined"))
            case nodes.And() | nodes.Or():
                self._read(node.left)
                self._perhaps(node.right)
            case nodes.CondExpr():
                self._read(node.test)
                self._perhaps(node.expr1, types)
                if node.expr2 is not None:
                    self._perhaps(node.expr2, types)
            case _:
                for child in node.iter_child_nodes():
                    self._read(child)
        return None

    def _perhaps(self, node: nodes.Node, types: frozenset[str] | None = None) -> None:
        certain, self._certain = self._certain, frozenset()
        self._read(node, types)
        self._certain = certain

    def _filter(
        self, node: nodes.Filter, types: frozenset[str] | None, format_: str
    ) -> _Use | None:
        is_default = node.name == "default"
        for argument in node.args:
            self._read(argument, None if is_default else _SCALAR)
        value = cast("nodes.Node", node.node)
        if is_default:
            return self._read(value, types, format_=format_, is_optional=True)
        kind = FILTERS[node.name].kind
        use = self._read(value, _OF_KIND[kind], format_=_FORMAT_OF.get(kind, ""))
        if kind == "list" and use is not None:
            use.items = use.items or _Use()
            use.items.narrow(_SCALAR)
        return None

    def _path(self, node: nodes.Node, *, is_optional: bool) -> _Use | None:
        """None for what is not of the data, or of no place that could be named."""
        if isinstance(node, nodes.Name):
            if node.name in self._loops:
                return self._loops[node.name]
            return self._member(
                self.data, node.name, is_required=not is_optional and self._sure(node)
            )
        if not isinstance(node, nodes.Getattr | nodes.Getitem):
            return self._read(node)
        if isinstance(node.node, nodes.Name) and node.node.name == "loop":
            return None
        owner = self._path(node.node, is_optional=False)
        key = node.attr if isinstance(node, nodes.Getattr) else self._key(node)
        if owner is None:
            return None
        if self._is_certain(node) and not is_optional:
            owner.takes_null = False
        if isinstance(key, str):
            owner.narrow(frozenset({"object"}))
            return self._member(owner, key, is_required=not is_optional and self._is_certain(node))
        if isinstance(key, int):
            owner.narrow(frozenset({"array"}))
            owner.items = owner.items or _Use()
            return owner.items
        owner.narrow(frozenset({"object", "array"}))
        return None

    def _key(self, node: nodes.Getitem) -> object:
        if isinstance(node.arg, nodes.Const):
            return node.arg.value
        if isinstance(node.arg, nodes.Neg):
            return -1
        self._read(node.arg)
        return None

    def _member(self, owner: _Use, name: str, *, is_required: bool) -> _Use:
        if is_required:
            owner.required.add(name)
        return owner.properties.setdefault(name, _Use())

    def _is_certain(self, node: nodes.Node) -> bool:
        while isinstance(node, nodes.Getattr | nodes.Getitem):
            node = node.node
        return isinstance(node, nodes.Name) and self._sure(node)

    def _sure(self, node: nodes.Name) -> bool:
        return (node.name if node.name in self._loops else _DATA) in self._certain


def infer(sources: Iterable[tuple[str, str]], null_is: NullIs = "empty") -> dict[str, Any]:
    """The schema of the data of `(part, source)` together. Raises TemplateSyntaxError.

    A name is required that every render reads; its type is what all of its uses can work with.
    """
    return infer_any([sources], null_is)


def infer_any(
    contents: Iterable[Iterable[tuple[str, str]]], null_is: NullIs = "empty"
) -> dict[str, Any]:
    """As `infer`, of a message that has one of `contents`: required is what each of them requires."""
    found: _Use | None = None
    for sources in contents:
        reader = _Reader(null_is)
        for part, source in sources:
            reader.body(syntax_tree(source, part).body)
        if found is None:
            found = reader.data
        else:
            found.join(reader.data)
    data = found or _Reader(null_is).data
    for name in ours():
        data.properties.pop(name, None)
    data.required -= ours().keys()
    schema = data.schema()
    return {"$schema": DIALECT, "properties": {}, **schema}


def keep_edits(found: Schema, edited: Schema) -> dict[str, Any]:
    """The schema `found` in changed sources, with what people wrote into the one before.

    What they said of a name stays while the name does, but for a type that no longer fits its use.
    """
    said = {
        name: value
        for name, value in edited.items()
        if name not in ("type", "format", "properties", "items", "required")
    }
    kept = {**found, **said}
    if "type" in edited and _types(edited["type"]) <= _types(found.get("type", list(TYPES))):
        kept["type"] = edited["type"]
        kept |= {"format": edited["format"]} if "format" in edited else {}
    if "items" in found:
        kept["items"] = keep_edits(found["items"], edited.get("items", {}))
    known = edited.get("properties", {})
    if "properties" in found:
        kept["properties"] = {
            name: keep_edits(inner, known.get(name, {}))
            for name, inner in found["properties"].items()
        }
    names = [name for name in found.get("properties", {}) if _is_needed(name, found, edited)]
    kept.pop("required", None)
    says_so = names or "required" in found  # that nothing is: an edit like any other
    return {**kept, "required": sorted(names)} if says_so else kept


def misfits(found: Schema, edited: object) -> list[FieldError]:
    """What `keep_edits` would not keep of what somebody writes now, and what is no schema."""
    try:
        check(edited)
    except InvalidSchema as error:
        where = f"schema.{error.where}" if error.where else "schema"
        return [FieldError(where, "invalid_schema", error.detail)]
    return list(_misfits(found, cast("Schema", edited), "schema"))


def _misfits(found: Schema, edited: Schema, where: str) -> Iterator[FieldError]:
    has_type = "type" in edited and "type" in found
    if has_type and not _types(edited["type"]) <= _types(found["type"]):
        message = "The template cannot use a value of this type."
        yield FieldError(where, "unfit_type", message)
    known = found.get("properties", {})
    for name, inner in edited.get("properties", {}).items():
        if name in known:
            yield from _misfits(known[name], inner, f"{where}.{name}")
        else:
            yield FieldError(f"{where}.{name}", "unknown_name", "The template does not read this.")
    if "items" in found and "items" in edited:
        yield from _misfits(found["items"], edited["items"], f"{where}[]")


def _is_needed(name: str, found: Schema, edited: Schema) -> bool:
    is_said = name in edited.get("properties", {}) and "required" in edited
    decides = edited if is_said else found
    return name in decides.get("required", ())


def _types(value: object) -> set[str]:
    names = {value} if isinstance(value, str) else set(cast("list[str]", value))
    return names | {"integer"} if "number" in names else names
