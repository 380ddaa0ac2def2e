"""The pinned versions against the snapshot of what is publicly known of them:

python -m tests.advisories
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SNAPSHOT = ROOT / "tests/security/advisories.toml"

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", re.MULTILINE)


def pins(folder: Path = ROOT / "requirements") -> dict[tuple[str, str], list[str]]:
    """Name and version of every package that is locked, and by which files."""
    found: dict[tuple[str, str], list[str]] = {}
    for lock in sorted(folder.glob("*.txt")):
        for name, version in _PIN.findall(lock.read_text()):
            found.setdefault((canonicalize_name(name), version), []).append(lock.name)
    return found


def snapshot() -> dict[str, Any]:
    return tomllib.loads(SNAPSHOT.read_text())


def hits(
    advisories: list[Mapping[str, Any]], locked: Mapping[tuple[str, str], list[str]]
) -> Iterator[str]:
    """One line for each that a pinned version has, and that nobody has accepted."""
    for one in advisories:
        for (name, version), files in locked.items():
            if name == one["package"] and _affects(one, version) and "accepted" not in one:
                ids = ", ".join(one["ids"])
                yield f"{name} {version} ({', '.join(files)}): {ids}. {one['about']}"


def _affects(one: Mapping[str, Any], version: str) -> bool:
    return SpecifierSet(one["affected"], prereleases=True).contains(version)


def age(known: Mapping[str, Any], today: date) -> timedelta:
    looked_up: date = known["looked_up"]
    return today - looked_up


def main() -> str:
    """What is known against versions that are pinned; empty for nothing."""
    known, locked = snapshot(), pins()
    found = list(hits(known["advisory"], locked))
    many, day = len(known["advisory"]), known["looked_up"]
    result = f"{len(locked)} pinned packages, {many} advisories of {day}: {len(found) or 'no'} hits"
    if age(known, datetime.now(UTC).date()) > timedelta(days=known["old_after_days"]):
        result += f"\n{SNAPSHOT.relative_to(ROOT)} is old: look the packages up again"
    sys.stdout.write(f"{result}\n")
    return "\n".join(found)


if __name__ == "__main__":
    sys.exit(main() or None)
