from __future__ import annotations

from django.apps import AppConfig
from typing_extensions import override


class TrackingConfig(AppConfig):
    name = "tracking"
    verbose_name = "Tracking"

    @override
    def ready(self) -> None:
        from commsproject.common import background, outbox
        from commsproject.common.live import registry
        from tracking import (
            live,
            personal_data,
            receivers,  # noqa: F401 - register themselves
        )
        from tracking.services import alert_measures  # noqa: F401 - register themselves

        registry.add_feed(live.AnalyticsFeed())
        personal_data.registered()
        from tracking import admin_webhooks  # noqa: F401 - registers itself
        from tracking.services import endpoints, webhook_sender

        outbox.consume("webhooks", outbox.Consumer(endpoints.take, endpoints.wants))
        background.register("webhooks", background.Beside.WORKER, webhook_sender.serve)
