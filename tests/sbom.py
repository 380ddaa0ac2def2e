"""`make sbom`: what is handed on with the service, as CycloneDX 1.6. The same locks give the same file."""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import quote

from tests import licences
from tests.advisories import ROOT, npm, pins

FILE = ROOT / "sbom.json"


def document() -> dict[str, Any]:
    """What the service cannot do without is "required"; embedded servers and tracing are "optional"."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "commsproject"}},
        "components": [*_packages(), *_modules()],
    }


def _packages() -> list[dict[str, Any]]:
    told = licences.installed()
    return [
        _component("pypi", name, version, told[name], is_required="base.txt" in files)
        for (name, version), files in sorted(pins().items())
        if name in told
    ]


def _modules() -> list[dict[str, Any]]:
    known, told = npm(), licences.in_the_browser()
    return [
        _component("npm", name, known[name]["version"], licence, is_required=True)
        for name, licence in told.items()
    ]


def _component(
    kind: str, name: str, version: str, licence: str, *, is_required: bool
) -> dict[str, Any]:
    purl = f"pkg:{kind}/{quote(name)}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "scope": "required" if is_required else "optional",
        "licenses": [{"expression": licence}],
        "purl": purl,
    }


def main() -> None:
    made = document()
    FILE.write_text(json.dumps(made, indent=1) + "\n")
    sys.stdout.write(f"{FILE.name}: {len(made['components'])} components\n")


if __name__ == "__main__":
    main()
