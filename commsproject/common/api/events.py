"""The schemas of the events that go out, as their `dataschema` names them. Public, like the API's."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_safe

from commsproject.common.errors import NotFound
from commsproject.common.outbox import catalogue


@require_safe
def schema(request: HttpRequest, kind: str) -> HttpResponse:
    """JSON Schema of the data of one type."""
    if kind not in catalogue.KINDS:
        raise NotFound
    return JsonResponse({"$id": _address(kind), **catalogue.KINDS[kind].schema()})


@require_safe
def schemas(request: HttpRequest) -> HttpResponse:
    """Of all types, by name."""
    return JsonResponse(
        {kind: {"$id": _address(kind), **known.schema()} for kind, known in catalogue.KINDS.items()}
    )


def _address(kind: str) -> str:
    return f"{settings.PUBLIC_URL}/api/events/{kind}"


urlpatterns = [
    path("", schemas, name="event-schemas"),
    path("<str:kind>", schema, name="event-schema"),
]
