"""The web process: `uvicorn commsproject.asgi:application`."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "commsproject.settings.prod")

application = get_asgi_application()
