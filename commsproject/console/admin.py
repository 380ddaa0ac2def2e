"""Staff accounts, in the looks of the rest; the pages that need more than one app."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from typing_extensions import override

from commsproject.common.admin import StaffModelAdmin
from commsproject.common.admin.theme import (
    AdminPasswordChangeForm,
    AdminUserCreationForm,
    UserChangeForm,
)
from commsproject.common.models import StaffSession
from commsproject.common.staff import factors, sessions
from commsproject.console import providers  # noqa: F401 - registers itself

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class StaffAdmin(UserAdmin, StaffModelAdmin[User]):  # type: ignore[type-arg]  # generic in its stub only
    """Who may change accounts can give roles, but only superusers make or touch superusers."""

    form = UserChangeForm
    add_form = AdminUserCreationForm
    change_password_form = AdminPasswordChangeForm
    actions = ("reset_second_factor",)

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Also nobody takes a role on or off themselves."""
        if request.user.is_superuser:
            return super().get_readonly_fields(request, obj)
        own = ("groups", "is_active", "is_staff") if obj == request.user else ()
        return (
            *super().get_readonly_fields(request, obj),
            *own,
            "is_superuser",
            "user_permissions",
        )

    @override
    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _is_below(request, obj) and super().has_change_permission(request, obj)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _is_below(request, obj) and super().has_delete_permission(request, obj)

    @admin.action(description="Reset the second factor", permissions=["change"])
    def reset_second_factor(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        """For who has lost telephone and recovery codes."""
        chosen = [user for user in rows if _is_below(request, user)]
        for user in chosen:
            factors.turn_off(user)
            sessions.end(StaffSession.objects.filter(user=user))
            self.log_change(request, user, "Reset the second factor.")
        self.message_user(
            request, f"{len(chosen)} reset: they sign in by password and set it up anew."
        )


@admin.register(Group)
class StaffGroupAdmin(GroupAdmin, StaffModelAdmin[Group]):
    """Roles. What is added to one stays; what its row of the table names comes back."""


def _is_below(request: HttpRequest, obj: User | None) -> bool:
    return obj is None or not obj.is_superuser or request.user.is_superuser
