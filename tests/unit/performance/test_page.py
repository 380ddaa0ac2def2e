from __future__ import annotations

import json
from pathlib import Path

from tests.performance import kept
from tests.performance.goals import GOALS
from tests.performance.page import PAGE, page
from tests.performance.report import RATE, Figures, Report

MACHINE = {"processor": "Abacus, 4 cores", "commit": "abc", "load before": "0.1"}


def run(when: str, **figures: list[Figures]) -> Report:
    titles = {key: key.upper() for key in figures}
    return Report({**MACHINE, "when": when}, titles, {"a": ["celery-http"]}, figures)


def saved(folder: Path, name: str, report: Report) -> Path:
    path = folder / name
    path.write_text(report.json())
    return path


def test_the_page_is_what_the_kept_results_say() -> None:
    assert page(kept.runs()) == PAGE.read_text(), "make bench-report ARGS=--kept"


def test_goals_name_figures_that_are_measured() -> None:
    whole = kept.merged(kept.runs())
    for goal in GOALS:
        assert goal.key not in whole.figures or goal.measured(whole) is not None, goal.what


def test_of_each_measurement_the_newest_run_is_kept(tmp_path: Path) -> None:
    old = run("2026-01-01 10:00 UTC", a=[{RATE: 1.0}], b=[{RATE: 2.0}])
    new = run("2026-01-03 10:00 UTC", a=[{RATE: 3.0}, {RATE: 5.0}], c=[])
    new.errors += ["c: not within 60 s"]
    between = run("2026-01-02 10:00 UTC", b=[{RATE: 4.0}])
    measured, folder = tmp_path / "measured", tmp_path / "kept"
    measured.mkdir()
    kept.take([saved(measured, "z.json", old)], folder)
    kept.take([saved(measured, "y.json", new), saved(measured, "x.json", between)], folder)
    assert {name: list(one.titles) for name, one in kept.runs(folder).items()} == {
        "x.json": ["b"],
        "y.json": ["a", "c"],
    }
    kept.take([measured / "z.json"], folder)
    whole = kept.merged(kept.runs(folder))
    assert (whole.median("a", RATE), whole.median("b", RATE)) == (4.0, 4.0)
    assert whole.errors == ["c: not within 60 s"]


FAST = "64 clients, no worker runs"


def test_what_the_page_says_of_figures() -> None:
    cpu = {"CPU us accept": 100.0, "CPU us postgres": 50.0, "CPU us workers": 250.0}
    of_peer: list[Figures] = [{RATE: 500.0}]
    made = page(
        {
            "one.json": run(
                "2026-01-01 10:00 UTC",
                a=[{RATE: 8000.0, **cpu}, {RATE: 6000.0, **cpu}, {RATE: 5000.0, **cpu}],
                submission=[{f"{FAST}; p99 ms": 61.0, f"{FAST}; requests/s": 2000.0}],
                abacus=[{"beads": 7.0}],
                **{"celery-http": of_peer},
            )
        }
    )
    for line in (
        "| A | 6,000 (5,000-8,000) |  |  | 12.0 |",
        "| A | 100 | 50 | 250 | 400 | 10,000 | 60% |",  # 4 cores
        "| A | 6,000 | 3 min | 518 million |",
        "| A | 50 | 20,000 |",
        "| SUBMISSION | p99 ms | requests/s |",
        f"| {FAST} | 61 | 2,000 |",
        "| 64 agents, requests/s | at least 2,000 | 2,000 | met |",
        "| 64 agents, p99 ms | at most 60 | 61 | **missed** |",
        "| (a) times the better peer | at least 20 | 12 | **missed** |",
        "| A claim with 20 million stored, p95 ms | at most 20 |  | not measured |",
        "Not measured: `soak`.",
        "| beads | 7 |",  # of a measurement that no section knows
    ):
        assert line in made.splitlines(), line


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    one = run("2026-01-01 10:00 UTC", a=[{RATE: 1.5}])
    one.plots["a"] = ["a.svg"]
    path = one.save(tmp_path)
    assert Report.load(path.with_suffix(".json")) == one
    assert json.loads(path.with_suffix(".json").read_text())["plots"] == {"a": ["a.svg"]}


def test_pictures_come_along(tmp_path: Path) -> None:
    one = run("2026-01-01 10:00 UTC", soak=[{"minutes": 60.0}])
    one.plots["soak"] = ["soak.svg"]
    for name in ("measured", "pictures"):
        (tmp_path / name).mkdir()
    (tmp_path / "measured/soak.svg").write_text("<svg/>")
    path = saved(tmp_path / "measured", "x.json", one)
    kept.take([path], tmp_path / "kept", tmp_path / "pictures")
    assert (tmp_path / "pictures/soak.svg").read_text() == "<svg/>"
    made = page(kept.runs(tmp_path / "kept"))
    assert "![Soak: soak.svg](images/soak.svg)" in made.splitlines()
