from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

from commsproject.common.staff import totp

SECRET = b"12345678901234567890"


def test_the_vectors_of_the_rfc() -> None:
    """RFC 6238, appendix B: the last six of its eight digits."""
    for seconds, digits in (
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ):
        assert totp.code(SECRET, seconds // totp.STEP) == digits[-6:]


def test_a_clock_may_be_wrong_by_one_step() -> None:
    now = 2000000000
    step = now // totp.STEP
    for off, found in ((-2, None), (-1, step - 1), (0, step), (1, step + 1), (2, None)):
        assert totp.matching_step(SECRET, totp.code(SECRET, step + off), now) == found
    for typed in ("", "12345", "1234567", "abcdef", "٠١٢٣٤٥", "\0", "0" * 1000):
        assert totp.matching_step(SECRET, typed, now) is None


def test_what_the_picture_says() -> None:
    address = urlsplit(totp.address(SECRET, name="ada l@x", issuer="A & B"))
    said = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert (address.scheme, address.netloc, address.path) == (
        "otpauth",
        "totp",
        "/A%20%26%20B:ada%20l%40x",
    )
    assert base64.b32decode(said["secret"]) == SECRET
    assert said["issuer"] == "A & B"
    assert totp.typed_key(SECRET).replace(" ", "") == said["secret"]
    assert len(totp.new_secret()) == 20
