from __future__ import annotations

from django.urls import path

from commsproject.common.live.api.presence import PresenceSettings
from commsproject.common.live.api.tickets import WsTicket

urlpatterns = [
    path("ws-ticket", WsTicket.as_view(), name="ws-ticket"),
    path("presence", PresenceSettings.as_view(), name="presence"),
]
