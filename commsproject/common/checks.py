"""System checks: no broker with a hole in what whoever reaches it may have it run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

from commsproject.common import valkey

_MENDED: Mapping[str, Mapping[tuple[int, int], int]] = {
    "valkey": {(7, 2): 11, (8, 0): 6, (8, 1): 4, (9, 0): 0, (9, 1): 2},
    "redis": {(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2},
}
"""Of each line the first release by whose scripts nobody gets at its host: CVE-2025-49844, and of Valkey
9.1 GHSA-fq2f-crmw-q97r. Rate limits are scripts, so they cannot be forbidden.
"""


@register(Tags.database)
def broker_has_no_known_hole(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """common.W004, where servers are asked at all: by `migrate`, and `check --database default`."""
    if not databases:
        return []
    try:
        told: Any = valkey.ask(lambda client: client.info("server"), what="version")
    except valkey.Away:
        return []
    kind = "valkey" if "valkey_version" in told else "redis"
    version = str(told.get(f"{kind}_version", ""))
    if not _is_old(kind, version):
        return []
    mended = ", ".join(f"{a}.{b}.{c}" for (a, b), c in _MENDED[kind].items())
    return [
        checks.Warning(
            f"The broker is {kind.capitalize()} {version}: its scripts have a known hole.",
            hint=f"CVE-2025-49844, and of Valkey 9.1 GHSA-fq2f-crmw-q97r. Mended are {mended} and "
            "what follows each; where somebody else runs it for you, ask them.",
            id="common.W004",
        )
    ]


def _is_old(kind: str, version: str) -> bool:
    """Newer lines than those of the table never had it, older ones were not mended."""
    found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+).*", version)
    if found is None:
        return False
    major, minor, patch = map(int, found.groups())
    lines = _MENDED[kind]
    return patch < lines.get((major, minor), 0) or (
        (major, minor) not in lines and (major, minor) < max(lines)
    )
