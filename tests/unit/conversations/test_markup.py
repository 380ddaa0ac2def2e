from __future__ import annotations

import pytest

from conversations import markup

SAFE = 'rel="noopener noreferrer nofollow" target="_blank"'


@pytest.mark.parametrize(
    ("body", "html"),
    [
        ("hello", "<p>hello</p>"),
        ("**a** *b* ~~c~~ `d`", "<p><strong>a</strong> <em>b</em> <s>c</s> <code>d</code></p>"),
        ("one\ntwo", "<p>one<br>\ntwo</p>"),
        ("> quoted", "<blockquote>\n<p>quoted</p>\n</blockquote>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("# no heading", "<p># no heading</p>"),
        (
            "[us](https://example.com)",
            f'<p><a href="https://example.com" {SAFE}>us</a></p>',
        ),
    ],
)
def test_a_small_part_of_markdown(body: str, html: str) -> None:
    assert markup.html(body) == html


@pytest.mark.parametrize(
    ("body", "text", "excerpt"),
    [
        ("**a** *b* ~~c~~ `d`\ne", "a b c d\ne", "a b c d e"),
        ("a\n\nb", "a\n\nb", "a b"),
        (
            "[us](https://example.com) or <https://example.com>, <mailto:a@example.com>",
            "us (https://example.com) or https://example.com, mailto:a@example.com",
            "us or https://example.com, mailto:a@example.com",
        ),
        ("- a\n  b\n- **c**\n\nd", "- a\n  b\n- c\n\nd", "a b c d"),
        ("3. a\n4. b", "3. a\n4. b", "a b"),
        ("> a\n> - b\n\nc", "> a\n\n> - b\n\nc", "a b c"),
        ("```\n*a*\n  b\n```", "*a*\n  b", "*a* b"),
        (r"\*a\* 5 < 7 &amp; <b>", "*a* 5 < 7 & <b>", "*a* 5 < 7 & <b>"),
        (" \n", "", ""),
    ],
)
def test_the_same_without_looks(body: str, text: str, excerpt: str) -> None:
    assert markup.text(body) == text
    assert markup.excerpt(body) == excerpt


@pytest.mark.parametrize(
    "body",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html,<script>)",
        "[x](  vbscript:x)",
        "<javascript:alert(1)>",
        "![x](https://example.com/pixel.png)",
        '[x](https://example.com "onmouseover=alert(1)")',
        "`<b>`",
        "&lt;script&gt;&#x6A;avascript:",
        "```<script>\n</code><script>alert(1)</script>\n```",
        '[a](https://e.example/"onclick=alert(1)//)',
        "[x](//evil.example)",
        "[x](/admin/)",
    ],
)
def test_nobody_writes_html_or_runs_anything(body: str) -> None:
    html = markup.html(body).lower()
    for bad in ("<script", "<img", "<b>", 'href="javascript', 'href="data', 'href="vb', 'href="/'):
        assert bad not in html
    assert " onclick=" not in html
    assert ' onmouseover="' not in html


def test_a_bomb_is_rendered_in_bounded_time_and_space() -> None:
    for body in ("[" * markup.MAX_LENGTH, "*a " * 3333, "> " * 5000, "`" * 9999, "- " * 5000):
        assert len(markup.html(body)) < 20 * markup.MAX_LENGTH
    assert markup.excerpt("a b\n" * 100).endswith("…")
    assert len(markup.excerpt("x" * 500)) == 140
