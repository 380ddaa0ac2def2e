"""`make check`: the built modules of clients/js are small enough, and what the sources give.

Without Node.js and what `make widgets` installs, only their sizes are looked at.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "clients/js"
BUILT = ROOT / "commsproject/console/static/comms"
MOST = 25_000
"""Bytes of a module, compressed."""


def sizes() -> dict[str, int]:
    """Of each module, compressed."""
    return {
        file.name: len(gzip.compress(file.read_bytes(), 9)) for file in sorted(BUILT.glob("*.js"))
    }


def differences() -> list[str]:
    """Files that the sources do not give; none where nothing can be built here."""
    node = shutil.which("node")
    if node is None or not (SOURCES / "node_modules").is_dir():
        return []
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([node, SOURCES / "build.mjs", directory], check=True)
        made, built = _files(Path(directory)), _files(BUILT)
    return sorted(name for name in made.keys() | built.keys() if made.get(name) != built.get(name))


def _files(root: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(root)): one.read_bytes() for one in root.rglob("*") if one.is_file()
    }


def main() -> int:
    found = sizes()
    wrong = [f"{name}: {size} bytes, at most {MOST}" for name, size in found.items() if size > MOST]
    wrong += [f"{name}: not what the sources give; run `make widgets`" for name in differences()]
    for name, size in found.items():
        sys.stdout.write(f"{name}: {size:,} bytes compressed\n")
    for line in wrong:
        sys.stderr.write(f"{line}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
