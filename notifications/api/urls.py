from __future__ import annotations

from django.urls import path

from notifications.api.batches import ActOnBatch, BatchById, Batches, BatchResults
from notifications.api.dead_letters import (
    DeadLetterById,
    DeadLetters,
    ReplayDeadLetter,
    ReplayDeadLetters,
)
from notifications.api.devices import DeviceById, Devices, WebKey
from notifications.api.notifications import CancelNotification, NotificationById, Notifications
from notifications.api.providers import ProviderByName, Providers, Script
from notifications.api.queues import Queues
from notifications.api.schedules import ScheduleById, Schedules
from notifications.models import Batch

urlpatterns = [
    path("queues", Queues.as_view(), name="queues"),
    path("notifications", Notifications.as_view(), name="notifications"),
    path("notifications/<uuid:notification_id>", NotificationById.as_view(), name="notification"),
    path(
        "notifications/<uuid:notification_id>/cancel",
        CancelNotification.as_view(),
        name="notification-cancel",
    ),
    path("batches", Batches.as_view(), name="batches"),
    path("batches/<uuid:batch_id>", BatchById.as_view(), name="batch"),
    path("batches/<uuid:batch_id>/results", BatchResults.as_view(), name="batch-results"),
    *(
        path(
            f"batches/<uuid:batch_id>/{action.value}",
            ActOnBatch.as_view(action=action),
            name=f"batch-{action.value}",
        )
        for action in Batch.Action
    ),
    path("recipients/<str:user_id>/devices", Devices.as_view(), name="devices"),
    path("recipients/<str:user_id>/devices/<uuid:device_id>", DeviceById.as_view(), name="device"),
    path("push/web-key", WebKey.as_view(), name="push-web-key"),
    path("providers", Providers.as_view(), name="providers"),
    path("providers/simulator/script", Script.as_view(), name="simulator-script"),
    path("providers/<str:name>", ProviderByName.as_view(), name="provider"),
    path("schedules", Schedules.as_view(), name="schedules"),
    path("schedules/<uuid:schedule_id>", ScheduleById.as_view(), name="schedule"),
    path("dead-letters", DeadLetters.as_view(), name="dead-letters"),
    path("dead-letters/replay", ReplayDeadLetters.as_view(), name="dead-letters-replay"),
    path("dead-letters/<uuid:letter_id>", DeadLetterById.as_view(), name="dead-letter"),
    path(
        "dead-letters/<uuid:letter_id>/replay",
        ReplayDeadLetter.as_view(),
        name="dead-letter-replay",
    ),
]
