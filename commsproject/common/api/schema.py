"""How callers identify themselves, for the published API description. Loaded by `CommonConfig`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from typing_extensions import override

from commsproject.common.identity.permissions import allows_end_users


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "commsproject.common.identity.authentication.ApiKeyAuthentication"
    name = "apiKey"

    @override
    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "comm_live_<prefix>_<secret>",
            "description": "The key of an agent. What it may do is a matter of its scopes.",
        }


class UserTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "commsproject.common.identity.authentication.UserTokenAuthentication"
    name = "userToken"

    @override
    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The token of an end user, from the identity service.",
        }

    @override
    def get_security_requirement(self, auto_schema: AutoSchema) -> Any:
        """Only where end users are let in at all."""
        return {self.name: []} if allows_end_users(auto_schema.view) else []
