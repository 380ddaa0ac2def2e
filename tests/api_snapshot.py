"""`docs/api/openapi.yaml`: the description as it was published last. `make openapi` writes it anew, and
refuses to lose what somebody may rely on:

    python -m tests.api_snapshot [--breaking]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

FILE = Path(__file__).parent.parent / "docs" / "api" / "openapi.yaml"


def dumped(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)


class _Plain(yaml.CSafeDumper):
    """Each value where it stands: anchors save room and are read by nobody."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def published() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(FILE.read_text(), Loader=yaml.CSafeLoader)
    return found


def lost(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What a client of `before` may use and does not find any more, or has to do anew."""
    return sorted(
        {*_promises(before)} - {*_promises(now)}
        | {
            f"new demand: {one}"
            for one in {*_demands(now)} - {*_demands(before)}
            if _old(one, before)
        }
    )


def _promises(document: dict[str, Any]) -> Iterator[str]:
    for path, item in document["paths"].items():
        for method, told in item.items():
            name = f"{method.upper()} {path}"
            yield name
            yield f"{name} is called {told['operationId']}"
            yield from (f"{name} takes {one['name']}" for one in told.get("parameters", ()))
            yield from (f"{name} answers {status}" for status in told["responses"] if status < "3")
    for name, schema in document["components"]["schemas"].items():
        yield from (f"{name}.{field}" for field in schema.get("properties", ()))
        yield from (f"{name} has {value!r}" for value in schema.get("enum", ()))


def _demands(document: dict[str, Any]) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Request"):
            yield from (f"{name}.{field}" for field in schema.get("required", ()))


def _old(demand: str, before: dict[str, Any]) -> bool:
    """A schema that is new may demand what it likes."""
    return demand.partition(".")[0] in before["components"]["schemas"]


def main() -> None:
    import django

    django.setup()
    from tests import api_calls

    now = api_calls.description()
    gone = lost(published(), now) if FILE.exists() else []
    if gone and "--breaking" not in sys.argv:
        sys.exit("Somebody may rely on what is gone (docs/api/VERSIONING.md):\n" + "\n".join(gone))
    FILE.write_text(dumped(now))


if __name__ == "__main__":
    main()
