"""A provider that says what a test wants, and remembers what it was asked to carry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from typing_extensions import override

from notifications.providers import registry
from notifications.providers.base import LoopProvider, Provider
from notifications.types import Channel, ErrorClass, Outbound, ProviderError, Sent, Wanted

Answer = Sent | ProviderError


class Scripted(Provider):
    """Called in a thread. `lacking` are the channels' features that it does not have."""

    channels = frozenset(Channel)

    def __init__(
        self, name: str, answer: Answer | None = None, lacking: Sequence[str] = ()
    ) -> None:
        super().__init__(name)
        self.answer: Answer = answer or Sent("ref", 202)
        self.lacking = lacking
        self.asked: list[Outbound] = []

    @override
    def lacks(self, wanted: Wanted) -> str:
        wants = {"attachments": wanted.has_attachments, wanted.country: bool(wanted.country)}
        found = (one for one in self.lacking if wants.get(one))
        return next(found, "") or super().lacks(wanted)

    @override
    def send(self, message: Outbound) -> Sent:
        self.asked.append(message)
        if isinstance(self.answer, ProviderError):
            raise self.answer
        return self.answer


class ScriptedLoop(LoopProvider):
    """Called on the loop, up to ten messages at a time; answers after `delay` seconds."""

    channels = frozenset(Channel)
    batch_limit: ClassVar[int] = 10

    def __init__(self, name: str, answer: Answer | None = None, delay: float = 0.0) -> None:
        super().__init__(name)
        self.answer: Answer = answer or Sent("ref", 202)
        self.delay = delay
        self.asked: list[Sequence[Outbound]] = []

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        self.asked.append(messages)
        await asyncio.sleep(self.delay)
        if isinstance(self.answer, ProviderError):
            raise self.answer
        return self.answer


def entry(kind: type[Provider] = Scripted, **fields: Any) -> dict[str, Any]:
    """A provider in `settings.PROVIDERS`; what is written in capitals is of the entry itself."""
    options = {name: value for name, value in fields.items() if name.islower()}
    rest = {name: value for name, value in fields.items() if not name.islower()}
    where = f"{kind.__module__}.{kind.__qualname__}"
    return {"CLASS": where, "ENABLED": True, "OPTIONS": options, **rest}


def scripted(name: str) -> Scripted:
    """The provider of that name in this process."""
    provider = registry.get(name)
    assert isinstance(provider, Scripted)
    return provider


def scripted_loop(name: str) -> ScriptedLoop:
    provider = registry.get(name)
    assert isinstance(provider, ScriptedLoop)
    return provider


def temporary(**fields: Any) -> ProviderError:
    return ProviderError(ErrorClass.TEMPORARY, "503", **fields)


def throttled(**fields: Any) -> ProviderError:
    return ProviderError(ErrorClass.THROTTLED, "429", **fields)


def unanswered() -> ProviderError:
    return ProviderError(ErrorClass.AMBIGUOUS, "read_timeout")


def unauthorised() -> ProviderError:
    return ProviderError(ErrorClass.AUTH_CONFIG, "401")
