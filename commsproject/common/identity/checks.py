"""System checks: no view without a declared scope, no production without a sound identity set-up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.urls import URLPattern, URLResolver, get_resolver

from commsproject.common.identity.permissions import HasScope, allows_end_users, declared

_FREE = {"head", "options"}


@register(Tags.security)
def every_view_declares_its_scopes(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """common.E001 for each API view that answers a method for which it says no scope."""
    return [
        Error(
            f"{view.__name__} (/{route}) declares no scope for {', '.join(missing)}.",
            hint="Set `required_scopes`; see commsproject.common.identity.permissions.",
            id="common.E001",
        )
        for route, view, missing in undeclared(get_resolver().url_patterns)
    ]


@register(Tags.security, deploy=True)
def identity_is_sound(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What `check --deploy` has to say of the settings."""
    found: list[CheckMessage] = []
    if settings.IDENTITY_DEVELOPMENT_ISSUER:
        found.append(Error("IDENTITY_DEVELOPMENT_ISSUER is on.", id="common.E002"))
    if not settings.IDENTITY_JWKS_URL and not settings.IDENTITY_VALIDATE_URL:
        hint = "Set IDENTITY_JWKS_URL or IDENTITY_VALIDATE_URL if people shall sign in."
        found.append(checks.Warning("No user token is accepted.", hint=hint, id="common.W001"))
    if settings.IDENTITY_JWKS_URL and settings.IDENTITY_VALIDATE_URL:
        hint = "Set only one of the two."
        found.append(
            checks.Warning("IDENTITY_VALIDATE_URL is not used.", hint=hint, id="common.W002")
        )
    if settings.IDENTITY_JWKS_URL:
        found += [
            checks.Warning(
                f"{name} is not set: tokens made for other services are accepted.", id="common.W003"
            )
            for name in ("IDENTITY_ISSUER", "IDENTITY_AUDIENCE")
            if not getattr(settings, name)
        ]
    return found


def undeclared(
    patterns: Sequence[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, type[Any], list[str]]]:
    """Route, view and methods of every pattern that `HasScope` would refuse to everyone."""
    for pattern in patterns:
        route = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from undeclared(pattern.url_patterns, route)
            continue
        view = getattr(pattern.callback, "cls", None)
        if view is None or not _asks_for_scopes(pattern) or allows_end_users(view):
            continue
        if missing := sorted(_methods(pattern) - set(declared(view))):
            yield route, view, missing


def _asks_for_scopes(pattern: URLPattern) -> bool:
    callback: Any = pattern.callback
    permissions = getattr(callback, "initkwargs", {}).get("permission_classes")
    if permissions is None:
        permissions = callback.cls.permission_classes
    return any(isinstance(one, type) and issubclass(one, HasScope) for one in permissions)


def _methods(pattern: URLPattern) -> set[str]:
    callback: Any = pattern.callback
    routed = getattr(callback, "actions", None)  # of a view set
    answered = routed or [
        name for name in callback.cls.http_method_names if hasattr(callback.cls, name)
    ]
    return {name.upper() for name in answered if name not in _FREE}
