"""`/demo/`: two made-up people write to each other and a bell rings, with the widgets that others embed."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from commsproject.common.identity import issuer, keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient, ApiKey

_AGENT = "demo page"
_LASTS = timedelta(hours=8)


@never_cache
@require_GET
def playground(request: HttpRequest) -> HttpResponse:
    """`/demo/?left=ada&right=bob`. Only where tokens are made without an identity service."""
    if not settings.IDENTITY_DEVELOPMENT_ISSUER:
        raise Http404
    left, right = (_name(request, *pair) for pair in (("left", "ada"), ("right", "bob")))
    if left == right:
        right = "bob" if left != "bob" else "ada"
    start = {
        "people": [{"id": one, "token": issuer.issue(one, _LASTS)} for one in (left, right)],
        "key": _key(),
    }
    return render(request, "console/demo.html", {"start": start})


def _name(request: HttpRequest, field: str, default: str) -> str:
    name = request.GET.get(field, default)[:50].strip()
    return name if name.isprintable() and name else default


def _key() -> str:
    """With which the page's form sends, as an agent would; those of earlier days are removed."""
    agent, _ = ApiClient.objects.get_or_create(name=_AGENT)
    now = timezone.now()
    ApiKey.objects.filter(client=agent, expires_at__lt=now).delete()
    return keys.issue(agent, [Scope.NOTIFICATIONS_WRITE], now + _LASTS)[1]
