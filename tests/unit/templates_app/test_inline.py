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
        *(f"<svg>{void * 30_000}" for void in ("<wbr>", "<source>", "<param>")),
    ],
)
def test_what_would_crash_a_reader_of_trees_is_refused(html):
    with pytest.raises(CannotInline):
        inlined("<style>p{top:0}</style>" + html)


@pytest.mark.parametrize(
    "hidden",
    [
        *("<!-->{}-->", "<!--->{}-->", "<!-- --!>{}-->", "<svg><script>{}", "<svg><textarea>{}"),
        "<svg><style>{}",
    ],
)
def test_what_a_reader_of_trees_takes_for_tags_and_we_do_not_is_kept_from_it(hidden):
    source = "<style><!-- p{top:0} --></style><p>x</p>" + hidden.format("<b>" * 30_000)
    assert '<p style="top: 0">' in inlined(source)


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


def test_styles_that_would_take_minutes_stay_where_they_are():
    page = "<style>{}</style>{}".format
    siblings = "".join(f"p:nth-child({n}) ~ * {{color:#{n:03x}}}" for n in range(100, 900))
    properties = "".join(f"*{{a{n}:b}}" for n in range(3000))
    for hostile in (
        page(siblings, "<p>x</p>" * 3000),
        page("p:not(.q ~ p){color:red}" * 200, "<p>x</p>" * 3000),
        page(properties, "<p>x" * 5000),
        page(properties.replace("*", "@media print{p"), "<p>x" * 5000),
        page(properties.replace("*", "P.q"), "<p class='Q'>x" * 5000),
        page(properties.replace("*", "\\70"), "<p>x" * 5000),
        page("," * 30_000 + "p{a:b}", "<p>x" * 5000),
    ):
        with pytest.raises(CannotInline):
            inlined(hostile)
    rules = "".join(f".c{n}, td.c{n} > a:hover {{color:#{n:06x}; margin:0}}" for n in range(300))
    rules += "#menu:checked ~ .c1 {display:block} [class~=c2] td:first-child {padding:0}"
    cells = "".join(f"<td class='c{n % 300} all'>x</td>" for n in range(1000))
    newsletter = page(rules, f"<table><tr>{cells}</tr></table>")
    assert inlined(newsletter).count("margin: 0") == 1000
