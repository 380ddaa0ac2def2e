from __future__ import annotations

import pytest

from templates_app.html_import import imported


def test_what_is_harmless_stays_byte_for_byte():
    page = (
        "<!doctype html><html><head><title> News\n &amp; more </title><style>p { color: red }</style>"
        "<!--[if mso]><table><![endif]--></head><BODY bgcolor=#fff><p  Class='x'>Hi&nbsp;{{ name }}"
        '<a href="https://a.test/?a=1&amp;b=2">see</a><img src="cid:1" alt=""></BODY></html>'
    )
    found = imported(page)
    assert found.html == page
    assert found.subject == "News & more"
    assert found.notices == []
    assert "see (https://a.test/?a=1&b=2)" in found.text
    assert "{{ name }}" in found.text


@pytest.mark.parametrize(
    ("page", "kept", "said"),
    [
        ("a<script>x<b>y</script>b", "ab", "<script>"),
        ("a<SCRIPT src=x>", "a", "<script>"),
        ("a<iframe><iframe></iframe></iframe>b", "ab", "<iframe>"),
        ("a<svg/>b", "ab", "<svg>"),
        ("<form action=x><p>t</p><input><button>b</button></form>", "<p>t</p>b", "forms"),
        ('<link rel="stylesheet" href="https://a.test/x.css">a', "a", "<link>"),
        ('<meta http-equiv="Refresh" content="0">a', "a", "refresh"),
        ("<base href='https://a.test'>a", "a", "<base>"),
        ("<style>@import url(x.css); p{}</style>", "<style> p{}</style>", "@import"),
        ('<p onclick="x()" id=a>t</p>', "<p id=a>t</p>", "onclick"),
        ("<p id=a ONLOAD = x()>t</p>", "<p id=a>t</p>", "onclick"),
        ("<p onclick>t</p>", "<p>t</p>", "onclick"),
        ('<a href="javascript:x()">t</a>', "<a>t</a>", "links"),
        ("<a href='java&#10;script:x()' class=b>t</a>", "<a class=b>t</a>", "links"),
        ('<img src="data:text/html,x" alt=a>', "<img alt=a>", "links"),
    ],
)
def test_what_no_mail_client_runs_or_loads_is_left_out_and_said(page, kept, said):
    found = imported(page)
    assert found.html == kept
    assert said in found.notices[0]


def test_the_same_is_said_once():
    assert imported("<script></script>" * 3 + "a").notices == [
        "Left out: <script> with what is in it (3 times)."
    ]


@pytest.mark.parametrize("page", ["<div>" * 300 + "a", "{% raw %}", "<img>"])
def test_a_page_without_a_text_is_imported_all_the_same(page):
    found = imported(page)
    assert found.html == page
    assert found.notices == ["No plain text could be made from it."]
