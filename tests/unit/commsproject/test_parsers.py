from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from commsproject.common.api.parsers import StrictJSONParser
from commsproject.common.api.problems import TooLarge


def parse(body: bytes):
    return StrictJSONParser().parse(io.BytesIO(body))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "Malformed JSON at line 1, column 1"),
        (b"{", "Malformed JSON at line 1, column 2"),
        (b'{\n "a": 1,\n}', "Malformed JSON at line 3"),
        (b"{} {}", "Malformed"),
        (b"'a'", "Malformed"),
        (b"01", "Malformed"),
        (b"nan", "Malformed"),
        (b'"\n"', "Malformed"),
        (b"\xef\xbb\xbf{}", "Malformed"),
        (b"NaN", "NaN is not JSON."),
        (b'{"a": [Infinity]}', "Infinity is not JSON."),
        (b"-Infinity", "-Infinity is not JSON."),
        (b"1e400", "A number is too large."),
        (b'{"a": [-1e999]}', "A number is too large."),
        (b'{"a": 1, "a": 1}', "A name occurs twice in one object."),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', "A name occurs twice in one object."),
        (b'"a\\u0000b"', "A string holds a NUL or a lone surrogate."),
        (b'{"\\u0000": 1}', "A string holds a NUL or a lone surrogate."),
        (b'["\\ud83d"]', "A string holds a NUL or a lone surrogate."),
        (b'{"\\udc00": 1}', "A string holds a NUL or a lone surrogate."),
        (b'"\xff"', "This is not UTF-8."),
        (b'"\xed\xa0\x80"', "This is not UTF-8."),
        (b'"\xc0\x80"', "This is not UTF-8."),
        ('{"a": 1}'.encode("utf-16"), "This is not UTF-8."),
        (b"[" * 52 + b"]" * 52, "The JSON is nested too deeply."),
        (b'{"a":' * 52 + b"1" + b"}" * 52, "The JSON is nested too deeply."),
        (b"[" * 1_000_000, "The JSON is nested too deeply."),
        (b'{"a":' * 500_000, "The JSON is nested too deeply."),
        (b"9" * 100_000, "A number is too large."),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_what_is_not_plain_json_is_refused_with_the_reason(body, says):
    with pytest.raises(ParseError) as caught:
        parse(body)
    assert says in str(caught.value.detail)
    assert len(str(caught.value.detail)) < 200


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b" {} ", {}),
        (b"null", None),
        (b'{"a": {"b": 1}, "b": 1}', {"a": {"b": 1}, "b": 1}),
        (b"9007199254740993", 9007199254740993),
        (b"1.5e300", 1.5e300),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        ('"Grüße 世界"'.encode(), "Grüße 世界"),
        (b'"\\n\\u2028"', "\n\u2028"),
        (b"[" * 50 + b"]" * 50, None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_json_is_read_as_it_is(body, value):
    found = parse(body)
    assert found == value or (value is None and found)


def test_the_limit_is_in_bytes_and_exact(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert parse(b'"12345678"') == "12345678"
    for body in (b'"123456789"', '"üüüüü"'.encode(), b" " * 10_000_000):
        with pytest.raises(TooLarge, match="at most 10 bytes"):
            parse(body)


def test_no_more_than_the_limit_is_read(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    stream = io.BytesIO(b" " * 1000)
    with pytest.raises(TooLarge):
        StrictJSONParser().parse(stream)
    assert stream.tell() == 11


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(body):
    try:
        found = parse(body)
    except ParseError:
        return
    json.dumps(found, allow_nan=False).encode()


storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | storable | st.floats(allow_nan=False, width=32),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(storable, inner, max_size=4),
        max_leaves=10,
    ).filter(lambda value: "Infinity" not in json.dumps(value)),
    st.booleans(),
)
def test_any_json_comes_back_as_it_was(value, ascii_only):
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
