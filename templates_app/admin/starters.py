"""What a new template begins with: small, and good to send as it is."""

from __future__ import annotations

from collections.abc import Mapping

from templates_app.locales import Channels
from templates_app.models import Kind

_MJML = """\
<mjml>
  <mj-head>
    <mj-attributes>
      <mj-all font-family="Helvetica, Arial, sans-serif" />
      <mj-text font-size="16px" line-height="1.5" color="#1f2937" />
    </mj-attributes>
  </mj-head>
  <mj-body background-color="#f3f4f6">
    <mj-wrapper padding="24px 0">
      <mj-section background-color="#ffffff" border-radius="8px" padding="32px 16px">
        <mj-column>
          <mj-text font-size="22px" font-weight="600">Hello {{ name | default("there") }},</mj-text>
          <mj-text>Say here what this is about.</mj-text>
          <mj-button background-color="#4f46e5" border-radius="6px" href="https://example.com">Open it</mj-button>
        </mj-column>
      </mj-section>
    </mj-wrapper>
  </mj-body>
</mjml>
"""

_HTML = """\
<h1>Hello {{ name | default("there") }},</h1>
<p>Say here what this is about.</p>
<p><a href="https://example.com">Open it</a></p>
"""

_LAYOUT = """\
<mjml>
  <mj-body background-color="#f3f4f6">
    <mj-section><mj-column><mj-text align="center" font-size="20px">Your name</mj-text></mj-column></mj-section>
    <mj-wrapper background-color="#ffffff">{{ content }}</mj-wrapper>
    <mj-section><mj-column><mj-text align="center" color="#6b7280">Your address</mj-text></mj-column></mj-section>
  </mj-body>
</mjml>
"""

STARTERS: Mapping[str, tuple[str, Channels]] = {
    "mjml": (
        "An email in MJML: looks right on phones and in every mail client",
        {"email": {"subject": "News for you", "mjml": _MJML}},
    ),
    "html": ("An email in HTML", {"email": {"subject": "News for you", "html": _HTML}}),
    "sms": ("A text message", {"sms": {"text": "Hello {{ name }}, your code is {{ code }}."}}),
    "push": (
        "A push notification",
        {"push": {"title": "News for you", "body": "Say here what this is about."}},
    ),
    "nothing": ("Nothing", {}),
}
"""Choice to its label and its channels."""

_SHARED: Mapping[str, Channels] = {
    Kind.REPLY: {"sms": {"text": "Hello {{ name }},\n\nthank you for writing to us."}},
    Kind.LAYOUT: {"email": {"mjml": _LAYOUT}},
    Kind.PARTIAL: {"email": {"html": "<p>Kind regards</p>\n"}},
}


def starter(kind: str, choice: str) -> Channels:
    return _SHARED.get(kind) or STARTERS[choice][1]
