"""The pinned versions against the snapshot of what is publicly known of them:

python -m tests.advisories
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SNAPSHOT = ROOT / "tests/security/advisories.toml"

_MODULES = ("clients/js", "templates_app/codemirror")
"""Built by npm's packages; what they give is in the repository."""


@dataclass(frozen=True)
class Bundle:
    """A module of npm that is handed on as it was built: by us, or in the static files of a package
    that we install. `version` finds its version in `file`, beneath the repository or the package.
    """

    name: str
    package: str
    file: str
    version: str
    license: str = "MIT"

    @property
    def told(self) -> Mapping[str, str]:
        """As npm's locks would say it."""
        (version,) = set(re.findall(self.version, self._path().read_text()))
        return {"version": version, "license": self.license, "lock": self.package or self.file}

    def _path(self) -> Path:
        if not self.package:
            return ROOT / self.file
        (folder,) = find_spec(self.package).submodule_search_locations  # type: ignore[union-attr, misc]
        return Path(folder) / self.file


_VENDOR = "contrib/admin/static/admin/js/vendor"
_UNFOLD = "static/unfold/js"
_SIDECAR = "static/drf_spectacular_sidecar"

_BUNDLES = (
    Bundle(
        "uplot", "", "commsproject/console/static/console/vendor/uplot.js", r"uPlot \(v([\d.]+)\)"
    ),
    Bundle(
        "jquery", "django", f"{_VENDOR}/jquery/jquery.js", r"jQuery JavaScript Library v([\d.]+)"
    ),
    Bundle("select2", "django", f"{_VENDOR}/select2/select2.full.js", r" \* Select2 ([\d.]+)"),
    Bundle("xregexp", "django", f"{_VENDOR}/xregexp/xregexp.js", r"\* XRegExp ([\d.]+)"),
    Bundle("alpinejs", "unfold", f"{_UNFOLD}/alpine/alpine.js", r'version:"([\d.]+)"'),
    Bundle("htmx.org", "unfold", f"{_UNFOLD}/htmx/htmx.js", r'version:"([\d.]+)"', "0BSD"),
    Bundle("chart.js", "unfold", f"{_UNFOLD}/chart/chart.js", r'version="([\d.]+)"'),
    Bundle("simplebar", "unfold", f"{_UNFOLD}/simplebar/simplebar.js", r"simplebar - v([\d.]+)"),
    Bundle(
        "swagger-ui-dist",
        "drf_spectacular_sidecar",
        f"{_SIDECAR}/swagger-ui-dist/swagger-ui-bundle.js",
        r'PACKAGE_VERSION:"([\d.]+)"',
        "Apache-2.0",
    ),
)

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", re.MULTILINE)


def pins(folder: Path = ROOT / "requirements") -> dict[tuple[str, str], list[str]]:
    """Name and version of every package that is locked, and by which files."""
    found: dict[tuple[str, str], list[str]] = {}
    for lock in sorted(folder.glob("*.txt")):
        for name, version in _PIN.findall(lock.read_text()):
            found.setdefault((canonicalize_name(name), version), []).append(lock.name)
    return found


def npm() -> dict[str, Mapping[str, Any]]:
    """Of every package that the browser gets, or whose modules are built with it: what npm's locks say,
    and bundles of themselves.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for folder in _MODULES:
        path = f"{folder}/package-lock.json"
        for where, told in json.loads((ROOT / path).read_text())["packages"].items():
            if where:  # "" is the module itself
                found[where.rpartition("node_modules/")[2]] = {**told, "lock": path}
    return found | {one.name: one.told for one in _BUNDLES}


def locked() -> dict[tuple[str, str], list[str]]:
    """As `pins`, with npm's packages as `npm:NAME`."""
    modules = {(f"npm:{name}", one["version"]): [one["lock"]] for name, one in npm().items()}
    return pins() | modules


def snapshot() -> dict[str, Any]:
    return tomllib.loads(SNAPSHOT.read_text())


def hits(
    advisories: list[Mapping[str, Any]], packages: Mapping[tuple[str, str], list[str]]
) -> Iterator[str]:
    """One line for each that a pinned version has, and that nobody has accepted."""
    for one in advisories:
        for (name, version), files in packages.items():
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
    known, packages = snapshot(), locked()
    found = list(hits(known["advisory"], packages))
    many, day = len(known["advisory"]), known["looked_up"]
    result = (
        f"{len(packages)} pinned packages, {many} advisories of {day}: {len(found) or 'no'} hits"
    )
    if age(known, datetime.now(UTC).date()) > timedelta(days=known["old_after_days"]):
        result += f"\n{SNAPSHOT.relative_to(ROOT)} is old: look the packages up again"
    sys.stdout.write(f"{result}\n")
    return "\n".join(found)


if __name__ == "__main__":
    sys.exit(main() or None)
