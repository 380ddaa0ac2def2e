"""Writes `models.py` and `operations.py` of the client from the service's description:

python clients/python/generate.py
"""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
DESCRIPTION = HERE.parent.parent / "docs" / "api" / "openapi.yaml"
PACKAGE = HERE / "src" / "comms_client"

_HEAD = '''"""{what} Made by `generate.py` from the service's description: not to be edited."""

from __future__ import annotations

'''
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
JSON = "application/json"


def files(document: dict[str, Any]) -> dict[Path, str]:
    return {
        PACKAGE / "models.py": models(document),
        PACKAGE / "operations.py": operations(document),
    }


# --- Types -----------------------------------------------------------------------------------


def name_of(component: str) -> str:
    return component.removesuffix("Request")


def type_of(schema: dict[str, Any], place: str = "") -> str:
    """The annotation of a value; `place` goes before names of models."""
    if "$ref" in schema:
        return place + name_of(schema["$ref"].rpartition("/")[2])
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            return _union(type_of(one, place) for one in schema[key])
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return _union(_of_kind(kind, schema, place) for kind in kinds) if kinds else "Any"


def _of_kind(kind: str, schema: dict[str, Any], place: str) -> str:
    if "enum" in schema and kind == "string":
        return f"Literal[{', '.join(repr(one) for one in schema['enum'] if one is not None)}]"
    if kind == "array":
        return f"list[{type_of(schema['items'], place)}]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"dict[str, {type_of(more, place) if isinstance(more, dict) and more else 'Any'}]"
    return _PLAIN[kind]


def _union(kinds: Iterator[str]) -> str:
    found = list(dict.fromkeys(kinds))
    return "Any" if "Any" in found else " | ".join(sorted(found, key=lambda one: one == "None"))


def models(document: dict[str, Any]) -> str:
    parts = [_HEAD.format(what="What goes in and comes out."), _MODELS]
    schemas = document["components"]["schemas"]
    for component, schema in sorted(schemas.items()):
        name = name_of(component)
        if name != component and name in schemas:
            continue  # the same goes in and comes out
        if "properties" in schema:
            parts.append(_typed_dict(name, schema))
        else:
            parts.append(f"{name}: TypeAlias = {_alias(schema)}\n\n")
    return "\n".join(parts).rstrip() + "\n"


_MODELS = "from typing import Any, Literal, NotRequired, TypeAlias, TypedDict\n\n"


def _alias(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return f"Literal[{', '.join(repr(one) for one in schema['enum'])}]"
    return repr(type_of(schema))


def _typed_dict(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    lines = []
    for field, told in schema["properties"].items():
        kind = type_of(told)
        lines.append(f"    {field!r}: {kind if field in required else f'NotRequired[{kind}]'},")
    if any(keyword.iskeyword(field) for field in schema["properties"]):
        return "\n".join([f"{name} = TypedDict({name!r}, {{", *lines, "})\n\n"])
    fields = [
        line.replace("'", "", 2).removesuffix(",") if line.count("'") >= 2 else line
        for line in lines
    ]
    return "\n".join(
        [f"class {name}(TypedDict):", _doc(schema.get("description", "")), *fields, "\n"]
    )


def _doc(text: str, indent: int = 4) -> str:
    room = " " * indent
    lines = textwrap.wrap(" ".join(text.replace('"""', "'''").split()) or "…", 92 - indent)
    if len(lines) == 1:
        return f'{room}"""{lines[0]}"""\n'
    return "\n".join([f'{room}"""{lines[0]}', *(room + line for line in lines[1:]), f'{room}"""\n'])


# --- Operations ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Method:
    """One operation as a method of its group."""

    group: str
    name: str
    verb: str
    path: str
    told: dict[str, Any]
    document: dict[str, Any]

    @property
    def path_names(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def query(self) -> list[dict[str, Any]]:
        body = self._body_fields()
        return [
            one
            for one in self.told.get("parameters", ())
            if one["in"] == "query"
            and one["name"] not in body
            and not (self.row and one["name"] == "cursor")
        ]

    @property
    def headers(self) -> list[str]:
        return [one["name"] for one in self.told.get("parameters", ()) if one["in"] == "header"]

    @property
    def body(self) -> str:
        """`json`, `rows`, `file` or none."""
        kinds = self.told.get("requestBody", {}).get("content", {})
        if JSON in kinds:
            return "json"
        return "file" if "multipart/form-data" in kinds else "rows" if kinds else ""

    @property
    def body_type(self) -> str:
        return type_of(self.told["requestBody"]["content"][JSON]["schema"], "m.")

    @property
    def answer(self) -> str:
        """Of all answers of success."""
        found = []
        for status, told in self.told["responses"].items():
            if status < "3":
                content = told.get("content", {})
                plain = "str" if content else "None"
                schema = content.get(JSON, {}).get("schema")
                found.append(type_of(schema, "m.") if schema else plain)
        return _union(iter(found))

    @property
    def row(self) -> str:
        """The type of the rows where the answer is one of several pages."""
        schema = self._component(self.answer.removeprefix("m."))
        fields = schema.get("properties", {})
        has_cursor = any(one["name"] == "cursor" for one in self.told.get("parameters", ()))
        if not (has_cursor and {"results", "next"} <= fields.keys()):
            return ""
        return type_of(fields["results"]["items"], "m.")

    def _body_fields(self) -> set[str]:
        if self.body != "json":
            return set()
        return set(self._component(self.body_type.removeprefix("m.")).get("properties", ()))

    def _component(self, name: str) -> dict[str, Any]:
        schemas = self.document["components"]["schemas"]
        return schemas.get(name) or schemas.get(f"{name}Request") or {}


def methods(document: dict[str, Any]) -> Iterator[Method]:
    for path, item in document["paths"].items():
        for verb, told in item.items():
            group = told["tags"][0].replace("-", "_")
            operation = told["operationId"]
            name = operation.removeprefix(f"{group}_") if operation != group else ""
            short = path.removeprefix("/api/v1")
            yield Method(group, name, verb.upper(), short, told, document)


def operations(document: dict[str, Any]) -> str:
    found = list(methods(document))
    groups = sorted({one.group for one in found if one.name})
    parts = [_HEAD.format(what="Every operation of the API, by groups."), _OPERATIONS]
    for is_async in (False, True):
        kind = "Async" if is_async else ""
        for group in groups:
            members = [_method(one, is_async) for one in found if one.group == group and one.name]
            parts.append(
                f"class {kind}{_camel(group)}:\n" + _init(kind) + "\n" + "\n".join(members)
            )
        single = [_method(one, is_async) for one in found if not one.name]
        parts.append(_client(kind, groups) + "\n" + "\n".join(single))
    text = "\n\n".join(parts).rstrip() + "\n"
    return re.sub(r"\blist\[", "_List[", text)  # in a class that has a method `list`


_OPERATIONS = """\
from collections.abc import Mapping
from typing import Any, Literal, Unpack
from urllib.parse import quote

from comms_client import calls
from comms_client import models as m
from comms_client.calls import Call
from comms_client.client import AsyncRows, AsyncTransport, Rows, Transport


_List = list


def _in_path(part: object) -> str:
    return quote(str(part), safe="")


def _headers(**given: str | None) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in given.items() if value is not None}
"""


def _camel(group: str) -> str:
    return "".join(part.capitalize() for part in group.split("_"))


def _init(kind: str) -> str:
    return f"    def __init__(self, transport: {kind}Transport) -> None:\n        self._transport = transport\n"


def _client(kind: str, groups: list[str]) -> str:
    lines = [
        f"class {kind}Comms({kind}Transport):",
        '    """The API. `url` is where the service is, `key` an API key or the token of a person."""\n',
    ]
    lines.append("    def __init__(self, url: str, key: str, **options: Any) -> None:")
    lines.append("        super().__init__(url, key, **options)")
    lines += [f"        self.{group} = {kind}{_camel(group)}(self)" for group in groups]
    return "\n".join(lines) + "\n"


def _method(one: Method, is_async: bool) -> str:
    is_list = bool(one.row)
    prefix = "async def" if is_async and not is_list else "def"
    name = _identifier(one.name or one.told["operationId"])
    place = "self._transport" if one.name else "self"
    kind = "Async" if is_async else ""
    answer = f"{kind}Rows[{one.row}]" if is_list else one.answer
    lines = [f"    {prefix} {name}({', '.join(_parameters(one))}) -> {answer}:"]
    lines.append(_doc(f"{one.told['summary'].rstrip('.')}. `{one.verb} {one.path}`", 8).rstrip())
    call = f"Call({', '.join(_arguments(one))})"
    if is_list:
        lines.append(f"        return {kind}Rows({place}, {call})")
    else:
        wait = "await " if is_async else ""
        lines.append(f"        found: {answer} = {wait}{place}.call({call})")
        lines.append("        return found")
    return "\n".join(lines) + "\n"


def _parameters(one: Method) -> list[str]:
    found = ["self", *(f"{name}: object" for name in one.path_names)]
    if one.path_names:
        found.append("/")
    named = [f"{_plain(name)}: str | None = None" for name in one.headers]
    named += [
        f"{_identifier(parameter['name'])}: {_union(iter([type_of(parameter['schema'], 'm.'), 'None']))} = None"
        for parameter in one.query
    ]
    if one.body == "rows":
        named[:0] = ["content: bytes", "content_type: str = 'application/x-ndjson'"]
    if one.body == "file":
        named[:0] = ["file: bytes", "filename: str"]
    if named:
        found += ["*", *named]
    if one.body == "json":
        found.append(f"**body: Unpack[{one.body_type}]")
    return found


def _identifier(name: str) -> str:
    """`from_` and `import_`, as is usual."""
    return f"{name}_" if keyword.iskeyword(name) else name


def _plain(header: str) -> str:
    return header.lower().replace("-", "_")


def _arguments(one: Method) -> list[str]:
    path = re.sub(r"{(\w+)}", r"{_in_path(\1)}", one.path)
    found = [repr(one.verb), f'f"{path}"' if one.path_names else repr(path)]
    if one.query:
        pairs = ", ".join(f"{p['name']!r}: {_identifier(p['name'])}" for p in one.query)
        found.append(f"query={{{pairs}}}")
    if one.body == "json":
        found.append("json=body")
    headers = [
        f"{name.replace('-', '_')}={_plain(name)}"
        + (" or calls.key()" if name == "Idempotency-Key" else "")
        for name in one.headers
    ]
    if one.body == "rows":
        found.append("content=content")
        headers.append("Content_Type=content_type")
    if one.body == "file":
        found.append("files={'file': (filename, file)}")
    if headers:
        found.append(f"headers=_headers({', '.join(headers)})")
    return found


def main() -> None:
    document = yaml.load(DESCRIPTION.read_text(), Loader=yaml.CSafeLoader)
    for path, text in files(document).items():
        path.write_text(formatted(text, path))


def formatted(text: str, path: Path) -> str:
    """As ruff would have it."""
    ruff = [sys.executable, "-m", "ruff"]
    for step in (["check", "--fix", "--quiet", "--select", "I,F401"], ["format", "--quiet"]):
        command = [*ruff, *step, "--stdin-filename", str(path), "-"]
        text = subprocess.run(
            command, input=text, capture_output=True, text=True, check=True
        ).stdout
    return text


if __name__ == "__main__":
    main()
