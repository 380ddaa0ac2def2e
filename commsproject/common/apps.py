from __future__ import annotations

from django.apps import AppConfig
from typing_extensions import override


class CommonConfig(AppConfig):
    name = "commsproject.common"
    label = "common"
    verbose_name = "Access and operations"

    @override
    def ready(self) -> None:
        from commsproject.common import background, tracing

        tracing.start()
        from commsproject.common import checks as of_the_broker  # noqa: F401 - registers itself
        from commsproject.common.api import schema  # noqa: F401 - registers itself
        from commsproject.common.identity import checks  # noqa: F401 - register themselves
        from commsproject.common.live import cors, metrics  # noqa: F401 - metrics registers itself
        from commsproject.common.live import personal_data as of_the_socket
        from commsproject.common.personal_data import own

        own.registered()
        from commsproject.common.staff import receivers as of_staff

        of_staff.connect()
        of_the_socket.registered()
        cors.open_to_pages("presence", "whoami", "ws-ticket")
        from commsproject.common.outbox import checks as of_the_outbox  # noqa: F401 - registers itself
        from commsproject.common.outbox import publisher

        scheduler = background.Beside.SCHEDULER
        background.register("outbox: hand over", scheduler, publisher.serve_hand_over)
        background.register("outbox: publish", scheduler, publisher.serve_publish)
        from commsproject.common.alerts import notices

        background.register("alerts", scheduler, notices.serve)
