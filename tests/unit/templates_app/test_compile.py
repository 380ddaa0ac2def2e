from __future__ import annotations

import pytest

from templates_app.compile import MAX_SOURCE, check
from templates_app.errors import TemplateSyntaxError


def refusal(source, part="text"):
    with pytest.raises(TemplateSyntaxError) as caught:
        check(source, part=part)
    return caught.value


def test_the_top_level_names_a_template_reads_are_returned():
    source = (
        "{{ user.name }}{% for line in order.lines if line.n > low %}{{ line.x }}{{ loop.index }}"
        "{% else %}{{ line }}{% endfor %}{{ rates[currency] | default(fallback) }}"
    )
    names = {"user", "order", "low", "line", "rates", "currency", "fallback"}
    assert check(source, part="text") == names


def test_a_name_of_a_loop_is_not_read_from_the_data():
    assert check("{% for x in xs %}{{ x }}{% endfor %}", part="text") == {"xs"}


@pytest.mark.parametrize(
    ("source", "line", "column", "word"),
    [
        ("{{ order.total() }}", 1, 15, "called"),
        ("{{ range(3) }}", 1, 9, "called"),
        ("one\n  {% set x = 1 %}", 2, 6, "set"),
        ("set {% set x %}1{% endset %}", 1, 8, "set"),
        ("{% with x = 1 %}{% endwith %}", 1, 4, "set"),
        ("{% macro m() %}{% endmacro %}", 1, 4, "Macros"),
        ("{% filter upper %}a{% endfilter %}", 1, 4, "values only"),
        ("include {% include 'x' %}", 1, 12, "included"),
        ("{% import 'x' as y %}", 1, 4, "imported"),
        ("{% from 'x' import y %}", 1, 4, "imported"),
        ("{% extends 'x' %}", 1, 4, "extended"),
        ("{% block a %}{% endblock %}", 1, 4, "inheritance"),
        ("{{ a + 1 }}", 1, 6, "Arithmetic"),
        ("{{ a * 9 }}", 1, 6, "Arithmetic"),
        ("{{ a ** 9 }}", 1, 6, "Arithmetic"),
        ("{{ a % 9 }}", 1, 6, "Arithmetic"),
        ("{{ -a }}", 1, 4, "Arithmetic"),
        ("{{ a ~ b }}", 1, 6, "next to each other"),
        ("{{ a[1:2] }}", 1, 7, "Slices"),
        ("{{ {'a': 1} }}", 1, 4, "Mappings"),
        ("{{ a.__class__ }}", 1, 6, "underscore"),
        ("{{ a['_b'] }}", 1, 1, "underscore"),
        ("{{ _a }}", 1, 4, "underscore"),
        ("{{ a[b.c] }}", 1, 5, "a name, a text or a whole number"),
        ("{{ a | uper }}", 1, 8, "Did you mean upper?"),
        ("{{ a | safe }}", 1, 8, "no filter safe"),
        ("{{ a | truncate }}", 1, 8, "takes 1 argument."),
        ("{{ a | default(b, c, d) }}", 1, 8, "takes 0 to 2 arguments."),
        ("{{ a | default(value=1) }}", 1, 8, "named"),
        ("{{ a is string }}", 1, 9, "no test string"),
        ("{{ a is defined(1) }}", 1, 9, "no arguments"),
        ("{{ a < b < c }}", 1, 1, "two values"),
        ("{{ [a] | first }}", 1, 1, "texts and numbers only"),
        ("{{ loop.index }}", 1, 9, "inside a loop"),
        ("{% for x in y %}{{ loop.cycle }}{% endfor %}", 1, 25, "inside a loop"),
        ("{% for x in y recursive %}{% endfor %}", 1, 15, "recursive"),
        ("{% for a, b in y %}{% endfor %}", 1, 4, "one name"),
        ("{% for loop in y %}{% endfor %}", 1, 8, "loop"),
        ("{{ 99999999999999999999 }}", 1, 1, "too large"),
        ("{{ 1e999 }}", 1, 1, "too large"),
        ("{{ '\\ud800' }}", 1, 1, "Unicode"),
        ("a\n\ud800", 2, 1, "Unicode"),
        ("a\n\0", 2, 1, "NUL"),
        ("a\n\ufdd0", 2, 1, "noncharacter"),
        ("a\n{{ b c }}", 2, 6, "got 'c'"),
        ("a\n{% if %}", 2, 1, "expression"),
        ("{% nonsense %}", 1, 4, "unknown tag"),
        ("{{ a", 1, 1, "end of template"),
        ("{{ " + "(" * 400 + "1" + ")" * 400 + " }}", 1, 1, "complicated"),
        ("{{ " + "9" * 5000 + " }}", 1, 1, "complicated"),
        ("{{ x" + ".items" * 8 + " }}", 1, 1, "too long"),
    ],
)
def test_what_is_outside_the_language_is_refused_with_its_place(source, line, column, word):
    error = refusal(source)
    assert (error.part, error.line, error.column) == ("text", line, column)
    assert word in error.message


def test_a_source_of_64_kib_is_accepted_and_one_byte_more_is_not():
    assert check("é" * (MAX_SOURCE // 2), part="text") == frozenset()
    assert "larger" in refusal("é" * (MAX_SOURCE // 2) + "a").message


def test_three_loops_may_be_inside_each_other_and_four_may_not():
    def nested(depth):
        return "{% for a in b %}" * depth + "x" + "{% endfor %}" * depth

    assert check(nested(3), part="text") == {"b"}
    assert "3 loops" in refusal(nested(4)).message


def test_twenty_levels_are_accepted_and_twenty_one_are_not():
    def nested(depth):
        return "{% if a %}" * depth + "x" + "{% endif %}" * depth

    assert check(nested(19), part="text") == {"a"}
    assert "20 levels" in refusal(nested(20)).message


def test_many_alternatives_are_not_a_deep_template():
    source = "{% if a == 0 %}" + "".join(f"{{% elif a == {n} %}}{n}" for n in range(50))
    assert check(source + "{% endif %}", part="text") == {"a"}


@pytest.mark.parametrize(
    ("source", "line", "word"),
    [
        ("<a href={{ x }}>", 1, "quotes"),
        ("<script>\nlet a = '{{ x }}'</script>", 2, "<script>"),
        ("<style>{% if x %}{{ x }}{% endif %}</style>", 1, "<style>"),
        ("<p onclick='{{ x }}'>", 1, "onclick"),
        ('<iframe srcdoc="{{ x }}">', 1, "srcdoc"),
        ("<{{ x }}>", 1, "quoted attribute"),
        ("<h{{ x }}>", 1, "quoted attribute"),
        ("<p {{ x }}>", 1, "quoted attribute"),
        ("<!DOCTYPE {{ x }}>", 1, "quoted attribute"),
        ("<p>\n<a href='javascript:alert(1)'>", 2, "http"),
        ("<a href=' java&#115;cript&colon;x'>", 1, "http"),
        ("<img src=data:text/html,x>", 1, "http"),
        ("<!--[if mso]><a href='javascript:x'><![endif]-->", 1, "http"),
    ],
)
def test_html_where_escaping_would_not_help_is_refused(source, line, word):
    error = refusal(source, part="html")
    assert (error.part, error.line) == ("html", line)
    assert word in error.message


@pytest.mark.parametrize(
    "source",
    [
        "<p title=\"{{ x }}\" class='a {{ x }}'>{{ x }} < {{ x }}</p>",
        "<!-- {{ x }} --><p>{{ x }}</p>",
        "<!--[if !mso]><!--><p>{{ x }}</p><!--<![endif]-->",
        "<style>p > a { color: red }</style>{{ x }}",
        "<script>if (a < b) {}</script>{{ x }}",
        "<a href='https://a.test/{{ x }}'><img src='cid:logo'></a>",
        "<a href=/relative>{{ x }}</a>",
        "<td width=50% {% if x %}bgcolor='{{ x }}'{% endif %}>{{ x }}</td>",
    ],
)
def test_html_where_escaping_helps_is_accepted(source):
    assert check(source, part="html") == {"x"}


def test_places_in_html_do_not_matter_in_other_parts():
    assert check("<a href={{ x }}>", part="text") == {"x"}


@pytest.mark.parametrize("source", ["a\nb", "s\r\nBcc: x@y.z", "a\tb", "a\x85", "a\u2028b"])
def test_a_subject_is_written_on_one_line(source):
    with pytest.raises(TemplateSyntaxError) as refused:
        check(source, part="subject")
    assert refused.value.part == "subject"
    assert "one line" in refused.value.message
    check(source, part="text")
