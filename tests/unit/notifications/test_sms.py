# ruff: noqa: RUF001 - look-alikes are what this is about
from __future__ import annotations

import random
from decimal import Decimal

import pytest
import smsutil
from hypothesis import assume, given
from hypothesis import strategies as st

from notifications import sms
from notifications.sms import GSM7, GSM7_EXTENDED, MOST, Encoding, LongText, TooLong

ALPHABET = GSM7 + GSM7_EXTENDED
FAMILY = "👨‍👩‍👧"  # 8 UTF-16 units
BOUNDARIES = [0, 1, 66, 67, 68, 69, 70, 71, 133, 134, 135, 152, 153, 154, 159, 160, 161]
BOUNDARIES += [200, 201, 202, 305, 306, 307, 458, 459, 460, 1529, 1530, 1531]


def agrees_with_the_library(text: str) -> bool:
    """smsutil calls an empty text UTF-16, and one of no segment one of one."""
    if not text:
        return sms.count(text) == (Encoding.GSM7, 0)
    found = smsutil.split(text)
    encoding = Encoding.GSM7 if found.encoding == "gsm0338" else Encoding.UCS2
    return sms.count(text) == (encoding, len(found.parts))


@pytest.mark.parametrize("filler", ["a", "€", "é", "漢", "😀", "^a"])
def test_every_boundary_is_counted_as_the_library_does(filler):
    for length in BOUNDARIES:
        for end in ("", "a", "€", "漢", "😀", "a€", "€a", "😀a", "漢€"):
            text = (filler * length)[:length] + end
            assert agrees_with_the_library(text), (length, end)


def test_random_texts_are_counted_as_the_library_does():
    chance = random.Random(20261122)
    pools = [ALPHABET, ALPHABET + GSM7_EXTENDED * 10, ALPHABET + "漢字á’–😀🎉"]
    for _ in range(1000):
        text = "".join(chance.choices(chance.choice(pools), k=chance.randint(0, 700)))
        assert agrees_with_the_library(text), repr(text)


def test_the_alphabet_is_that_of_the_standard():
    assert len(GSM7) == 127  # 128 places, one of which is the escape
    assert len(GSM7_EXTENDED) == 10
    assert len(set(ALPHABET)) == 137
    surprises = "`çáíóú\t\u00a0\u2019\u201c\u2013\u2014\u2026\x1b"
    for char in surprises:
        assert sms.count(char) == (Encoding.UCS2, 1), char


def test_what_is_seen_as_one_character_is_in_one_part():
    assert sms.count(FAMILY * 8) == (Encoding.UCS2, 1)  # 64 units
    # Eight families fill 64 of 67 units: the ninth begins the next part, and is not torn.
    assert sms.count(FAMILY * 16) == (Encoding.UCS2, 2)
    assert sms.count(FAMILY * 16 + "abc") == (Encoding.UCS2, 2)
    assert sms.count(FAMILY * 16 + "abcd") == (Encoding.UCS2, 3)
    assert len(smsutil.split(FAMILY * 16 + "abcd").parts) == 2  # which tears the ninth


@pytest.mark.parametrize(
    ("text", "clusters"),
    [
        ("", []),
        ("abc", ["a", "b", "c"]),
        ("e\u0301a", ["e\u0301", "a"]),
        (FAMILY + "!", [FAMILY, "!"]),
        ("👍🏽👍", ["👍🏽", "👍"]),
        ("🇩🇪🇫🇷🇸", ["🇩🇪", "🇫🇷", "🇸"]),
        ("❤\ufe0f1\ufe0f\u20e3", ["❤\ufe0f", "1\ufe0f\u20e3"]),
        ("नमस्ते", ["न", "म", "स्", "ते"]),
        ("\u0301a", ["\u0301", "a"]),
    ],
)
def test_marks_and_emoji_belong_to_what_they_shape(text, clusters):
    assert list(sms.clusters(text)) == clusters


def test_what_no_part_can_hold_is_torn():
    assert sms.count("e" + "\u0301" * 200) == (Encoding.UCS2, 3)


# Look-alikes


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("It\u2019s \u201chere\u201d \u2013 now\u2026", 'It\'s "here" - now...'),
        ("10\u00a0000\u202f\u20ac\tnet", "10 000 € net"),
        ("a`b\u00b4c\u2032d", "a'b'c'd"),
        ("\u00abBonjour\u00bb \u2039x\u203a", '"Bonjour" <x>'),
        ("soft\u00adhyphen\u200b\ufeff", "softhyphen"),
        ("\u2022 one \u00b7 two \u2044 three", "* one . two / three"),
        ("one\u2028two", "one\ntwo"),
        ("minus \u22125 \u2014 dash \u2011", "minus -5 - dash -"),
        ("cafe\u0301", "café"),
    ],
)
def test_look_alikes_are_replaced_where_that_makes_the_whole_text_gsm(written, sent):
    fitted = sms.fit(written)
    assert (fitted.text, fitted.encoding, fitted.segments) == (sent, Encoding.GSM7, 1)


@pytest.mark.parametrize("text", ["It’s 漢", "“ça”", "naïve – yes", "\u201ctext\u201d 😀"])
def test_where_it_would_not_help_a_text_stays_as_it_is(text):
    fitted = sms.fit(text)
    assert (fitted.text, fitted.encoding) == (text, Encoding.UCS2)


def test_a_text_of_the_alphabet_is_not_touched():
    assert sms.fit(ALPHABET).text == ALPHABET


def test_replacing_saves_segments():
    assert sms.count("It’s " * 30) == (Encoding.UCS2, 3)
    assert sms.fit("It’s " * 30).segments == 1


# Long texts


def test_a_short_text_is_the_same_under_every_rule():
    for rule in LongText.values:
        assert sms.fit("a" * 160, rule).text == "a" * 160


def test_split_keeps_all_of_it():
    fitted = sms.fit("a" * 161)
    assert (fitted.text, fitted.segments) == ("a" * 161, 2)


def test_refuse_says_how_long_it_is():
    with pytest.raises(TooLong) as refusal:
        sms.fit("a" * 400, LongText.REFUSE)
    assert (refusal.value.segments, refusal.value.most) == (3, 1)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("a" * 1530, True), ("a" * 1531, False), ("漢" * 670, True), ("漢" * 671, False)],
)
def test_more_than_ten_segments_are_always_refused(text, allowed):
    if allowed:
        assert sms.fit(text).segments == MOST
        return
    with pytest.raises(TooLong) as refusal:
        sms.fit(text)
    assert (refusal.value.segments, refusal.value.most) == (MOST + 1, MOST)
    assert sms.fit(text, LongText.TRUNCATE).segments == 1


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("a" * 161, "a" * 157 + "..."),
        ("a" * 156 + "€" * 9, "a" * 156 + "..."),  # half an € would be another character
        ("a" * 155 + "€" * 9, "a" * 155 + "€..."),
        ("漢" * 71, "漢" * 69 + "…"),
        ("漢" * 68 + "😀😀", "漢" * 68 + "…"),
        (FAMILY * 9, FAMILY * 8 + "…"),
        ("a b " * 50, ("a b " * 50)[:157] + "..."),
        ("word " * 50, ("word " * 32)[:157] + "..."),
        ("x" * 156 + " y" * 9, "x" * 156 + "..."),  # no space before the dots
        ("It’s " * 40 + "😀", "It's " * 31 + "It..."),  # the emoji is cut off: the rest is GSM
        ("a" * 60 + "😀" + "a" * 99, "a" * 60 + "😀" + "a" * 7 + "…"),
    ],
)
def test_truncate_keeps_as_much_as_one_segment_holds(text, sent):
    fitted = sms.fit(text, LongText.TRUNCATE)
    assert fitted.text == sent
    assert sms.count(fitted.text) == (fitted.encoding, 1)


TEXTS = st.text(st.sampled_from(ALPHABET + "漢’–😀👍🏽\u200d\u0301🇩🇪ç`\u00a0"), max_size=800)


@given(TEXTS)
def test_a_cut_text_is_one_segment_and_a_beginning(text):
    fitted = sms.fit(text, LongText.TRUNCATE)
    assert sms.count(fitted.text) == (fitted.encoding, fitted.segments)
    assert fitted.segments <= 1
    assert sms.fit(fitted.text).text == fitted.text


@given(TEXTS)
def test_fitting_never_makes_a_text_longer(text):
    try:
        fitted = sms.fit(text)
    except TooLong:
        assume(False)
    assert fitted.segments <= min(sms.count(text)[1], MOST)
    assert sms.fit(fitted.text) == fitted


# Prices


def test_a_price_is_by_country_then_by_the_star(settings):
    settings.SMS_PRICES = {"DE": Decimal("0.075"), "*": Decimal("0.05")}
    assert sms.price("DE", 2) == Decimal("0.150")
    assert sms.price("FR", 3) == Decimal("0.15")
    assert sms.price("", 1) == Decimal("0.05")
    settings.SMS_PRICES = {"DE": Decimal("0.075")}
    assert sms.price("FR", 1) is None
