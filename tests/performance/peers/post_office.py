"""django-post_office: mails stored, then sent by `send_queued_mail` with two processes.

python -m tests.performance.peers.post_office '{"count": 2000}'
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import django

from tests.performance import content

LIST = 1000
PROCESSES = 2


def main(count: int) -> None:
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections
    from post_office import mail
    from post_office.models import STATUS, Email, EmailTemplate, Log

    for model in (Log, Email, EmailTemplate):
        model.objects.all().delete()
    EmailTemplate.objects.create(
        name="bench", subject=content.SUBJECT, content=content.TEXT, html_content=content.HTML
    )
    sys.stdout.write("ready\n")
    sys.stdin.readline()
    started = time.perf_counter()
    template = EmailTemplate.objects.get(name="bench")
    for start in range(0, count, LIST):
        mail.send_many(
            [
                {
                    "sender": settings.DEFAULT_FROM_EMAIL,
                    "recipients": [content.address(number)],
                    "template": template,
                    "context": {**content.SHARED, **content.own(number)},
                    "render_on_delivery": True,
                }
                for number in range(start, min(count, start + LIST))
            ]
        )
    accepted = time.perf_counter() - started
    connections.close_all()
    with tempfile.TemporaryDirectory() as directory:
        lock = str(Path(directory) / "lock")
        call_command("send_queued_mail", processes=PROCESSES, lockfile=lock)
    seconds = time.perf_counter() - started
    sent = Email.objects.filter(status=STATUS.sent).count()
    if sent != count:
        raise SystemExit(f"post_office sent {sent} of {count}")
    sys.stdout.write(json.dumps({"accept": accepted, "seconds": seconds}) + "\n")
    sys.stdin.read()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
