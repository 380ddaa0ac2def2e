"""The words of the widgets: each language has all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from babel import Locale

ROOT = Path(__file__).resolve().parents[3]
WORDS = ROOT / "clients/js/src/words"
BUILT = ROOT / "commsproject/console/static/comms/words"
LANGUAGES = {"ar", "de", "en", "es", "fr", "pt-BR"}


Words = dict[str, str | dict[str, str]]
"""A text, or one for each form of the plural."""


def words(catalogue: str, language: str) -> Words:
    found = json.loads((WORDS / f"{catalogue}.{language}.json").read_text())
    assert isinstance(found, dict)
    return found


def english(catalogue: str) -> Words:
    """Of the chat some come later, with what they are for."""
    return (
        words("chat", "en") | words("more", "en") if catalogue == "chat" else words("inbox", "en")
    )


def forms(text: str | dict[str, str]) -> dict[str, str]:
    return text if isinstance(text, dict) else {"other": text}


def places(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", text))


@pytest.mark.parametrize("catalogue", ["chat", "inbox"])
def test_each_language_has_every_word_with_its_places(catalogue: str) -> None:
    files = {file.name.split(".")[1] for file in WORDS.glob(f"{catalogue}.*.json")}
    assert files == LANGUAGES
    wanted = english(catalogue)
    for language in LANGUAGES - {"en"}:
        own = words(catalogue, language)
        assert own.keys() == wanted.keys(), (catalogue, language)
        plurals = Locale.parse(language, sep="-").plural_form.tags | {"other"}
        for name, text in own.items():
            where = (catalogue, language, name)
            assert forms(text).keys() <= plurals, where
            assert not isinstance(text, dict) or "one" in text, where
            of_english = places(forms(wanted[name])["other"])
            assert places(forms(text)["other"]) == of_english, where
            for form in forms(text).values():
                assert form.strip(), where
                assert set(places(form)) <= set(of_english), where


def test_the_catalogues_that_are_served_are_these() -> None:
    assert {file.stem for file in BUILT.glob("*.js")} == LANGUAGES - {"en"}
    for language in LANGUAGES - {"en"}:
        built = (BUILT / f"{language}.js").read_text()
        for catalogue in ("chat", "inbox"):
            line = re.search(rf"^export const {catalogue} = (.*);$", built, re.MULTILINE)
            assert line is not None
            assert json.loads(line[1]) == words(catalogue, language)
