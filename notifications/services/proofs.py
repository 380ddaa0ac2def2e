"""A template sent to somebody to look at: also a draft, as publishing would make it now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from commsproject.common.errors import InvalidInput
from commsproject.common.models import ApiClient
from notifications.services import keys, submit
from notifications.services.asked import Submission, Target
from notifications.services.keys import Once
from notifications.services.submit import Accepted, Result
from notifications.types import Channel
from templates_app import preview
from templates_app.build import invalid
from templates_app.models import TemplateVersion

TAG = "test-send"
"""What the message is tagged with."""


def send(
    client: ApiClient,
    version: TemplateVersion,
    to: Target,
    data: Mapping[str, Any],
    *,
    locale: str = "",
    channels: Sequence[Channel] = (),
    once: Once | None = None,
) -> Result:
    """Accept one message that says what the version says: a draft's parts go out as they are
    rendered now, those of a published version as any message of it.

    Raises `InvalidInput` with all that is wrong with sources or data, and `KeyReused`.
    """
    once = once or Once()
    if first := keys.known(client, once):  # the draft may be another by now
        return Accepted(first.response or {}, replayed=True)
    asked = Submission(
        to=to,
        locale=locale,
        channels=channels,
        tags=[TAG],
        idempotency_key=once.key,
        fingerprint=once.fingerprint,
    )
    if version.published_at is None:
        asked = replace(asked, parts=_parts(version, data, locale))
    else:
        asked = replace(asked, version=version, data=data)
    (result,) = submit.accept(client, [asked])
    return result


def _parts(
    version: TemplateVersion, data: Mapping[str, Any], locale: str
) -> Mapping[str, Mapping[str, str]]:
    found = preview.preview(version, data, locale=locale)
    if found.errors:
        raise invalid(found.errors)
    if not found.channels:
        message = "Only a published version can be sent by a provider's own template."
        raise InvalidInput.of("template", "not_published", message)
    return {name: one.parts for name, one in found.channels.items()}
