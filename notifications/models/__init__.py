"""The tables of the engine. One file per thing; import them from here."""

from __future__ import annotations

from notifications.models.batch import Batch, BatchDelta, BatchRejection
from notifications.models.category import Category
from notifications.models.delivery import Attempt, DeadLetter, Delivery, Event
from notifications.models.device import Device
from notifications.models.inbox import InboxItem
from notifications.models.notification import Notification
from notifications.models.provider import ProviderChange, ProviderState
from notifications.models.queue_sample import QueueSample
from notifications.models.recipient import Address, Recipient
from notifications.models.schedule import Schedule
from notifications.models.simulated import SimulatedMessage, SimulatorRule
from notifications.models.suppression import Suppression
from notifications.models.work import Work

__all__ = [
    "Address",
    "Attempt",
    "Batch",
    "BatchDelta",
    "BatchRejection",
    "Category",
    "DeadLetter",
    "Delivery",
    "Device",
    "Event",
    "InboxItem",
    "Notification",
    "ProviderChange",
    "ProviderState",
    "QueueSample",
    "Recipient",
    "Schedule",
    "SimulatedMessage",
    "SimulatorRule",
    "Suppression",
    "Work",
]
