from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates_app import compile as compiler
from templates_app.errors import (
    MissingVariable,
    RenderLimit,
    TemplateError,
    TemplateSyntaxError,
    UnsafeLink,
)
from templates_app.markup import LINK_START
from templates_app.merge import MergeForm, merge_form
from templates_app.rendering import MAX_LINE, render
from templates_app.types import PLAIN, Manner
from templates_app.values import admit

PREFIX = "p7Qx-"


def form_of(**parts) -> MergeForm:
    form = merge_form(parts)
    assert form is not None
    return form


def put_together(form: MergeForm, data, manner=PLAIN) -> dict[str, str]:
    """What a provider makes of it."""
    shared = form.shared(PREFIX)
    values = form.values(data, manner=manner)
    for name, value in zip(form.placeholders(PREFIX), values, strict=True):
        shared = {part: text.replace(name, value) for part, text in shared.items()}
    return shared


def outcome(function, *args):
    try:
        return function(*args)
    except TemplateError as error:
        return type(error), error.message, error.part


def says(found):
    """Of each part, whether there is anything in it, and anything to read; or the error."""
    if isinstance(found, dict):
        return {part: (bool(text), bool(text.strip())) for part, text in found.items()}
    return found


NAMES = ("a", "b", "c.d", "items", "c.keys", "l[0]", "missing")
FILTERS = (
    "upper",
    "trim",
    "title",
    "urlencode",
    "default('?')",
    "e",
    "truncate(4)",
    "length",
    "first",
    "number(1)",
    "currency('EUR')",
    "date",
    "plural('x', 'y')",
)
TEXTS = (
    "",
    " ",
    "  ",
    "x",
    "\n",
    "{",
    "}",
    "{#",
    "%}",
    '"',
    "'",
    "&amp;",
    "é✓",
    "p7Qx-0",
)
HTML = (
    "<p>",
    "</p>",
    "<br/>",
    '<a href="',
    "<img src='",
    '<a title="',
    '">',
    "'>",
    "https://x.example/?q=",
    "java",
    "script:",
    "<!-- ",
    " -->",
)

expressions = st.builds(
    lambda name, filters, trims: f"{{{{{trims[0]} {' | '.join([name, *filters])} {trims[1]}}}}}",
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(FILTERS), max_size=2),
    st.tuples(st.sampled_from(("", "-")), st.sampled_from(("", "-"))),
)
sources = st.lists(st.sampled_from(TEXTS) | expressions, max_size=8).map("".join)
pages = st.lists(st.sampled_from(TEXTS + HTML) | expressions, max_size=10).map("".join)
links = st.builds(
    '<a {}="{}{}">{}</a>'.format,
    st.sampled_from(("href", "title", "SRC")),
    st.sampled_from(("", "https:", "java", "//", "x")),
    expressions,
    expressions,
) | st.builds(
    "<a href={0}{1}{2}{3}{4}{0}>x</a>".format,
    st.sampled_from(('"', "'")),
    expressions,
    st.sampled_from(("", "script:", "/", "//", "&#58;")),
    expressions,
    st.sampled_from(("", ":", "?q=")),
)
words = st.text(
    st.sampled_from(
        string.ascii_letters + " \t\n\r\0\x1f\x7f<>&\"'/:?é✓\u2028\u202e\U0001f600" + LINK_START
    ),
    max_size=12,
)
values: st.SearchStrategy[Any] = (
    words
    | st.sampled_from(("javascript:alert(1)", "https://x.example", "java\tscript:x", LINK_START))
    | st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.just([])
    | st.just({})
    | st.just("2026-03-01T20:00:00Z")
    | st.decimals(-1000, 1000, places=2).map(str)
)
manners = st.builds(
    Manner,
    st.sampled_from(("en", "de", "ar-EG", "hi-IN")),
    st.sampled_from(("", "Asia/Kathmandu")),
    st.sampled_from(("empty", "error")),
)
datas = st.fixed_dictionaries(
    {"a": values, "b": values, "c": st.fixed_dictionaries({"d": values}), "l": st.just(["x"])},
    optional={"items": values},
)


@given(
    subject=sources,
    text=sources,
    html=pages | st.lists(links | pages, max_size=3).map("".join),
    data=datas,
    manner=manners,
)
def test_values_put_into_the_shared_text_are_the_rendered_message(
    subject, text, html, data, manner
):
    parts = {"subject": subject, "text": text, "html": html}
    form = outcome(merge_form, parts, None, manner.null_is)
    rendered = outcome(render, parts, data, None, manner)
    if isinstance(form, MergeForm):
        assert outcome(put_together, form, data, manner) == rendered
        assert outcome(form.render, data, None, manner) == rendered
        assert says(outcome(form.check, data, None, manner)) == says(rendered)
    else:
        assert form == rendered


@pytest.mark.parametrize(
    "source",
    [
        "{% if a %}x{% endif %}",
        "{% for x in a %}{{ x }}{% endfor %}",
        "{{ a }}{% if a %}{% endif %}",
    ],
)
@pytest.mark.parametrize("part", ["subject", "text", "html"])
def test_a_part_that_decides_or_repeats_has_no_form(part, source):
    assert merge_form({"subject": "Hi {{ a }}", part: source}) is None


def test_raw_text_and_comments_are_no_statements():
    form = form_of(text="{% raw %}{{ a }}{% endraw %}{# note #}{{ a }}")
    assert put_together(form, {"a": 1}) == {"text": "{{ a }}1"}


def test_the_same_expression_is_one_value():
    form = form_of(html="<p>{{ a }}</p>{{ a }}{{ a | upper }}", text="{{ a }} {{ a }}")
    assert form.values({"a": "x<"}) == ["x&lt;", "X&lt;", "x<"]
    assert form.shared("_") == {"html": "<p>_0_</p>_0__1_", "text": "_2_ _2_"}


def test_no_placeholder_begins_another():
    names = form_of(text="".join(f"{{{{ a[{n}] }}}}" for n in range(12))).placeholders(PREFIX)
    assert not any(a != b and b.startswith(a) for a in names for b in names)


def test_a_line_is_one_value_because_its_whitespace_is_settled_as_a_whole():
    form = form_of(subject="Hi {{ a }} {{ b }} ")
    assert form.shared(PREFIX) == {"subject": f"{PREFIX}0_"}
    assert form.values({"a": "", "b": "x\n"}) == ["Hi x"]


def test_a_part_without_values_stays_as_it_is():
    form = form_of(subject=" Hi  you ", text="{{ a }}", html="<p>x</p>")
    assert form.shared(PREFIX) == {"subject": "Hi you", "text": f"{PREFIX}0_", "html": "<p>x</p>"}
    assert form.placeholders(PREFIX) == [f"{PREFIX}0_"]


@pytest.mark.parametrize("start", ["", "java", "{{ a }}"])
def test_a_link_that_values_make_unsafe_is_refused(start):
    form = form_of(html=f'<a href="{start}{{{{ b }}}}">x</a>')
    data = {"a": "java", "b": "javascript:x" if not start else "script:x"}
    for refused in (form.values, form.check):
        with pytest.raises(UnsafeLink):
            refused(data)


def test_a_link_that_is_unsafe_whatever_the_values_is_refused():
    shared = admit({"link": "javascript:x"})
    form = merge_form({"html": '<a href="{{ link }}">{{ a }}</a> <a href="/{{ a }}">x</a>'}, shared)
    assert form is not None
    for refused in (form.values, form.check, form.render):
        with pytest.raises(UnsafeLink):
            refused({"a": "x"}, shared)


def test_a_missing_variable_is_named():
    with pytest.raises(MissingVariable) as caught:
        form_of(subject="x", text="{{ order.items }}").values({"order": {}})
    assert (caught.value.name, caught.value.part) == ("order.items", "text")


def test_limits_are_those_of_a_render():
    with pytest.raises(RenderLimit):
        form_of(subject="{{ a }}").values({"a": "x" * (MAX_LINE + 1)})
    with pytest.raises(RenderLimit):
        merge_form({"subject": "x" * (MAX_LINE + 1)})
    with pytest.raises(RenderLimit):
        form_of(text="{{ a }}" * 200).values({"a": "x" * 10_000})
    with pytest.raises(TemplateSyntaxError):
        merge_form({"text": "{{ a"})


def test_no_value_can_be_taken_for_two(monkeypatch):
    form = form_of(text="{{ a }}{{ b }}")
    assert form.values({"a": "\x1f", "b": "\x1fx"}) == ["\x1f", "\x1fx"]
    assert len(compiler.BETWEEN) > 16


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "items", "l"]),
        st.text(max_size=5) | st.lists(st.text(max_size=3)),
    ),
    st.dictionaries(st.sampled_from(["a", "b", "c", "items"]), st.text(max_size=5) | st.none()),
    sources,
    pages | links,
    manners,
)
def test_what_shared_data_settles_is_the_rendered_message_too(shared, own, text, html, manner):
    parts = {"text": text, "html": html}
    admitted = outcome(admit, shared)
    form = outcome(merge_form, parts, admitted, manner.null_is)
    if not isinstance(form, MergeForm) or not form.settled.isdisjoint(own):
        return
    merged = outcome(put_together_over, form, own, admitted, manner)
    assert merged == outcome(render, parts, own, admitted, manner)


def put_together_over(form: MergeForm, data, shared, manner) -> dict[str, str]:
    parts = form.shared(PREFIX)
    values = form.values(data, shared, manner)
    for name, value in zip(form.placeholders(PREFIX), values, strict=True):
        parts = {part: text.replace(name, value) for part, text in parts.items()}
    return parts


def test_only_what_differs_is_left_as_a_value():
    shared = admit({"shop": "A & B", "order": {"items": "x"}})
    form = merge_form({"html": "<p>{{ shop }} {{ name }} {{ order.items }} {{ shop }}</p>"}, shared)
    assert form is not None
    assert form.settled == {"shop", "order"}
    assert form.shared("P") == {"html": "<p>A &amp; B P0_ x A &amp; B</p>"}
    assert form.values({"name": "<i>"}, shared) == ["&lt;i&gt;"]


def test_shared_data_that_cannot_be_used_settles_nothing():
    shared = admit({"order": {}})
    form = merge_form({"text": "{{ order.number }} {{ name }}"}, shared)
    assert form is not None
    assert form.settled == frozenset()
    with pytest.raises(MissingVariable, match=r"order\.number"):
        form.values({"name": "Ada"}, shared)


def test_what_is_written_for_the_reader_is_not_settled():
    shared = admit({"total": 1234.5, "shop": "A"})
    form = merge_form({"text": "{{ shop }} {{ total | currency('EUR') }}"}, shared)
    assert form is not None
    assert form.settled == {"shop"}
    assert form.values({}, shared, Manner("de")) == ["1.234,50\u00a0€"]
    assert form.values({}, shared, Manner("en")) == ["€1,234.50"]
