from __future__ import annotations

import yaml
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from commsproject.common.live import asyncapi


@require_safe
def describe(request: HttpRequest) -> HttpResponse:
    """JSON, or YAML with `?format=yaml`."""
    document = asyncapi.document()
    if request.GET.get("format") == "yaml":
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        return HttpResponse(text, content_type="application/yaml; charset=utf-8")
    return JsonResponse(document)
