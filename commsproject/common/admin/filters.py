from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import floor


class Age(SimpleListFilter):
    """By the time that is in the key: a range of the primary key's index, no index of its own."""

    title = "age"
    parameter_name = "age"
    spans = {
        "hour": ("Last hour", timedelta(hours=1)),
        "day": ("Last 24 hours", timedelta(days=1)),
        "week": ("Last 7 days", timedelta(days=7)),
        "month": ("Last 30 days", timedelta(days=30)),
    }

    @override
    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(key, label) for key, (label, _) in self.spans.items()]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since = self.since(request)
        return queryset if since is None else queryset.filter(id__gte=since)

    @classmethod
    def since(cls, request: HttpRequest) -> UUID | None:
        """The lowest key of the time that is chosen; None where none is."""
        span = cls.spans.get(request.GET.get(cls.parameter_name, ""))
        return floor(timezone.now() - span[1]) if span else None
