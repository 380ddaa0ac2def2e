"""Hostile templates and data. Each must end in a typed error or a bounded output, soon and in little memory."""

from __future__ import annotations

import json
import resource
import time

import pytest

from templates_app.compile import compile_part
from templates_app.errors import TemplateError
from templates_app.rendering import MAX_OUTPUT, render

SECONDS = 4  # of this thread's CPU, with the coverage tracer on; without it the slowest takes 0.5
KILOBYTES = 256 * 1024

BIG = "x" * 10_000
ROWS = list(range(500))
DATA = {
    "x": "<script>alert(1)</script>",
    "big": BIG,
    "rows": ROWS,
    "order": {"lines": [{"n": 1}]},
    "none": None,
    "quotes": '"' * 10_000,
    "inner": "{{ big }}",
}


def loops(body, depth=3):
    return "{% for i in rows %}" * depth + body + "{% endfor %}" * depth


ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ x.__init__.__globals__ }}",
    "{{ order.__class__ }}",
    "{{ order['__class__'] }}",
    "{{ order[x] }}",
    "{{ order | attr('__class__') }}",
    "{{ order | map(attribute='__class__') | list }}",
    "{{ order.items() }}",
    "{{ order.items }}",
    "{{ order.pop('lines') }}",
    "{{ order.lines.append(1) }}",
    "{{ order.lines.append }}",
    "{{ order.lines['clear'] }}",
    "{{ x.format(x) }}",
    "{{ '%s' | format(x) }}",
    "{{ x | safe }}",
    "{{ self }}",
    "{{ self.__init__ }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ config }}",
    "{{ request.application }}",
    "{{ debug() }}",
    "{% debug %}",
    "{{ namespace() }}",
    "{{ dict(a=1) }}",
    "{% set x = order.__class__ %}{{ x }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% extends 'base' %}",
    "{% autoescape false %}{{ x }}{% endautoescape %}",
    "{% call x() %}{% endcall %}",
    "{% do order.clear() %}",
    "{{ loop.__class__ }}",
    "{% for i in rows %}{{ loop.cycle(1) }}{% endfor %}",
    "{{ (order | first).__class__ }}",
    "{{ order is callable }}",
    "{{ x | upper.__class__ }}",
    "{{ x | default(order.__class__) }}",
    "${x} <%= x %> {{{ x }}} #{x}",
]

BOMBS = {
    "range": "{{ range(10**9) }}",
    "loop over range": "{% for i in range(999999999) %}x{% endfor %}",
    "repeated text": "{{ 'a' * 10**9 }}",
    "power": "{{ 9 ** 9 ** 9 }}",
    "format width": "{{ '%1000000000d' | format(1) }}",
    "center": "{{ x | center(1000000000) }}",
    "replace chain": "{{ big" + " | replace('x', 'xxxxxxxxxx')" * 15 + " }}",
    "replace by itself": "{{ big | replace('x', big) }}",
    "join": "{{ rows | join(big) }}",
    "urlencode chain": "{{ quotes" + " | urlencode" * 15 + " }}",
    "escape chain": "{{ quotes" + " | e" * 15 + " }}",
    "nested loops": loops("x"),
    "text in nested loops": loops("x" * 60_000),
    "value in nested loops": loops("{{ big }}"),
    "escaped value in loops": loops("{{ quotes }}", 2),
    "short value in nested loops": loops("{{ inner }}"),
    "filter in nested loops": loops("{{ big | upper | length }}"),
    "join in nested loops": loops("{{ rows | join | length }}"),
    "search in nested loops": loops("{% if 'y' in rows %}{% endif %}"),
    "search in text in nested loops": loops("{% if 'xy' in big %}{% endif %}"),
    "comparison in nested loops": loops("{% if rows == rows %}{% endif %}"),
    "filtered loops": loops("{% for j in rows if 'y' in rows %}{% endfor %}", 2),
    "four loops": loops("x", 4),
    "recursive loop": "{% for i in rows recursive %}{{ loop(rows) }}{% endfor %}",
    "recursive macro": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "growing variable": "{% set s = big %}" + "{% set s = s ~ s %}" * 40,
    "concatenation": "{{ " + "big ~ " * 5000 + "big }}",
    "addition": "{{ " + "rows + " * 5000 + "rows }}",
    "deep blocks": "{% if x %}" * 3000 + "{% endif %}" * 3000,
    "deep brackets": "{{ " + "(" * 30_000 + "1" + ")" * 30_000 + " }}",
    "deep lists": "{{ " + "[" * 30_000 + "]" * 30_000 + " }}",
    "deep nots": "{{ " + "not " * 15_000 + "x }}",
    "deep minus": "{{ " + "-" * 60_000 + "1 }}",
    "long filters": "{{ x" + " | upper" * 8_000 + " }}",
    "long or": "{{ x" + " or x" * 10_000 + " }}",
    "long attributes": "{{ order" + ".items" * 10_000 + " }}",
    "many outputs": "{{ big }}" * 7_000,
    "many conditions": "{% if x %}{% endif %}" * 3_000,
    "many tags": "<a href='{{ x }}'>" * 3_000,
    "open braces": "{{" * 32_000,
    "open blocks": "{%" * 32_000,
    "open comments": "{#" * 32_000,
    "open raw": "{% raw %}" * 7_000,
    "open strings": "{{ '" * 16_000,
    "open html comments": "<!--[if" * 9_000,
    "open attributes": "<a href=" * 8_000,
    "angle brackets": "<" * 65_000,
    "large": "a" * 10_000_000,
    "large number": "{{ " + "9" * 60_000 + " }}",
    "infinite number": "{{ 1e99999 }}",
    "decimals": "{{ '1e999999999' | round(10) }}",
    "tiny number": "{{ '1e-999999999' | int }}",
    "number of decimals": "{{ 1 | number(1000000000) }}",
    "truncate": "{{ big | truncate(1000000000) }}",
    "date pattern": "{{ '2026-01-01' | date('%B' | replace('%', big)) }}",
    "nul": "a\0b",
    "surrogate": "{{ '\\udfff' }}\udfff",
    "direction": "\u202e{{ x }}\u2066",
    "noncharacter": "\ufdd0javascript:{{ x }}",
    "byte order mark": "\ufeff{{ x }}",
    "other digits": "{{ order[\uff11] }}",
    "other letters": "{{ \u043erder }}",
}


def attempt(source, part, data=DATA):
    """The output, or none with a typed error; fails where it takes long or much memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.thread_time()
    output, message = None, ""
    try:
        output = render({part: source}, data)[part]
    except TemplateError as error:
        message = str(error)
    assert time.thread_time() - start < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < KILOBYTES
    assert BIG not in message
    assert len(message) < 500
    return output


@pytest.fixture(autouse=True)
def nothing_compiled():
    compile_part.cache_clear()


@pytest.mark.parametrize("source", ESCAPES)
@pytest.mark.parametrize("part", ["html", "text"])
def test_a_template_reaches_nothing_but_the_data(source, part):
    assert attempt(source, part) is None
    assert DATA["order"] == {"lines": [{"n": 1}]}


@pytest.mark.parametrize("part", ["html", "text", "subject"])
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_soon_and_small(name, part):
    output = attempt(BOMBS[name], part)
    assert output is None or len(output) <= MAX_OUTPUT


def tower(depth, kind):
    value: object = 1
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


HOSTILE_DATA = {
    "template": {"x": "{{ big }}{% for i in rows %}{{ i }}{% endfor %}"},
    "raw": {"x": "{% raw %}{{ 1 }}{% endraw %}{# #}"},
    "markup": {"x": "</p><script>alert(1)</script>"},
    "attribute": {"x": '" onmouseover="alert(1)'},
    "entity": {"x": "&lt;script&gt;&#60;script&#62;"},
    "comment": {"x": "--><script>alert(1)</script><!--"},
    "link": {"x": "javascript:alert(1)"},
    "control": {"x": "".join(map(chr, range(32)))},
    "direction": {"x": "\u202egnp.exe\u2066"},
    "zalgo": {"x": "a" + "\u0301" * 10_000},
    "surrogate": {"x": "\ud800"},
    "deep list": {"x": tower(5_000, list)},
    "deep mapping": {"x": tower(5_000, dict)},
    "long list": {"x": [1] * 1_000_000},
    "long text": {"x": "a" * 5_000_000},
    "long key": {"a" * 100_000: 1, "x": 1},
    "many keys": {"x": {str(n): n for n in range(100_000)}},
    "large number": {"x": 10**5_000},
    "method names": {"x": {"items": "a", "__class__": "b", "__html__": "c"}},
}


@pytest.mark.parametrize("name", HOSTILE_DATA)
def test_hostile_data_is_refused_or_stays_text(name):
    output = attempt(
        "<p title='{{ x }}'>{{ x }}</p><a href='{{ x }}'>x</a><!-- {{ x }} -->",
        "html",
        HOSTILE_DATA[name],
    )
    if output is not None:
        assert output.count("<") == 5
        assert output.count(">") == 5
        assert output.count("'") == 4
        assert '"' not in output
        assert "\0" not in output


@pytest.mark.parametrize("value", ["{{ y }}", "{% if y %}", "{# y #}", "{{ y", "{##}", "{{{{"])
def test_a_value_is_never_read_as_a_template(value):
    parts = {"text": "{{ x }}{{ x | replace('a', x) }}{{ [1, 2] | join(x) }}"}
    assert render(parts, {"x": value, "y": "secret"}) == {"text": f"{value}{value}1{value}2"}


def test_the_largest_honest_table_renders():
    rows = [{"a": n, "b": n, "c": n, "d": n} for n in range(500)]
    row = (
        "<tr>" + "".join(f"<td>{{{{ row.{name} | number }}}}</td>" for name in "abcd") * 3 + "</tr>"
    )
    rendered = render({"html": "{% for row in rows %}" + row + "{% endfor %}"}, {"rows": rows})[
        "html"
    ]
    assert rendered.count("<td>") == 6_000
    assert len(json.dumps(rows)) < 65_536
