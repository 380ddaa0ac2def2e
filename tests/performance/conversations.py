"""Conversations: from one screen to the other, a page of a huge one, and search over millions."""

from __future__ import annotations

import random
import time
import urllib.request
from urllib.parse import quote

from tests.performance import latency
from tests.performance.report import Figures, percentile
from tests.performance.world import Failed, World

SETTINGS = "tests.performance.conversation_settings"
PAIRS = 100
RATE = 200
SECONDS = 15

HUGE = 1_000_000
"""Entries of one conversation."""
ALL = 5_000_000
SMALL = 100
"""Entries of each of the others."""
MINE = 100
"""Of these, how many the one who asks belongs to."""
WORDS = 20_000
ASKED = 300


def chat(world: World) -> Figures:
    """Messages by socket, at `RATE` a second: from the writer's to the reader's. Raises `Failed` for
    any loss.
    """
    world.database.execute(_EMPTY)
    spec = {"pairs": PAIRS, "rate": RATE, "seconds": SECONDS}
    env = {"DJANGO_SETTINGS_MODULE": SETTINGS}
    with latency.web_process(world, **env) as (port, child):
        module = "tests.performance.conversations_people"
        with world.sender("people", module, {**spec, "port": port}, **env) as people:
            before = world.cpu({"server": [child]})["server"]
            found = people.go()
            spent = world.cpu({"server": [child]})["server"] - before
    took, count = found["took"], RATE * SECONDS
    if len(took) != count:
        raise Failed(f"{len(took)} of {count} messages came")
    return {
        "lines/s": RATE,
        "p50 ms": percentile(took, 0.5) * 1e3,
        "p95 ms": percentile(took, 0.95) * 1e3,
        "p99 ms": percentile(took, 0.99) * 1e3,
        "CPU of the server, us a message": spent / count * 1e6,
    }


# --- Much of it ----------------------------------------------------------------------------------


def history(world: World) -> Figures:
    """Pages of 50 anywhere in a conversation of a million; and words among all five million."""
    env = {"DJANGO_SETTINGS_MODULE": SETTINGS}
    world.database.execute(_EMPTY)
    _fill(world)
    token = world.manage("create_user_token", "me", **env).split()[-1]
    chosen = random.Random(1)
    with latency.web_process(world, **env) as (port, _):
        huge = world.database.execute(_HUGE.encode()).fetchone()
        assert huge is not None
        base = f"http://127.0.0.1:{port}/api/v1/conversations"
        pages = [
            f"{base}/{huge[0]}/entries?before={chosen.randrange(100, HUGE)}" for _ in range(ASKED)
        ]
        words = [f"{base}/search?q={quote(_question(chosen))}" for _ in range(ASKED)]
        figures: dict[str, float] = {}
        for name, urls in (("page", pages), ("search", words)):
            _timed(urls[:10], token)
            took = _timed(urls, token)
            for share in (0.5, 0.95, 0.99):
                figures[f"{name} p{share * 100:.0f} ms"] = percentile(took, share) * 1e3
    return figures


def _question(chosen: random.Random) -> str:
    """As people ask: a word, two, or the beginning of one; frequent ones more often."""

    def word() -> str:
        return f"w{int(WORDS * chosen.random() ** 3)}"

    match chosen.randrange(3):
        case 0:
            return f"{word()} "
        case 1:
            return f"{word()} {word()} "
        case _:
            return word()[:-1] if len(word()) > 3 else word()


def _timed(urls: list[str], token: str) -> list[float]:
    took = []
    for url in urls:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        started = time.perf_counter()
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
        took.append(time.perf_counter() - started)
    return took


_EMPTY = b"TRUNCATE conversations_conversation CASCADE"

_HUGE = "SELECT id FROM conversations_conversation ORDER BY last_seq DESC LIMIT 1"

_CONVERSATIONS = """
INSERT INTO conversations_conversation
    (id, kind, title, pair, status, last_seq, entries_made, active_at, created_at)
SELECT uuidv7(), 'group', '', '', '', entries, entries, now(), now()
FROM (SELECT CASE WHEN n = 0 THEN {huge} ELSE {small} END AS entries
      FROM generate_series(0, {others}) AS n) AS sizes
"""

_PEOPLE = """
INSERT INTO conversations_participant (id, conversation_id, who, person_id, role, joined_at,
    read_seq, read_entries, delivered_seq, mentions)
SELECT uuidv7(), id, 'user', CASE WHEN number <= {mine} THEN 'me' ELSE 'u-' || number / {mine} END,
    'member', now(), 0, 0, 0, 0
FROM (SELECT id, row_number() OVER (ORDER BY last_seq DESC, id) AS number
      FROM conversations_conversation) AS numbered
"""

# All of them grow at the same time: the ids of a conversation are spread over the whole table.
_ENTRIES = """
INSERT INTO conversations_entry (id, conversation_id, seq, changed_seq, number, kind, who,
    person_id, client_id, body, mentions, created_at)
SELECT uuidv7(), chat, seq, seq, seq, 'text', 'user', 'u-' || seq % 7, '',
    (SELECT string_agg('w' || floor({words} * random() ^ 3), ' ')
     FROM generate_series(1, 12 + 0 * seq)), '{{}}', now() - interval '1 second' * ({huge} - seq)
FROM (SELECT id AS chat, seq FROM conversations_conversation, generate_series(1, last_seq) AS seq
      ORDER BY seq::float8 / last_seq) AS in_turn
"""

_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE indexname IN ('entry_words', 'entry_by_change', 'entry_by_time')
"""


def _fill(world: World) -> None:
    others = (ALL - HUGE) // SMALL
    sizes = {"huge": HUGE, "small": SMALL, "others": others, "mine": MINE, "words": WORDS}
    ask = world.database.execute
    ask(b"SET statement_timeout = 0")
    indexes = ask(_INDEXES.encode()).fetchall()
    for name, _ in indexes:
        ask(f"DROP INDEX {name}".encode())
    for query in (_CONVERSATIONS, _PEOPLE, _ENTRIES):
        ask(query.format(**sizes).encode())
    ask(b"SET maintenance_work_mem = '512MB'")
    for _, definition in indexes:
        ask(definition.encode())
    ask(
        b"VACUUM ANALYZE conversations_conversation, conversations_participant, conversations_entry"
    )
