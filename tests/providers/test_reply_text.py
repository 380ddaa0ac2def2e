from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.providers.common.reply_text import html_text, reply_text

QUOTE = "> Your order\n> is shipped.\n>\n>> More"


@pytest.mark.parametrize(
    "quote",
    [
        QUOTE,
        f"On Mon, 2 Nov 2026 at 10:00, Shop <shop@example.com> wrote:\n\n{QUOTE}",
        f"On Mon, 2 Nov 2026 at 10:00, A Shop With A Long Name\n<shop@example.com> wrote:\n{QUOTE}",
        f"Am 02.11.2026 um 10:00 schrieb Shop <shop@example.com>:\n{QUOTE}",
        f"Le lun. 2 nov. 2026 à 10:00, Shop <shop@example.com> a écrit :\n\n{QUOTE}",
        f"El lun, 2 nov 2026 a las 10:00, Shop (<shop@example.com>) escribió:\n\n{QUOTE}",
        f"Il giorno lun 2 nov 2026 Shop <shop@example.com> ha scritto:\n{QUOTE}",
        f"Op ma 2 nov. 2026 om 10:00 schreef Shop <shop@example.com>:\n{QUOTE}",
        f"W dniu 2.11.2026 o 10:00, Shop pisze:\n{QUOTE}",
        f"2026年11月2日(月) 10:00 Shop <shop@example.com>:\n\n{QUOTE}",
        f"пн, 2 нояб. 2026, 10:00, Shop <shop@example.com>:\n{QUOTE}",
        "  On Monday, 2 November 2026 at 10:00, Shop <shop@example.com> wrote:  \n \n Your order",
        "Od: Shop <shop@example.com>\nWysłano: niedziela\nDo: Ada\nTemat: x\n\nZamówienie",
        "-----Original Message-----\nFrom: Shop\n\nYour order",
        "-----Ursprüngliche Nachricht-----\nVon: Shop\n\nIhre Bestellung",
        "From: Shop <shop@example.com>\nSent: Monday, 2 November 2026\nTo: Ada\nSubject: x\n\nYour",
        "Von: Shop <shop@example.com>\nGesendet: Montag\nAn: Ada\nBetreff: x\n\nIhre Bestellung",
        "*From:* Shop <shop@example.com>\n*Sent:* Monday\n*To:* Ada\n\nYour order",
        f"{'_' * 32}\nFrom: Shop\nSent: Monday\nTo: Ada\nSubject: x\n\nYour order",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quote_below_is_cut_off(quote, end):
    text = f"Where is it?\n\nAda\n\n{quote}\n".replace("\n", end)
    assert reply_text(text) == "Where is it?\n\nAda"


@pytest.mark.parametrize(
    "text",
    [
        "Where is it?",
        f"{QUOTE}\n\nWhere is it?",
        "> When do you come?\nAt ten.\n> And who?\nAll of us.",
        "On Monday I wrote:\nplease send it",
        "On Monday she wrote:\n> first\nand then\n> second",
        "From: here to there\nis a long way",
        "From: me\nTo: you\nwith love",
        "Am Montag schrieb ich einen Brief.",
        "a -- b\n_____\nc",
        f"{'_' * 32}\nsigned",
        "I like > more than <",
        "Write to Ada <ada@example.com>:\nshe knows it",
        "Od rana do nocy: nic",
    ],
)
def test_in_doubt_nothing_is(text):
    assert reply_text(text) == text


@pytest.mark.parametrize("text", [QUOTE, f"On 1 May 2026 Shop <s@example.com> wrote:\n{QUOTE}"])
def test_a_mail_of_a_quote_alone_stays(text):
    assert reply_text(text) == text


@given(st.text())
def test_it_only_ever_cuts_off(text):
    ends = text.replace("\r\n", "\n").replace("\r", "\n")
    assert reply_text(text) in (ends.strip(), text.strip()) or ends.strip().startswith(
        reply_text(text)
    )


@given(st.lists(st.sampled_from(["> x", "", "a", "On a b c wrote:", "From: a", "To: b"])))
def test_it_never_makes_nothing_of_something(lines):
    text = "\n".join(lines)
    assert bool(reply_text(text)) == bool(text.strip())


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello&nbsp;<b>Ada</b></p><p>Bye</p>", "Hello Ada\nBye"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<ul><li>a<li>b</ul>c", "a\nb\nc"),
        ("<table><tr><td>a</td> <td>b</td></tr></table>", "a b"),
        ("<style>p {}</style><head><title>t</title></head><script>x()</script><p>a</p>", "a"),
        ("a <blockquote>b<br>c</blockquote> d", "a\n> b\n> c\nd"),
        ("<blockquote>a<blockquote>b</blockquote></blockquote>", "> a\n> > b"),
        ("<p>a < b</p>", "a < b"),
        ("&lt;script&gt;", "<script>"),
        ("a<!-- <p>b --> c<!-- d", "a c"),
        ("</blockquote></style>a", "a"),
        ("", ""),
    ],
)
def test_html_as_text(html, text):
    assert html_text(html) == text


def test_the_quote_of_an_html_mail_is_cut_off():
    html = (
        '<div dir="ltr">Where is it?</div><br><div class="gmail_quote"><div class="gmail_attr">'
        'On Mon, 2 Nov 2026 at 10:00, Shop &lt;<a href="mailto:s@example.com">s@example.com</a>&gt; '
        "wrote:<br></div><blockquote><div>Your <b>order</b></div></blockquote></div>"
    )
    assert reply_text(html_text(html)) == "Where is it?"


@pytest.mark.parametrize(
    "piece",
    [
        *("<!--", "<a ", "<a/", "<a b='", "<![CDATA[", "<!", "</", "<?", "<aaaa", "&", "&#1", "&#"),
        *("<script>", "<div>", "<blockquote>", "<blockquote>a", "> a\n", "\n", " ", "On a b c\n"),
        *("On a b c wrote:\n", "From: a\nTo: b\n", "-", "_", "_____________________\n", "1"),
    ],
)
def test_nothing_takes_long(piece):
    """Or the time limit of tests ends it: what takes its square would take minutes."""
    text = piece * (200_000 // len(piece))
    assert len(html_text(text)) < 12 * len(text)
    assert len(reply_text(text)) <= len(text)
    html_text("&#" + "1" * 5000 + ";")


@given(st.text(alphabet=st.sampled_from("<>/ab &;=\"'blockquotepdivr\n")))
def test_any_html_is_read(html):
    html_text(html)
