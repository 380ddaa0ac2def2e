"""How often one caller may ask: each API key and each end user has a bucket of its own.

Every answer to a caller says how it stands, by the `RateLimit` fields of
draft-ietf-httpapi-ratelimit-headers-10. Settings load this module early: it imports no more of DRF
than it needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from typing_extensions import override

from commsproject.common import limits
from commsproject.common.errors import RateLimited
from commsproject.common.identity.principals import Agent, EndUser, principal
from commsproject.common.limits import Bucket, Standing
from commsproject.common.models import ApiKey
from commsproject.common.personal_data.registry import digest

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which loads this module while it loads itself

_STANDING = "_rate_limit"


class CallerThrottle(BaseThrottle):
    """One request, one token, whatever it carries: a batch too."""

    @override
    def allow_request(self, request: Request, view: APIView) -> bool:
        """Raises RateLimited."""
        bucket = _bucket(request)
        if bucket is None:
            return True
        grant = limits.take([bucket], 1)
        (standing,) = grant.standings
        tell(request._request, standing)  # noqa: SLF001 - DRF offers no other way
        if not grant.granted:
            seconds = math.ceil(grant.wait)
            raise RateLimited(
                f"More than {bucket.count} requests in {bucket.seconds:g} s. "
                f"Ask again in {seconds} s.",
                retry_after=seconds,
            )
        return True


class RateLimitMiddleware:
    """The fields of the standing that `CallerThrottle` noted, also on answers that are errors."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        standing: Standing | None = getattr(request, _STANDING, None)
        if standing is not None:
            for name, value in fields(standing).items():
                response[name] = value
        return response


def fields(standing: Standing) -> Mapping[str, str]:
    """How a caller stands, as headers."""
    bucket = standing.bucket
    name = f'"{bucket.name.partition(":")[0]}"'
    return {
        "RateLimit-Policy": f"{name};q={bucket.count};w={math.ceil(bucket.seconds)}",
        "RateLimit": f"{name};r={standing.free};t={math.ceil(standing.back)}",
    }


def tell(request: HttpRequest, standing: Standing) -> None:
    """`RateLimitMiddleware` adds it to the answer."""
    setattr(request, _STANDING, standing)


def bucket_of(key: ApiKey) -> Bucket | None:
    """Of an agent's key; None where agents have no limit."""
    return _of("agent", str(key.pk))


def _bucket(request: Request) -> Bucket | None:
    credentials: object = request.auth
    match principal(request):
        case Agent() if isinstance(credentials, ApiKey):
            return bucket_of(credentials)
        case EndUser(user_id=user_id):
            return _of("user", digest(user_id))  # Valkey need not know who it is
        case _:
            return None


def _of(kind: str, caller: str) -> Bucket | None:
    rate = settings.API_LIMITS[kind]
    return Bucket(f"{kind}:{caller}", rate.count, rate.seconds) if rate else None
