"""Mail of people to us, as SES, SendGrid and Mailgun bring it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from notifications.providers.base import BadSignature, Provider, Webhook
from notifications.providers.common import inbound_mail, mail_origin
from notifications.providers.common.mail_origin import Checks
from notifications.providers.common.webhook_form import MAX_FIELDS, read_form
from notifications.providers.mailgun import Mailgun
from notifications.providers.sendgrid import SendGrid
from notifications.providers.ses import SES
from notifications.types import Channel, Inbound, Report
from tests.fakes.sendgrid_events import SendGridWebhook
from tests.providers.contract import payload

DELIVERY = "019a0000-0000-7000-8000-000000000002"
OURS = f"<{DELIVERY}@example.com>"


def sendgrid(secret: str = "old, new", keys: str = "") -> SendGrid:
    return SendGrid(
        "sendgrid", api_key="k", api_url="https://x", webhook_public_key=keys, inbound_secret=secret
    )


def mailgun() -> Mailgun:
    return Mailgun("mailgun", api_key="k", sender_domain="", api_url="https://x", signing_key="key")


def ses() -> SES:
    return SES(
        "ses",
        access_key_id="a",
        secret_access_key="s",
        region="eu-central-1",
        endpoint_url="",
        configuration_set="",
        topic_arns=[],
    )


def parsed(provider: Provider, body: bytes) -> Inbound:
    path = f"/webhooks/{provider.name}/inbound/"
    return only(provider.parse(Webhook(body, {}, path)))


def only(reports: Sequence[Report]) -> Inbound:
    (found,) = reports
    assert isinstance(found, Inbound)
    assert found.channel is Channel.EMAIL
    return found


def by_ses(**changes: Any) -> Inbound:
    row = {**json.loads(payload("ses_inbound.json")), **changes}
    envelope = {"Type": "Notification", "MessageId": "sns-1", "Message": json.dumps(row)}
    return only(ses().parse(Webhook(json.dumps(envelope).encode(), {}, "/webhooks/ses/")))


# What the vendors bring


def test_a_mail_by_ses():
    found = by_ses()
    assert (found.sender, found.to) == ("ada@example.org", "inbound@example.com")
    assert (found.subject, found.text) == ("Re: Your order", "It's late…")
    assert found.at == datetime(2018, 3, 30, 17, 21, 51, 636000, UTC)
    assert found.dedupe == "jili9m351il3gkburn7o2f0u6788stij94c8ld01"
    assert found.in_reply_to == (
        "<first@example.com>",
        "<0107017a-1-000000@eu-central-1.amazonses.com>",
    )
    assert (found.is_automatic, found.has_attachments) == (False, False)
    assert found.data == {
        "spam": "PASS",
        "virus": "PASS",
        "spf": "PASS",
        "dkim": "PASS",
        "dmarc": "GRAY",
    }


def test_a_mail_by_ses_in_base64():
    row = json.loads(payload("ses_inbound.json"))
    content = base64.b64encode(row["content"].encode()).decode()
    receipt = {**row["receipt"], "action": {"type": "SNS", "encoding": "BASE64"}}
    assert by_ses(content=content, receipt=receipt).text == "It's late…"


def test_a_mail_that_ses_left_in_a_bucket_is_not_supported_and_not_lost(caplog):
    row = json.loads(payload("ses_inbound.json"))
    del row["content"]
    row["receipt"]["action"] = {"type": "S3", "bucketName": "b", "objectKey": "k"}
    envelope = {"Type": "Notification", "MessageId": "1", "Message": json.dumps(row)}
    with pytest.raises(ValueError):
        ses().parse(Webhook(json.dumps(envelope).encode(), {}))
    assert "only SNS is supported" in caplog.text


@pytest.mark.parametrize("field", ["mail", "receipt"])
def test_a_notification_of_ses_that_is_none(field):
    with pytest.raises(ValueError):
        by_ses(**{field: {}})


def test_a_mail_by_sendgrid():
    found = parsed(sendgrid(), payload("sendgrid_inbound.form") + b"\n")
    assert (found.sender, found.to) == ("sender@example.com", "inbound@sg.example.com")
    assert found.subject == "Como usted pidió"
    assert found.text == "Test the ESP\u2019s inbound charset handling\u2026"
    assert found.at == datetime(2020, 7, 24, 16, 43, 46, tzinfo=UTC)
    assert found.in_reply_to == (OURS,)
    assert (found.is_automatic, found.has_attachments) == (False, True)
    assert found.data == {"spam_score": "1.7"}


def form(fields: dict[str, bytes], boundary: bytes = b"xYzZY") -> bytes:
    parts = [
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        % (boundary, name.encode(), value)
        for name, value in fields.items()
    ]
    return b"".join(parts) + b"--%b--\r\n" % boundary


RAW = (
    b"From: A tester <test@example.org>\r\nMessage-ID: <1@mail.example.org>\r\n"
    b"Subject: Raw\r\nTo: in@example.com\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: text/html; charset="utf-8"\r\n\r\n<p>Gr\xc3\xbc\xc3\x9fe</p>\r\n'
)
ENVELOPE = b'{"to":["in@example.com"],"from":"bounce@example.org"}'


def test_a_whole_mail_by_sendgrid():
    found = parsed(sendgrid(), form({"email": RAW, "envelope": ENVELOPE}))
    assert (found.sender, found.to) == ("test@example.org", "in@example.com")
    assert (found.subject, found.text) == ("Raw", "Grüße")
    assert abs(found.at - timezone.now()) < timedelta(seconds=30)  # it has no Date


@pytest.mark.parametrize("charsets", [b"{}", b"[]", b"{", b'{"text": "no-such-charset"}'])
def test_charsets_that_say_nothing(charsets):
    fields = {"headers": b"From: a@example.org", "text": b"Hi", "charsets": charsets}
    assert parsed(sendgrid(), form({**fields, "envelope": ENVELOPE})).text == "Hi"


@pytest.mark.parametrize("envelope", [None, b"", b"{}", b"[]", b'{"to": [], "from": ""}'])
def test_a_mail_by_sendgrid_without_its_envelope(envelope):
    fields = {"email": RAW} | ({"envelope": envelope} if envelope is not None else {})
    with pytest.raises(ValueError):
        parsed(sendgrid(), form(fields))


def test_a_mail_by_mailgun():
    found = parsed(mailgun(), payload("mailgun_inbound.form"))
    assert (found.sender, found.to) == ("from+test@example.org", "test@inbound.example.com")
    assert (found.subject, found.text) == ("Test subject", "Test body pläin")
    assert found.at == datetime(2016, 4, 21, 17, 55, 30, tzinfo=UTC)
    assert found.in_reply_to == (OURS,)
    assert (found.is_automatic, found.has_attachments) == (False, False)


def test_a_whole_mail_by_mailgun():
    found = parsed(mailgun(), payload("mailgun_inbound_mime.form"))
    assert (found.sender, found.text) == ("test@example.org", "Ich bin im Büro")
    assert (found.is_automatic, found.has_attachments) == (True, True)


@pytest.mark.parametrize(
    "fields",
    [
        {"attachments": "[]", "timestamp": "1", "message-headers": "[]"},
        {"timestamp": "1"},
        {"timestamp": "x", "message-headers": "[]"},
        {"timestamp": "1", "message-headers": "7"},
    ],
)
def test_a_form_that_is_none_of_mailguns(fields):
    with pytest.raises(ValueError):
        parsed(mailgun(), urlencode(fields).encode())


@pytest.mark.parametrize("name", ["mailgun_inbound.form", "mailgun_inbound_mime.form"])
def test_the_key_is_of_the_mail_and_its_recipient(name):
    first = parsed(mailgun(), payload(name))
    again = parsed(mailgun(), payload(name).replace(b"1461261330", b"1461261999"))
    other = parsed(mailgun(), payload(name).replace(b"test%40inbound", b"two%40inbound"))
    assert first.dedupe == again.dedupe != other.dedupe
    assert len(first.dedupe) <= 200


# Is it from there?


def post(headers: dict[str, str], body: bytes = b"", kind: str = "inbound/") -> Webhook:
    return Webhook(body, headers, f"/webhooks/sendgrid/{kind}")


def password(secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"u:{secret}".encode()).decode()}


@pytest.mark.parametrize("secret", ["old", "new"])
def test_inbound_parse_brings_one_of_our_secrets(secret):
    sendgrid().verify(post(password(secret)))


@pytest.mark.parametrize(
    ("webhook", "secret"),
    [
        (post({}), "old"),
        (post(password("another")), "old"),
        (post(password("")), ""),
        (post(password("old"), kind=""), "old"),  # events are signed
        (post(password("old"), kind="inbound/x/"), "old"),
    ],
)
def test_whatever_else_inbound_parse_brings(webhook, secret):
    with pytest.raises(BadSignature):
        sendgrid(secret).verify(webhook)


def test_a_signed_inbound_parse():
    signer = SendGridWebhook()
    call = signer.post()
    headers = {name.lower(): value for name, value in call.headers.items()}
    sendgrid(keys=signer.public_key).verify(post(headers, call.body))
    with pytest.raises(BadSignature):
        sendgrid(keys=signer.public_key).verify(post(headers, call.body + b" "))
    with pytest.raises(BadSignature):  # a bad signature is not made good by a secret
        sendgrid(keys=signer.public_key).verify(post({**headers, **password("old")}, b"x"))


@pytest.mark.parametrize("encode", [lambda fields: urlencode(fields).encode(), None])
def test_a_route_of_mailgun_is_signed(encode):
    stamp = str(int(time.time()))
    signature = hmac.new(b"key", f"{stamp}t".encode(), hashlib.sha256).hexdigest()
    fields = {"timestamp": stamp, "token": "t", "signature": signature, "body-plain": "x"}
    body = encode(fields) if encode else form({n: v.encode() for n, v in fields.items()})
    mailgun().verify(Webhook(body, {}, "/webhooks/mailgun/inbound/"))
    forged = body.replace(signature.encode(), b"0" * 64)
    with pytest.raises(BadSignature):
        mailgun().verify(Webhook(forged, {}, "/webhooks/mailgun/inbound/"))


# What a mail says


def read(headers: str, body: str = "Hi", **envelope: Any) -> Inbound:
    given = {"sender": "ada@example.org", "to": "in@example.com", **envelope}
    mail = inbound_mail.Mail.of_bytes(f"{headers}\n\n{body}".encode())
    return inbound_mail.inbound(mail, **given)


@pytest.mark.parametrize(
    ("headers", "sender"),
    [
        ("From: Ada <ada@example.org>", "ada@example.org"),
        ("From: =?utf-8?q?Ad=C3=A4?= <ada@example.org>", "ada@example.org"),
        ("From: a@example.org, b@example.org", "envelope@example.org"),
        ("From: nobody at all <", "envelope@example.org"),
        ("From: a@example.org\nFrom: b@example.org", "envelope@example.org"),
        ("From:", "envelope@example.org"),
        ("Subject: none", "envelope@example.org"),
        ("From: " + "(" * 5000 + "a@example.org", "envelope@example.org"),
    ],
)
def test_the_sender_is_who_says_to_have_written(headers, sender):
    assert read(headers, sender="envelope@example.org").sender == sender


def test_a_sender_that_nothing_speaks_for_is_forged():
    bob = "bob@example.org"

    def is_forged(envelope: str, spf: str = "", dmarc: str = "", **dkim: str) -> bool:
        signed = {domain.replace("_", "."): result for domain, result in dkim.items()}
        return mail_origin.is_forged(bob, envelope, Checks(spf, signed, dmarc))

    believed = {
        "nothing was checked": is_forged("x@evil.example"),
        "DMARC": is_forged("x@evil.example", "fail", "PASS"),
        "sent by its own domain": is_forged("bounce@mail.example.org", "Pass"),
        "signed by its own domain": is_forged("x@list.example", "pass", example_org="pass"),
        "by one of two": is_forged("", "none", evil_example="fail", mail_example_org="PASS"),
    }
    forged = {
        "DMARC": is_forged(bob, "PASS", "FAIL"),
        "sent by another": is_forged("x@evil.example", "pass"),
        "signed by another": is_forged("x@evil.example", "none", evil_example="pass"),
        "sent by a name like it": is_forged("x@evilexample.org", "pass"),
        "signature broken": is_forged("x@evil.example", "", example_org="fail"),
        "SPF says no": is_forged(bob, "softfail"),
        "no policy, nothing else": is_forged(bob, "GRAY", "GRAY"),
    }
    assert [name for name, found in believed.items() if found] == []
    assert [name for name, found in forged.items() if not found] == []


def test_what_the_vendors_found_of_a_sender():
    own = "DKIM-Signature: v=1; a=rsa-sha256; d=Example.org; s=x; b=d=evil.example\n"
    both = f"{own}DKIM-Signature: v=1; d=evil.example; s=x\n"

    def ses_says(headers: str = "", **verdicts: str) -> bool:
        row = json.loads(payload("ses_inbound.json"))
        receipt = {**row["receipt"], **{f"{k}Verdict": {"status": v} for k, v in verdicts.items()}}
        mail = {**row["mail"], "source": "x@evil.example"}
        content = f"{headers}From: bob@example.org\n\nHi"
        receipt["action"] = {"type": "SNS", "encoding": "UTF8"}
        return by_ses(content=content, receipt=receipt, mail=mail).is_forged

    def sendgrid_says(spf: bytes, dkim: bytes) -> bool:
        fields = {"headers": b"From: bob@example.org", "text": b"Hi", "SPF": spf, "dkim": dkim}
        envelope = b'{"to":["in@example.com"],"from":"x@evil.example"}'
        return parsed(sendgrid(), form({**fields, "envelope": envelope})).is_forged

    def mailgun_says(*headers: tuple[str, str]) -> bool:
        names = [["From", "bob@example.org"], *map(list, headers)]
        fields = {"message-headers": json.dumps(names).encode(), "body-plain": b"Hi"}
        fields |= {"sender": b"x@evil.example", "recipient": b"in@example.com", "timestamp": b"1"}
        return parsed(mailgun(), form(fields)).is_forged

    signature = ("DKIM-Signature", own.partition(": ")[2].strip())
    dkim, spf = "X-Mailgun-Dkim-Check-Result", "X-Mailgun-Spf"
    assert ses_says(spf="PASS", dkim="PASS", dmarc="FAIL")
    assert ses_says(spf="PASS", dkim="GRAY", dmarc="GRAY")
    assert ses_says(both, spf="PASS", dkim="PASS", dmarc="GRAY")
    assert not ses_says(spf="FAIL", dkim="FAIL", dmarc="PASS")
    assert not ses_says(own, spf="PASS", dkim="PASS", dmarc="GRAY")
    assert sendgrid_says(b"pass", b"none")
    assert sendgrid_says(b"pass", b"{@evil.example : pass, @example.org : fail}")
    assert not sendgrid_says(b"softfail", b"{@evil.example : fail, @example.org : pass}")
    assert mailgun_says((spf, "Pass"))
    assert mailgun_says(signature, (dkim, "Pass"), (dkim, "Fail"), (spf, "Neutral"))
    assert not mailgun_says(signature, (dkim, "Pass"), (spf, "Neutral"))
    assert not mailgun_says(signature)


@pytest.mark.parametrize(
    ("headers", "ids"),
    [
        ("Subject: x", ()),
        (f"In-Reply-To: {OURS}", (OURS,)),
        (f"References: <a@x> <b@x>\nIn-Reply-To: {OURS}", ("<a@x>", "<b@x>", OURS)),
        (f"References: {OURS} <b@x>\nIn-Reply-To: {OURS}", ("<b@x>", OURS)),
        (f"References: <a@x>\n {OURS}", ("<a@x>", OURS)),
        ("In-Reply-To: Your message of Monday", ()),
    ],
)
def test_what_it_answers(headers, ids):
    assert read(headers).in_reply_to == ids


def test_an_address_of_ours_says_what_is_answered():
    found = read("In-Reply-To: <1@amazonses.com>", to=f"Reply+{DELIVERY.upper()}@reply.example.com")
    assert found.in_reply_to == ("<1@amazonses.com>", f"<{DELIVERY}@reply.example.com>")
    assert read("Subject: x", to="reply+nobody@reply.example.com").in_reply_to == ()


@pytest.mark.parametrize(
    ("headers", "sender", "automatic"),
    [
        ("Subject: x", "ada@example.org", False),
        ("Auto-Submitted: no", "ada@example.org", False),
        ("Auto-Submitted: No; comment", "ada@example.org", False),
        ("Auto-Submitted: auto-replied", "ada@example.org", True),
        ("Auto-Submitted: auto-generated; x=1", "ada@example.org", True),
        ("Precedence: bulk", "ada@example.org", True),
        ("Precedence: Auto_Reply", "ada@example.org", True),
        ("Precedence: list", "ada@example.org", True),
        ("Precedence: first-class", "ada@example.org", False),
        ("X-Autoreply: yes", "ada@example.org", True),
        ("X-Autorespond: x", "ada@example.org", True),
        ("Subject: x", "", True),
        ("Subject: x", "<>", True),
        ("Subject: x", "MAILER-DAEMON@example.org", True),
        ("From: Postmaster <postmaster@example.org>", "x@example.org", True),
        ("From: no-reply@example.org", "x@example.org", True),
        ("From: norbert@example.org", "norbert@example.org", False),
    ],
)
def test_machines(headers, sender, automatic):
    assert read(headers, sender=sender).is_automatic is automatic


@pytest.mark.parametrize(
    ("header", "at"),
    [
        ("Date: Fri, 30 Mar 2018 10:21:50 -0700", datetime(2018, 3, 30, 17, 21, 50, tzinfo=UTC)),
        ("Date: Fri, 30 Mar 2218 10:21:50 -0700", None),
        ("Date: no day at all", None),
        ("Subject: x", None),
    ],
)
def test_when_it_was_sent(header, at):
    assert abs(read(header).at - (at or timezone.now())) < timedelta(seconds=30)


def test_a_charset_that_nobody_knows():
    assert read('Content-Type: text/plain; charset="x-unknown"', "Hello").text == "Hello"


def test_a_mail_of_attachments_alone():
    found = read(
        'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"',
        '--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename="a.txt"\n\nA\n'
        "--b\nContent-Type: application/pdf; name=x.pdf\n"
        "Content-Disposition: attachment; filename=x.pdf\n\nB\n--b--\n",
    )
    assert (found.text, found.has_attachments) == ("", True)


def test_a_subject_of_several_lines_is_one():
    assert read("Subject: one\n two\n  three").subject == "one two three"


@pytest.mark.parametrize(
    "piece",
    [b"--x\n", b"--b\n\nx\n", b"A: b\n", b"References: <a@b>\n", b"=?utf-8?q?a?= ", b"<a> ", b"\n"],
)
def test_no_mail_takes_long(piece):
    """Or the time limit of tests ends it: what takes its square would take minutes."""
    many = piece * (300_000 // len(piece))
    for raw in (many, b"Subject: " + many, b"From: " + many, b"\n" + many):
        inbound_mail.inbound(inbound_mail.Mail.of_bytes(raw), sender="a@x", to="b@x")


def test_a_mail_nested_too_deep_is_an_error():
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(5000))
    with pytest.raises(ValueError):
        inbound_mail.Mail.of_bytes(deep.encode())


def test_what_postgresql_cannot_keep_is_left_out():
    found = read("Subject: =?utf-8?q?a=00b?=\nContent-Type: text/plain; charset=utf-8", "x\0y")
    assert (found.subject, found.text) == ("ab", "xy")


def test_nothing_of_it_is_in_its_repr():
    assert "ada" not in repr(read("Subject: secret"))


# Forms


def test_a_form_keeps_bytes_and_counts_files():
    body = (
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--bb\r\n--b'
        b'\r\nContent-Disposition: form-data; name="f"; filename=""\r\n\r\nx'
        b"\r\n--b--\r\n"
    )
    found = read_form(body)
    assert (dict(found), found.files) == ({"a": b"\xff\r\n--bb"}, 1)
    assert found.text("a") == "\ufffd\r\n--bb"
    assert found.text("b") == ""


def test_a_part_without_a_name_is_left_out():
    body = b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b\r\n"
    body += b'Content-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
    assert dict(read_form(body)) == {"a": b"1"}


def test_a_form_in_the_url_encoding_keeps_bytes():
    assert dict(read_form(b"a=%FF+x&b=&a%3D=1")) == {"a": b"\xff x", "b": b"", "a=": b"1"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b\r\n",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n',
        b"no form",
        "ü=1".encode(),
        b"&".join([b"a=1"] * (MAX_FIELDS + 1)),
        form({f"f{n}": b"" for n in range(MAX_FIELDS + 1)}),
    ],
)
def test_a_form_that_is_none(body):
    with pytest.raises(ValueError):
        read_form(body)
