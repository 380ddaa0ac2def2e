"""Asking before something is done to many rows at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from commsproject.common.admin import BaseAdmin, Question


def ask_first(
    page: BaseAdmin[Any],
    request: HttpRequest,
    question: Question,
    *,
    action: str,
    keys: Collection[UUID],
) -> HttpResponse | None:
    """The page that asks; None once the answer is yes. `action` is called again with `keys`."""
    if "post" in request.POST:
        return None
    template = "notifications/admin/confirm_selected.html"
    context = {"question": question, "action": action, "keys": keys}
    return page.page(request, template, context, title=question.title)
