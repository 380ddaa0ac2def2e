from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates_app.errors import TemplateError, TemplateSyntaxError
from templates_app.rendering import render
from templates_app.schema import check, validate
from templates_app.types import Manner
from templates_app.variables import infer, keep_edits

TEXT = {"type": ["string", "number", "boolean", "null"]}
NUMBER = {"type": ["string", "number", "null"], "format": "decimal"}
DATE = {"type": ["string", "null"], "format": "iso8601"}


def variables(source: str, null_is="empty") -> dict[str, Any]:
    found = infer([("text", source)], null_is)
    check(found)
    return found


@pytest.mark.parametrize(
    ("source", "properties", "required"),
    [
        ("nothing", {}, []),
        ("{{ a }}", {"a": TEXT}, ["a"]),
        ("{{ a | upper }}{{ b | currency(c) }}", {"a": TEXT, "b": NUMBER, "c": TEXT}, list("abc")),
        ("{{ a | date }}{{ b | relative(c) }}", {"a": DATE, "b": DATE, "c": TEXT}, list("abc")),
        ("{{ a }}{{ a | number }}", {"a": NUMBER}, ["a"]),
        ("{{ a | default('x') }}", {"a": TEXT}, []),
        ("{{ a | default(b) | number }}", {"a": NUMBER, "b": {}}, ["b"]),
        ("{% if a is defined %}{{ a }}{% endif %}", {"a": TEXT}, []),
        ("{% if a %}{{ b }}{% elif c %}{% else %}{{ d }}{% endif %}", None, ["a"]),
        ("{{ b if a else c }}{{ d if true }}", dict.fromkeys("bcd", TEXT) | {"a": {}}, ["a"]),
        ("{% if a and b or c %}{% endif %}", {n: {} for n in "abc"}, ["a"]),
        ("{% if a == b and c in d %}{% endif %}", {n: {} for n in "abcd"}, ["a", "b"]),
        ("{% if not a %}{% endif %}{{ x | first }}{{ y | length }}", None, ["a", "x", "y"]),
        (
            "{{ a | join(',') }}",
            {"a": {"type": ["array", "null"], "items": TEXT}},
            ["a"],
        ),
        (
            "{{ o.a }}{{ o['b'] | default('') }}",
            {"o": {"type": "object", "properties": {"a": TEXT, "b": TEXT}, "required": ["a"]}},
            ["o"],
        ),
        (
            "{% if o %}{{ o.a }}{% endif %}",
            {"o": {"type": ["object", "null"], "properties": {"a": TEXT}}},
            ["o"],
        ),
        ("{{ l[0] }}{{ l[-1] | number }}", {"l": {"type": "array", "items": NUMBER}}, ["l"]),
        ("{{ m[k] }}", {"m": {"type": ["object", "array"]}, "k": {}}, ["k", "m"]),
        (
            "{% for x in l %}{{ loop.index }}{{ x.a }}{{ y }}{% else %}{{ z }}{% endfor %}",
            {
                "l": {
                    "type": ["array", "null"],
                    "items": {"type": "object", "properties": {"a": TEXT}, "required": ["a"]},
                },
                "y": TEXT,
                "z": TEXT,
            },
            ["l"],
        ),
        (
            "{% for x in l if x.a %}{{ x.b }}{% endfor %}",
            {
                "l": {
                    "type": ["array", "null"],
                    "items": {
                        "type": "object",
                        "properties": {"a": {}, "b": TEXT},
                        "required": ["a"],
                    },
                }
            },
            ["l"],
        ),
        (
            "{% for l in l %}{% for x in l %}{{ x }}{% endfor %}{% endfor %}",
            {
                "l": {
                    "type": ["array", "null"],
                    "items": {"type": ["array", "null"], "items": TEXT},
                }
            },
            ["l"],
        ),
    ],
)
def test_names_and_types_are_found_by_use(source, properties, required):
    found = variables(source)
    assert found["type"] == "object"
    assert found.get("required", []) == required
    if properties is not None:
        assert found["properties"] == properties


def test_a_name_that_nothing_could_serve_in_all_its_uses_is_left_open():
    found = variables("{% if a %}{{ b | number }}{% else %}{{ b | join }}{% endif %}")
    assert "type" not in found["properties"]["b"]


def test_null_is_no_type_where_the_template_refuses_it():
    found = variables("{{ a }}{{ b | default('') }}{% if c %}{{ c }}{% endif %}", "error")
    assert found["properties"] == {
        "a": {"type": ["string", "number", "boolean"]},
        "b": TEXT,
        "c": TEXT,
    }


def test_all_parts_of_a_template_are_read_together():
    found = infer([("subject", "{{ a }}"), ("html", "<p>{{ b.c }}</p>"), ("text", "{{ b.d }}")])
    assert found["required"] == ["a", "b"]
    assert found["properties"]["b"]["required"] == ["c", "d"]


def test_a_source_that_is_not_a_template_is_refused():
    with pytest.raises(TemplateSyntaxError):
        infer([("text", "{{ a")])


# --- Kept edits ---------------------------------------------------------------------------------


def test_what_people_said_of_a_name_stays_while_the_name_does():
    before = variables("{{ a }}{{ b }}{{ o.x }}{% for i in l %}{{ i.p }}{% endfor %}")
    before["title"] = "An order"
    before["required"] = ["a", "l", "o"]
    before["properties"]["a"] = {"type": "string", "description": "Who", "maxLength": 5}
    before["properties"]["o"]["properties"]["x"]["examples"] = ["y"]
    before["properties"]["l"]["items"]["properties"]["p"]["description"] = "A price"
    check(before)
    after = variables(
        "{{ a }}{{ b }}{{ c }}{{ o.z }}{{ o.x }}{% for i in l %}{{ i.p | number }}{% endfor %}"
    )
    kept = keep_edits(after, before)
    check(kept)
    assert kept["title"] == "An order"
    assert kept["required"] == ["a", "c", "l", "o"]
    assert kept["properties"]["a"] == {"type": "string", "description": "Who", "maxLength": 5}
    assert kept["properties"]["o"]["properties"]["x"]["examples"] == ["y"]
    assert kept["properties"]["l"]["items"]["properties"]["p"] == {
        **NUMBER,
        "description": "A price",
    }


def test_a_type_that_no_longer_fits_the_use_goes():
    before = variables("{{ a }}")
    before["properties"]["a"] = {"type": "string", "description": "x"}
    after = keep_edits(variables("{% for x in a %}{% endfor %}"), before)
    assert after["properties"]["a"]["type"] == ["array", "null"]
    assert after["properties"]["a"]["description"] == "x"
    assert keep_edits(variables("b"), before)["properties"] == {}


def test_a_type_may_be_narrowed_to_whole_numbers():
    edited = {"properties": {"a": {"type": "integer"}}}
    kept = keep_edits(variables("{{ a | number }}"), edited)
    assert kept["properties"]["a"]["type"] == "integer"
    assert validate(kept, {"a": 1.5})


# --- Found types against renders ------------------------------------------------------------

NAMES = ("a", "b.c", "b.d", "l[0]")
FILTERS = (
    "",
    "| upper",
    "| number",
    "| date",
    "| default('1')",
    "| first",
    "| length",
    "| currency('EUR')",
)
outputs = st.builds(
    lambda name, filter_: f"{{{{ {name} {filter_} }}}}",
    st.sampled_from(NAMES),
    st.sampled_from(FILTERS),
)
blocks = st.builds(
    "{}".format,
    st.sampled_from(
        [
            "{% for x in l %}{{ x }}{% endfor %}",
            "{% for x in m %}{{ x.p | number }}{{ x.q | default('') }}{% endfor %}",
            "{% if a %}{{ e }}{% endif %}",
            "{{ l | join(',') }}",
            "{{ f if a else 1 }}",
        ]
    ),
)
sources = st.lists(outputs | blocks, max_size=4).map("".join)
scalars = st.none() | st.booleans() | st.sampled_from([0, 1.5, "", "x", "12", "2026-03-01"])
datas = st.fixed_dictionaries(
    {},
    optional={
        "a": scalars,
        "b": st.none() | st.fixed_dictionaries({}, optional={"c": scalars, "d": scalars}),
        "l": st.none() | st.lists(scalars, max_size=2),
        "m": st.none()
        | st.lists(st.fixed_dictionaries({}, optional={"p": scalars, "q": scalars}), max_size=2),
        "e": scalars,
        "f": scalars,
    },
)


def is_rendered(source: str, data: Any, null_is) -> bool:
    try:
        render({"text": source}, data, manner=Manner(null_is=null_is))
    except TemplateError:
        return False
    return True


@given(source=sources, data=datas, null_is=st.sampled_from(["empty", "error"]))
def test_data_that_render_are_never_refused_by_the_schema_found(source, data, null_is):
    found = infer([("text", source)], null_is)
    if "l[0]" in source and data.get("l"):  # a schema says the same of all items
        data = {**data, "l": data["l"][:1]}
    if is_rendered(source, data, null_is):
        assert validate(found, data) == []


@given(source=st.lists(outputs, max_size=4).map("".join), data=datas)
def test_data_that_fit_the_schema_found_render_where_nothing_is_conditional(source, data):
    found = infer([("text", source)])
    if not validate(found, data) and data.get("l"):  # a schema does not know which items are read
        assert is_rendered(source, data, "empty")
