from __future__ import annotations

import email
import re
from dataclasses import replace
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import pytest
from django.core.mail import EmailMessage
from django.core.mail.backends.dummy import EmailBackend
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from notifications.providers.common import mime
from notifications.providers.common.email import EmailProvider
from notifications.types import Channel, Outbound, ProviderError
from tests.providers.email_contract import FROM, PLAIN, RICH


class Plain(EmailProvider):
    """As SMTP: Django's mail without anything of a vendor."""

    @override
    def connect(self) -> Any:
        return EmailBackend()

    @override
    def classify(self, error: Exception) -> ProviderError | None:
        return None

    @override
    def label(self, mail: EmailMessage, message: Outbound) -> None: ...


def djangos(message: Outbound) -> bytes:
    mail: Any = Plain("plain").build(message).message()
    return bytes(mail.as_bytes(linesep="\r\n"))


def parsed(raw: bytes) -> Message:
    return email.message_from_bytes(raw)


def content(mail: Message) -> tuple[Any, ...]:
    """All that a reader of the mail finds, part by part."""
    headers = sorted((name.lower(), _read(name, value)) for name, value in mail.items())
    if mail.is_multipart():
        return headers, [content(part) for part in mail.walk() if part is not mail]
    return headers, mail.get_payload(decode=True), [type(defect) for defect in mail.defects]


def _read(name: str, value: str) -> str:
    """Unfolded and decoded."""
    if name.lower() == "date":
        return ""
    if name.lower() == "content-type":
        return value.partition("boundary")[0].rstrip()
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", value)
    return str(make_header(decode_header(unfolded))).strip()


def assert_equal(message: Outbound) -> None:
    assert content(parsed(mime.compose(message))) == content(parsed(djangos(message)))


@pytest.fixture(autouse=True)
def _sender(settings):
    settings.DEFAULT_FROM_EMAIL = FROM


characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
pieces = st.one_of(
    st.text(characters, max_size=20),
    st.sampled_from(
        [
            *(
                "\n",
                "\r\n",
                "\r",
                "\n.",
                "\n..\n",
                ".",
                " \n",
                "\t\n",
                "\u2028",
                "\x0c",
                "From me\n",
            ),
            *(
                "x" * 1000,
                "ü" * 600,
                "é " * 300,
                "--",
                "=",
                "=\n",
                "=3D",
                "\n--===============\n",
                " ",
            ),
        ]
    ),
)
bodies = st.lists(pieces, max_size=6).map("".join)
lines = st.one_of(
    st.text(characters, max_size=90),
    st.lists(
        st.sampled_from(["word", "größe", "世界", "✓" * 20, "x" * 80, "=?utf-8?q?x?=", "a\tb"]),
        max_size=30,
    ).map(" ".join),
    st.just("long " * 250),
).map(lambda text: "".join(char for char in text if char not in "\r\n"))
addresses = st.sampled_from(
    ["a@b.example", "A.b+c@B-c.example", "müller@bücher.example", "a..b@c.example", "o'x@y.example"]
)
senders = st.sampled_from(
    [FROM, "n@example.com", "Grüße <n@example.com>", '"A, B" <n@bücher.example>']
)


@given(
    subject=lines,
    text=bodies,
    html=bodies,
    to=addresses,
    reply_to=senders | st.just(""),
    value=lines.filter(lambda text: not text.startswith("=?")),
)
def test_it_is_djangos_mail(subject, text, html, to, reply_to, value):
    message = replace(
        PLAIN,
        to=to,
        parts={"subject": subject, "text": text, "html": html or "x"},
        reply_to=reply_to,
        headers={"X-Any": value, "List-Unsubscribe": f"<https://x.example/{'u' * len(value)}>"},
    )
    try:
        expected = content(parsed(djangos(message)))
    except ValueError as error:
        with pytest.raises(type(error)):
            mime.compose(message)
    else:
        assert content(parsed(mime.compose(message))) == expected


@pytest.mark.parametrize(
    "sender", ["n@example.com", "Grüße <n@example.com>", '"A, B" <n@bücher.example>']
)
def test_senders(settings, sender):
    settings.DEFAULT_FROM_EMAIL = sender
    assert_equal(PLAIN)


@pytest.mark.parametrize("part", ["text", "html"])
def test_one_part_is_no_alternative(part):
    assert_equal(replace(RICH, parts={"subject": "", part: "größe\n.\n"}, attachments=()))


def test_a_rich_message():
    assert_equal(replace(RICH, attachments=()))


@pytest.mark.parametrize("local", [True, False])
def test_the_date(settings, local):
    settings.EMAIL_USE_LOCALTIME = local
    ours, theirs = (
        parsedate_to_datetime(parsed(raw)["Date"]) for raw in (mime.compose(PLAIN), djangos(PLAIN))
    )
    assert abs((ours - theirs).total_seconds()) <= 1
    assert ours.utcoffset() == theirs.utcoffset()


def test_no_text_can_end_its_part():
    one, other = (mime.compose(replace(RICH, attachments=())) for _ in range(2))
    boundaries = {parsed(raw).get_boundary() for raw in (one, other)}
    assert len(boundaries) == 2
    assert min(map(len, filter(None, boundaries))) > 30


def test_words_end_between_characters():
    for shift in range(4):
        raw = mime.compose(replace(PLAIN, parts={"subject": "x" * shift + "😀" * 40, "text": "x"}))
        line = raw[raw.index(b"Subject") : raw.index(b"From")].decode()
        words = line.split()[1:]
        assert len(words) == 4
        assert max(map(len, words)) <= 75
        for word in words:
            assert "�" not in _read("Subject", word)


@pytest.mark.parametrize(
    ("mail", "sent"),
    [
        (b"a\r\n\r\nb", b"a\r\n\r\nb\r\n.\r\n"),
        (b"a\r\n\r\n.\r\n..x\r\n", b"a\r\n\r\n..\r\n...x\r\n.\r\n"),
        (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\rb\r", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\n\r\n.\r\n", b"a\r\n\r\n..\r\n.\r\n"),
        (b"a\r\n.\n.\r.\r\r\n", b"a\r\n..\r\n..\r\n..\r\n\r\n.\r\n"),
    ],
)
def test_nothing_in_a_mail_can_end_it(mail, sent):
    assert mime.wire(mail) == sent


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"x"]), max_size=12).map(b"".join))
def test_only_the_last_line_is_a_dot(mail):
    *lines_, end, rest = mime.wire(b"S: x\r\n" + mail).split(b"\r\n")
    assert (end, rest) == (b".", b"")
    assert all(line != b"." and b"\r" not in line and b"\n" not in line for line in lines_)


def test_the_identity_is_that_of_the_delivery():
    message = replace(PLAIN, channel=Channel.EMAIL, delivery_id=UUID(int=7))
    assert parsed(mime.compose(message))["Message-ID"] == f"<{UUID(int=7)}@example.com>"
