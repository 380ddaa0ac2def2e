"""What nothing on this machine could exceed: the tables' own rate, and the sinks'."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from tests.performance import content, ours, sinks
from tests.performance.report import Figures
from tests.performance.world import World

ROWS = 50_000
COMMIT = 5000
TABLES = ("notifications_notification", "notifications_delivery", "notifications_attempt")
SECONDS = 3.0
PIPELINED = 32


def copy(world: World) -> Figures:
    """The rows of sent messages, copied back into their empty tables in commits of 5,000.

    They are in PostgreSQL's own format already: no Python is in the way.
    """
    mode = next(mode for mode in ours.MODES if mode.key == "d")
    ours.measure(world, mode, ROWS)
    pieces = [_dump(world, start) for start in range(0, ROWS, COMMIT)]
    seconds = _load(world, pieces)
    figures = {f"{table.partition('_')[2]} rows/s": ROWS / seconds[table] for table in TABLES}
    return figures | {
        "messages/s, with all three rows": ROWS / sum(seconds.values()),
    }


def _load(world: World, pieces: Sequence[Sequence[bytes]]) -> dict[str, float]:
    """The seconds for each table."""
    world.database.execute(
        "TRUNCATE notifications_notification, notifications_delivery, notifications_attempt CASCADE"
    )  # their batches stay
    world.database.execute("CHECKPOINT")
    seconds = dict.fromkeys(TABLES, 0.0)
    for piece in pieces:
        for table, rows in zip(TABLES, piece, strict=True):
            started = time.perf_counter()
            with (
                world.database.cursor() as cursor,
                cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)".encode()) as to,
            ):
                to.write(rows)
            seconds[table] += time.perf_counter() - started
    return seconds


def _dump(world: World, start: int) -> list[bytes]:
    """The rows of 5,000 messages in each table."""
    some = f"SELECT id FROM notifications_notification ORDER BY id OFFSET {start} LIMIT {COMMIT}"
    theirs = f"SELECT id FROM notifications_delivery WHERE notification_id IN ({some})"
    sources = (
        f"SELECT * FROM notifications_notification WHERE id IN ({some})",
        f"SELECT * FROM notifications_delivery WHERE notification_id IN ({some})",
        f"SELECT * FROM notifications_attempt WHERE delivery_id IN ({theirs})",
    )
    found = []
    for source in sources:
        with (
            world.database.cursor() as cursor,
            cursor.copy(f"COPY ({source}) TO STDOUT (FORMAT BINARY)".encode()) as out,
        ):
            found.append(b"".join(bytes(block) for block in out))
    return found


def http_sink(world: World) -> Figures:
    """Requests of 2.5 kB, pipelined on one connection."""
    body = b'{"personalizations": [{"to": [{"email": "a@example.org"}]}]}'.ljust(2500)
    one = b"POST /v3/mail/send HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with sinks.of_kind(world, "http") as sink:
        assert isinstance(sink, sinks.HttpSink)
        rate = _pipeline(sink.port, one * PIPELINED, b"X-Message-Id", PIPELINED)
    return {"requests/s": rate}


def smtp_sink(world: World) -> Figures:
    """Mails of 2.5 kB, pipelined on one connection; the client does not wait for the 354."""
    text = content.HTML.replace("\n", "\r\n").encode().ljust(2500)
    one = b"MAIL FROM:<a@a.org>\r\nRCPT TO:<b@b.org>\r\nDATA\r\n" + text + b"\r\n.\r\n"
    with sinks.of_kind(world, "smtp") as sink:
        assert isinstance(sink, sinks.SmtpSink)
        rate = _pipeline(sink.port, one * PIPELINED, b"\r\n", 4 * PIPELINED, hello=b"HELO a\r\n")
    return {"mails/s": rate}


def _pipeline(port: int, block: bytes, mark: bytes, marks: int, hello: bytes = b"") -> float:
    """How many times a second `block` is answered with `marks` of `mark`, times what it holds."""
    done = 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        if hello:  # the greeting, and the answer to ours
            connection.recv(1000)
            connection.sendall(hello)
            connection.recv(1000)
        started = time.perf_counter()
        while time.perf_counter() - started < SECONDS:
            connection.sendall(block)
            answer = b""
            while answer.count(mark) < marks:
                answer += connection.recv(65536)
            done += PIPELINED
        return done / (time.perf_counter() - started)
