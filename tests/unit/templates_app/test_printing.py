"""What the engine prints by itself is what Python would have made of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates_app.compile import Program, compile_part
from templates_app.errors import TemplateError
from templates_app.printing import Prints
from templates_app.values import FREE, Shape, admit

SOURCES = (
    "{{ a }} and {{ b }}",
    "{{ a.x }}{{ a['y'] }}{{ b }}",
    "{% for one in a %}{{ one }},{% endfor %}",
    "{% for one in a %}{{ one.x }}-{{ loop.index }}{{ one['y'] }}{{ b }}{% else %}none{% endfor %}",
    "{% for one in a %}{% for two in one.x %}{{ two }}{{ two.x }}{% endfor %}{% endfor %}",
    "{% for a in a %}{{ a }}{{ a.x }}{% endfor %}{{ a }}",
    "{% for one in a %}{% for one in b %}{{ one.x }}{% endfor %}{{ one }}{% endfor %}",
    "{% for one in [1, 2] %}{{ one }}{{ a }}{% endfor %}",
    "{% if a %}{{ b }}{% else %}{{ a }}{% endif %}",
    "{{ a|upper }}{{ b|default('-') }}{{ a if b else 'x' }}{{ a[0] }}{{ a[b] }}",
    "{{ a.items }}{{ items }}{{ b.keys.x }}",
    "<p title='{{ a }}'>{{ b.x }}</p>",
)

simple = st.one_of(st.text(max_size=5), st.sampled_from(["<&\"'/>", "é" * FREE]), st.integers())
hard = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.just("x" * (FREE + 1)),
    st.integers(min_value=2**62, max_value=2**63 - 1),
)
leaf = st.one_of(simple, simple, simple, hard)
names = st.sampled_from(["x", "y", "items", "keys"])
record = st.dictionaries(names, leaf, max_size=3)
value = st.one_of(
    leaf,
    record,
    st.lists(leaf, max_size=3),
    st.lists(record, max_size=3),
    st.lists(st.dictionaries(names, st.lists(record, max_size=2), max_size=2), max_size=2),
)
data = st.dictionaries(st.sampled_from(["a", "b", "items", "_items"]), value, max_size=4)


def outcome(program: Program, given_data: dict[str, Any], shared: dict[str, Any]) -> object:
    try:
        return program.run(admit(given_data, admit(shared)))
    except TemplateError as error:
        return type(error), error.message


def asks_always(program: Program) -> Program:
    return replace(program, prints=Prints(frozenset(), {"a": Shape.OTHER}))


@given(
    source=st.sampled_from(SOURCES), own=data, shared=data, part=st.sampled_from(["text", "html"])
)
def test_both_engines_print_the_same(
    source: str, own: dict[str, Any], shared: dict[str, Any], part: str
) -> None:
    program = compile_part(source, part)
    assert outcome(program, own, shared) == outcome(asks_always(program), own, shared)


@pytest.mark.parametrize(
    ("own", "is_simple"),
    [
        ({"a": "x", "b": 5}, True),
        ({"a": "x"}, True),
        ({"a": "x", "b": None}, False),
        ({"a": "x", "b": 1.5}, False),
        ({"a": "x", "b": ["y"]}, False),
        ({"a": "x" * 201, "b": "y"}, False),
        ({"a": "x", "b": "y", "c": None}, True),
    ],
)
def test_only_what_is_printed_counts(own: dict[str, Any], is_simple: bool) -> None:
    assert compile_part(SOURCES[0], "text").prints.are_simple(admit(own)) is is_simple


def test_a_row_of_its_own_hides_the_shared_one() -> None:
    program = compile_part(SOURCES[3], "text")
    shared = admit({"a": [{"x": "1", "y": 2}], "b": "b"})
    assert program.prints.are_simple(admit({}, shared))
    assert not program.prints.are_simple(admit({"a": [{"x": None}]}, shared))
    assert not program.prints.are_simple(admit({"a": "text"}, shared))
