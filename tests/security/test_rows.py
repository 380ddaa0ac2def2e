"""Each row of the threat model names tests, and those are there."""

from __future__ import annotations

import ast
import re

from tests.advisories import ROOT

PAGE = ROOT / "docs/security/THREAT-MODEL.md"
WAYS = 20
_NODE = re.compile(r"`(tests/[\w/]+\.py)((?:::\w+)+)`")


def ways() -> dict[str, list[tuple[str, str]]]:
    """The tests, as file and dotted name, of each way in."""
    _, _, rest = PAGE.read_text().partition("## Each way in")
    table, _, _ = rest.partition("\n## ")
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")]
    return {
        row[1].strip(): [
            (file, names.removeprefix("::").replace("::", "."))
            for file, names in _NODE.findall(row[3])
        ]
        for row in rows[1:]
    }


def functions_in(file: str) -> set[str]:
    """As they are written; nothing is imported."""
    found = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        start = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        functions = (one for one in inner if isinstance(one, ast.FunctionDef))
        found |= {f"{start}{one.name}" for one in functions}
    return found


def test_every_way_in_has_tests_that_are_there() -> None:
    found = ways()
    assert len(found) >= WAYS
    for way, tests in found.items():
        assert tests, way
        for file, name in tests:
            assert name in functions_in(file), f"{way}: {file} has no {name}"
            assert name.rpartition(".")[2].startswith("test_")
