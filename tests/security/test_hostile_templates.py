"""Every hostile case ends in a clear error or in harmless output, soon, in a process that hardly grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from templates_app.errors import TemplateError
from templates_app.rendering import MAX_OUTPUT, render
from tests.security.hostile import CASES, Result, all_cases

pytestmark = pytest.mark.timeout(400)  # whichever comes first waits for `results`

PACES = 70  # some 0.14 s on a fast machine
KILOBYTES = 50 * 1024


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    """By a process of their own, without a tracer of coverage in it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-m", "tests.security.hostile"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    found: dict[str, Result] = json.loads(done.stdout)
    return found


def test_there_are_enough_of_them():
    assert len(CASES) >= 60
    assert len(all_cases()) >= 200


def test_each_ends_soon(results):
    """By the machine's own pace: seconds would say how fast, and how busy, it is."""
    slow = {name: one["paces"] for name, one in results.items() if one["paces"] > PACES}
    assert slow == {}


def test_the_process_hardly_grows(results):
    assert max(one["grown"] for one in results.values()) < KILOBYTES


def test_each_ends_in_a_short_sentence_or_a_bounded_output(results):
    for name, one in results.items():
        assert one["size"] <= MAX_OUTPUT, name
        assert (one["size"] == -1) == bool(one["message"]), name
        assert len(one["message"]) < 400, name
        assert "Traceback" not in one["message"], name
        assert "aaaaaaaaaa" not in one["message"] or "long name" in name, name


REFUSED = [
    "search of a list in lists",
    "comparison of lists",
    "order of lists",
    "many digits",
    "huge exponent",
    "infinite price",
    "currency from data",
    "long currency",
    "date of nines",
    "style from data",
    "percent at the end",
    "too many tags",
    "include by a name of data",
    "include of a path",
    "import with context",
    "translation block",
    "sentence too long",
    "script element",
    "style element",
    "handler",
    "unquoted attribute",
    "link from data",
    "link in two pieces",
    "link to data",
    "many unsafe links",
    "value of a style",
    "url in a style",
    "meta refresh",
    "set of sources",
    "ping",
    "background",
    "action of a button",
    "poster",
    "link in a drawing",
    "link set in a drawing",
    "quotes in links",
    "ampersands in links",
    "ampersands in long links",
    "links that differ",
    "link of leading spaces",
    "link of entities of spaces",
    "link of a long scheme",
    "short quotes",
    "short wide values",
    "wide text in loops",
    "quotes in many places",
    "push link",
    "push image",
    "long link",
    "method names",
    "dunder keys",
    "number as a key",
    "negative place",
    "prices that differ",
    "dates that differ",
    "title of long text",
    "sentence in loops",
    "join in loops",
]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_harmless_is_refused(name):
    parts, data = CASES[name]
    with pytest.raises(TemplateError):
        render(parts, data)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("colour in a style", "<p style='color: #fff; width: 5px'>"),
        ("format string", "{{0.__class__}.__class__}{0.__class__}"),
        ("percent format", "%s%n%x%(x)s%s%n"),
        ("delimiters of other engines", "<% x %>{$x}[[x]]#{x}"),
        ("header in a subject", "Hi you Bcc: all@example.org"),
        ("folded header", "a b c d e f"),
        ("header in a preheader", "a body"),
        ("push title", "[31m"),
        (
            "script in every place",
            (
                "<p title='&#x27;&quot;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;--&gt;'>"
                "&#x27;&quot;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;--&gt;</p>"
                "<!-- &#x27;&quot;&gt;&lt;script&gt;alert(1)&lt;&#x2f;script&gt;--&gt; -->"
            ),
        ),
        ("script in mjml", "<mj-text>&lt;&#x2f;mj-text&gt;&lt;script&gt;</mj-text>"),
        ("link in entities", "<a href='&amp;#106;avascript:alert(1)'>"),
        ("long date", "Jan 1, 2026"),
        ("empty names", "1"),
        ("plural of a huge number", "b"),
    ],
)
def test_what_is_printed_is_only_text(name, printed):
    parts, data = CASES[name]
    (found,) = render(parts, data).values()
    assert found == printed
