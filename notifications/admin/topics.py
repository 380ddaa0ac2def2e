from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import EditableAdmin, ago, link
from notifications.models import Topic, TopicMember

SHOWN = 50
"""Members that a page lists: a topic may have millions."""


@admin.register(Topic)
class TopicAdmin(EditableAdmin[Topic]):
    """Named groups of people to send to. Agents put people in and take them out."""

    list_display = ("key", "name", "size", "created")
    fields = ("key", "name", "size", "newest", "created")
    nothing = "No topics yet"
    begin = "Make one; agents put people in: POST /api/v1/topics."

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Topic | None = None) -> Any:
        """Messages name a topic by its key."""
        return ("key", "size", "newest", "created") if obj else ()

    @override
    def get_fields(self, request: HttpRequest, obj: Topic | None = None) -> Any:
        return self.fields if obj else ("key", "name")

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Topic]:
        members = TopicMember.objects.filter(topic=OuterRef("pk")).order_by().values("topic")
        size = Subquery(members.annotate(n=Count("*")).values("n"), IntegerField())
        return super().get_queryset(request).annotate(size=Coalesce(size, 0))

    @admin.display(description="Members")
    def size(self, topic: Topic) -> str:
        return f"{getattr(topic, 'size', 0):,}"

    @admin.display(description="Newest members")
    def newest(self, topic: Topic) -> SafeString | None:
        rows = topic.memberships.select_related("recipient").order_by("-id")[:SHOWN]
        found = [link(self.url_of(row.recipient), row.recipient.user_id) for row in rows]
        return SafeString(", ".join(found)) if found else None

    @admin.display(description="Created")
    def created(self, topic: Topic) -> SafeString:
        return ago(topic.created_at)
