"""The engine in the caller's own thread and transaction: what is due is carried out, step by step.

The event loop runs beside; whatever it wants done in the database or by a provider is handed back
to the calling thread, so that the test's transaction sees all of it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from queue import Queue
from typing import Any, TypeVar

from django.utils import timezone

from notifications import queue
from notifications.models import Work
from notifications.providers import registry
from notifications.services import deliver, reconcile
from notifications.services.load import Load
from notifications.types import Lane

T = TypeVar("T")
_Step = tuple[Callable[..., Any], tuple[Any, ...], "Future[Any]"]


class Inline:
    """A `Runner` whose steps wait in `steps` until the calling thread carries them out."""

    def __init__(self) -> None:
        self.steps: Queue[_Step | None] = Queue()
        self._thread = asyncio.Semaphore()

    async def database(self, function: Callable[..., T], *args: Any) -> T:
        return await self._hand_over(function, *args)

    def thread(self) -> asyncio.Semaphore:
        """The one that carries everything out."""
        return self._thread

    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        return await self._hand_over(function, *args)

    async def close(self) -> None:
        for provider in registry.made():
            await provider.aclose()

    async def _hand_over(self, function: Callable[..., T], *args: Any) -> T:
        done: Future[T] = Future()
        self.steps.put((function, args, done))
        return await asyncio.wrap_future(done)

    def serve(self) -> None:
        """Carry out steps until None comes."""
        while (step := self.steps.get(timeout=30)) is not None:
            function, args, done = step
            try:
                done.set_result(function(*args))
            except BaseException as error:
                done.set_exception(error)


def drain(lane: Lane = Lane.NORMAL, *, rounds: int = 50) -> int:
    """Carry out all that is due in `lane`; the number of claims."""
    done = 0
    for _ in range(rounds):
        claimed = [*queue.claim(lane, 2000), *queue.claim_suspect([lane])]
        if not claimed:
            return done
        for lease in claimed:
            carry_out(lease)
        done += len(claimed)
    raise AssertionError("the lane does not become empty")


def carry_out(
    lease: queue.Lease,
    *,
    runner: Inline | None = None,
) -> None:
    """One claim, to its end; raises what the engine raised."""
    if lease.kind is Work.Kind.RECONCILE:
        run(runner or Inline(), lambda inline: reconcile.run(lease, inline))
    else:
        carry_out_load(Load([lease]), runner=runner)


def carry_out_load(
    load: Load,
    *,
    runner: Inline | None = None,
) -> None:
    """Claims that are carried together, to their end; raises what the engine raised."""
    run(runner or Inline(), lambda inline: deliver.run(load, inline))


def run(inline: Inline, work: Callable[[Inline], Coroutine[Any, Any, None]]) -> None:
    """`work` on a loop of its own, its steps by this thread; raises what it raised."""
    errors: list[BaseException] = []

    async def main() -> None:
        try:
            await work(inline)
        finally:
            await inline.close()

    def on_a_loop() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            errors.append(error)
        finally:
            inline.steps.put(None)

    thread = threading.Thread(target=on_a_loop)
    thread.start()
    inline.serve()
    thread.join()
    if errors:
        raise errors[0]


def make_everything_due() -> None:
    """Let time pass for the queue: whatever waits for later is due now."""
    Work.objects.update(due_at=timezone.now())
