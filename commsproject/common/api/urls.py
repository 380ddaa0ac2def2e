from __future__ import annotations

from django.urls import path

from commsproject.common.api.alerts import AcknowledgeAlert, AlertById, Alerts
from commsproject.common.api.whoami import WhoAmI

urlpatterns = [
    path("alerts", Alerts.as_view(), name="alerts"),
    path("alerts/<uuid:alert_id>", AlertById.as_view(), name="alert"),
    path(
        "alerts/<uuid:alert_id>/acknowledge",
        AcknowledgeAlert.as_view(),
        name="alert-acknowledge",
    ),
    path("whoami", WhoAmI.as_view(), name="whoami"),
]
