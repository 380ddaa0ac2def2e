"""Support conversations are the staff inbox's; those of people among themselves are nobody's here. What
names one on a staff page (the trail) leads there.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from typing_extensions import override

from commsproject.common.admin import ReadOnlyAdmin
from conversations.models import Conversation
from conversations.types import Kind


@admin.register(Conversation)
class SupportAdmin(ReadOnlyAdmin[Conversation]):
    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        return super().get_queryset(request).filter(kind=Kind.SUPPORT)

    @override
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseRedirect:
        return self._to_the_inbox(request)

    @override
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponseRedirect:
        return self._to_the_inbox(request, object_id)

    def _to_the_inbox(
        self, request: HttpRequest, object_id: str | None = None
    ) -> HttpResponseRedirect:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id) if object_id else None
        where = reverse("staff-inbox-of", args=[row.pk]) if row else reverse("staff-inbox")
        return HttpResponseRedirect(where)
