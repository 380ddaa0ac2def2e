"""One worker process: the pump of its lanes, and a Dramatiq worker that hears the doorbell.

Not Dramatiq's own command line: killing one of its processes takes all of them down
(docs/decisions/0001). One process here is one unit of the supervisor or of the cluster.
"""

from __future__ import annotations

import logging
import os
import threading
from argparse import ArgumentParser
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.utils.module_loading import autodiscover_modules
from dramatiq import Worker
from typing_extensions import override

from commsproject.common import background, doorbell, metrics_port
from commsproject.common.commands import heed_stops
from commsproject.common.garbage import collect_less
from notifications.services import pump
from notifications.types import Lane

log = structlog.get_logger(__name__)

STOP_SECONDS = 6.0


class Command(BaseCommand):
    help = "Send what is due in the given lanes until stopped."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--lane",
            action="append",
            choices=Lane.values,
            help="A lane to serve; repeat for several. Without it: all.",
        )

    @override
    def handle(self, *args: Any, lane: list[str] | None, **options: Any) -> None:
        lanes = [Lane(name) for name in lane or Lane.values]
        collect_less()
        stopping = threading.Event()
        heed_stops(stopping)
        metrics_port.serve()
        pump.start(lanes)
        beside = background.start(background.Beside.WORKER, stopping) if _is_general(lanes) else []
        # Dramatiq's default of a second costs 450 ms of idle latency, 50 ms a twentieth of a core
        # (measured): worth it for one-time codes.
        pause = 50 if Lane.URGENT in lanes else 100
        ears = Worker(
            doorbell.broker(), queues=_queues(lanes), worker_timeout=pause, worker_threads=2
        )
        ears.start()
        log.info("worker started", lanes=[one.value for one in lanes])
        stopping.wait()
        finished = pump.stop(STOP_SECONDS) and _deafen(ears)
        for thread in beside:
            thread.join(1.0)
        log.info("worker stopped", finished=finished)
        if not finished:  # Python would wait for the calls that hang; who claims next knows of them
            logging.shutdown()
            os._exit(0)


def _deafen(ears: Worker) -> bool:
    """Stop listening; False if that takes longer than a second. A ring that is lost is no loss."""
    stopping = threading.Thread(target=ears.stop, kwargs={"timeout": 500}, daemon=True)
    stopping.start()
    stopping.join(1.0)
    return not stopping.is_alive()


def _queues(lanes: list[Lane]) -> set[str]:
    """The lanes' own bells; whoever serves `normal` also hears those that belong to no lane."""
    autodiscover_modules("tasks")
    mine = {lane.value for lane in lanes}
    others = doorbell.broker().get_declared_queues() - set(Lane.values)
    return mine | others if _is_general(lanes) else mine


def _is_general(lanes: list[Lane]) -> bool:
    """Whether this worker also does what belongs to no lane."""
    return Lane.NORMAL in lanes
