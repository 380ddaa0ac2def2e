"""Rows that every app needs. One file per thing; import them from here."""

from __future__ import annotations

from commsproject.common.models.agent import ApiClient, ApiKey, IdempotencyKey
from commsproject.common.models.alert import (
    Alert,
    AlertCount,
    AlertDelta,
    AlertNotice,
    AlertRule,
    AlertTarget,
    Severity,
)
from commsproject.common.models.audit import AuditEvent
from commsproject.common.models.live import LastSeen, LiveTicket
from commsproject.common.models.outbox import OutboxEvent
from commsproject.common.models.personal_data import ExportedPage, PersonalDataJob
from commsproject.common.models.scheduled_job import ScheduledJob
from commsproject.common.models.staff import RecoveryCode, SecondFactor, SignInTry, StaffSession

__all__ = [
    "Alert",
    "AlertCount",
    "AlertDelta",
    "AlertNotice",
    "AlertRule",
    "AlertTarget",
    "ApiClient",
    "ApiKey",
    "AuditEvent",
    "ExportedPage",
    "IdempotencyKey",
    "LastSeen",
    "LiveTicket",
    "OutboxEvent",
    "PersonalDataJob",
    "RecoveryCode",
    "ScheduledJob",
    "SecondFactor",
    "Severity",
    "SignInTry",
    "StaffSession",
]
