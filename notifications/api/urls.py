from __future__ import annotations

from django.urls import path

from notifications.api.notifications import NotificationById, Notifications

urlpatterns = [
    path("notifications", Notifications.as_view(), name="notifications"),
    path("notifications/<uuid:notification_id>", NotificationById.as_view(), name="notification"),
]
