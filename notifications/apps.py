from __future__ import annotations

from django.apps import AppConfig
from typing_extensions import override


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    @override
    def ready(self) -> None:
        from commsproject.common.live import cors, registry
        from notifications import checks, live, personal_data, receivers  # noqa: F401 - they register themselves
        from notifications.services import shown

        registry.add_feed(live.InboxFeed())
        registry.add_feed(live.AnnouncementFeed())
        cors.open_to_pages("inbox", "recipients/")
        shown.register()
        personal_data.registered()
