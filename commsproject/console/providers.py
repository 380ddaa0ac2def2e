"""The pages of the providers, with what the analytics know of each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import link
from commsproject.common.templatetags.comms import percent
from notifications.admin.providers import ProviderAdmin
from notifications.models import ProviderState
from tracking.live import MAY_SEE
from tracking.services import analytics
from tracking.services.analytics import Dimension, Figures, Question

admin.site.unregister(ProviderState)


@admin.register(ProviderState)
class ProviderPage(ProviderAdmin):
    """How many of its calls went well is shown to those who may see the analytics."""

    list_display = (*ProviderAdmin.list_display[:2], "success", *ProviderAdmin.list_display[2:])
    readonly_fields = (*ProviderAdmin.readonly_fields, "success")
    fields = (*ProviderAdmin.fields[:2], "success", *ProviderAdmin.fields[2:])

    @override
    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        _count(request, found.result_list)
        return found

    @override
    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> ProviderState | None:
        row = super().get_object(request, object_id, from_field)
        _count(request, [] if row is None else [row])
        return row

    @admin.display(description="Calls that went well, 24 h")
    def success(self, row: ProviderState) -> SafeString | None:
        figures: Figures | None = getattr(row, "figures", None)
        if not figures or not figures["calls"]:
            return None
        calls = figures["calls"]
        text = f"{percent(1 - figures['calls_failed'] / calls)} of {calls:,}"
        return link(f"{reverse('analytics')}?{urlencode({'provider': row.name})}", text)


def _count(request: HttpRequest, rows: Iterable[ProviderState]) -> None:
    """Give each row its figures of the last 24 hours, those of the hours that are not over as well."""
    if not request.user.has_perm(MAY_SEE):
        return
    now = timezone.now()
    question = Question(now - timedelta(hours=23), now + timedelta(hours=1), ZoneInfo("UTC"))
    most = len(settings.PROVIDERS) * 2
    found = analytics.top(question, Dimension.PROVIDER, "calls", most)
    figures = {one.key: one.figures for one in found}
    for row in rows:
        row.figures = figures.get(row.name)  # type: ignore[attr-defined]  # of this page alone
