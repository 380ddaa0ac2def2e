from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates_app.plain_text import NoPlainText, plain_text
from templates_app.rendering import render


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ""),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<div><div>a</div></div><div>b</div>", "a\nb"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<ul><li>a</li><li><p>b</p></li></ul>c", "- a\n- b\n\nc"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<b>a</b>b <i> c</i>", "ab c"),
        ("a &amp; &lt;b&gt;&nbsp;c", "a & <b> c"),
        ('<a href="https://x/?a=1&amp;b=2">go</a>.', "go (https://x/?a=1&b=2)."),
        ('<a href="https://x">https://x</a>', "https://x"),
        ('<a href="mailto:a@b.c">a@b.c</a>', "a@b.c"),
        ('<a href="{{ url }}">{{ url }}</a>', "{{ url }}"),
        ('<a href="#top">up</a><a name="x"></a>', "up"),
        ('<a href="https://x"><img src="y" alt="Our shop"></a>', "Our shop (https://x)"),
        ('<a href="{{ url }}">{{ name }}</a>', "{{ name }} ({{ url }})"),
        ('<img src="y">', ""),
        ("a<hr>b", "a\n\n---\n\nb"),
        ("<head><title>t</title><style>p{}</style></head><body>a</body>", "a"),
        ('<div style="display: none">a<div>b</div>c</div><p hidden>d</p>e', "e"),
        ("<!--[if mso]>a<![endif]--><!--[if !mso]><!-->b<!--<![endif]-->", "b"),
        (
            "{{ a|e }} {{ a | escape | upper }} {{ a|default('|e') }}",
            "{{ a }} {{ a   | upper }} {{ a|default('|e') }}",
        ),
        ("{ {{ a }}{# c #}{% raw %}{{ b }}{% endraw %}", '{ {{ a }}{{ "{" }}{ b }}'),
        ("&#123;{{ a }}", '{{ "{" }}{{ a }}'),
        ("a {%- if b -%} c {%- endif %}", "a{% if b %}c{% endif %}"),
        (
            "{% for x in xs %}<li>{{ x }}</li>{% endfor %}",
            "{% for x in xs %}- {{ x }}\n{% endfor %}",
        ),
        ("<p>a</p>{% if b %}<p>c</p>{% endif %}<p>d</p>", "a\n\n{% if b %}c\n\n{% endif %}d"),
    ],
)
def test_the_text_of_html(source, expected):
    assert plain_text(source) == expected


WORDS = st.sampled_from(["a", " b ", "&amp;", "{{ x }}", "{{ y|upper }}", "<b>c</b>", "<br>", "\n"])
BLOCKS = st.sampled_from(
    [
        "<p>{}</p>",
        "<div>{}</div>",
        "<ul><li>{}</li></ul>",
        "<table><tr><td>{}</td><td>z</td></tr></table>",
        '<a href="https://{{{{ x }}}}/">go {}</a>',
        "{{% if t %}}{}{{% endif %}}",
        "{{% if f %}}{}{{% else %}}<p>else</p>{{% endif %}}",
        "{{% for i in l %}}{}{{% endfor %}}",
        "{{% for i in l %}}{}, {{% endfor %}}",
        "{{% for i in none %}}{}{{% else %}}no{{% endfor %}}",
        "<table>{{% for i in l %}}<tr><td>{{{{ i }}}}</td><td>{}</td></tr>{{% endfor %}}</table>",
        '<td title="{{{{ x }}}}">{}</td>',
    ]
)


@st.composite
def sources(draw) -> str:
    text = "".join(draw(st.lists(WORDS, max_size=4)))
    for block in draw(st.lists(BLOCKS, max_size=3)):
        text = block.format(text) + "".join(draw(st.lists(WORDS, max_size=2)))
    return text


DATA = {"x": "<X> & x", "y": "y", "t": True, "f": False, "l": ["1", "2"], "none": []}


def seen(text: str) -> list[str]:
    return "".join(text.split()).split(",")


@given(sources())
def test_text_made_before_rendering_says_what_is_rendered(source):
    """Line ends aside: a value does not end a line, and a block that is not there leaves none."""
    before = render({"text": plain_text(source)}, DATA)["text"]
    after = plain_text("{% raw %}" + render({"html": source}, DATA)["html"] + "{% endraw %}")
    assert seen(before) == seen(render({"text": after}, {})["text"])


@given(
    st.lists(
        st.sampled_from(["<p>a</p>", "<li>a</li>", "a", "<tr><td>a</td></tr>"]),
        min_size=1,
        max_size=3,
    )
)
def test_each_turn_of_a_loop_stands_by_itself(body):
    """Where the HTML ends a line between turns, so does the text."""
    source = "<div>s</div>{% for i in l %}" + "".join(body) + "{% endfor %}"
    text = render({"text": plain_text(source)}, DATA)["text"]
    unrolled = plain_text("<div>s</div>" + "".join(body) * 2)
    assert text.split() == unrolled.split()


def test_half_a_block_has_no_text():
    with pytest.raises(NoPlainText):
        plain_text("<title>{% if x %}</title>{% endif %}")


def test_a_list_within_a_line_stays_within_it():
    source = "<p>For {% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}.</p>"
    assert render({"text": plain_text(source)}, DATA)["text"] == "For 1, 2."


@pytest.mark.parametrize(("first", "second"), list(product((True, False), repeat=2)))
def test_blocks_that_are_not_there_leave_no_gap(first, second):
    source = "<p>a</p>{% if t %}<p>b</p>{% endif %}{% if f %}<p>c</p>{% endif %}<p>d</p>"
    text = render({"text": plain_text(source)}, {"t": first, "f": second})["text"]
    assert text.split("\n\n") == ["a", *["b"] * first, *["c"] * second, "d"]
