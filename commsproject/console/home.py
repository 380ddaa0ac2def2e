"""The landing page of a development installation: what runs, where to look, a first message."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from commsproject.common import health
from notifications.providers import registry
from notifications.types import Channel


@dataclass(frozen=True)
class Carrier:
    """Who carries a channel, in the order of failover."""

    channel: str
    providers: list[str]

    @property
    def simulated(self) -> bool:
        return bool(self.providers) and registry.SIMULATORS.issuperset(self.providers)


@dataclass(frozen=True)
class Step:
    """One call of the tour."""

    title: str
    command: str


def home(request: HttpRequest) -> HttpResponse:
    """`/`. In production it only leads to the staff pages."""
    if not settings.DEVELOPMENT:
        return HttpResponseRedirect(reverse("admin:index"))
    parts = health.parts()
    context = {
        "parts": parts,
        "well": all(part["status"] == "ok" for part in parts.values()),
        "carriers": _carriers(),
        "steps": _steps(request.build_absolute_uri("/").rstrip("/")),
    }
    return render(request, "console/home.html", context)


def _carriers() -> list[Carrier]:
    return [
        Carrier(channel.label, [provider.name for provider in registry.for_channel(channel)])
        for channel in Channel
    ]


def _steps(url: str) -> list[Step]:
    """Five calls, each of which can be pasted as it is once `KEY` is set."""
    key = '-H "Authorization: Bearer $KEY"'
    head = f"{url}/api/v1"
    body = f"{key} \\\n  -H 'Content-Type: application/json'"
    return [
        Step(
            "Send an email",
            f"""curl {head}/notifications {body} \\
  -d '{{
  "to": {{"email": "ada@simulator.test"}},
  "content": {{"subject": "Hello", "text": "It works."}}
}}'""",
        ),
        Step(
            "See what became of the last ones",
            f"curl {head}/notifications {key}",
        ),
        Step(
            "Make a template",
            f"""curl {head}/templates {body} \\
  -d '{{
  "key": "hello", "name": "Hello",
  "channels": {{
    "email": {{"subject": "Hello {{{{ name }}}}", "html": "<p>Hello <b>{{{{ name }}}}</b></p>"}},
    "sms": {{"text": "Hello {{{{ name }}}}"}}
  }}
}}'""",
        ),
        Step(
            "Publish it",
            f"curl -X POST {head}/templates/hello/publish {key}",
        ),
        Step(
            "Send it to a person, by email and SMS",
            f"""curl {head}/notifications {body} \\
  -H 'Idempotency-Key: first-hello' -d '{{
  "to": {{"user_id": "ada", "email": "ada@simulator.test", "phone": "+14155550132"}},
  "template": "hello", "data": {{"name": "Ada"}}
}}'""",
        ),
    ]
