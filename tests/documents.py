"""The pages of the documentation, and what is fenced in them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from django.conf import settings

ROOT: Path = settings.BASE_DIR
CLIENTS = [ROOT / "clients" / name / "README.md" for name in ("js", "python")]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *CLIENTS,
    *sorted((ROOT / "docs").rglob("*.md")),
]

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fences(page: Path, *kinds: str) -> list[str]:
    """The blocks of these kinds (of all without one), not indented."""
    found = FENCE.findall(page.read_text())
    return [textwrap.dedent(text) for kind, text in found if not kinds or kind in kinds]
