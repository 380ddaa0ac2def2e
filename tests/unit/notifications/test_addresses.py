from __future__ import annotations

import time

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from notifications.addresses import (
    BadAddress,
    digest,
    heard_from,
    instruction,
    is_instruction,
    normalise,
    tariff,
)
from notifications.types import Channel

EMAIL, SMS = Channel.EMAIL, Channel.SMS

GOOD = [
    (EMAIL, "ada@simulator.test", "ada@simulator.test"),
    (EMAIL, "Ada.Lovelace@EXAMPLE.com", "Ada.Lovelace@example.com"),
    (EMAIL, " ada@example.com ", "ada@example.com"),
    (EMAIL, "o'brien+tag@example.co.uk", "o'brien+tag@example.co.uk"),
    (EMAIL, "grüße@example.com", "grüße@example.com"),
    (EMAIL, "gru\u0308ße@example.com", "grüße@example.com"),
    (EMAIL, "anna@bücher.example.com", "anna@bücher.example.com"),
    (EMAIL, "anna@xn--bcher-kva.example.com", "anna@bücher.example.com"),
    (EMAIL, "root@mail.intern.local", "root@mail.intern.local"),
    (SMS, "+4915112345678", "+4915112345678"),
    (SMS, "+49 (151) 123-456-78", "+4915112345678"),
    (SMS, "+1 650 253 0000", "+16502530000"),
]

BAD = [
    (EMAIL, "ada"),
    (EMAIL, "@example.com"),
    (EMAIL, "ada@"),
    (EMAIL, "ada@localhost"),
    (EMAIL, "ada@example"),
    (EMAIL, "ada @example.com"),
    (EMAIL, "ada@exa mple.com"),
    (EMAIL, "ada..l@example.com"),
    (EMAIL, "ada@example..com"),
    (EMAIL, "ada@-example.com"),
    (EMAIL, "ada@[127.0.0.1]"),
    (EMAIL, "Ada <ada@example.com>"),
    (EMAIL, "<ada@example.com>"),
    (EMAIL, "ada@example.com,bob@example.com"),
    (EMAIL, "ada@example.com, bob@example.com"),
    (EMAIL, "ada@example.com;bob@example.com"),
    (EMAIL, "ada@example.com bob@example.com"),
    (EMAIL, "ada@example.com@example.org"),
    (EMAIL, "ada@example.com\nBcc: bob@example.com"),
    (EMAIL, "ada@example.com\r\n"),
    (EMAIL, "ada@example.com\u2028"),
    (EMAIL, "\x00ada@example.com"),
    (EMAIL, "ada\u202e@example.com"),
    (EMAIL, f"{'a' * 255}@example.com"),
    (EMAIL, f"ada@{'a' * 64}.com"),
    (EMAIL, "a" * 100_000),
    (EMAIL, ""),
    (SMS, ""),
    (SMS, "015112345678"),
    (SMS, "+49"),
    (SMS, "+49151123456789012345"),
    (SMS, "+999123456789"),
    (SMS, "+4915112345678\n"),
    (SMS, "+4915112345678,+4915112345679"),
    (SMS, "+4915112345678 +4915112345679"),
    (SMS, "hello"),
    (SMS, "+" * 100_000),
]


@pytest.mark.parametrize(("channel", "given", "kept"), GOOD)
def test_a_good_address_gets_its_one_form(channel, given, kept):
    assert normalise(channel, given) == kept
    assert normalise(channel, kept) == kept


@pytest.mark.parametrize(("channel", "given"), BAD, ids=lambda value: repr(value)[:40])
def test_a_bad_address_is_refused_without_being_repeated(channel, given):
    with pytest.raises(BadAddress) as caught:
        normalise(channel, given)
    assert len(str(caught.value)) < 100
    assert not given.strip() or given.strip() not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.sampled_from([EMAIL, SMS]), st.text())
@example(SMS, "+٤٩١٥١١٢٣٤٥٦٧٨")
@example(SMS, "+1 650 253 0000;ext=1")
@example(SMS, "tel:+16502530000;phone-context=example.com")
@example(EMAIL, '"a b"@example.com')
def test_any_text_is_one_address_without_line_breaks_or_refused(channel, text):
    try:
        kept = normalise(channel, text)
    except BadAddress:
        return
    assert kept.isprintable()
    assert len(kept) <= 320
    assert normalise(channel, kept) == kept
    assert kept.count("@") == 1 if channel is EMAIL else kept[1:].isdigit() and kept.isascii()


@pytest.mark.parametrize("text", ["a", "a@", "a.", '"', "+", "é@é."])
@pytest.mark.parametrize("channel", Channel)
def test_a_very_long_text_is_refused_at_once(channel, text):
    started = time.monotonic()
    with pytest.raises(BadAddress):
        normalise(channel, text * 2_000_000)
    assert time.monotonic() - started < 0.1


def test_a_digest_is_the_same_for_the_same_mailbox():
    variants = ["Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM"]
    assert len({digest(EMAIL, normalise(EMAIL, variant)) for variant in variants}) == 1


def test_a_digest_differs_by_address_and_by_channel_and_by_key(settings):
    digests = {digest(EMAIL, "ada@example.com"), digest(EMAIL, "bob@example.com")}
    digests |= {digest(SMS, "ada@example.com"), digest(SMS, "+4915112345678")}
    settings.ADDRESS_HASH_KEY = "another"
    digests.add(digest(EMAIL, "ada@example.com"))
    assert len(digests) == 5


@given(st.emails())
def test_a_digest_is_64_hex_digits_and_never_the_address(address):
    value = digest(EMAIL, address)
    assert len(value) == 64
    assert set(value) <= set("0123456789abcdef")
    assert address not in value


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("bounce@simulator.test", "bounce"),
        ("bounce+1@simulator.test", "bounce"),
        ("ada@simulator.test", "ada"),
        ("bounce@y.simulator.test", ""),
        ("simulator.test@example.com", ""),
        ("bounce@notsimulator.test", ""),
        ("bounce@simulator.test.example.com", ""),
    ],
)
def test_only_the_simulators_own_domain_takes_instructions(address, asked):
    assert instruction(address) == asked


@pytest.mark.parametrize(
    ("address", "nobody"),
    [
        ("bounce@simulator.test", True),
        ("bounce+1@simulator.test", False),
        ("ada@simulator.test", False),
        ("bounce@example.com", False),
    ],
)
def test_an_instruction_without_a_label_is_nobodys_address(address, nobody):
    assert is_instruction(address) is nobody


_LABEL = st.text("abcXYZ019-_.+'ü", max_size=12)


@given(st.builds("{}@{}.{}".format, _LABEL, st.text("abC09-.ßé@ ", max_size=12), _LABEL))
@example("a@b.c")
@example("ada@EXAMPLE.com")
@example("ada@xn--bcher-kva.de")
@example("ada@b@example.com")
@example(f"{'a' * 60}@example.com")
def test_the_short_way_gives_what_the_library_gives(address):
    try:
        expected = validate_email(address.strip(), check_deliverability=False).normalized
    except EmailNotValidError:
        with pytest.raises(BadAddress):
            normalise(EMAIL, address)
    else:
        assert normalise(EMAIL, address) == expected


GERMAN, AMERICAN, SHORT = "+4915799912345", "+15005550006", "32665"


@pytest.mark.parametrize(
    ("sender", "to", "number"),
    [
        ("+4915112345678", GERMAN, "+4915112345678"),
        ("+49 151 12345678", "", "+4915112345678"),
        ("whatsapp:+4915112345678", GERMAN, "+4915112345678"),
        ("01701112223", GERMAN, "+491701112223"),
        ("0170 111 22-23", GERMAN, "+491701112223"),
        ("4915112345678", GERMAN, "+4915112345678"),
        ("(650) 253-0000", AMERICAN, "+16502530000"),
        ("16502530000", AMERICAN, "+16502530000"),
        ("+16502530000", SHORT, "+16502530000"),
    ],
)
def test_a_sender_is_read_as_carriers_write_it(settings, sender, to, number):
    settings.SMS_COUNTRIES = frozenset({"DE", "US"})
    assert heard_from(sender, to) == number


@pytest.mark.parametrize(
    ("sender", "to"),
    [
        ("", GERMAN),
        ("32665", GERMAN),
        ("110", GERMAN),
        ("Amazon", AMERICAN),
        ("1800FLOWERS", AMERICAN),
        ("messenger:16502530000", AMERICAN),
        ("01701112223", SHORT),
        ("01701112223", ""),
        ("01701112223", AMERICAN),
        ("+49", GERMAN),
        ("+49 151 12345678 or so", GERMAN),
        ("\uff11\uff16\uff15\uff10\uff12\uff15\uff13\uff10\uff10\uff10\uff10", AMERICAN),
        ("9" * 15, GERMAN),
    ],
)
def test_a_sender_that_is_no_number_is_not_guessed_at(settings, sender, to):
    settings.SMS_COUNTRIES = frozenset({"DE", "US"})
    with pytest.raises(BadAddress):
        heard_from(sender, to)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("+19002345678", "premium-rate"),
        ("+979123456789", "premium-rate"),  # of no country
        ("+491802123456", "shared-cost"),
        ("+4915112345678", ""),
        ("+6834002", ""),
        ("+8123456789012", ""),  # in no table of the library's
    ],
)
def test_who_pays_its_owner_is_told_and_what_is_unknown_is_let_be(number, told):
    assert tariff(number) == told


def test_where_one_country_is_written_to_a_national_form_is_of_that(settings):
    settings.SMS_COUNTRIES = frozenset({"DE"})
    assert heard_from("01701112223", SHORT) == "+491701112223"
