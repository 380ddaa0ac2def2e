"""An agent that sends in bulk, by the function that every way into the service ends in.

python -m tests.performance.sender '{"count": 50000, "template": "bench-loops"}'
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

import django

from tests.performance import content
from tests.performance.prepare import CATEGORY, CLIENT

LIST = 5000
"""Messages accepted in one transaction."""


def main(count: int, template: str) -> None:
    django.setup()
    from commsproject.common.models import ApiClient
    from notifications.services import submit
    from notifications.services.plan import Submission, Target
    from notifications.types import Channel, Lane

    def submissions(numbers: range) -> Iterator[Submission]:
        for number in numbers:
            yield Submission(
                to=Target(addresses={Channel.EMAIL: content.address(number)}),
                template=template,
                data={**content.SHARED, **content.own(number)},
                category=CATEGORY,
                priority=Lane.BULK,
            )

    client = ApiClient.objects.get(name=CLIENT)
    sys.stdout.write("ready\n")
    sys.stdin.readline()
    started = time.perf_counter()
    for start in range(0, count, LIST):
        numbers = range(start, min(count, start + LIST))
        results = submit.accept(client, list(submissions(numbers)))
        refused = [result for result in results if not isinstance(result, submit.Accepted)]
        if refused:
            raise SystemExit(f"{len(refused)} refused, the first: {refused[0]!r}")
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - started}) + "\n")
    sys.stdin.read()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
