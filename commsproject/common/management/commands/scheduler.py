from __future__ import annotations

import threading
from typing import Any

from django.core.management.base import BaseCommand
from typing_extensions import override

from commsproject.common import background, metrics_port, scheduler
from commsproject.common.commands import heed_stops


class Command(BaseCommand):
    help = "Run the periodic jobs until stopped. Of several, one works and the others wait."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        heed_stops(stopping)
        metrics_port.serve()
        threads = background.start(background.Beside.SCHEDULER, stopping)
        scheduler.serve(stopping)
        for thread in threads:
            thread.join(3.0)
