from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.identity.scopes import Scope

_SCOPES = {
    "GET": Scope.CONVERSATIONS_READ,
    **dict.fromkeys(("POST", "PATCH", "DELETE"), Scope.CONVERSATIONS_WRITE),
}


class View(APIView):
    """For who takes part: people, and agents with the scope of what they do."""

    required_scopes: ClassVar[Mapping[str, Scope | None]]
    allow_end_users = True

    @override
    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.required_scopes = {
            name: scope for name, scope in _SCOPES.items() if hasattr(cls, name.lower())
        }
