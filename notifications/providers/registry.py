"""Which providers there are: `settings.PROVIDERS`, made once per process."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from notifications.providers.base import Provider
from notifications.types import Channel

SIMULATOR = "simulator"


class UnknownProvider(LookupError):
    """No entry of that name in `settings.PROVIDERS`, or it is not on."""


@cache
def enabled() -> dict[str, Provider]:
    """Name to provider, in the order of failover, for all whose credentials are set."""
    return {
        name: import_string(entry["CLASS"])(name, **entry["OPTIONS"])
        for name, entry in settings.PROVIDERS.items()
        if entry["ENABLED"]
    }


def get(name: str) -> Provider:
    """The provider `name`; raises `UnknownProvider`."""
    try:
        return enabled()[name]
    except KeyError:
        raise UnknownProvider(name) from None


def for_channel(channel: Channel) -> list[Provider]:
    """Who can carry `channel`, in the order of failover.

    The simulator is among them only where there is no one else.
    """
    found = [provider for provider in enabled().values() if channel in provider.channels]
    real = [provider for provider in found if provider.name != SIMULATOR]
    return real or found


def _forget(*, setting: str, **_kwargs: object) -> None:
    if setting == "PROVIDERS":
        enabled.cache_clear()


setting_changed.connect(_forget)
