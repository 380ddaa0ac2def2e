"""An agent that sends in bulk: batches in NDJSON, by the function that `POST /api/v1/batches` calls.

python -m tests.performance.sender '{"count": 50000, "template": "bench-loops"}'
"""

from __future__ import annotations

import io
import json
import sys
import time

import django

from commsproject.common.garbage import collect_less
from tests.performance import content
from tests.performance.prepare import CATEGORY, CLIENT

BATCH = 10_000
"""Rows of one upload. None of them goes out before its upload is whole, while the next comes in."""

LIMIT = 2**30


def main(count: int, template: str) -> None:
    django.setup()
    from commsproject.common.models import ApiClient
    from notifications.api.rows import Stream, Uploaded, ndjson
    from notifications.services.bulk import BatchRequest, receive
    from notifications.types import Lane

    client = ApiClient.objects.get(name=CLIENT)
    request = BatchRequest(
        template=template, data=content.SHARED, category=CATEGORY, priority=Lane.BULK
    )
    uploads = [
        content.ndjson(range(start, min(count, start + BATCH))) for start in range(0, count, BATCH)
    ]
    collect_less()
    sys.stdout.write("ready\n")
    sys.stdin.readline()
    started = time.perf_counter()
    for upload in uploads:
        batch, _ = receive(client, request, Uploaded(Stream(io.BytesIO(upload), LIMIT), ndjson))
        batch.refresh_from_db()
        if batch.rejected:
            raise SystemExit(f"{batch.rejected} of {batch.received} rows were refused")
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - started}) + "\n")
    sys.stdin.read()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
