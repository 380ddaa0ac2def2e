"""Under which licences stands what the service is installed with:

python -m tests.licences        writes docs/security/LICENCES.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from tests.advisories import ROOT, npm, pins

PAGE = ROOT / "docs/security/LICENCES.md"
LOCKS = {"base.txt", "local.txt", "otel.txt"}
"""What a service is installed from. Tools for tests and checks are run beside it and not given away."""

ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MIT-CMU"),
    *("PSF-2.0", "PostgreSQL", "Unlicense"),
    # Bound to the package itself, which is used as it is and can be exchanged:
    *("LGPL-3.0-only", "LGPL-3.0-or-later", "MPL-2.0"),
}

_SPELT = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "MIT License": "MIT",
    "New BSD": "BSD-3-Clause",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "The MIT License (MIT)": "MIT",
    "The Unlicense (Unlicense)": "Unlicense",
}
_BY_HAND = {
    "mrml": "MIT",  # its LICENSE; nothing in its metadata
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",  # "Dual License"
    "uritemplate": "BSD-3-Clause OR Apache-2.0",  # "BSD 3-Clause OR Apache-2.0"
    "uvloop": "Apache-2.0 OR MIT",  # LICENSE-APACHE, LICENSE-MIT
}


_TOOL = re.compile(r"esbuild|@esbuild/.*|typescript|@types/.*")


def installed() -> dict[str, str]:
    """Name to SPDX expression of every package that the locks of the service name."""
    names = {name for (name, _), files in pins().items() if LOCKS & set(files)}
    return {name: licence(name) for name in sorted(names)}


def in_the_browser() -> dict[str, str]:
    """The same of what it gets; what modules are built with stays here."""
    handed_on = {name: told for name, told in npm().items() if not _TOOL.fullmatch(name)}
    return {name: handed_on[name]["license"] for name in sorted(handed_on)}


def licence(name: str) -> str:
    """As SPDX spells it; empty where the package does not say."""
    told: PackageMetadata = metadata(name)
    by_hand = _BY_HAND.get(canonicalize_name(name))
    return by_hand or _first(told, "License-Expression") or _in_words(told)


def _first(told: PackageMetadata, name: str) -> str:
    return next(iter(told.get_all(name) or ()), "")


def _in_words(told: PackageMetadata) -> str:
    known = _first(told, "License").partition("\n")[0]
    if (spelt := _SPELT.get(known, known)) in ALLOWED:
        return spelt
    marks = [one.rpartition(" :: ")[2] for one in told.get_all("Classifier") or ()]
    return " OR ".join(sorted({_SPELT[one] for one in marks if one in _SPELT}))


def refused(expression: str) -> set[str]:
    """Of an SPDX expression, what is not allowed: any part joined by AND, all of those joined by OR."""
    parts = [set(re.split(r" OR ", part.strip("() "))) for part in expression.split(" AND ")]
    return set().union(*(part for part in parts if not part & ALLOWED))


def page() -> str:
    return f"""# Licences

What the service is installed with ({", ".join(sorted(LOCKS))}), by `python -m tests.licences`, which reads what
each package says of itself. A test fails where a package has a licence that is not in `ALLOWED` of
`tests/licences.py`, and where this page is not of today's locks.

The service itself: [LICENSE](../../LICENSE). LGPL and MPL packages are used as they are published and can be
exchanged, which is what they ask for. Tools for tests and checks (`dev.txt`, `bench.txt`) are not handed on with
the service. The whole list with versions as CycloneDX: `make sbom`.

{_table("Package", installed())}

What the browser gets, alone or in modules built from it:

{_table("Package of npm", in_the_browser())}
"""


def _table(title: str, told: Mapping[str, str]) -> str:
    rows = "".join(f"\n| {name} | {licence} |" for name, licence in told.items())
    return f"| {title} | Licence (SPDX) |\n|---|---|{rows}"


def main() -> None:
    Path(PAGE).write_text(page())


if __name__ == "__main__":
    main()
