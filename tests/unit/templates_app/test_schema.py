from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from templates_app.errors import InvalidSchema
from templates_app.schema import DIALECT, KEYWORDS, MAX_PROBLEMS, TYPES, check, validate


def problems(schema, data) -> list[tuple[str, str]]:
    return [(one.path, one.message) for one in validate(schema, data)]


def test_everything_that_is_wrong_is_told_at_once():
    schema = {
        "type": "object",
        "required": ["name", "order"],
        "properties": {
            "order": {
                "type": "object",
                "required": ["total"],
                "properties": {
                    "total": {"type": ["number", "string"], "format": "decimal", "minimum": 1},
                    "placed": {"type": "string", "format": "iso8601"},
                    "lines": {
                        "type": "array",
                        "maxItems": 2,
                        "items": {"properties": {"n": {"type": "integer"}}},
                    },
                },
            },
            "first name": {"type": "string", "minLength": 2, "maxLength": 3},
            "plan": {"enum": ["pro", 1]},
        },
    }
    data = {
        "order": {
            "total": 0,
            "placed": "tomorrow",
            "lines": [{"n": 1.5}, {"n": 2.0}, {"n": "x"}],
        },
        "first name": "a",
        "plan": True,
    }
    assert problems(schema, data) == [
        ("name", "is missing."),
        ("order.total", "is less than 1."),
        ("order.placed", "is not an ISO 8601 date such as 2026-03-01."),
        ("order.lines", "has more than 2 items."),
        ("order.lines[0].n", "is a number, not a whole number."),
        ("order.lines[2].n", "is a text, not a whole number."),
        ("['first name']", "has less than 2 characters."),
        ("plan", "is none of the values there may be."),
    ]


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "string"}, 1, "is a number, not a text."),
        ({"type": ["string", "null"]}, [], "is a list, not a text or null."),
        ({"type": "number"}, True, "is true or false, not a number."),
        ({"type": "object"}, None, "is null, not a mapping."),
        ({"format": "decimal"}, "1e5x", "is not a number."),
        ({"maximum": 3}, 4, "is more than 3."),
        ({"maxLength": 3}, "abcd", "has more than 3 characters."),
        ({"minItems": 1}, [], "has less than 1 items."),
        ({"enum": [True]}, 1, "is none of the values there may be."),
    ],
)
def test_what_is_wrong_is_said_in_words(schema, value, message):
    assert problems({"properties": {"x": schema}}, {"x": value}) == [("x", message)]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 2.0),
        ({"format": "decimal"}, " 1.5 "),
        ({"format": "decimal"}, ""),
        ({"format": "iso8601"}, "2026-03-01T09:05:00+02:00"),
        ({"format": "made up"}, "x"),
        ({"minimum": 3}, "a"),
        ({"items": {"type": "string"}}, "a"),
        ({}, None),
    ],
)
def test_what_fits_is_accepted(schema, value):
    assert problems({"properties": {"x": schema}}, {"x": value, "y": 1}) == []


def test_no_more_is_told_than_people_read():
    schema = {"properties": {"x": {"items": {"type": "string"}}}}
    assert len(problems(schema, {"x": [1] * 500})) == MAX_PROBLEMS


def test_a_message_never_quotes_a_value():
    secret = "s3cr3t"
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "number"},
            "b": {"enum": [1]},
            "c": {"format": "iso8601", "maxLength": 2},
        },
    }
    found = problems(schema, {"a": secret, "b": secret, "c": secret})
    assert len(found) == 4
    assert secret not in str(found)


# --- What a schema may say ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "where", "message"),
    [
        ([], "", "A schema is a mapping."),
        ({"pattern": "(a+)+$"}, "", "There is no keyword pattern here."),
        ({"$ref": "#"}, "", "There is no keyword $ref here."),
        ({"properties": {"a": {"allOf": []}}}, "a", "There is no keyword allOf here."),
        ({"properties": {"a": {"items": {"type": "text"}}}}, "a[]", "type has to be of"),
        ({"properties": {"a": {"properties": {"b": 1}}}}, "a.b", "A schema is a mapping."),
        ({"type": []}, "", "type has to be"),
        ({"type": [[]]}, "", "type has to be"),
        ({"enum": "abc"}, "", "enum has to be a list."),
        ({"minLength": -1}, "", "minLength has to be a whole number."),
        ({"maxItems": True}, "", "maxItems has to be a whole number."),
        ({"minimum": "1"}, "", "minimum has to be a number."),
        ({"required": "ab"}, "", "required has to be a list of names."),
        ({"required": [1]}, "", "required has to be a list of names."),
        ({"properties": []}, "", "properties has to be a mapping of names."),
        ({"items": True}, "", "items has to be a schema."),
        ({"description": "a" * 2001}, "", "description has to be a text."),
        ({"$schema": "http://json-schema.org/draft-04/schema"}, "", f"$schema has to be {DIALECT}"),
    ],
)
def test_what_is_no_schema_of_ours_is_refused_with_its_place(schema, where, message):
    with pytest.raises(InvalidSchema) as caught:
        check(schema)
    assert caught.value.where == where
    assert message in caught.value.message


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


def test_a_schema_has_at_most_twenty_levels():
    check(nested(20))
    with pytest.raises(InvalidSchema, match="20 levels"):
        check(nested(21))


# --- Beside a whole implementation -------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([1.0, 1.5, -2.0])
    | st.text("ab", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=8,
)
COUNTS = st.integers(0, 3)
SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(list(TYPES))
            | st.lists(st.sampled_from(list(TYPES)), min_size=1, unique=True),
            "enum": st.lists(VALUES, max_size=3),
            "minimum": st.integers(-3, 3),
            "maximum": st.integers(-3, 3),
            "minLength": COUNTS,
            "maxLength": COUNTS,
            "minItems": COUNTS,
            "maxItems": COUNTS,
            "required": st.lists(st.sampled_from("xyz"), unique=True),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array"]),
            "properties": st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
            "items": inner,
        },
    ),
    max_leaves=6,
)


@given(schema=SCHEMAS, value=VALUES)
def test_our_verdict_is_that_of_json_schema(schema, value):
    check(schema)
    whole = {"properties": {"x": schema}}
    assert (validate(whole, {"x": value}) == []) == Draft202012Validator(whole).is_valid(
        {"x": value}
    )


@given(schema=SCHEMAS)
def test_what_we_take_for_a_schema_is_one(schema):
    Draft202012Validator.check_schema({"$schema": DIALECT, **schema})
    assert set(schema) <= set(KEYWORDS)
