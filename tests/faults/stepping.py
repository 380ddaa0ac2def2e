"""Workers of the engine that take one step at a time, in an order that a test chooses.

Everything runs in the test's own thread. A worker is a real pump with its loads, but its runner
hands each piece of database work over as a step, and its providers answer when the test says so;
its clock stands until the test moves it. Each step is a whole transaction, as the database sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, cast

import psycopg
from django.db import DatabaseError, InterfaceError, connection
from typing_extensions import override

from notifications import queue
from notifications.providers.base import LoopProvider, Provider
from notifications.services import allot, pump
from notifications.services.calls import Runner
from notifications.types import Channel, ErrorClass, Lane, Outbound, ProviderError, Sent

T = TypeVar("T")


# --- Time ----------------------------------------------------------------------------------------


class Clockwork(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still, and that never waits."""

    now = 0.0
    _ready: Any
    _scheduled: Any

    @override
    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Run all that can run at this moment."""
        while self._ready:
            self._turn()

    @property
    def has_timers(self) -> bool:
        return any(not timer.cancelled() for timer in self._scheduled)

    def pass_time(self) -> None:
        """Until the next timer."""
        waiting = [timer.when() for timer in self._scheduled if not timer.cancelled()]
        if waiting:
            self.now = max(self.now, min(waiting))
            self._turn()
        self.settle()

    def clear(self) -> None:
        """Nothing is left of what ran here."""
        self._scheduled.clear()

    def _turn(self) -> None:
        self.call_soon(self.stop)
        self.run_forever()


# --- The database, which may refuse at any statement ---------------------------------------------

_REFUSALS = ("40P01", "57014", "53100")
"""A deadlock, a statement that took too long, a full disk."""


class Refusal:
    """Which statement from now on fails (None: none does), and what goes before the next one."""

    after: ClassVar[int | None] = None
    before: ClassVar[list[str]] = []


class FaultyCursor(psycopg.ClientCursor[Any]):
    """Refuses one statement as PostgreSQL does: its transaction is broken from then on.

    Savepoints travel with the statement that follows: a round trip less for every third one.
    """

    @override
    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        if str(query).startswith(("SAVEPOINT", "RELEASE")):
            Refusal.before.append(str(query))
            return self
        self._count(query)
        before, Refusal.before = Refusal.before, []
        super().execute("; ".join([*before, str(query)]), *args, **kwargs)
        for _ in before:
            self.nextset()
        return self

    @override
    @contextmanager
    def copy(self, statement: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        self._count(statement)
        self.flush()
        with super().copy(statement, *args, **kwargs) as copy:
            yield copy

    def flush(self) -> None:
        if Refusal.before:
            self.execute("SELECT")

    def _count(self, query: Any) -> None:
        if Refusal.after is None or str(query).startswith("ROLLBACK"):
            return
        Refusal.after -= 1
        if Refusal.after < 0:
            Refusal.after = None
            if not any(connection.savepoint_ids):  # one statement by itself: nothing is broken
                raise psycopg.errors.QueryCanceled("as ordered")
            self.execute(f"DO $$BEGIN RAISE SQLSTATE '{_REFUSALS[len(str(query)) % 3]}'; END$$")


@contextmanager
def faulty_connection() -> Iterator[None]:
    """The statements of this thread's connection can be refused."""
    connection.ensure_connection()
    assert connection.connection is not None
    usual = connection.connection.cursor_factory
    connection.connection.cursor_factory = FaultyCursor
    try:
        yield
    finally:
        connection.connection.cursor_factory = usual
        Refusal.after, Refusal.before = None, []


# --- Providers that answer when they are told to -------------------------------------------------

_worker: ContextVar[Worker] = ContextVar("worker")


@dataclass(eq=False)
class Heard:
    """One call, as the provider heard it. `taken`: it is in the post."""

    provider: str
    messages: Sequence[Outbound]
    at: int
    taken: bool = True
    late: bool = False
    """Called under a lease that had run out by then."""
    reported: bool = False
    """It has sent a receipt: so it has taken it."""
    answer: asyncio.Future[Sent] | None = None

    def conclude(self, how: str) -> Sent:
        """Answer `how`; raises what is not `ok`."""
        if self.reported and how != "ok":
            how = "lost"
        self.taken = how in {"ok", "lost"}
        if how == "ok":
            return Sent(self.messages[0].attempt_id.hex, 202)
        raise ProviderError(ANSWERS[how] or ErrorClass.AMBIGUOUS, how)


ANSWERS: dict[str, ErrorClass | None] = {
    "ok": None,
    "temporary": ErrorClass.TEMPORARY,
    "refused": ErrorClass.PERMANENT_RECIPIENT,
    "throttled": ErrorClass.THROTTLED,
    "unauthorised": ErrorClass.AUTH_CONFIG,
    "lost": ErrorClass.AMBIGUOUS,
    "silent": ErrorClass.AMBIGUOUS,
}
"""`lost`: taken, but the answer never came. `silent`: not even taken."""


class Merging(LoopProvider):
    """Called on the loop, ten messages at a time."""

    channels = frozenset(Channel)
    batch_limit = 10

    @override
    def send(self, message: Outbound) -> Sent:
        raise NotImplementedError("called on the loop only")

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        worker = _worker.get()
        heard = worker.hears(self.name, messages)
        heard.answer = asyncio.get_running_loop().create_future()
        worker.calls.append(heard)
        try:
            return await heard.answer
        finally:
            if heard in worker.calls:
                worker.calls.remove(heard)


class Threaded(Provider):
    """Called in a thread of its own, one message at a time."""

    channels = frozenset(Channel)

    @override
    def send(self, message: Outbound) -> Sent:
        worker = _worker.get()
        return worker.hears(self.name, [message]).conclude(worker.next_answer)


PROVIDERS: dict[str, dict[str, Any]] = {
    name: {"CLASS": f"{__name__}.{kind.__name__}", "ENABLED": True, "OPTIONS": {}}
    for name, kind in (("merging", Merging), ("threaded", Threaded))
}


# --- Workers -------------------------------------------------------------------------------------


class Killed(BaseException):
    """What a process that is gone would have gone on with."""


@dataclass(eq=False)
class Step:
    """A piece of work that a worker waits for; once it has run, its reply is on the way."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    calls_provider: bool
    reply: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    has_run: bool = False

    def run(self, worker: Worker) -> None:
        self.has_run = True
        token = _worker.set(worker)
        try:
            self.result = self.function(*self.args)
        except Exception as error:
            self.error = error
        finally:
            Refusal.after = None
            _worker.reset(token)

    def lose_reply(self) -> None:
        self.error = self.error or InterfaceError("the connection is lost")

    def deliver(self) -> None:
        if self.reply.done():
            return
        if self.error:
            self.reply.set_exception(self.error)
        else:
            self.reply.set_result(self.result)


@dataclass(eq=False)
class Worker:
    """A process: a pump with what it has claimed. `ledger` is what providers heard, from whomever."""

    loop: Clockwork
    lane: Lane
    ledger: list[Heard]
    steps: list[Step] = field(default_factory=list)
    calls: list[Heard] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    errors: list[BaseException] = field(default_factory=list)
    next_answer: str = "ok"
    is_dead: bool = False

    def __post_init__(self) -> None:
        runner: Runner = self
        self.pump = pump.Pump([self.lane], cast("pump.Threads", runner))

    # As a `Runner`.

    async def database(self, function: Callable[..., T], *args: Any) -> T:
        return cast("T", await self._wait_for(function, args, calls_provider=False))

    def thread(self) -> AbstractAsyncContextManager[object]:
        return nullcontext()  # as many calls at once as a test wants

    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        return cast("T", await self._wait_for(function, args, calls_provider=True))

    async def close(self) -> None: ...

    async def _wait_for(
        self, function: Callable[..., Any], args: tuple[Any, ...], *, calls_provider: bool
    ) -> Any:
        if self.is_dead:
            raise Killed
        step = Step(function, args, calls_provider, self.loop.create_future())
        self.steps.append(step)
        try:
            return await step.reply
        finally:
            if step in self.steps:
                self.steps.remove(step)

    def hears(self, provider: str, messages: Sequence[Outbound]) -> Heard:
        named = {message.delivery_id for message in messages}
        late = any(named & set(lease.ids) and not lease.holds() for lease in self.leases)
        heard = Heard(provider, messages, len(self.ledger), late=late)
        self.ledger.append(heard)
        return heard

    # What it can be told to do.

    @property
    def is_busy(self) -> bool:
        return bool(self.tasks)

    @property
    def leases(self) -> set[queue.Lease]:
        return self.pump._leases

    def claim(self, room: int = 1000, *, refuse: int | None = None, hears: bool = True) -> int:
        """Claim, and begin with what was found; a suspect where nothing else is. How much it was.

        Not `hears`: the claim is made, and its reply is lost.
        """
        Refusal.after = refuse
        try:
            found = queue.claim(self.lane, room)
            alone = not found and not self.leases
            suspects = queue.claim_suspect([self.lane]) if alone else []
        except DatabaseError:
            return 0
        finally:
            Refusal.after = None
        if hears:
            self.leases.update(found, suspects)
            for load in pump.loads(found):
                self._begin(self.pump._carry_out(load))
            for lease in suspects:
                self._begin(self.pump._carry_suspect(lease))
        return len(found) + len(suspects)

    def _begin(self, carrying: Any) -> None:
        token = _worker.set(self)
        task = self.loop.create_task(carrying)
        _worker.reset(token)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        self.loop.settle()
        if self.steps and self.steps[-1].function is allot.merges:
            self.step(-1)  # it reads what never changes

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error and not isinstance(error, (DatabaseError, InterfaceError, Killed)):
            self.errors.append(error)

    def step(
        self,
        which: int = 0,
        *,
        refuse: int | None = None,
        answer: str = "ok",
        lose_reply: bool = False,
        hold_reply: bool = False,
    ) -> None:
        """Carry out a step, and let its worker go on with the reply unless that is held back."""
        step = self.steps[which]
        if not step.has_run:
            Refusal.after, self.next_answer = refuse, answer
            step.run(self)
            if lose_reply:
                step.lose_reply()
        if not hold_reply:
            step.deliver()
            self.loop.settle()

    def answer(self, which: int, how: str) -> None:
        """A provider answers one of the calls that are out."""
        heard = self.calls[which]
        assert heard.answer is not None
        try:
            heard.answer.set_result(heard.conclude(how))
        except ProviderError as error:
            heard.answer.set_exception(error)
        self.loop.settle()

    def renew(self) -> None:
        queue.renew(self.leases)

    def run_out(self) -> None:
        """Its leases have run out, by its own clock."""
        for lease in self.leases:
            lease.deadline = 0.0

    def stop(self) -> None:
        self.pump.stop()
        self.loop.settle()

    def kill(self) -> None:
        """kill -9: nothing it was about to do is done."""
        self.is_dead = True
        while tasks := asyncio.all_tasks(self.loop):
            for task in tasks:
                task.cancel()
            self.loop.settle()

    def go_on(self) -> bool:
        """The next thing that is to do, and it goes well; False: there is none."""
        if self.steps:
            self.step()
        elif self.calls:
            self.answer(0, "ok")
        elif self.tasks:
            self.loop.pass_time()
        else:
            return False
        return True


def finish(workers: Iterable[Worker]) -> None:
    """Let all of them come to an end with what they have."""
    for worker in workers:
        for _ in range(1000):
            if not worker.go_on():
                break
        else:
            raise AssertionError("a worker does not come to an end")
