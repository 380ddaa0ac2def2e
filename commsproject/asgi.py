"""The web process: `uvicorn commsproject.asgi:application`."""

from __future__ import annotations

import gc
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "commsproject.settings.prod")

http = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402 - needs the settings
from django.urls import path, re_path  # noqa: E402

from commsproject.common.live.consumer import LiveConsumer, NoSocket  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": URLRouter(
            [path("ws/", LiveConsumer.as_asgi()), re_path("", NoSocket.as_asgi())]
        ),
    }
)

# What is loaded by now stays: a collection that walks it all holds up every socket for 0.3 s.
gc.collect()
gc.freeze()
