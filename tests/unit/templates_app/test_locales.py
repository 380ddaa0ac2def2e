from __future__ import annotations

import pytest

from templates_app.locales import chosen, content


@pytest.mark.parametrize(
    ("wanted", "default", "translated", "expected"),
    [
        ("", "en", ["pt"], ""),
        ("pt-BR", "en", ["pt", "pt-BR"], "pt-BR"),
        ("pt-BR", "en", ["pt"], "pt"),
        ("pt_br", "en", ["pt", "pt-BR"], "pt-BR"),
        ("pt", "en", ["pt-BR"], ""),
        ("fr", "en", ["pt"], ""),
        ("zh-Hant-TW", "", ["zh", "zh-Hant"], "zh-Hant"),
        ("pt-BR", "pt-BR", ["pt"], ""),
        ("pt-BR", "pt", ["de"], ""),
        ("en-GB", "en", ["en-US"], ""),
    ],
)
def test_the_nearest_language_is_chosen(wanted, default, translated, expected):
    assert chosen(wanted, default, translated) == expected


def test_each_channel_is_in_the_best_language_that_has_it():
    channels = {"sms": {"text": "en"}, "push": {"title": "en"}, "email": {"text": "en"}}
    translations = {
        "pt": {"sms": {"text": "pt"}, "push": {"title": "pt"}},
        "pt-BR": {"sms": {"text": "br"}},
    }
    assert content("pt-BR", "en", channels, translations) == {
        "sms": {"text": "br"},
        "push": {"title": "pt"},
        "email": {"text": "en"},
    }
