from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from commsproject.common import audit
from commsproject.common.errors import CommsError
from commsproject.common.models import ApiClient
from commsproject.console.compose import looks
from commsproject.console.compose.forms import BatchForm, ContentForm, MessageForm
from commsproject.console.uploads import takes_files
from notifications.api.batch_input import largest_upload
from notifications.models import Notification
from notifications.services import submit
from notifications.services.submit import Accepted
from templates_app.models import Template

MAY_SEND = "notifications.add_notification"
MAY_SEND_MANY = "notifications.add_batch"

_may_send = permission_required(MAY_SEND, raise_exception=True)
_may_send_many = permission_required(MAY_SEND_MANY, raise_exception=True)

_Done = HttpResponse | dict[str, Any]
"""Where to go, or what the page shows beside the form."""


@_may_send
def message(request: HttpRequest) -> HttpResponse:
    """GET shows the form; POST shows what would go out, and with `send` has it go out."""

    def act(form: MessageForm) -> _Done:
        asked = form.submission()
        agent = form.cleaned_data["agent"]
        if "send" not in request.POST:
            return {"looks": looks.of_message(agent, asked)}
        with transaction.atomic():
            (result,) = submit.accept(agent, [asked])
            if isinstance(result, CommsError):
                raise result
            return _sent(request, result)

    return _page(request, MessageForm, act)


@takes_files(largest_upload)
@audit.own_transactions
@_may_send_many
def batch(request: HttpRequest) -> HttpResponse:
    """GET shows the form; POST takes the rows in. The batch's own page shows them before they go."""

    def act(form: BatchForm) -> _Done:
        row = form.receive(request.user.get_username())
        _log(request, row, "Composed in the console.")
        return HttpResponseRedirect(reverse("admin:notifications_batch_change", args=[row.pk]))

    return _page(request, BatchForm, act)


def _page(
    request: HttpRequest, form_class: type[ContentForm], act: Callable[[Any], _Done]
) -> HttpResponse:
    form = form_class(request.POST or None, request.FILES or None)
    shown: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        try:
            done = act(form)
        except CommsError as error:
            form.refuse(error)
        else:
            if isinstance(done, HttpResponse):
                return done
            shown = done
    context = {
        **admin.site.each_context(request),
        "title": "Compose",
        "form": form,
        "is_batch": form_class is BatchForm,
        "may_send": request.user.has_perm(MAY_SEND),
        "may_send_many": request.user.has_perm(MAY_SEND_MANY),
        "has_agent": ApiClient.objects.filter(is_active=True).exists(),
        **shown,
    }
    return render(request, "console/compose.html", context)


def _sent(request: HttpRequest, result: Accepted) -> HttpResponse:
    key = UUID(result.response["id"])
    row = Notification.objects.get(pk=key)
    if not result.replayed:
        _log(request, row, "Composed in the console.")
    messages.success(request, "Accepted: it is on its way. This page shows what becomes of it.")
    return HttpResponseRedirect(reverse("admin:notifications_notification_change", args=[key]))


def _log(request: HttpRequest, row: models.Model, said: str) -> None:
    admin.site.get_model_admin(type(row)).log_addition(request, row, said)


# --- What the page's script asks ---------------------------------------------------------------


@_may_send
@require_GET
def example(request: HttpRequest) -> HttpResponse:
    """Data to begin with, for a template: `{"data": {...}}`."""
    return JsonResponse({"data": looks.example(_template(request))})


@_may_send_many
@require_GET
def example_file(request: HttpRequest) -> HttpResponse:
    """A CSV with the columns that a template needs, and a row to write over."""
    data = looks.example(_template(request))
    flat = {name: value for name, value in data.items() if isinstance(value, str | int | float)}
    # What begins otherwise a spreadsheet might take for a formula.
    cells = {name: value if str(value)[:1].isalnum() else "" for name, value in flat.items()}
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="example.csv"'
    writer = csv.writer(answer)
    writer.writerow(["email", "reference", *cells])
    writer.writerow(["ada@example.com", "row-1", *cells.values()])
    return answer


def _template(request: HttpRequest) -> Template:
    key = request.GET.get("template", "")
    return get_object_or_404(Template, key=key, archived_at__isnull=True)
