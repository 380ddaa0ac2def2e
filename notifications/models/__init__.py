"""The tables of the engine. One file per thing; import them from here."""

from __future__ import annotations

from notifications.models.announcement import Announcement
from notifications.models.audience import CappedMessage, Digest, DigestEntry, FallbackStep
from notifications.models.batch import Batch, BatchDelta, BatchRejection
from notifications.models.category import Category
from notifications.models.category_rate import CategoryDelta, CategoryHour
from notifications.models.delivery import Attempt, DeadLetter, Delivery, Event
from notifications.models.device import Device
from notifications.models.goal_reached import GoalReached
from notifications.models.inbox import Inbox, InboxItem, InboxTag
from notifications.models.notification import Notification
from notifications.models.preference import Consent, Preference, QuietHours
from notifications.models.provider import ProviderChange, ProviderState
from notifications.models.queue_sample import QueueSample
from notifications.models.recipient import Address, Recipient
from notifications.models.retention import ContentHold, ContentMark
from notifications.models.schedule import Schedule
from notifications.models.simulated import SimulatedMessage, SimulatorRule
from notifications.models.suppression import LiftedSuppression, Suppression
from notifications.models.topic import Topic, TopicMember
from notifications.models.work import Work

__all__ = [
    "Address",
    "Announcement",
    "Attempt",
    "Batch",
    "BatchDelta",
    "BatchRejection",
    "CappedMessage",
    "Category",
    "CategoryDelta",
    "CategoryHour",
    "Consent",
    "ContentHold",
    "ContentMark",
    "DeadLetter",
    "Delivery",
    "Device",
    "Digest",
    "DigestEntry",
    "Event",
    "FallbackStep",
    "GoalReached",
    "Inbox",
    "InboxItem",
    "InboxTag",
    "LiftedSuppression",
    "Notification",
    "Preference",
    "ProviderChange",
    "ProviderState",
    "QueueSample",
    "QuietHours",
    "Recipient",
    "Schedule",
    "SimulatedMessage",
    "SimulatorRule",
    "Suppression",
    "Topic",
    "TopicMember",
    "Work",
]
