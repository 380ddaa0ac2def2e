"""Templates as plain files, and back, exactly. Pure: names and bytes, no disk.

One folder a template: `template.yaml` for what it is, one file a part (`email.html`,
`email.subject.txt`, `sms.txt`), a folder for each translation (`pt-BR/email.html`). A file's last
line end is its editor's and no part of the text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from typing_extensions import override

META = "template.yaml"
DEFAULTS: Mapping[str, Any] = {
    "name": "",
    "kind": "message",
    "locale": "",
    "layout": "",
    "null_is": "empty",
    "samples": [],
    "schema": {},
    "hosted": {},
}
"""What `template.yaml` says, in this order; what is as it always is, it leaves out."""

Document = Mapping[str, Any]
"""A template: `key`, the names of `DEFAULTS`, `channels` and `translations` as in a version."""

_KEY = re.compile(r"[-a-zA-Z0-9_]+")
_LOCALE = re.compile(r"[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*")
_FILE = re.compile(r"([a-z0-9_]+)(?:\.([a-z0-9_]+))?\.(html|mjml|txt)")
_ENDINGS = {"text": "txt", "html": "html", "mjml": "mjml"}
"""Of the parts that are the body of their channel. All others are texts, named in the file."""


@dataclass(frozen=True)
class Flaw:
    """What is wrong in a file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    message: str

    @override
    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class Flawed(Exception):
    """A folder that is no template."""

    def __init__(self, flaws: list[Flaw]) -> None:
        super().__init__("; ".join(map(str, flaws)))
        self.flaws = flaws


@dataclass
class Places:
    """Where each thing of a template stands: fields are those of errors (`channels.email.html`)."""

    key: str
    files: dict[str, str] = field(default_factory=dict)
    marks: dict[str, tuple[int, int]] = field(default_factory=dict)

    def flaw(self, name: str, message: str, line: int = 1, column: int = 1) -> Flaw:
        """What is wrong at the field `name`, whose source has this line and column."""
        if name in self.files:
            return Flaw(f"{self.key}/{self.files[name]}", line, column, message)
        while name and name not in self.marks:
            name = name.rpartition(".")[0]
        return Flaw(f"{self.key}/{META}", *self.marks.get(name, (1, 1)), message)


# --- To files ----------------------------------------------------------------------------------


def to_files(document: Document) -> dict[str, bytes]:
    """Name in the template's folder to content. Raises ValueError for a name that no file can have:
    what comes from elsewhere must not be written anywhere else.
    """
    if not _KEY.fullmatch(document["key"]):
        raise ValueError("a key that is no folder's name")
    said = {
        name: _sorted(document.get(name, usual))
        for name, usual in DEFAULTS.items()
        if name == "name" or document.get(name, usual) != usual
    }
    found = {META: yaml.dump(said, Dumper=_Dumper, **_STYLE).encode()}
    for locale, channels in {"": document["channels"], **document["translations"]}.items():
        if locale and not _LOCALE.fullmatch(locale):
            raise ValueError("a locale that is no folder's name")
        for channel, parts in channels.items():
            for part, source in parts.items():
                name = _name(channel, part)
                found[f"{locale}/{name}" if locale else name] = f"{source}\n".encode()
    return found


def _name(channel: str, part: str) -> str:
    ending = _ENDINGS.get(part)
    name = f"{channel}.{ending}" if ending else f"{channel}.{part}.txt"
    if _place(name) != (channel, part):
        raise ValueError("a part that is no file's name")
    return name


def _place(name: str) -> tuple[str, str] | None:
    """Channel and part of a file; None where it is none of ours."""
    found = _FILE.fullmatch(name)
    if found is None:
        return None
    channel, part, ending = found.groups()
    if part is None:
        return channel, next(known for known, its in _ENDINGS.items() if its == ending)
    return (channel, part) if ending == "txt" and part not in _ENDINGS else None


def changes(before: Document | None, after: Document | None) -> list[str]:
    """What differs, file by file, as lines of a unified diff; None: there is no such template."""
    old, new = to_files(before) if before else {}, to_files(after) if after else {}
    key = (after or before or {})["key"]
    return [
        line
        for name in sorted(old.keys() | new.keys())
        for line in difflib.unified_diff(
            old.get(name, b"").decode().split("\n")[:-1],
            new.get(name, b"").decode().split("\n")[:-1],
            f"{key}/{name}" if name in old else "/dev/null",
            f"{key}/{name}" if name in new else "/dev/null",
            lineterm="",
        )
    ]


# --- From files --------------------------------------------------------------------------------


def is_ours(name: str) -> bool:
    """Whether a file in a template's folder says something of the template."""
    locale, _, rest = name.rpartition("/")
    return name == META or (_is_folder(locale) and _place(rest) is not None)


def _is_folder(locale: str) -> bool:
    return not locale or _LOCALE.fullmatch(locale) is not None


def from_files(key: str, files: Mapping[str, bytes]) -> tuple[dict[str, Any], Places]:
    """The template in a folder. Raises `Flawed` with all that no template could be."""
    places, flaws = Places(key), []
    document: dict[str, Any] = {"key": key, **DEFAULTS, "channels": {}, "translations": {}}
    if META in files:
        flaws += _read_meta(files[META], document, places)
    else:
        flaws.append(Flaw(f"{key}/{META}", 1, 1, "This file is missing: it names the template."))
    for name, content in sorted(files.items()):
        if name != META:
            flaws += _read_part(name, content, document, places)
    if flaws:
        raise Flawed(flaws)
    return document, places


def _read_part(name: str, content: bytes, document: dict[str, Any], places: Places) -> list[Flaw]:
    locale, _, file = name.rpartition("/")
    place = _place(file)
    if place is None or not _is_folder(locale):
        message = "No part of a template has this name. There are email.html, email.subject.txt ..."
        return [Flaw(f"{places.key}/{name}", 1, 1, message)]
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        return [Flaw(f"{places.key}/{name}", line, column, "This is not UTF-8.")]
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        return [Flaw(f"{places.key}/{name}", line, 1, "A text holds no NUL.")]
    channels = document["translations"].setdefault(locale, {}) if locale else document["channels"]
    channels.setdefault(place[0], {})[place[1]] = text.removesuffix("\n")
    where = f"translations.{locale}" if locale else "channels"
    places.files[".".join([where, *place])] = name
    return []


# --- YAML as JSON has it -----------------------------------------------------------------------

_TAG = "tag:yaml.org,2002:"
_PLAIN = [
    ("null", r"null|~|", ["n", "~", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"-?(?:0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", list("-0123456789")),
]
"""What is no text without quotes: no more than in JSON. `no` is a language, 2026-01-01 a text."""

_STYLE: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 2**31}


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, Any] = {}

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}

    @override
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark: Any = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs'
            raise yaml.composer.ComposerError(None, None, "no aliases, please", mark)
        return super().compose_node(parent, index)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    """PyYAML writes some line ends of Unicode without quotes, and reads them as spaces."""
    style = None if value.isprintable() else '"'
    return dumper.represent_scalar(f"{_TAG}str", value, style=style)


_Dumper.add_representer(str, _text)
for _class in (_Dumper, _Loader):
    for _type, _pattern, _first in _PLAIN:
        _class.add_implicit_resolver(_TAG + _type, re.compile(rf"(?:{_pattern})\Z"), _first)


def _sorted(value: Any) -> Any:
    """Objects by name, so that the same always gives the same file."""
    match value:
        case dict():
            return {name: _sorted(value[name]) for name in sorted(value)}
        case list():
            return [_sorted(each) for each in value]
    return value


def _read_meta(content: bytes, document: dict[str, Any], places: Places) -> list[Flaw]:
    file = f"{places.key}/{META}"
    try:
        node = yaml.compose(content.decode(), _Loader)
    except UnicodeDecodeError:
        return [Flaw(file, 1, 1, "This is not UTF-8.")]
    except RecursionError:
        return [Flaw(file, 1, 1, "This is nested too deeply.")]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return [Flaw(file, line, column, f"This is not YAML: {error.problem}.")]
    except yaml.YAMLError:
        return [Flaw(file, 1, 1, "This is not YAML: it has a character that may not be there.")]
    if not isinstance(node, yaml.MappingNode):
        return [Flaw(file, 1, 1, "Write `name: ...`, and what else there is to say.")]
    reading = _Reading(places)
    said = reading.value(node, "")
    for name in said.keys() - DEFAULTS.keys():
        known = ", ".join(DEFAULTS)
        reading.flaws.append(places.flaw(name, f"There is no {name[:50]!r} here. Known: {known}."))
    document.update({name: said[name] for name in DEFAULTS if name in said})
    return reading.flaws


@dataclass
class _Reading:
    """YAML's nodes as JSON's values, with the place of each."""

    places: Places
    flaws: list[Flaw] = field(default_factory=list)

    def value(self, node: yaml.Node, path: str) -> Any:
        mark = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.places.marks.setdefault(path, mark)
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path)
            case yaml.SequenceNode():
                return [
                    self.value(each, _joined(path, str(index)))
                    for index, each in enumerate(node.value)
                ]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            where = _joined(path, str(key.value))
            mark = (key.start_mark.line + 1, key.start_mark.column + 1)
            self.places.marks.setdefault(where, mark)
            if key.tag != f"{_TAG}str":
                self._refuse(where, "A name is a text: put it in quotes.")
            elif key.value in found:
                self._refuse(where, f"{key.value[:50]!r} is here twice.")
            else:
                found[key.value] = self.value(value, where)
        return found

    def _scalar(self, node: yaml.Node, path: str) -> Any:
        match node.tag.removeprefix(_TAG):
            case "str" if not _UNSTORABLE.search(node.value):
                return node.value
            case "null":
                return None
            case "bool":
                return node.value == "true"
            case "int" if len(node.value) < _MAX_DIGITS:
                return int(node.value)
            case "float" if abs(float(node.value)) < float("inf"):
                return float(node.value)
        return self._refuse(path, "This is no value that JSON has.")

    def _refuse(self, path: str, message: str) -> None:
        self.flaws.append(self.places.flaw(path, message))


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_MAX_DIGITS = 1000
"""Python itself refuses 4,300."""


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
