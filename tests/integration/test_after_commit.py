"""What follows a commit may fail: the message is accepted all the same, and nobody sends it twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from rest_framework.test import APIClient

from commsproject.common import tracing
from notifications import email_backend
from notifications.models import Notification
from notifications.services import route

Commit = Callable[..., AbstractContextManager[list[Callable[[], Any]]]]


def fail(*_: object) -> None:
    raise ConnectionError("after the commit")


def test_a_trace_that_cannot_begin_costs_no_answer(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Commit
) -> None:
    monkeypatch.setattr(tracing, "accepted", fail)
    body = {"to": {"email": "ada@example.org"}, "content": {"subject": "Hello", "text": "Hello"}}
    with django_capture_on_commit_callbacks(execute=True):
        answer = api.post("/api/v1/notifications", body, format="json")
    assert answer.status_code == 202
    assert Notification.objects.count() == 1


def test_a_report_that_cannot_be_written_costs_no_mail(
    db: None, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Commit
) -> None:
    monkeypatch.setattr(route, "report", fail)
    with django_capture_on_commit_callbacks(execute=True):
        email_backend._report("sendgrid", None)
