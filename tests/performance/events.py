"""What providers report: signed webhooks to the web process, applied by the workers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Iterator, Sequence

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.performance import latency, ours, sinks
from tests.performance.client import Connection
from tests.performance.profiler import Profiler
from tests.performance.report import Figures, percentile
from tests.performance.world import Failed, World

MESSAGES = 20_000
SINGLE = 3_000
"""Of them are reported on by a webhook each; of the others by the hundred, as SendGrid does."""
TOGETHER = 100
CLIENTS = 8
PATH = "/webhooks/sendgrid/"


def measure(world: World, profiler: Profiler | None = None) -> Figures:
    """Delivery and open of each message. Raises `Failed` unless each event is stored once, and every
    message is where they put it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(sinks.of_kind(world, "http"))
        env = {**sink.env, "SENDGRID_WEBHOOK_PUBLIC_KEY": _public(key)}
        world.empty()
        port, web = stack.enter_context(latency.web_process(world, **env))
        workers = stack.enter_context(world.workers("normal", "bulk", env=env))
        with ours.sender(world, "bench-substitutes", MESSAGES, env) as agent:
            agent.go()
            ours.wait_until_idle(world, MESSAGES, workers)
        attempts = [str(id_) for (id_,) in world.database.execute(_ATTEMPTS)]
        parts = {"web": [web], "workers": workers}
        figures: dict[str, float] = {}
        if profiler:
            stack.enter_context(profiler.watching(workers[0], "events"))
        for name, chosen, size in (
            ("by the hundred", attempts[SINGLE:], TOGETHER),
            ("one by one", attempts[:SINGLE], 1),
        ):
            calls = [_signed(key, body) for body in _webhooks(chosen, size)]
            before, started = world.cpu(parts), time.monotonic()
            times = asyncio.run(_post(port, calls))
            world.wait(lambda: not world.number(_LEFT), 120, [web, *workers])
            seconds, after = time.monotonic() - started, world.cpu(parts)
            figures |= {
                f"{name}, events/s": 2 * len(chosen) / seconds,
                f"{name}, answer p50 ms": percentile(times, 0.5) * 1e3,
                f"{name}, answer p99 ms": percentile(times, 0.99) * 1e3,
                **{
                    f"{name}, {part} CPU us an event": (after[part] - before[part])
                    / (2 * len(chosen))
                    * 1e6
                    for part in after
                },
            }
    _check(world)
    return figures


_ATTEMPTS = b"SELECT id FROM notifications_attempt ORDER BY id"
_LEFT = "SELECT count(*) FROM tracking_webhookreceipt WHERE processed_at IS NULL"


def _check(world: World) -> None:
    delivered = world.number(
        "SELECT count(*) FROM notifications_delivery WHERE state = 'delivered'"
    )
    stored = world.number("SELECT count(*) FROM notifications_event WHERE provider = 'sendgrid'")
    if (delivered, stored) != (MESSAGES, 2 * MESSAGES):
        raise Failed(f"{delivered} delivered by {stored} events")
    world.manage("audit")


def _webhooks(attempts: Sequence[str], size: int) -> Iterator[bytes]:
    now = int(time.time())
    events = [
        {
            "event": kind,
            "timestamp": now,
            "email": "person@example.org",
            "sg_event_id": f"{attempt}-{kind}",
            "sg_message_id": f"{attempt}.recvd-1",
            "attempt_id": attempt,
            **({"sg_machine_open": False} if kind == "open" else {"response": "250 OK"}),
        }
        for attempt in attempts
        for kind in ("delivered", "open")
    ]
    for start in range(0, len(events), size):
        yield json.dumps(events[start : start + size]).encode()


def _signed(key: ec.EllipticCurvePrivateKey, body: bytes) -> tuple[bytes, dict[str, str]]:
    timestamp = str(int(time.time()))
    signature = key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return body, {
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
    }


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(encoding, form)).decode()


async def _post(port: int, calls: Sequence[tuple[bytes, dict[str, str]]]) -> list[float]:
    """By several vendors' machines at once; what each answer took."""
    left = iter(calls)
    times: list[float] = []

    async def vendor() -> None:
        async with Connection(port, "") as connection:
            for body, headers in left:
                times.append(await connection.post(PATH, body, headers))

    await asyncio.gather(*(vendor() for _ in range(CLIENTS)))
    return times
