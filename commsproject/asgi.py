"""The web process: `uvicorn commsproject.asgi:application`."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "commsproject.settings.prod")

http = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402 - needs the settings
from django.urls import path, re_path  # noqa: E402

from commsproject.common.bodies import BoundedBodies  # noqa: E402
from commsproject.common.garbage import collect_less  # noqa: E402
from commsproject.common.live.consumer import LiveConsumer, NoSocket  # noqa: E402
from notifications.api import door  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": BoundedBodies(door.NotificationDoor(http, ThreadPoolExecutor(1, "door"))),
        "websocket": URLRouter(
            [path("ws/", LiveConsumer.as_asgi()), re_path("", NoSocket.as_asgi())]
        ),
    }
)

collect_less()
