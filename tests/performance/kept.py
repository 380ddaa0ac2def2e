"""The results that docs/performance.md is made from: of every measurement the newest run."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.performance.report import Report
from tests.performance.world import ROOT

FOLDER = ROOT / "docs" / "performance" / "results"
PICTURES = ROOT / "docs" / "images"


def runs(folder: Path = FOLDER) -> dict[str, Report]:
    """By the names of their files, the oldest first."""
    return _in_order({path.name: Report.load(path) for path in folder.glob("*.json")})


def take(paths: Iterable[Path], folder: Path = FOLDER, pictures: Path = PICTURES) -> None:
    """Keep these too, with the pictures beside them, and nothing that a later run has measured again."""
    taken = {path: Report.load(path) for path in paths}
    known = _in_order(runs(folder) | {path.name: run for path, run in taken.items()})
    newest = {key: name for name, run in known.items() for key in run.titles}
    folder.mkdir(parents=True, exist_ok=True)
    for name, run in known.items():
        if keys := [key for key in run.titles if newest[key] == name]:
            (folder / name).write_text(run.only(keys).json())
        else:
            (folder / name).unlink(missing_ok=True)
    for path, run in taken.items():
        for picture in {
            name for key in run.plots if newest[key] == path.name for name in run.plots[key]
        }:
            shutil.copyfile(path.parent / picture, pictures / picture)


def merged(known: Mapping[str, Report]) -> Report:
    """All that is kept as if it were one run: that of the newest machine."""
    whole = Report({})
    for run in known.values():
        whole.machine = {**whole.machine, **run.machine}
        for name in ("titles", "peers", "figures", "plots"):
            getattr(whole, name).update(getattr(run, name))
        whole.errors += run.errors
    return whole


def _in_order(known: Mapping[str, Report]) -> dict[str, Report]:
    return dict(sorted(known.items(), key=lambda one: (one[1].machine["when"], one[0])))
