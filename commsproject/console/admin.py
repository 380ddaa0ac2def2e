"""Staff accounts, in the looks of the rest."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User

from commsproject.common.admin.theme import (
    AdminPasswordChangeForm,
    AdminUserCreationForm,
    ModelAdmin,
    UserChangeForm,
)

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class StaffAdmin(UserAdmin, ModelAdmin[User]):  # type: ignore[type-arg]  # generic in its stub only
    form = UserChangeForm
    add_form = AdminUserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class StaffGroupAdmin(GroupAdmin, ModelAdmin[Group]):
    pass
