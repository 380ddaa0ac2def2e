"""Something to look at on the first run: a staff account, a template and a few messages."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from django.contrib.auth.models import User
from django.db import transaction

from commsproject.common.errors import CommsError
from commsproject.common.models import ApiClient
from commsproject.console import demo_figures
from notifications.models import Category
from notifications.providers import registry
from notifications.services import submit
from notifications.services.asked import Submission, Target
from notifications.types import Channel
from templates_app import services as templates
from templates_app.models import Template

ADMIN = "admin"
AGENT = "demo"

CATEGORIES = (
    ("account", "Account", Category.Kind.ESSENTIAL),
    ("orders", "Orders", Category.Kind.TRANSACTIONAL),
    ("newsletter", "Newsletter", Category.Kind.MARKETING),
)

WELCOME = {
    "email": {
        "subject": "Welcome, {{ name }}",
        "html": """\
<div style="max-width:520px;margin:0 auto;padding:32px 24px;font-family:system-ui,sans-serif;color:#1c1d22">
  <h1 style="margin:0 0 16px;font-size:24px">Welcome, {{ name }}</h1>
  <p style="margin:0 0 16px;line-height:1.6">Good to have you. Your account is ready, and your plan
  is <strong>{{ plan }}</strong>.</p>
  <p style="margin:24px 0"><a href="{{ link }}" style="display:inline-block;padding:12px 20px;border-radius:8px;background:#4f46e5;color:#ffffff;text-decoration:none">Open your account</a></p>
  <p style="margin:0;color:#5b5f6b;font-size:14px">If you did not sign up, reply to this message.</p>
</div>
""",
        "text": """\
Welcome, {{ name }}.

Your account is ready, and your plan is {{ plan }}.
Open it: {{ link }}

If you did not sign up, reply to this message.
""",
    },
    "sms": {"text": "Welcome, {{ name }}. Your account is ready: {{ link }}"},
}

_DATA = {"name": "Ada", "plan": "Starter", "link": "https://example.com/account"}


# --- The staff account -----------------------------------------------------------------------


def staff(directory: Path, chosen: str) -> str:
    """Make the account `admin` where there is none, and say how to sign in.

    `chosen` is the password somebody asked for; without one it is made up and kept in `directory`,
    readable by its owner only, so that the next run can say it again. A password that was changed
    since stays.
    """
    password = chosen or _remembered(directory / "admin-password")
    account = User.objects.filter(username=ADMIN).first()
    if account is None:
        User.objects.create_superuser(ADMIN, password=password)
    elif chosen and not account.check_password(chosen):
        account.set_password(chosen)
        account.save(update_fields=["password"])
    elif not account.check_password(password):
        return f"Sign in as           {ADMIN}, with the password you gave it"
    shown = "the password in COMMS_ADMIN_PASSWORD" if chosen else f"password {password}"
    return f"Sign in as           {ADMIN}, {shown}"


def _remembered(file: Path) -> str:
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        password = secrets.token_urlsafe(12)
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(password + "\n")
        return password


# --- Content and messages --------------------------------------------------------------------


@transaction.atomic
def content() -> None:
    """The categories and the template, where they are missing. What staff changed stays."""
    for key, name, kind in CATEGORIES:
        Category.objects.get_or_create(key=key, defaults={"name": name, "kind": kind})
    if not Template.objects.filter(key="welcome").exists():
        template = templates.create(
            key="welcome", name="Welcome", channels=WELCOME, locale="en", author="demo"
        )
        templates.publish(template)


@transaction.atomic
def messages() -> bool:
    """The agent and its messages, together and once; True the first time.

    No messages where a real provider would carry them.
    """
    agent, is_new = ApiClient.objects.get_or_create(name=AGENT)
    simulated = all(
        provider.name in registry.SIMULATORS
        for channel in (Channel.EMAIL, Channel.SMS)
        for provider in registry.for_channel(channel)
    )
    if is_new and simulated:
        demo_figures.seed(agent)
        for result in submit.accept(agent, _submissions()):
            if isinstance(result, CommsError):
                raise result
    return is_new


def _submissions() -> Sequence[Submission]:
    """One that arrives, by email and SMS, and one for each way it can go wrong."""
    ada = Target("ada", {Channel.EMAIL: "ada@simulator.test", Channel.SMS: "+14155550132"})
    welcome = Submission(
        to=ada, template="welcome", data=_DATA, category="account", reference="demo-1"
    )
    return [
        welcome,
        _plain("grace@simulator.test", "Your order is on its way", "orders"),
        _plain("bounce+demo@simulator.test", "Your order is on its way", "orders"),
        _plain("complaint+demo@simulator.test", "Our news of this month", "newsletter"),
        _plain("fail+demo@simulator.test", "Our news of this month", "newsletter"),
    ]


def _plain(address: str, subject: str, category: str) -> Submission:
    return Submission(
        to=Target(addresses={Channel.EMAIL: address}),
        content={"subject": subject, "text": f"{subject}.\n\nThis is a demo message."},
        category=category,
        tags=("demo",),
    )
