from __future__ import annotations

from conversations import emoji


def test_emoji_and_what_is_none() -> None:
    ones = [
        "👍",
        "👍🏽",
        "❤",
        "❤️",
        "1️⃣",
        "#⃣",
        "🇩🇪",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "👩\u200d👩\u200d👧\u200d👦",
        "🏳️\u200d🌈",
        "🧑🏿\u200d🚀",
        "©️",
        "™",
        "‼️",
        "\u2139\ufe0f",
        "↔️",
        "◾",
        "〰️",
        "⬅️",
        "♾️",
        "🫠",
    ]
    others = ["", " ", "a", "ok", "1", "#", "+", "é", "漢", ":-)", "👍👍", "👍 ", "👍a", "👍\u200d"]
    others += ["\u200d", "\ufe0f", "🇩", "🇩🇪🇫🇷", "<b>", "\0", "bob@example.com", "👍" + "🏽" * 2]
    others += ["👩" + "\u200d👩" * 40]
    assert [one for one in ones if not emoji.is_one(one)] == []
    assert [one for one in others if emoji.is_one(one)] == []
