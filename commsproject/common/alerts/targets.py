"""Who is told, and how: by email, by a webhook, or by any of the services that Apprise speaks to.

    email:oncall@example.org            our own providers, as for any message
    https://hooks.example.org/...       a POST of JSON; only to where webhooks may go at all
    slack://..., ntfys://..., ...       https://github.com/caronc/apprise/wiki; only to addresses
                                        that webhooks may go to, on any port

An address is sealed in its row, as it may hold a token; what is shown of it is its `place`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, get_connection
from django.core.validators import validate_email

from commsproject.common import alerts, egress
from commsproject.common.models import AlertTarget, Severity
from commsproject.common.sealing import seal

SECONDS = 10.0
"""For a webhook's answer."""

_LOCAL = frozenset({"dbus", "kde", "qt", "gio", "glib", "gnome", "macosx", "windows", "syslog"}) | {
    "blink1"
}
"""Schemes of Apprise that show something on the machine itself."""

_UNWATCHED = frozenset({"xmpp", "xmpps"})
"""Those that connect from threads of their own, which `egress.public_only` does not see."""

_FILES = frozenset({"template", "keyfile", "subfile", "pgppub", "pgpprv"})
"""Parameters of Apprise that name a file to read."""


@dataclass(frozen=True)
class Words:
    """What is told. `data` is the same for programs."""

    id: str
    title: str
    text: str
    is_good: bool
    data: Mapping[str, Any]


class NotTaken(Exception):
    """The target did not take it; the text says why and holds nothing of the address."""


# --- Addresses -----------------------------------------------------------------------------------


def check(address: str) -> str:
    """What may be shown of it. Raises `ValidationError`, which does not repeat it."""
    scheme, colon, rest = address.partition(":")
    scheme = scheme.lower()
    if not colon or not rest:
        raise ValidationError("Begin with email:, https:// or a scheme of Apprise.", code="scheme")
    if scheme == "email":
        validate_email(rest)
        return rest
    if scheme in ("http", "https"):
        try:
            egress.check(address)
        except egress.Forbidden as error:
            raise ValidationError(str(error), code="forbidden") from None
        return f"{scheme}://{urlsplit(address).hostname}"
    return f"{_check_service(address)}://"


def _check_service(address: str) -> str:
    """Its scheme, as Apprise reads it."""
    read = _read(address)
    if read is None or (scheme := str(read["schema"]).lower()) in _UNWATCHED:
        raise ValidationError(_UNKNOWN, code="unknown")
    if scheme in _LOCAL or _FILES & read.get("qsd", {}).keys():
        raise ValidationError("This would read or show something of this machine.", code="local")
    service = _service(address)
    if service is None:
        raise ValidationError(_UNKNOWN, code="unknown")
    if "host" in service.template_tokens:  # others hold a token in that place
        try:
            egress.check_host(service.host)
        except egress.Forbidden as error:
            raise ValidationError(str(error), code="forbidden") from None
    return scheme


_UNKNOWN = "Apprise does not know such an address."


def _read(address: str) -> Mapping[str, Any] | None:
    """The parts of an address of Apprise; None for what is none."""
    from apprise.plugins import url_to_dict

    parts: Mapping[str, Any] | None = url_to_dict(address)  # type: ignore[no-untyped-call]  # it has none
    return parts


def _service(address: str) -> Any:
    """None for what is none. Imported here: only who tells alerts needs its 170 services."""
    import apprise

    return apprise.Apprise.instantiate(address, suppress_exceptions=True)


def _seal() -> MultiFernet:
    return seal("alert target")


def put(target: AlertTarget, address: str) -> None:
    """Give it another address; not saved. Raises as `check` does."""
    target.place = check(address)[:255]
    target.sealed = _seal().encrypt(address.encode())


def _open(target: AlertTarget) -> str:
    try:
        return _seal().decrypt(bytes(target.sealed)).decode()
    except InvalidToken:
        raise NotTaken("Its address was sealed with another SECRET_KEY: enter it anew.") from None


def keep_settings() -> None:
    """Have the targets of `ALERT_TARGETS` as rows, and those that are gone from it inactive. What is
    no address of one is an alert: the others are told of it.
    """
    named = {_fingerprint(address): address for address in settings.ALERT_TARGETS}
    known = dict(
        AlertTarget.objects.exclude(fingerprint="").values_list("fingerprint", "is_active")
    )
    wrong = []
    for number, (fingerprint, address) in enumerate(named.items(), 1):
        if fingerprint not in known and (why := _keep(fingerprint, address)):
            wrong.append(f"Address {number}: {why}")
    gone = {name for name, is_active in known.items() if is_active} - named.keys()
    AlertTarget.objects.filter(fingerprint__in=gone).update(is_active=False)
    back = {name for name, is_active in known.items() if not is_active} & named.keys()
    AlertTarget.objects.filter(fingerprint__in=back).update(is_active=True)
    _note_wrong(wrong)


def _keep(fingerprint: str, address: str) -> str:
    """Why it cannot be one; empty: it is."""
    target = AlertTarget(fingerprint=fingerprint)
    try:
        put(target, address)
    except ValidationError as error:
        return " ".join(error.messages)
    target.name = f"ALERT_TARGETS: {target.place}"[:100]
    AlertTarget.objects.bulk_create([target], ignore_conflicts=True)
    return ""


_WRONG = "alerts.targets"


def _note_wrong(wrong: Sequence[str]) -> None:
    if wrong:
        alerts.raise_once(
            _WRONG,
            severity=Severity.WARNING,
            title="ALERT_TARGETS names what is no target",
            detail="\n".join(wrong),
        )
    else:
        alerts.resolve(_WRONG)


def _fingerprint(address: str) -> str:
    key = b"alert target:" + settings.SECRET_KEY.encode()
    return hmac.new(key, address.encode(), hashlib.sha256).hexdigest()


def wanting(severity: str) -> Sequence[AlertTarget]:
    """Those that are told of something so bad."""
    rows = AlertTarget.objects.filter(is_active=True)
    if severity != Severity.CRITICAL:
        rows = rows.filter(least=Severity.WARNING)
    return list(rows)


# --- Telling -------------------------------------------------------------------------------------


def tell(target: AlertTarget, words: Words) -> None:
    """Once. Raises `NotTaken`, or what a provider of email raises."""
    address = _open(target)
    scheme, _, rest = address.partition(":")
    if scheme.lower() == "email":
        _by_email(rest, words)
    elif scheme.lower() in ("http", "https"):
        asyncio.run(_by_webhook(address, words))
    else:
        _by_apprise(address, words)


def _by_email(address: str, words: Words) -> None:
    message = EmailMessage(
        subject=words.title,
        body=words.text,
        to=[address],
        connection=get_connection(settings.ALERT_EMAIL_BACKEND),
    )
    message.send()


async def _by_webhook(address: str, words: Words) -> None:
    headers = {"Content-Type": "application/json", "webhook-id": words.id}
    body = json.dumps(words.data).encode()
    async with egress.session() as client:
        answer = await egress.post(client, address, body, headers, seconds=SECONDS)
    if answer.status is None:
        raise NotTaken(answer.error)
    if not 200 <= answer.status < 300:
        raise NotTaken(f"It answered {answer.status}.")


def _by_apprise(address: str, words: Words) -> None:
    service = _service(address)
    kind = "success" if words.is_good else "failure"
    with egress.public_only() as refused:
        is_taken = service and service.notify(title=words.title, body=words.text, notify_type=kind)
    if not is_taken:
        raise NotTaken(*refused[:1] or ["The service did not take it: is its token still right?"])
