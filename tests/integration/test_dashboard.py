"""Grafana's dashboard asks for metrics that exist, by labels that they have, and its panels do not overlap."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from notifications.services import traffic  # noqa: F401 - what workers tell is here too

PATH = settings.BASE_DIR / "deploy" / "grafana" / "comms.json"

_SERIES = re.compile(r"\b(comms_\w+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r'(\w+)="')
_BY = re.compile(r"\bby \(([\w, ]+)\)")
_OF_PROMETHEUS = {"exported_job", "instance", "job", "le"}


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(PATH.read_text())["panels"]
    return found


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel.get("targets", [])]


def told_of() -> dict[str, set[str]]:
    """The labels of each metric, by the page about them."""
    page = (settings.BASE_DIR / "docs" / "subsystems" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(comms_\w+)` \| ([\w, ]*)\|", page, re.MULTILINE)
    return {name: set(re.findall(r"\w+", labels)) for name, labels in rows}


def plain(name: str) -> str:
    return re.sub(r"_(total|bucket)$", "", name)


@pytest.mark.django_db
def test_every_metric_is_there_and_has_the_labels(settings: Any) -> None:
    settings.METRICS_TOKEN = "token"
    text = Client().get("/metrics", headers={"Authorization": "Bearer token"}).content.decode()
    given = {plain(name) for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)}
    asked = set()
    for expression in expressions():
        names = {plain(name) for name, _ in _SERIES.findall(expression)}
        assert names <= given, expression
        labels = {label for name in names for label in told_of()[name]} | _OF_PROMETHEUS
        selected = {
            label for _, part in _SERIES.findall(expression) for label in _LABEL.findall(part)
        }
        grouped = {label for part in _BY.findall(expression) for label in part.split(", ")}
        assert selected | grouped <= labels, expression
        asked |= names
    assert len(asked) > 20
    histograms = set(re.findall(r"^# TYPE (comms_\w+) histogram", text, re.MULTILINE))
    assert histograms <= asked


def test_panels_have_names_and_places_of_their_own() -> None:
    found = panels()
    ids = [panel["id"] for panel in found]
    assert len(ids) == len(set(ids))
    for one, other in combinations(found, 2):
        a, b = one["gridPos"], other["gridPos"]
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above, (one["title"], other["title"])
    for panel in found:
        assert panel["title"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert panel["type"] == "row" or all(target["expr"] for target in panel["targets"])
