"""The pinned versions against the snapshot of what is publicly known of them:

python -m tests.advisories              fails for what is known, and for what nobody has looked up
python -m tests.advisories --release    and for what was looked up too long ago
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
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

REQUIRED = {"base.txt", "local.txt"}
"""Locks of which every package has to be looked up: what the service runs on. Of tools for tests and
checks, which are run beside it, and of modules for the browser, what is listed is told.
"""

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
    """As `pins`, with npm's packages as `npm:NAME`, and what is inside of wheels as `bundled:NAME`."""
    modules = {(f"npm:{name}", one["version"]): [one["lock"]] for name, one in npm().items()}
    inside = {
        (f"bundled:{one['name']}", one["version"]): [one["package"]]
        for one in snapshot()["bundled"]
    }
    return pins() | modules | inside


def snapshot() -> dict[str, Any]:
    return tomllib.loads(SNAPSHOT.read_text())


def looked_up(known: Mapping[str, Any]) -> dict[str, date]:
    """When each package was."""
    return {name: one["on"] for one in known["looked_up"] for name in one["packages"]}


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


def missing(
    known: Mapping[str, Any], packages: Mapping[tuple[str, str], list[str]]
) -> Iterator[str]:
    """One line for each that has to be looked up, and was not."""
    days = looked_up(known)
    for (name, version), files in packages.items():
        is_bundled = name.startswith("bundled:")
        if name not in days and (is_bundled or REQUIRED.intersection(files)):
            yield (
                f"{name} {version} ({', '.join(files)}) was looked up by nobody: look for advisories "
                f"against it, then put its name under a [[looked_up]] of today in {_WHERE}"
            )


def old(known: Mapping[str, Any], today: date) -> Iterator[str]:
    """One line for each look-up that says little by now."""
    for one in known["looked_up"]:
        if today - one["on"] > timedelta(days=known["old_after_days"]):
            yield (
                f"{len(one['packages'])} packages were looked up on {one['on']}, more than "
                f"{known['old_after_days']} days ago: look them up again ({_WHERE})"
            )


_WHERE = SNAPSHOT.relative_to(ROOT)


def main(arguments: Sequence[str]) -> str:
    """What is wrong with what is pinned; empty for nothing. What is merely old is told, and wrong for a
    release: a commit that passed once passes on any later day.
    """
    known, packages = snapshot(), locked()
    found = list(hits(known["advisory"], packages))
    unknown = list(missing(known, packages))
    stale = list(old(known, datetime.now(UTC).date()))
    days = looked_up(known)
    of = sum(name in days for name, _ in packages)
    result = (
        f"{len(packages)} pinned packages, {of} looked up from {min(days.values())} to "
        f"{max(days.values())}, {len(known['advisory'])} advisories: {len(found) or 'no'} hits"
    )
    is_release = "--release" in arguments
    told = [result, *([] if is_release else stale)]
    sys.stdout.write("".join(f"{line}\n" for line in told))
    return "\n".join([*found, *unknown, *(stale if is_release else [])])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) or None)
