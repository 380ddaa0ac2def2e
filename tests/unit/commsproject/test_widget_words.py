"""The words of the widgets: each language has all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WORDS = ROOT / "clients/js/src/words"
BUILT = ROOT / "commsproject/console/static/comms/words"
LANGUAGES = {"ar", "de", "en", "es", "fr", "pt-BR"}


def words(catalogue: str, language: str) -> dict[str, str]:
    found = json.loads((WORDS / f"{catalogue}.{language}.json").read_text())
    assert isinstance(found, dict)
    return found


def places(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", text))


def test_each_language_has_every_word_with_its_places() -> None:
    for catalogue in ("chat", "inbox"):
        english = words(catalogue, "en")
        files = {file.name.split(".")[1] for file in WORDS.glob(f"{catalogue}.*.json")}
        assert files == LANGUAGES
        for language in LANGUAGES:
            own = words(catalogue, language)
            assert list(own) == list(english), (catalogue, language)
            for name, text in own.items():
                assert text.strip(), (catalogue, language, name)
                assert places(text) == places(english[name]), (catalogue, language, name)


def test_the_catalogues_that_are_served_are_these() -> None:
    assert {file.stem for file in BUILT.glob("*.js")} == LANGUAGES - {"en"}
    for language in LANGUAGES - {"en"}:
        built = (BUILT / f"{language}.js").read_text()
        for catalogue in ("chat", "inbox"):
            line = re.search(rf"^export const {catalogue} = (.*);$", built, re.MULTILINE)
            assert line is not None
            assert json.loads(line[1]) == words(catalogue, language)
