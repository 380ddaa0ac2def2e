from __future__ import annotations

from functools import cache

import orjson
import yaml
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from commsproject.common.live import asyncapi


@require_safe
def describe(request: HttpRequest) -> HttpResponse:
    """JSON, or YAML with `?format=yaml`."""
    if request.GET.get("format") == "yaml":
        text = written("yaml", settings.PUBLIC_URL)
        return HttpResponse(text, content_type="application/yaml; charset=utf-8")
    return HttpResponse(written("json", settings.PUBLIC_URL), content_type="application/json")


@cache
def written(form: str, _url: str) -> bytes:
    """Once in a process: anybody may ask for it, often."""
    document = asyncapi.document()
    if form == "json":
        return orjson.dumps(document)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()
