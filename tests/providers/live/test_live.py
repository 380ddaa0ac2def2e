"""With real accounts: `make live`. What is not set up is skipped, and says which variables it needs.

Nothing of this runs with the other tests: see docs/how-to/live-tests.md.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings as django_settings

from notifications.providers import registry
from notifications.providers.account import Verdict
from notifications.types import EventType, Inquiry, ProviderError
from tests.providers.contract import close
from tests.providers.live import service
from tests.providers.live.cases import CASES, Case, env, missing, play, provider_of

RECEIPT_SECONDS = 300.0

pytestmark = [pytest.mark.live, pytest.mark.timeout(2 * RECEIPT_SECONDS)]


def need(*names: str) -> None:
    if absent := missing(names):
        pytest.skip(f"not set: {', '.join(absent)}")


@pytest.fixture(autouse=True)
def _public_url(settings: Any) -> None:
    """Twilio takes no callback address that it could not reach."""
    settings.PUBLIC_URL = env.str("LIVE_PUBLIC_URL", default="https://example.com").rstrip("/")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_vendor_answers(case: Case) -> None:
    need(*case.needs)
    if case.refused:
        with pytest.raises(ProviderError) as caught:
            play(case)
        assert caught.value.code == case.refused
        return
    inquiry, sent = play(case)
    assert sent.http_status is None or 200 <= sent.http_status < 300
    if case.has_look_up:
        assert EventType(case.ends) in told(case, replace(inquiry, ref=sent.ref))


def told(case: Case, inquiry: Inquiry) -> set[EventType]:
    """What the vendor says, asked again and again until it says how the message ended."""
    provider, end = provider_of(case), time.monotonic() + RECEIPT_SECONDS
    found: set[EventType] = set()
    while EventType(case.ends) not in found and time.monotonic() < end:
        found |= {event.type for event in provider.status(inquiry)}
        time.sleep(service.PAUSE)
    close(provider)
    return found


@pytest.mark.parametrize("case", [case for case in CASES if case.ends], ids=str)
def test_its_receipt_comes_in(case: Case) -> None:
    """The running service sends it, and hears by its webhook how it ended."""
    need(*case.needs, "LIVE_PUBLIC_URL", "LIVE_API_KEY")
    ask = service.at(env.str("LIVE_PUBLIC_URL"), env.str("LIVE_API_KEY"))
    status, provider = service.result(ask, case, RECEIPT_SECONDS)
    if provider != case.provider:
        pytest.skip(f"the service there sent it by {provider}: switch that off and try again")
    assert status == case.ends


@pytest.mark.parametrize("name", sorted({case.provider for case in CASES}))
def test_the_vendor_knows_the_account(name: str) -> None:
    if not django_settings.PROVIDERS[name]["ENABLED"]:
        pytest.skip(f"{name} is not on: its credentials are not set")
    checks = list(registry.get(name).check())
    assert [check for check in checks if check.verdict is Verdict.FAILED] == []
