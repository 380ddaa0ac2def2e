from __future__ import annotations

from django.urls import path

from notifications.api.announcements import (
    AnnouncementById,
    Announcements,
    EndAnnouncement,
    PublishAnnouncement,
)
from notifications.api.batches import ActOnBatch, BatchById, Batches, BatchResults
from notifications.api.categories import Categories, CategoryByKey
from notifications.api.dead_letters import (
    DeadLetterById,
    DeadLetters,
    ReplayDeadLetter,
    ReplayDeadLetters,
)
from notifications.api.devices import DeviceById, Devices, WebKey
from notifications.api.imports import ImportRecipients
from notifications.api.inbox import Act, Archive, Inbox, InboxCounts, MarkRead, MarkSeen, Snooze
from notifications.api.notifications import (
    CancelNotification,
    ConvertNotification,
    ExplainNotification,
    NotificationById,
    Notifications,
)
from notifications.api.personal_data import PersonErasure, PersonExport
from notifications.api.preferences import Preferences, QuietHoursOfPerson
from notifications.api.proofs import TestSend
from notifications.api.providers import ProviderByName, Providers, Script
from notifications.api.queues import Queues
from notifications.api.recipients import AddressById, Addresses, RecipientByUserId, Recipients
from notifications.api.schedules import ScheduleById, Schedules
from notifications.api.suppressions import (
    ExportSuppressions,
    ImportSuppressions,
    SuppressionById,
    Suppressions,
)
from notifications.api.topics import Members, TopicByKey, Topics
from notifications.models import Batch

urlpatterns = [
    path("templates/<slug:key>/test-send", TestSend.as_view(), name="template-test-send"),
    path("queues", Queues.as_view(), name="queues"),
    path("notifications", Notifications.as_view(), name="notifications"),
    path("notifications/<uuid:notification_id>", NotificationById.as_view(), name="notification"),
    path(
        "notifications/<uuid:notification_id>/explain",
        ExplainNotification.as_view(),
        name="notification-explain",
    ),
    path(
        "notifications/<uuid:notification_id>/cancel",
        CancelNotification.as_view(),
        name="notification-cancel",
    ),
    path(
        "notifications/<uuid:notification_id>/convert",
        ConvertNotification.as_view(),
        name="notification-convert",
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
    path("categories", Categories.as_view(), name="categories"),
    path("categories/<slug:key>", CategoryByKey.as_view(), name="category"),
    path("topics", Topics.as_view(), name="topics"),
    path("topics/<slug:key>", TopicByKey.as_view(), name="topic"),
    path("topics/<slug:key>/members", Members.as_view(), name="topic-members"),
    path("recipients", Recipients.as_view(), name="recipients"),
    path("recipients/import", ImportRecipients.as_view(), name="recipients-import"),
    path("recipients/<str:user_id>", RecipientByUserId.as_view(), name="recipient"),
    path("recipients/<str:user_id>/export", PersonExport.as_view(), name="recipient-export"),
    path("recipients/<str:user_id>/erasure", PersonErasure.as_view(), name="recipient-erasure"),
    path("recipients/<str:user_id>/addresses", Addresses.as_view(), name="addresses"),
    path(
        "recipients/<str:user_id>/addresses/<uuid:address_id>",
        AddressById.as_view(),
        name="address",
    ),
    path("recipients/<str:user_id>/preferences", Preferences.as_view(), name="preferences"),
    path("recipients/<str:user_id>/quiet-hours", QuietHoursOfPerson.as_view(), name="quiet-hours"),
    path("recipients/<str:user_id>/devices", Devices.as_view(), name="devices"),
    path("recipients/<str:user_id>/devices/<uuid:device_id>", DeviceById.as_view(), name="device"),
    path("push/web-key", WebKey.as_view(), name="push-web-key"),
    path("suppressions", Suppressions.as_view(), name="suppressions"),
    path("suppressions/import", ImportSuppressions.as_view(), name="suppressions-import"),
    path("suppressions/export", ExportSuppressions.as_view(), name="suppressions-export"),
    path("suppressions/<uuid:suppression_id>", SuppressionById.as_view(), name="suppression"),
    path("inbox", Inbox.as_view(), name="inbox"),
    path("inbox/counts", InboxCounts.as_view(), name="inbox-counts"),
    path("inbox/seen", MarkSeen.as_view(), name="inbox-seen"),
    path("inbox/read", MarkRead.as_view(), name="inbox-read"),
    path("inbox/archive", Archive.as_view(), name="inbox-archive"),
    path("inbox/snooze", Snooze.as_view(), name="inbox-snooze"),
    path("inbox/act", Act.as_view(), name="inbox-act"),
    path("announcements", Announcements.as_view(), name="announcements"),
    path("announcements/<uuid:announcement_id>", AnnouncementById.as_view(), name="announcement"),
    path(
        "announcements/<uuid:announcement_id>/publish",
        PublishAnnouncement.as_view(),
        name="announcement-publish",
    ),
    path(
        "announcements/<uuid:announcement_id>/end",
        EndAnnouncement.as_view(),
        name="announcement-end",
    ),
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
