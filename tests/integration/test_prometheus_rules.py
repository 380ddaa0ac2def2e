"""The rules for Prometheus ask for metrics that exist, by labels that they have."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.test import Client
from django.utils import timezone

from commsproject.common.alerts import counts
from commsproject.common.alerts.counts import What
from commsproject.common.alerts.rules import Measure
from commsproject.common.models import ScheduledJob

PATH = settings.BASE_DIR / "deploy" / "prometheus" / "rules.yml"

_SERIES = re.compile(r"\b(comms_\w+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_ADDED = {"exported_job"}
"""By Prometheus, where a label of ours is one of its own."""


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(PATH.read_text())["groups"] for rule in group["rules"]]


@pytest.fixture
def scraped(client: Client, db: None, settings: Any) -> dict[str, set[tuple[str, str]]]:
    """By metric, the labels and values it has; none for those that nothing was ever counted of."""
    settings.METRICS_TOKEN = "token"
    counts.note({(what, "x"): 1 for what in What})
    counts.fold()
    ScheduledJob.objects.create(name="beat", last_run_at=timezone.now(), last_duration_ms=1)
    text = client.get("/metrics", headers={"Authorization": "Bearer token"}).content.decode()
    found: dict[str, set[tuple[str, str]]] = {}
    for name, labels in re.findall(r"^(comms_\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        found.setdefault(name, set()).update(_LABEL.findall(labels))
    return found


def test_every_metric_and_label_is_there(scraped: dict[str, set[tuple[str, str]]]) -> None:
    asked = 0
    for rule in rules():
        for name, labels in _SERIES.findall(rule["expr"]):
            assert name in scraped, f"{rule['alert']}: {name}"
            for label, value in _LABEL.findall(labels):
                asked += 1
                assert label in _ADDED or (label, value) in scraped[name], rule["alert"]
    assert asked > 20


def test_each_has_what_a_receiver_reads_and_every_measure_has_one() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
    told = set(re.findall(r"\w+", " ".join(re.findall(r"# (.*)", PATH.read_text()))))
    assert set(Measure.values) <= told


def test_promtool_accepts_them_and_they_fire_as_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    for command in (["check", "rules", PATH.name], ["test", "rules", "rules_test.yml"]):
        done = subprocess.run(
            [promtool, *command], cwd=PATH.parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
