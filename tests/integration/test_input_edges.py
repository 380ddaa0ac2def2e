"""Input that is nearly right: what a lenient reader would have turned into something else."""

from __future__ import annotations

from rest_framework.test import APIClient

from notifications.models import Notification
from tests.walk import each


def attached(content_type: str) -> dict[str, str]:
    return {"filename": "a.txt", "content": "YQ==", "content_type": content_type}


@each(
    ("change", "field"),
    [
        ({"content": {"subject": 5, "text": "t"}}, "content.subject"),
        ({"content": {"subject": "s", "text": 12}}, "content.text"),
        ({"agent_id": 1e308}, "agent_id"),
        ({"reference": 0}, "reference"),
        ({"metadata": {"a": 5}}, "metadata.a"),
        ({"tags": [5]}, "tags.0"),
        ({"dry_run": 0}, "dry_run"),
        ({"dry_run": "no"}, "dry_run"),
        ({"content": {"subject": "a\x80b", "text": "t"}}, "content.subject"),
        ({"to": {"email": "=?utf-8?q?victim?=@example.org"}}, "to.email"),
        ({"reply_to": "=?utf-8?b?dmljdGlt?=@example.org"}, "reply_to"),
        ({"to": {"phone": "call me at +14155552671"}}, "to.phone"),
        ({"to": {"phone": "+14155552671 / x2672"}}, "to.phone"),
        ({"to": {"phone": "+14155552671;ext=5"}}, "to.phone"),
        ({"to": {"phone": "+1800FLOWERS"}}, "to.phone"),
        ({"to": {"phone": "+49170123456789012"}}, "to.phone"),
        ({"attachments": [attached("multipart/mixed")]}, "attachments.0.content_type"),
        ({"attachments": [attached("t\u00ebxt/plain")]}, "attachments.0.content_type"),
    ],
)
def test_what_looks_nearly_right_is_refused_by_name(
    api: APIClient, change: dict[str, object], field: str
) -> None:
    body = {
        "to": {"email": "ada@simulator.test"},
        "content": {"subject": "s", "text": "t"},
        **change,
    }
    answer = api.post("/api/v1/notifications", body, format="json")
    assert answer.status_code == 400, answer.content
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert not Notification.objects.exists()
