"""What we are built from: nothing with a known hole, nothing that may not be used, all of it pinned."""

from __future__ import annotations

import re
from datetime import date, timedelta

from packaging.specifiers import SpecifierSet

from tests import advisories, licences


def test_no_pinned_version_has_a_known_hole() -> None:
    assert list(advisories.hits(advisories.snapshot()["advisory"], advisories.pins())) == []


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
    names = {name for name, _ in advisories.pins()}
    for one in advisories.snapshot()["advisory"]:
        assert one["package"] in names, one
        assert SpecifierSet(one["affected"]), one
        assert one["ids"], one
        assert one["about"], one


def test_every_requirement_is_pinned() -> None:
    for lock in (advisories.ROOT / "requirements").glob("*.txt"):
        lines = [line.split("#")[0].strip() for line in lock.read_text().splitlines()]
        for line in filter(None, lines):
            assert re.match(r"^[\w.-]+(\[[\w,.-]+\])?==\S+$", line.partition(";")[0].strip()), line


def test_every_licence_is_allowed_and_the_page_is_of_today() -> None:
    told = licences.installed()
    assert {
        name: licences.refused(one) for name, one in told.items() if licences.refused(one)
    } == {}
    assert licences.PAGE.read_text() == licences.page()


def test_one_of_several_licences_is_enough_but_not_one_of_two_parts() -> None:
    assert licences.refused("MIT OR GPL-3.0-only") == set()
    assert licences.refused("Apache-2.0 AND GPL-3.0-only") == {"GPL-3.0-only"}
    assert licences.refused("MPL-2.0 AND (Apache-2.0 OR MIT)") == set()
    assert licences.refused("") == {""}
