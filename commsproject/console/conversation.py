"""A page on which two made-up people write to each other: to try it out, and to read how it is done."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from commsproject.common.identity import issuer

_LASTS = timedelta(hours=8)


@never_cache
@require_GET
def conversation(request: HttpRequest) -> HttpResponse:
    """`/demo/?me=ada&other=bob`. Only where tokens are made without an identity service."""
    if not settings.IDENTITY_DEVELOPMENT_ISSUER:
        raise Http404
    me, other = (_name(request, *pair) for pair in (("me", "ada"), ("other", "bob")))
    if me == other:
        other = "bob" if me != "bob" else "ada"
    context = {"me": me, "other": other, "token": issuer.issue(me, _LASTS)}
    return render(request, "console/demo.html", context)


def _name(request: HttpRequest, field: str, default: str) -> str:
    name = request.GET.get(field, default)[:50].strip()
    return name if name.isprintable() and name else default
