"""The same for a WSGI server; sockets need the ASGI one."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "commsproject.settings.prod")

application = get_wsgi_application()
