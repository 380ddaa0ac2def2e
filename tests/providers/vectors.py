"""Signatures the vendors have published themselves, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SendGridVector:
    public_key: str
    timestamp: str
    signature: str
    payload: bytes
    wrong_key: str
    wrong_signature: str
    wrong_timestamp: str


@dataclass(frozen=True)
class TwilioVector:
    url: str
    form: tuple[tuple[str, str], ...]
    signature: str


@dataclass(frozen=True)
class TwilioBodyVector:
    url: str
    body: bytes
    body_sha256: str
    signature: str


#: sendgrid/sendgrid-python: test/unit/test_eventwebhook.py
SENDGRID = SendGridVector(
    public_key=(
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1"
        "flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
    ),
    timestamp="1600112502",
    signature=(
        "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
    ),
    payload=(
        b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
        b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
        b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
        b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",'
        b'"timestamp":1600112492}]\r\n'
    ),
    wrong_key=(
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqTxd43gyp8IOEto2LdIfjRQrIbsd4SXZkLW6jDut"
        "dhXSJCWHw8REntlo7aNDthvj+y7GjUuFDb/R1NGe1OPzpA=="
    ),
    wrong_signature=(
        "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH3j/0="
    ),
    wrong_timestamp="timestamp",
)

#: twilio/twilio-python: tests/unit/test_request_validator.py
TWILIO_TOKEN = "12345"
TWILIO_FORM = (
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
)
TWILIO_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
TWILIO = (
    TwilioVector(TWILIO_URL, TWILIO_FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    TwilioVector(
        "https://mycompany.com:443/myapp.php?foo=1&bar=2",
        TWILIO_FORM,
        "kvajT1Ptam85bY51eRf/AJRuM3w=",
    ),
    TwilioVector(
        "http://mycompany.com:80/myapp.php?foo=1&bar=2", TWILIO_FORM, "0ZXoZLH/DfblKGATFgpif+LLRf4="
    ),
    TwilioVector(
        "http://mycompany.com:1234/myapp.php?foo=1&bar=2",
        TWILIO_FORM,
        "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
    ),
    TwilioVector(
        TWILIO_URL,
        (
            ("Sid", "CA123"),
            ("SidAccount", "AC123"),
            ("Digits", "5678"),
            ("Digits", "1234"),
            ("Digits", "1234"),
        ),
        "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
    ),
)
_SHA256 = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
TWILIO_BODY = TwilioBodyVector(
    url=f"{TWILIO_URL}&bodySHA256={_SHA256}",
    body=b'{"property": "value", "boolean": true}',
    body_sha256=_SHA256,
    signature="a9nBmqA0ju/hNViExpshrM61xv4=",
)
