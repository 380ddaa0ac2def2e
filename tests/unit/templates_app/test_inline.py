from __future__ import annotations

import re

import pytest

from templates_app.elements import MAX_DEPTH, is_too_deep, read
from templates_app.inline import CannotInline, inlined
from templates_app.rendering import render

STYLE = "<style>.a .b{color:red} p{margin:0} .on{top:1px} @media print{p{color:blue}}</style>"


def body(html: str, style: str = STYLE) -> str:
    built = inlined(style + html)
    assert built.startswith(style)
    return built.removeprefix(style)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>x</p>", '<p style="margin: 0">x</p>'),
        ("<p class=b>x", '<p style="margin: 0" class=b>x'),
        (
            '<div class="a"><i class="b">x</i></div>',
            '<div class="a"><i style="color: red" class="b">x</i></div>',
        ),
        ('<p style="top:2px">x</p>', '<p style="margin: 0; top:2px">x</p>'),
        ("<p style='top:{{ y }}'>x</p>", "<p style='margin: 0; top:{{ y }}'>x</p>"),
        ("<p style=top:2px>x</p>", "<p style=top:2px>x</p>"),
        ("<br/><b>é &nbsp; &lt;</b>", "<br/><b>é &nbsp; &lt;</b>"),
        ("<!--[if mso]><p>x</p><![endif]-->", "<!--[if mso]><p>x</p><![endif]-->"),
        ("{{ '<p>' }}{# <p> #}", "{{ '<p>' }}{# <p> #}"),
        (
            "{% raw %}<p>{{ x }}</p>{% endraw %}",
            '{% raw %}<p style="margin: 0">{{ x }}</p>{% endraw %}',
        ),
        ("a < b <p>x</p>", 'a < b <p style="margin: 0">x</p>'),
    ],
)
def test_only_style_attributes_are_added(html, expected):
    assert body(html) == expected


def test_a_loop_in_a_table_stays_where_it_is():
    html = (
        "<table class='a'>{% for x in xs if x < 3 %}<tr class='b'><td>{{ x }}</td></tr>"
        "{% else %}<tr><td>none</td></tr>{% endfor %}</table>"
    )
    expected = html.replace("<tr class='b'>", "<tr style=\"color: red\" class='b'>")
    assert body(html) == expected


@pytest.mark.parametrize(
    "html",
    [
        '<b class="{% if x %}on{% endif %}">',
        '<b class="{% if x %} on {% else %} on {% endif %}">',
        '<b {% if x %}class="on"{% endif %}>',
        '<b class="o{{ n }}">',
        "<b class={% if x %}on{% endif %}>",
    ],
)
def test_what_a_statement_chooses_is_left_to_the_style_tag(html):
    assert body(html) == html


def test_a_class_beside_what_is_chosen_is_inlined():
    html = '<b class="on {{ n }} {% if x %}z{% endif %}" title="{{ t }}">'
    assert body(html) == html.replace("<b", '<b style="top: 1px"')


def test_a_tag_whose_attributes_are_chosen_is_left_alone():
    assert body("<p {% if x %}style='top:1px'{% endif %}>") == (
        "<p {% if x %}style='top:1px'{% endif %}>"
    )


def test_a_style_tag_with_template_tags_is_not_inlined():
    html = "<style>{% if x %}p{color:red}{% endif %}</style><p>x</p>"
    assert inlined(html) == html


def test_without_styles_nothing_is_touched():
    html = "<P CLASS=x>a<p>b</table>"
    assert inlined(html) == html


def test_nothing_is_loaded(tmp_path):
    sheet = tmp_path / "a.css"
    sheet.write_text("b{color:red}")
    link = (
        f'<link rel="stylesheet" href="{sheet}"><link rel="stylesheet" href="http://127.0.0.1:9/">'
    )
    imported = f'<style>@import url("{sheet}"); @import "http://127.0.0.1:9/x";</style>'
    assert inlined(f"{link}{imported}<b>x</b>").endswith("<b>x</b>")


def test_a_font_in_quotes_stays_inside_the_attribute():
    built = inlined('<style>p{font-family:"A B";content:"<\\"x"}</style><p>x</p>')
    assert re.fullmatch(r'.*<p style="[^"<]*">x</p>', built)


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 60_000,
        "<div>" * 60_000 + "</div>" * 60_000,
        "".join(f"<p><font size={n}></p>" for n in range(3_000)),
        "<div></b>" * 60_000,
    ],
)
def test_what_would_crash_a_reader_of_trees_is_refused(html):
    with pytest.raises(CannotInline):
        inlined("<style>p{top:0}</style>" + html)


def test_an_ordinary_depth_is_not():
    assert not is_too_deep("<div>" * MAX_DEPTH + "</div>" * MAX_DEPTH)
    assert not is_too_deep("<tr><td><br><img><p>x" * 10 + "<li>x</li><p>a</p>" * 1_000)


@pytest.mark.parametrize(
    "piece", ["<", "<a", '<a "', "<!--", "<a b='", "<style>", "<a\n", "</", "<a =", "a  "]
)
def test_reading_is_linear_and_loses_nothing(piece):
    text = piece * 20_000
    assert "".join(element.text for element in read(text)) == text
    assert all(list(element.attributes()) is not None for element in read(text))


def test_a_rendered_mail_has_the_styles():
    source = STYLE + "{% for x in xs %}<p>{{ x }}</p>{% endfor %}"
    rendered = render({"html": inlined(source)}, {"xs": ["<", "b"]})["html"]
    assert rendered.endswith('<p style="margin: 0">&lt;</p><p style="margin: 0">b</p>')
