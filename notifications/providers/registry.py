"""Which providers there are: `settings.PROVIDERS`, made once per process, and made anew when the file
of one of their secrets changes.

The files are looked at once a second. A change counts when nothing has
been written to any of the provider's files from one look to the next: a file may be half written,
and a key's id and its secret may be in two. What comes of it must be able to send, or the old
provider stays.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import structlog
from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from commsproject.common.env import FileSecret
from notifications.providers.base import Provider
from notifications.types import Channel

log = structlog.get_logger(__name__)

SIMULATOR = "simulator"
SIMULATORS = frozenset({SIMULATOR, "simulator-b"})

LOOK_SECONDS = 1.0
"""Between two looks at the files, at least."""

GRACE = 60.0
"""Seconds after which nobody uses a provider any more that has been replaced: longer than a call takes
from the decision to make it to its end.
"""


class UnknownProvider(LookupError):
    """No entry of that name in `settings.PROVIDERS`, or it is not on."""


_Stamp = tuple[tuple[int, int, int, int] | None, ...]
"""What tells one state of some files from another: ctime, size, inode and device of each; None for one
that is not there. Links are followed: Kubernetes changes a secret by turning one round. Not mtime,
which copying may keep, and which stays when a file becomes readable.
"""


@dataclass
class _Made:
    """A provider and the files of its secrets: as they were when it was made, and at the last look."""

    provider: Provider
    entry: Mapping[str, Any]
    options: Mapping[str, Any]
    files: Mapping[str, FileSecret] = field(init=False)
    stamp: _Stamp = ()
    """None at first: the options are older than the provider, and a file may have changed since."""
    seen: _Stamp = field(init=False)

    def __post_init__(self) -> None:
        self.files = {
            option: value for option, value in self.options.items() if isinstance(value, FileSecret)
        }
        self.seen = self.look()

    def look(self) -> _Stamp:
        return tuple(_stamp(secret) for secret in self.files.values())


class _Providers:
    """Those of one process. `now` is replaced, never changed: who iterates over it may go on."""

    def __init__(self) -> None:
        self._made = {
            name: _Made(_make(name, entry, entry["OPTIONS"]), entry, entry["OPTIONS"])
            for name, entry in settings.PROVIDERS.items()
            if entry["ENABLED"]
        }
        self.now: Mapping[str, Provider] = {
            name: made.provider for name, made in self._made.items()
        }
        self.replaced: list[tuple[float, Provider]] = []
        """Those whose calls may be under way, and since when (monotonic seconds)."""
        self.renewed: set[str] = set()
        """Names of those that nobody has asked `take_renewed` about."""
        self._watched = [name for name, made in self._made.items() if made.files]
        self._looking = threading.Lock()
        self._next_look = monotonic() + LOOK_SECONDS
        self.over = threading.Event()
        """Set when these are no longer those of the process."""
        if self._watched:
            threading.Thread(target=self._watch, name="credentials", daemon=True).start()

    def _watch(self) -> None:
        """Where nothing flows: the first webhook after a quiet night must meet the new secret."""
        while not self.over.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """At the files, if it is time to; one thread does it, and the others go on."""
        if not self._watched or monotonic() < self._next_look:
            return
        if not self._looking.acquire(blocking=False):
            return
        try:
            for name in self._watched:
                self._look_at(name, self._made[name])
            self._close_replaced()
        finally:
            self._next_look = monotonic() + LOOK_SECONDS
            self._looking.release()

    def _look_at(self, name: str, made: _Made) -> None:
        stamp, was = made.look(), made.seen
        made.seen = stamp
        if stamp == made.stamp or stamp != was:
            return
        made.stamp = stamp  # once for each change, whether anything comes of it or not
        renewed = _renewed(name, made)
        if renewed is None:
            return
        self._made[name] = renewed
        self.now = {**self.now, name: renewed.provider}
        self.replaced.append((monotonic(), made.provider))
        self.renewed.add(name)
        log.info("credentials renewed", provider=name)

    def _close_replaced(self) -> None:
        now = monotonic()
        over = [one for since, one in self.replaced if now - since >= GRACE]
        self.replaced = [(since, one) for since, one in self.replaced if now - since < GRACE]
        for provider in over:
            for loop in provider.loops():
                _close_on(loop, provider)


def _make(name: str, entry: Mapping[str, Any], options: Mapping[str, Any]) -> Provider:
    made: Provider = import_string(entry["CLASS"])(name, **options)
    return made


def _renewed(name: str, made: _Made) -> _Made | None:
    """With what the files hold now; None where that is what it was, or nothing to send with."""
    options = dict(made.options)
    for option, secret in made.files.items():
        try:
            options[option] = secret.read()
        except (OSError, ValueError) as error:  # a text of neither may hold any of the secret
            _warn(name, option, type(error).__name__)
            return None
    if options == made.options:
        return None
    try:
        renewed = _Made(_make(name, made.entry, options), made.entry, options)
        worse = set(renewed.provider.problems()) - set(made.provider.problems())
    except Exception as error:  # noqa: BLE001 - whatever it makes of them, the old ones work
        _warn(name, "", type(error).__name__)
        return None
    if worse:
        _warn(name, "", "problems")
        return None
    renewed.stamp = renewed.seen = made.stamp  # what was written since then is the next change
    return renewed


def _warn(name: str, option: str, why: str) -> None:
    log.warning("new credentials not usable, old ones kept", provider=name, option=option, why=why)


def _stamp(secret: FileSecret) -> tuple[int, int, int, int] | None:
    try:
        found = secret.path.stat()
    except OSError:
        return None
    return found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev


def _close_on(loop: asyncio.AbstractEventLoop, provider: Provider) -> None:
    """What is open in threads ends with the provider itself."""
    closing = provider.aclose()
    try:
        asyncio.run_coroutine_threadsafe(closing, loop)
    except RuntimeError:  # the loop has ended, and all on it was closed then
        closing.close()


_lock = threading.Lock()
_providers: _Providers | None = None


def _current() -> _Providers:
    global _providers
    with _lock:
        if _providers is None:
            _providers = _Providers()
        return _providers


def enabled() -> Mapping[str, Provider]:
    """Name to provider, in the order of failover, for all whose credentials are set."""
    providers = _current()
    providers.look()
    return providers.now


def get(name: str) -> Provider:
    """The provider `name`; raises `UnknownProvider`."""
    try:
        return enabled()[name]
    except KeyError:
        raise UnknownProvider(name) from None


def for_channel(channel: Channel) -> list[Provider]:
    """Who can carry `channel`, in the order of failover.

    The simulators are among them only where there is no one else.
    """
    found = [provider for provider in enabled().values() if channel in provider.channels]
    real = [provider for provider in found if provider.name not in SIMULATORS]
    return real or found


def made() -> list[Provider]:
    """All that may have something open in this process: those that are on, and those replaced of
    late. None where nobody has asked for any.
    """
    if _providers is None:
        return []
    return [*_providers.now.values(), *(provider for _, provider in _providers.replaced)]


def is_replaced(provider: Provider) -> bool:
    """Whether there is a newer one of its name: what is said of its credentials is of the old."""
    present = _providers.now.get(provider.name) if _providers is not None else None
    return present is not None and present is not provider


def take_renewed() -> set[str]:
    """The names of those with new credentials since the last call."""
    if _providers is None or not _providers.renewed:
        return set()
    found: set[str] = set()
    with suppress(KeyError):  # several threads may take
        while True:
            found.add(_providers.renewed.pop())
    return found


def forget() -> None:
    """Make them anew, of the settings as they are then."""
    global _providers
    if _providers is not None:
        _providers.over.set()
    _providers = None


def _forget(*, setting: str, **_kwargs: object) -> None:
    if setting == "PROVIDERS":
        forget()


setting_changed.connect(_forget)
