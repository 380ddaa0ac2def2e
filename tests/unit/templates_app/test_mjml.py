from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates_app import panics
from templates_app.errors import TemplateSyntaxError
from templates_app.inline import inlined
from templates_app.mjml import MJ_TAGS, to_html
from templates_app.plain_text import plain_text
from templates_app.rendering import render


def mail(body: str, head: str = "") -> str:
    return f"<mjml><mj-head>{head}</mj-head><mj-body>{body}</mj-body></mjml>"


def column(content: str) -> str:
    return mail(f"<mj-section><mj-column>{content}</mj-column></mj-section>")


def refusal(source: str) -> TemplateSyntaxError:
    with pytest.raises(TemplateSyntaxError) as caught:
        to_html(source)
    return caught.value


def test_mjml_becomes_html_with_tags_where_they_were():
    built = to_html(
        column("{% for x in xs if x < 3 %}<mj-text>{{ x }} &amp; <b>y</b></mj-text>{% endfor %}")
    )
    assert re.search(
        r"<tbody>\{% for x in xs if x < 3 %\}<tr><td [^>]*><div [^>]*>"
        r"\{\{ x \}\} &amp; <b>y</b></div></td></tr>\{% endfor %\}</tbody>",
        built,
    )
    assert "<mj" not in built


def test_a_loop_of_columns_takes_what_outlook_needs_of_each_along():
    built = to_html(
        mail(
            "<mj-section>{% for x in xs %}<mj-column><mj-text>{{ x }}</mj-text></mj-column>"
            "{% endfor %}</mj-section>"
        )
    )
    body = built[built.index("{% for") : built.index("{% endfor")]
    assert body.count("<!--[if mso | IE]><td") == body.count("<!--[if mso | IE]></td>") == 1


@pytest.mark.parametrize(
    ("source", "message", "place"),
    [
        ("hello", "begins with <mjml>", (1, 1)),
        ("<mjml>\n <mj-foo/></mjml>", "no MJML tag <mj-foo>", (2, 2)),
        (
            '{% if a %}\n{% endif %}<mjml><mj-include path="/etc/passwd"/></mjml>',
            "Partials",
            (2, 18),
        ),
        ("<mjml><mj-body>\n<mj-section><p></mj-section></mj-body></mjml>", "<p> is not", (2, 13)),
        ("<mjml><mj-body>", "<mj-body> is not closed", (1, 7)),
        ("<mjml></p></mjml>", "no place for this", (1, 7)),
        ("<mjml></mjml></p>", "<p> is not closed", (1, 14)),
        (mail("<mj-section a=b></mj-section>"), "attributes need quotes", (1, 1)),
        (mail("", "{% if x %}\n<mj-title>a</mj-title>{% endif %}"), "no place for this", (1, 16)),
        (
            mail("", '<mj-style inline="inline">p{top:{{ x }}}</mj-style>'),
            "inline mj-style",
            (1, 48),
        ),
        (
            mail(
                "é{{ '\n' }}<mj-image>x</mj-image>",
                '<mj-style inline="inline">é</mj-style> <mj-title>é</mj-title>',
            ),
            "no place for this",
            (2, 15),
        ),
        (column('<mj-text foo="{{ x }}">a</mj-text>'), "no place for a", (1, 72)),
        (column("<mj-text>" + "<i>" * 300 + "</i>" * 300 + "</mj-text>"), "too deeply", (1, 1)),
        (column("\n<mj-raw><!--[if mso]>x<![endif] --></mj-raw>"), "for Outlook", (2, 23)),
    ],
)
def test_what_is_wrong_is_named_with_its_place(source, message, place):
    error = refusal(source)
    assert message in error.message
    assert (error.line, error.column, error.part) == (*place, "mjml")


def test_what_is_too_deep_for_mrml_is_refused_wherever_it_hides():
    """It ends the process at some thousands of elements inside each other."""
    for hidden in (
        *("<style>", "<title>", "<textarea>", "<script>", "<_>", "<é>", "<!--[if mso]><p>"),
        *("<style><!-- </style> -->", "<!-- [if mso]><p>", "<p x='/>'>"),
    ):
        assert "too deeply" in refusal(column(f"<mj-raw>{hidden * 3000}</mj-raw>")).message
    assert "too deeply" in refusal(mail("<!--[if mso]>" + "<p>" * 3000)).message
    balanced = "<style>p{top:0}</style><!--[if mso]><p><br>x</p><![endif]--><!-- <p> --><img/>"
    assert to_html(column(f"<mj-raw>{balanced * 300}</mj-raw>")).count("<img") == 300


def test_a_library_that_panics_is_one_that_cannot_read_this(monkeypatch):
    """As of 0.2.4 mrml does so at an odd end of a condition for Outlook."""
    monkeypatch.setattr("templates_app.mjml._OPEN_CONDITION", re.compile("(?!)"))
    assert "can be read" in refusal(column("<mj-raw><!--[if a]>x<![endif]</mj-raw>")).message
    with pytest.raises(KeyboardInterrupt), panics.caught():
        raise KeyboardInterrupt


PARENTS = {
    "mj-accordion-element": "mj-accordion",
    "mj-accordion-text": "mj-accordion-element",
    "mj-accordion-title": "mj-accordion-element",
    "mj-carousel-image": "mj-carousel",
    "mj-navbar-link": "mj-navbar",
    "mj-social-element": "mj-social",
} | dict.fromkeys(
    ["mj-attributes", "mj-breakpoint", "mj-font", "mj-preview", "mj-style", "mj-title"], "mj-head"
)
"""Tags to what they stand in, where that is not a column or anything."""


@pytest.mark.parametrize("name", sorted(MJ_TAGS - {"mj-all", "mj-class", "mj-head", "mj-body"}))
def test_every_tag_we_let_through_is_one_that_mrml_knows(name):
    """It would hand on what it does not know."""
    tag, parent = f"<{name}></{name}>", PARENTS.get(name, "")
    while parent and parent != "mj-head":
        tag, parent = f"<{parent}>{tag}</{parent}>", PARENTS.get(parent, "")
    assert "<mj-" not in to_html(mail("", tag) if parent else column(tag))


def test_a_head_may_be_written_in_one_line():
    assert "<title>a</title>" in to_html(
        mail("", " <mj-title>a</mj-title>  <mj-style>p{}</mj-style>\t")
    )


def test_nothing_is_fetched_for_fonts():
    assert "googleapis" not in to_html(column('<mj-text font-family="Roboto">a</mj-text>'))


def test_an_inline_style_reaches_its_tags_and_leaves_a_loop_in_its_table():
    source = mail(
        "<mj-section><mj-column>{% for x in xs %}<mj-text css-class='r'><i>{{ x }}</i></mj-text>"
        "{% endfor %}</mj-column></mj-section>",
        '<mj-style inline="inline">.r i{color:red}</mj-style><mj-style>.k{top:0}</mj-style>',
    )
    built = to_html(source)
    assert '<i style="color: red">{{ x }}</i>' in built
    assert "<tbody>{% for x in xs %}<tr>" in built
    assert ".r i" not in built
    assert ".k{top:0}" in built


TEXTS = st.sampled_from(["a", "{{ x }}", "&lt;", "<b>c</b>", "<br/>", "{% if t %}d{% endif %}"])
CONDITIONS = st.sampled_from(["{}", "{{% if t %}}{}{{% endif %}}", "{{% if f %}}{}{{% endif %}}"])
AROUND = CONDITIONS | st.just("{{% for i in l %}}{}{{% endfor %}}")
CONTENTS = st.sampled_from(
    [
        "<mj-text>{}</mj-text>",
        '<mj-button href="https://e.x/{{{{ x }}}}">{}</mj-button>',
        "<mj-table>{{% for i in l %}}<tr><td>{{{{ i }}}}</td><td>{}</td></tr>{{% endfor %}}</mj-table>",
        "<mj-raw><p>{}</p></mj-raw>",
    ]
)
DATA = {"x": "<X> & x", "t": True, "f": False, "l": ["1", "2"]}


@st.composite
def mails(draw) -> str:
    def several(around, make) -> str:
        return "".join(draw(around).format(make()) for _ in range(draw(st.integers(1, 2))))

    def text():
        return draw(CONTENTS).format("".join(draw(st.lists(TEXTS, max_size=3))))

    def column_of_texts() -> str:
        return f"<mj-column>{several(CONDITIONS, text)}</mj-column>"

    def section() -> str:
        return f"<mj-section>{several(AROUND, column_of_texts)}</mj-section>"

    return mail(several(AROUND, section), "<mj-preview>{{ x }}</mj-preview>")


def seen(html: str) -> str:
    text = render({"text": plain_text("{% raw %}" + html + "{% endraw %}")}, {})["text"]
    return "".join(text.split())


@given(mails())
def test_what_is_built_and_rendered_says_what_is_rendered_and_built(source):
    built = render({"html": inlined(to_html(source))}, DATA)["html"]
    rendered = render({"mjml": source}, DATA)["mjml"]
    assert seen(built) == seen(to_html(rendered))
