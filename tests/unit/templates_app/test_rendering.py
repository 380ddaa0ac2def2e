from __future__ import annotations

import html
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates_app.compile import compile_part
from templates_app.errors import (
    InvalidValue,
    MissingVariable,
    RenderLimit,
    TemplateError,
    TemplateSyntaxError,
    UnsafeLink,
)
from templates_app.rendering import MAX_LINE, literal, render


def text(source, **data):
    return render({"text": source}, data)["text"]


def page(source, **data):
    return render({"html": source}, data)["html"]


def subject(source, **data):
    return render({"subject": source}, data)["subject"]


def test_each_part_is_rendered_and_only_html_is_escaped():
    parts = {"subject": "{{ n }}", "html": "<b>{{ n }}</b>", "text": "{{ n }}"}
    assert render(parts, {"n": "A & <B>"}) == {
        "subject": "A & <B>",
        "html": "<b>A &amp; &lt;B&gt;</b>",
        "text": "A & <B>",
    }


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("{{ user }}", "user"),
        ("{{ order.total }}", "order.total"),
        ("{{ order.items }}", "order.items"),
        ("{{ order.items.x }}", "order.items"),
        ("{{ order['keys'] }}", "order['keys']"),
        ("{{ order[key] }}", "order[key]"),
        ("{{ order.lines[3] }}", "order.lines[3]"),
        ("{{ order.none.x }}", "order.none.x"),
        ("{% if user %}a{% endif %}", "user"),
        ("{% if order.vip %}a{% endif %}", "order.vip"),
        ("{% for x in user %}{% endfor %}", "user"),
        ("{{ user | upper }}", "user"),
        ("{{ 'a' | default(1) | replace('a', user) }}", "user"),
        ("{{ (user if true else 1) | upper }}", "user"),
        ("{{ user.name | default('x') }}", "user"),
        ("{{ user == 1 }}", "user"),
        ("{{ user is none }}", "user"),
    ],
)
def test_a_missing_variable_is_named(source, name):
    data = {"order": {"lines": [1], "none": None}, "key": "values"}
    with pytest.raises(MissingVariable) as caught:
        render({"subject": "ok", "text": source}, data)
    assert (caught.value.name, caught.value.part) == (name, "text")


def test_a_missing_variable_may_be_asked_for_and_defaulted():
    source = "{% if a is defined %}x{% endif %}{{ b | default('you') }}{{ o.items is undefined }}"
    assert text(source, o={}) == "youtrue"


def test_a_key_named_like_a_method_is_data():
    data = {"order": {"items": [1, 2], "get": "g"}, "k": "get"}
    source = "{% for i in order.items %}{{ i }}{% endfor %}{{ order['get'] }}{{ order[k] }}"
    assert text(source, **data) == "12gg"


def test_null_prints_nothing_and_takes_the_default():
    source = (
        "[{{ n }}{{ n | upper }}{{ n | date }}{{ n | join }}{{ n | length }}]{{ n | default('x') }}"
    )
    assert text(source, n=None) == "[0]x"
    assert text("{{ n is none }}{% for x in n %}{% else %}-{% endfor %}", n=None) == "true-"


def test_booleans_and_numbers_print_as_in_json():
    assert (
        text("{{ a }} {{ b }} {{ c }} {{ d }}", a=True, b=False, c=-3, d=9.5) == "true false -3 9.5"
    )


@pytest.mark.parametrize("source", ["{{ x }}", "{{ x | upper }}", "{{ x | default('') }}"])
@pytest.mark.parametrize("value", [[None], {"a": None}, []])
def test_a_list_or_mapping_is_never_printed(source, value):
    with pytest.raises(InvalidValue) as caught:
        text(source, x=value)
    assert caught.value.part == "text"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.length }} {% endfor %}",
            "103 213 323 ",
        ),
        ("{% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}", "1, 2, 3"),
        ("{% for x in l if x > 1 %}{{ 'first' if loop.first }}{{ x }}{% endfor %}", "first23"),
        ("{% for x in none %}{% else %}empty{% endfor %}", "empty"),
        ("{% if 4 in l %}a{% elif 2 not in l %}b{% else %}c{% endif %}", "c"),
        ("{{ 'yes' if s == 'a b' and not (z or false) else 'no' }}", "yes"),
        ("{{ s in ['a b', 'c'] }}{{ l[-1] }}{{ z is even }}{{ l[0] is odd }}", "true3truetrue"),
        ("{% raw %}{{ x }}{% y %}{# z #}{% endraw %}{", "{{ x }}{% y %}{# z #}{"),
        ("a {#- no -#} b{{- 1 -}} \n c\n", "ab1c\n"),
        ("{{ '{' }}{{ '{ s }' }}{{ '\\'\"\\n' }}", "{{ s }'\"\n"),
        (
            "{{ s | upper }}{{ 'ÄB' | lower }}{{ \"o'hara they're\" | title }}",
            "A BäbO'hara They're",
        ),
        ("{{ 'aB c' | capitalize }}{{ ' x ' | trim }}{{ s | length }}{{ l | length }}", "Ab cx33"),
        ("{{ l | join('-') }}{{ l | first }}{{ l | last }}{{ [] | first }}", "1-2-313"),
        (
            "{{ 'one two three' | truncate(9) }}|{{ 'abcdef' | truncate(4) }}|{{ 'ab' | truncate(2) }}",
            "one two…|abc…|ab",
        ),
        ("{{ 'aXbX' | replace('X', '--') }}{{ 'é&/ ' | urlencode }}", "a--b--%C3%A9%26%2F%20"),
        ("{{ '<&' | e }}{{ '<' | escape | lower }}", "&lt;&amp;&lt;"),
        (
            "{{ 2.5 | round }} {{ 2.675 | round(2) }} {{ '12.9' | int }} {{ -1.5 | round }}",
            "3 2.68 12 -2",
        ),
        ("{{ 1234567.5 | number(2) }} {{ '1234' | number }}", "1,234,567.50 1,234"),
        (
            "{{ '2026-03-01T09:05:07Z' | date('%-d %B %Y, %-I:%M:%S %p %%') }}",
            "1 March 2026, 9:05:07 AM %",
        ),
        ("{{ '2026-03-01' | date }}", "Mar 1, 2026"),
        ("{{ '2026-12-31 23:00' | date('%a %d.%m.%y %H %I') }}", "Thu 31.12.26 23 11"),
        ("{{ '' | default('x', true) }}{{ '' | default('x') }}", "x"),
    ],
)
def test_the_language_means_what_its_reference_says(source, expected):
    data = {"l": [1, 2, 3], "s": "a b", "z": 0}
    assert text(source, **data) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' | round }}",
        "{{ 'nan' | int }}",
        "{{ '1e99999999' | int }}",
        "{{ 1 | round(n) }}",
        "{{ 'x' | truncate(s) }}",
        "{{ 'x' | truncate(z) }}",
        "{{ 'x' | replace(e, 'y') }}",
        "{{ 3 | join }}",
        "{{ 'yesterday' | date }}",
        "{{ '2026-01-01' | date(q) }}",
        "{{ '2026-01-01' | date(s) }}",
        "{{ '2026-01-01' | date(long) }}",
        "{{ '2026-01-01T09:00' | time(q) }}",
        "{{ '2026-01-01T09:00Z' | relative('2026-01-01') }}",
        "{{ 1 | currency(s) }}",
        "{{ 'a' | currency('EUR') }}",
        "{{ true | number }}",
        "{{ 'a' | plural('x') }}",
        "{{ 3 | sentence }}",
        "{{ 'a' in 3 }}",
        "{% for x in 3 %}{% endfor %}",
    ],
)
def test_a_value_of_the_wrong_kind_is_a_typed_error(source):
    with pytest.raises(InvalidValue) as caught:
        text(source, n=99, s="3", z=0, e="", q="%Q", long="%" * 101)
    assert caught.value.part == "text"


def test_in_html_escaping_happens_once_wherever_the_filter_stands():
    assert page("{{ x }}{{ x | e }}{{ x | e | upper }}", x="<a>") == "&lt;a&gt;&lt;a&gt;&lt;A&gt;"


@pytest.mark.parametrize(
    "link",
    ["https://a.test/?a=1&b=2", "http://a", "mailto:a@b.test", "tel:+1", "/x", "#y", "", "a/b:c"],
)
def test_a_usual_link_is_rendered_as_it_is(link):
    rendered = page("<a href=\"{{ u }}\"><a href='{{ u }}'>", u=link)
    assert html.unescape(rendered) == f"<a href=\"{link}\"><a href='{link}'>"


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " \x01javascript:alert(1)",
        "java\tscr\nipt:alert(1)",
        "java\0script:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "\ufdd0javascript:x",
        "file:///etc/passwd",
    ],
)
@pytest.mark.parametrize(
    "source",
    [
        '<a href="{{ u }}">',
        "<img alt='a' SRC = '{% if true %}{{ u }}{% endif %}'>",
        "{% for x in [1, 2] %}<a title='x' href=\"{{ u }}\">{% endfor %}",
        "<!--[if mso]><a href='{{ u }}'><![endif]-->",
    ],
)
def test_a_link_that_could_run_code_is_refused(source, link):
    with pytest.raises(UnsafeLink) as caught:
        page(source, u=link)
    assert caught.value.part == "html"


def test_a_scheme_put_together_from_two_values_is_refused():
    with pytest.raises(UnsafeLink):
        page('<a href="{{ a }}{{ b }}">', a="java", b="script:x")


def test_the_name_of_a_scheme_in_text_is_only_text():
    assert (
        page("<p title='{{ x }}'>{{ x }}</p>", x="javascript: x")
        == "<p title='javascript: x'>javascript: x</p>"
    )


def test_a_subject_is_one_line_without_control_characters():
    assert (
        subject(" Hi  {{ x }} ", x="a\r\nBcc:\tb\x07\x1b[1m\u202e\u2028c 👩‍💻")
        == "Hi a Bcc: b[1m c 👩‍💻"
    )


def test_a_text_keeps_its_lines_but_no_nul():
    assert text("a\n{{ x }}\n", x="b\n\0c") == "a\nb\nc\n"


def test_a_subject_of_998_characters_is_accepted_and_one_more_is_not():
    assert len(subject("{{ x }}", x="a" * MAX_LINE)) == MAX_LINE
    with pytest.raises(RenderLimit) as caught:
        subject("{{ x }}", x="a" * (MAX_LINE + 1))
    assert caught.value.part == "subject"


def test_output_over_one_mebibyte_is_refused():
    with pytest.raises(RenderLimit, match="1048576"):
        text("{% for i in l %}" + "x" * 3000 + "{% endfor %}", l=[1] * 400)


def nested(depth):
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "most"),
    [
        ("a" * 10_240, True),
        ("a" * 10_241, False),
        ([1] * 500, True),
        ([1] * 501, False),
        (nested(19), True),
        (nested(20), False),
        (nested(400), False),
        ({str(n): "a" * 10_000 for n in range(6)}, True),
        ({str(n): "a" * 10_000 for n in range(7)}, False),
        (["é" * 10_000] * 4, False),
    ],
)
def test_data_is_accepted_up_to_its_limits(value, most):
    if most:
        assert text("ok", x=value) == "ok"
    else:
        with pytest.raises((RenderLimit, InvalidValue)) as caught:
            text("ok", x=value)
        assert "aaa" not in str(caught.value)


class Word(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1},
        (1,),
        b"a",
        date(2026, 1, 1),
        UUID(int=1),
        float("nan"),
        float("inf"),
        2**64,
        {1: 2},
        "\ud800",
        {"\ud800": 1},
        Word("a"),
        len,
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_json_is_data(value):
    with pytest.raises(InvalidValue):
        text("ok", x=[{"y": value}])


def test_data_that_contains_itself_is_refused():
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(InvalidValue):
        text("ok", x=loop)


def test_a_value_that_looks_like_a_template_stays_as_it_is():
    assert text("{{ x }}", x="{{ y }}{% if %}", y="secret") == "{{ y }}{% if %}"


def test_an_error_never_quotes_a_value():
    secret = "s3cr3t"
    sources = [
        "{{ x | int }}",
        "{{ x | date }}",
        "{{ x.y }}",
        "{{ o[x] }}",
        "{{ l }}",
        "{{ y }}",
        "{% for a in x.b %}{% endfor %}",
    ]
    for source in sources:
        with pytest.raises(TemplateError) as caught:
            text(source, x=secret, o={"k": secret}, l=[secret])
        assert secret not in str(caught.value)
        assert caught.value.__cause__ is None


def test_any_key_may_be_in_the_data():
    data = {"template_name": 1, "self": 2, "a b": 3, "loop": 4, "range": 5, "_x": 6}
    assert text("{{ template_name }}{{ self }}{{ range }}", **data) == "125"


def test_the_data_is_not_changed():
    data = {"order": {"items": [{"a": None}]}}
    text("{% for i in order.items %}{{ i.a }}{% endfor %}", **data)
    assert data == {"order": {"items": [{"a": None}]}}


def test_a_template_outside_the_language_is_not_rendered():
    with pytest.raises(TemplateSyntaxError):
        text("{% set x = 1 %}")


def test_a_compiled_part_is_kept():
    assert compile_part("kept {{ x }}", "text") is compile_part("kept " + "{{ x }}", "text")
    assert compile_part("kept {{ x }}", "html") is not compile_part("kept {{ x }}", "text")


def test_each_render_may_do_the_same_amount_of_work():
    for _ in range(50):
        assert len(text("{{ x }}" * 10, x="a" * 10_000)) == 100_000


def test_threads_render_the_same_template_with_their_own_data():
    source = "{% for i in l %}{{ i | upper }}{{ name }}{% endfor %}"

    def one(number):
        return text(source, l=["a" * 300] * 20, name=str(number)) == ("A" * 300 + str(number)) * 20

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(400)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
TOKENS = (
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    " x ",
    " y.items ",
    "x[y]",
    "if ",
    "for ",
    "in ",
    "else ",
    "endif ",
    "endfor ",
    "is defined",
    "| upper",
    "| join(',')",
    "(",
    ")",
    "+",
    "'",
    '"',
    "<a href=",
    ">",
    "\\",
    "0",
    "1e9",
    ".",
    "raw ",
    "endraw ",
    "-",
    "not ",
    "and ",
    "loop.index",
    "set x = 1",
    "\n",
    "é",
    "\u202e",
)
PIECES = st.lists(st.sampled_from(TOKENS) | st.text(max_size=3), max_size=25).map("".join)
ESCAPED = re.compile(r"(?:[^<>\"'&]|&(?:lt|gt|amp|quot|#x27|#x2f);)*")


@given(value=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_value_in_html_is_always_escaped(value):
    rendered = page(
        "{{ v }}{{ v | e }}{% for x in [1] %}{{ v | default('') }}{% endfor %}", v=value
    )
    assert ESCAPED.fullmatch(rendered)
    assert html.unescape(rendered) == value.replace("\0", "").replace("\ufdd0", "") * 3


@given(
    data=st.dictionaries(st.sampled_from(["x", "y"]), JSON),
    source=PIECES,
    part=st.sampled_from(["html", "text", "subject"]),
)
def test_nothing_but_a_template_error_is_raised(data, source, part):
    try:
        rendered = render({part: source}, data)
    except TemplateError:
        return
    assert isinstance(rendered[part], str)


@given(data=st.dictionaries(st.sampled_from(["x", "y"]), JSON))
def test_a_correct_template_prints_or_names_what_is_wrong(data):
    source = (
        "{{ x }}{% for i in y %}{{ i.items | default(x) | upper }}{% endfor %}{{ x | truncate(5) }}"
    )
    missing, rendered = "x", ""
    try:
        rendered = text(source, **data)
    except MissingVariable as error:
        missing = error.name.split(".")[0]
    except (InvalidValue, RenderLimit):
        return
    assert missing in {"x", "y", "i"}
    assert "none" not in rendered.lower() or b"none" in orjson.dumps(data).lower()


def test_a_link_of_a_push_leads_by_https_or_into_an_app_of_ours(settings):
    def link(to: str) -> str:
        return render({"link": "{{ u }}"}, {"u": to})["link"]

    settings.APP_LINK_SCHEMES = frozenset({"acme", "acme-beta"})
    for good in ("https://a.test/?x=1&y", "acme://orders/17", "ACME-beta:x", "/orders/17", ""):
        assert link(good) == good
    for bad in (
        *("http://a.test", "mailto:a@b.test", "tel:1", "cid:x", "other://x", "javascript:alert(1)"),
        *("&#106;avascript:x", "data:text/html,x", "intent://x", " acmex:1"),
        *("//evil.test", "/\\evil.test", "\\\\evil.test", "orders/17", "https:evil.test", "/a b"),
    ):
        with pytest.raises(UnsafeLink):
            link(bad)
        with pytest.raises(UnsafeLink):
            literal({"title": "t", "link": bad})
    for image in ("acme://x", "cid:x", "//evil.test/x.png", "mailto:a@b.test"):
        with pytest.raises(UnsafeLink):
            render({"image": "{{ u }}"}, {"u": image})
    with pytest.raises(UnsafeLink):
        page('<a href="{{ u }}">x</a>', u="acme://x")
