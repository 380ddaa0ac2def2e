from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand
from typing_extensions import override

from commsproject.common import background, metrics_port, scheduler


class Command(BaseCommand):
    help = "Run the periodic jobs until stopped. Of several, one works and the others wait."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        metrics_port.serve()
        threads = background.start(background.Beside.SCHEDULER, stopping)
        scheduler.serve(stopping)
        for thread in threads:
            thread.join(3.0)
