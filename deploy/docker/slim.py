"""Takes what the service never reads out of an image: 110 MB of the packages, 15 MB of static files.

    python slim.py /opt/venv/lib/python3.11/site-packages /app/staticfiles

A rule that finds nothing fails the build: a package that has changed its shape must not come back
unnoticed. `make rollout` runs the service on what is left.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_AWS = {"sesv2", "sns", "s3", "sts", "pinpoint-sms-voice-v2"}
"""The services that are called. The shapes of the other four hundred are data alone."""

_TWILIO = {"api"}

_UNUSED = (
    "phonenumbers/geodata",  # names of towns
    "phonenumbers/carrierdata",
    "django/contrib/flatpages",
    "django/contrib/gis",
    "django/contrib/redirects",
    "django/contrib/sitemaps",
    "watchfiles",  # uvicorn's --reload
    # Of pictures only JPEG, PNG, GIF and WebP are taken, and no text is written on them.
    "PIL/_avif*.so",
    "PIL/_imagingft*.so",
    "PIL/_imagingtk*.so",
    "pillow.libs/libavif-*",
    "pillow.libs/libfreetype-*",
    "pillow.libs/libharfbuzz-*",
)

_ANYWHERE = ("*.po", "*.pot", "*.pyi", "*.pyx", "*.pxd", "tests", "RECORD")
"""Sources of translations, types and libraries, tests of others, an installer's own lists."""

_NAMED_BY_HASH = ("admin/", "drf_spectacular_sidecar/", "unfold/")
"""Static files that only our own pages ask for, and pages ask by the name with the hash."""


def slim_packages(packages: Path) -> None:
    """Raises FileNotFoundError for a rule that finds nothing."""
    _keep(packages / "botocore" / "data", _AWS)
    _keep(packages / "twilio" / "rest", _TWILIO)
    for pattern in _UNUSED:
        _remove(packages.glob(pattern), pattern)
    for pattern in _ANYWHERE:
        _remove(packages.rglob(pattern), pattern)
    # The pages are in English: of Django's other languages nothing is ever shown.
    _remove((path for path in packages.rglob("*.mo") if path.parts[-3] != "en"), "*.mo")
    # `collectstatic` has read them; they are served from where it put them.
    _remove((path for path in packages.rglob("static") if path.is_dir()), "static")
    _strip(packages)


def slim_static(folder: Path) -> None:
    """Maps for debuggers, and the second copies of what has a name with a hash."""
    _remove(folder.rglob("*.map*"), "*.map")
    names = json.loads((folder / "staticfiles.json").read_text())["paths"]
    for prefix in _NAMED_BY_HASH:
        twins = [name for name, hashed in names.items() if name != hashed]
        _remove((folder / name for name in twins if name.startswith(prefix)), prefix)
        _remove((folder / f"{name}.gz" for name in twins if name.startswith(prefix)), prefix)


def _keep(folder: Path, names: set[str]) -> None:
    found = {path.name: path for path in folder.iterdir() if path.is_dir()}
    if missing := names - found.keys():
        raise FileNotFoundError(f"{folder} has no {missing}")
    for name in found.keys() - names - {"__pycache__"}:
        shutil.rmtree(found[name])


def _remove(found: Iterable[Path], what: str) -> None:
    paths = [path for path in found if path.exists()]
    if not paths:
        raise FileNotFoundError(f"there is no {what} any more")
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # some went with their folder


def _strip(packages: Path) -> None:
    """Symbols for debuggers. Not where a `.libs` folder is: what was patched to find that would break."""
    patched = {folder.name.removesuffix(".libs") for folder in packages.glob("*.libs")}
    patched |= {"PIL"} if "pillow" in patched else set()
    libraries = [
        library
        for library in packages.rglob("*.so")
        if library.relative_to(packages).parts[0] not in patched
    ]
    subprocess.run(["strip", "--strip-unneeded", *libraries], check=True)  # noqa: S603, S607


if __name__ == "__main__":
    slim_packages(Path(sys.argv[1]))
    slim_static(Path(sys.argv[2]))
