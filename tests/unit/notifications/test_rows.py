"""Rows of a batch as they come in: whatever is wrong with one is said, and stays its own."""

from __future__ import annotations

import hashlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commsproject.common.api.problems import TooLarge
from commsproject.common.errors import InvalidInput
from notifications.api import rows
from notifications.services.asked import Row
from notifications.services.bulk import Rejected
from notifications.types import Channel

ADA = {"to": {"email": "ada@example.com"}}


def codes(found: Row | Rejected) -> list[tuple[str, str]]:
    assert isinstance(found, Rejected), found
    return [(error.field, error.code) for error in found.errors]


def read(body: bytes, reader: rows.Format, size: int = 7) -> list[Row | Rejected]:
    """What `reader` makes of `body` when it comes in pieces of `size` bytes."""
    return list(reader(body[at : at + size] for at in range(0, len(body), size)))


def test_a_row_in_full():
    raw = {
        "to": {"user_id": " u-1 ", "email": "Ada@EXAMPLE.com", "phone": "+1 650 253 0000"},
        "data": {"name": "Ada", "n": [1, None, {"a": 1.5}]},
        "reference": "r-1",
    }
    row = rows.check(raw, 3)
    assert isinstance(row, Row)
    assert row.to.user_id == "u-1"
    assert row.to.addresses == {Channel.EMAIL: "Ada@example.com", Channel.SMS: "+16502530000"}
    assert (row.data, row.reference, row.number) == (raw["data"], "r-1", 3)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, [("", "not_an_object")]),
        ([], [("", "not_an_object")]),
        ("ada@example.com", [("", "not_an_object")]),
        ({}, [("to", "required")]),
        ({"to": None}, [("to", "required")]),
        ({"to": []}, [("to", "required")]),
        ({"to": {}}, [("to", "required")]),
        ({"to": {"email": None}}, [("to.email", "not_a_text")]),
        ({"to": {"email": 5}}, [("to.email", "not_a_text")]),
        ({"to": {"email": ""}}, [("to.email", "bad_address")]),
        ({"to": {"email": "a@b.c, d@e.f"}}, [("to.email", "bad_address")]),
        ({"to": {"email": "a@b.de\nBcc: x@y.z"}}, [("to.email", "bad_address")]),
        ({"to": {"phone": "0151123"}}, [("to.phone", "bad_address")]),
        ({"to": {"user_id": ""}}, [("to.user_id", "blank")]),
        ({"to": {"user_id": " "}}, [("to.user_id", "blank")]),
        ({"to": {"user_id": 5}}, [("to.user_id", "not_a_text")]),
        ({"to": {"user_id": "a\nb"}}, [("to.user_id", "control_character")]),
        ({"to": {"user_id": "a\u2028b"}}, [("to.user_id", "control_character")]),
        ({"to": {"user_id": "u" * 201}}, [("to.user_id", "max_length")]),
        ({"to": {"device": "x"}}, [("to.device", "bad_address")]),
        ({**ADA, "refrence": "r"}, [("refrence", "unknown_field")]),
        ({**ADA, "template": "t"}, [("template", "unknown_field")]),
        ({**ADA, "reference": None}, [("reference", "not_a_text")]),
        ({**ADA, "reference": "r" * 201}, [("reference", "max_length")]),
        ({**ADA, "reference": "a\x00"}, [("reference", "control_character")]),
        ({**ADA, "data": None}, [("data", "not_an_object")]),
        ({**ADA, "data": []}, [("data", "not_an_object")]),
        ({**ADA, "data": {"n": 2**64}}, [("data", "number_too_large")]),
        (
            {"to": {"email": "x"}, "data": 1, "reference": 2, "extra": 3},
            [
                ("extra", "unknown_field"),
                ("reference", "not_a_text"),
                ("to.email", "bad_address"),
                ("data", "not_an_object"),
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_row_is_named(raw, expected):
    found = rows.check(raw, 1)
    assert codes(found) == expected


def test_a_rejected_row_keeps_its_reference_and_never_quotes_an_address():
    found = rows.check({"to": {"email": "secret"}, "reference": "r-9"}, 1)
    assert isinstance(found, Rejected)
    assert found.reference == "r-9"
    assert "secret" not in repr(found.errors)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["to", "data", "reference", "x"]), _JSON) | _JSON)
def test_whatever_a_row_is_the_answer_is_a_row_or_errors(raw):
    found = rows.check(raw, 1)
    assert isinstance(found, Row) or found.errors


# --- NDJSON ------------------------------------------------------------------------------------


def test_ndjson_is_a_row_a_line_and_empty_lines_do_not_count():
    body = b'\xef\xbb\xbf\n{"to":{"email":"a@b.de"}}\r\n  \n{"to":{"email":"c@d.de"}}'
    found = read(body, rows.ndjson)
    assert [row.number for row in found] == [1, 2]
    assert all(isinstance(row, Row) for row in found)


def test_a_byte_order_mark_is_overlooked():
    (row,) = read(b'\xef\xbb\xbf{"to":{"email":"a@b.de"}}\n', rows.ndjson)
    assert isinstance(row, Row)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"{}{}",
        b'{"to": NaN}',
        b'{"to": {"email": "a@b.de", "email": "c@d.de"}}',
        b'{"to": {"email": "\xff"}}',
        b'{"reference": "\\u0000"}',
        b'{"reference": "\\ud800"}',
        b'{"data": {"n": 1e999}}',
        b'{"data":' + b"[" * 60 + b"]" * 60 + b"}",
        b"[" * 5000,
    ],
)
def test_a_line_that_is_no_json_is_its_rows_own_error(line):
    good = json.dumps(ADA).encode()
    found = read(good + b"\n" + line + b"\n" + good, rows.ndjson)
    assert codes(found[1]) == [("", "malformed")]
    assert isinstance(found[0], Row)
    assert isinstance(found[2], Row)


def test_a_line_that_is_too_long_is_never_held_in_memory_and_costs_no_other_row():
    good = json.dumps(ADA).encode()
    body = good + b"\n" + b"x" * (rows.MAX_LINE * 3) + b"\n" + good
    found = read(body, rows.ndjson, size=10_000)
    assert codes(found[1]) == [("", "too_large")]
    assert isinstance(found[2], Row)
    exact = b'{"x":"' + b"x" * (rows.MAX_LINE - 8) + b'"}'
    assert codes(read(exact, rows.ndjson, size=50_000)[0])[0] == ("x", "unknown_field")


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(st.lists(_TEXT), st.integers(1, 50))
def test_pieces_may_end_anywhere(references, size):
    raw = [{**ADA, "reference": f"r{text}"} for text in references]
    body = "\n".join(json.dumps(row, ensure_ascii=False) for row in raw).encode()
    found = read(body, rows.ndjson, size)
    assert found == [rows.check(row, number) for number, row in enumerate(raw, 1)]


# --- CSV ---------------------------------------------------------------------------------------


def test_csv_columns_that_are_no_address_are_data():
    body = (
        "\ufeffemail,phone,user_id,reference,name,note\r\n"
        'a@b.de,,,r-1,"Ä, ""A""","two\r\nlines"\r\n'
        "\r\n"
        ",+16502530000,u-1,,,\r\n"
    ).encode()
    for size in (1, 3, 1000):
        first, second = read(body, rows.comma_separated, size)
        assert isinstance(first, Row)
        assert first.data == {"name": 'Ä, "A"', "note": "two\r\nlines"}
        assert (first.reference, first.number) == ("r-1", 1)
        assert isinstance(second, Row)
        assert second.to.user_id == "u-1"
        assert second.to.addresses == {Channel.SMS: "+16502530000"}
        assert (second.reference, second.data, second.number) == ("", {"name": "", "note": ""}, 2)


def test_csv_with_addresses_only_has_no_data():
    (row,) = read(b"email\na@b.de", rows.comma_separated)
    assert isinstance(row, Row)
    assert row.data is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"a@b.de", [("", "cells")]),
        (b"a@b.de,x,y", [("", "cells")]),
        (b",x", [("to", "required")]),
        (b"nobody,x", [("to.email", "bad_address")]),
        (b"a@b.de,\x00", [("data.name", "control_character")]),
    ],
)
def test_a_csv_row_that_is_wrong_costs_no_other(line, expected):
    found = read(b"email,name\n" + line + b"\nc@d.de,Bob\n", rows.comma_separated)
    assert codes(found[0]) == expected
    assert isinstance(found[1], Row)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "header"),
        (b"\n", "header"),
        (b"name,age\nAda,36", "header"),
        (b"email,email\na@b.de,c@d.de", "header"),
        (b"email,,name\n", "header"),
        (b'email,"na\nme"\n', "header"),
        (b"email" + b",c" * 200, "header"),
        (b'email,name\na@b.de,"open', "malformed"),
        (b'email,name\na@b.de,"a"b"\n', "malformed"),
        (b"email\ra@b.de\r", "malformed"),
        (b"email,name\na@b.de,\xff\n", "malformed"),
        (b"email,name\na@b.de,\xc3", "malformed"),
        ("email,name\n".encode("utf-16"), "malformed"),
        (b"email,name\na@b.de," + b"x" * (rows.MAX_RECORD + 10), "too_large"),
        (b"email,name\na@b.de,x" + b',"\n"' * rows.MAX_RECORD, "too_large"),
    ],
    ids=lambda value: repr(value[:40]),
)
def test_a_csv_upload_that_cannot_be_read_on_is_refused(body, code):
    with pytest.raises(InvalidInput) as caught:
        read(body, rows.comma_separated, size=100_000)
    assert [error.code for error in caught.value.errors] == [code]


# --- The stream --------------------------------------------------------------------------------


def test_the_digest_is_of_the_whole_content_however_much_was_read():
    body = b"x" * (3 * rows.PIECE)
    expected = hashlib.sha256(body).digest()
    assert rows.Stream(io.BytesIO(body), 10**9).digest() == expected
    half_read = rows.Stream(io.BytesIO(body), 10**9)
    next(half_read.pieces())
    assert half_read.digest() == expected


def test_a_stream_ends_at_its_limit():
    stream = rows.Stream(io.BytesIO(b"x" * 11), 10)
    with pytest.raises(TooLarge):
        list(stream.pieces())
    assert rows.Stream(io.BytesIO(b"x" * 10), 10).digest()


def test_the_digest_of_a_list_knows_order_and_content():
    digests = {
        rows.Listed(raw).digest() for raw in ([ADA], [ADA, ADA], [{"to": {"email": "b@c.de"}}], [])
    }
    assert len(digests) == 4
    assert rows.Listed([{"a": 1, "b": 2}]).digest() == rows.Listed([{"b": 2, "a": 1}]).digest()


def test_there_is_an_end_to_empty_lines(monkeypatch):
    """They cost us as much as rows do, and would be for ever."""
    monkeypatch.setattr(rows, "MAX_BLANK", 3)
    row = json.dumps(ADA).encode()
    assert len(read(b"\n" + row + b"\n \n\r\n" + row, rows.ndjson)) == 2
    with pytest.raises(InvalidInput) as caught:
        read(b"\n" + row + b"\n \n\r\n" + row + b"\n\n", rows.ndjson)
    (error,) = caught.value.errors
    assert (error.field, error.code) == ("rows", "malformed")
