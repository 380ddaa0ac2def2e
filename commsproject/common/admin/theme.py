"""The theme of the staff pages. The one module that knows which it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the theme has no types; what it extends has
    from django.contrib.admin import AdminSite, ModelAdmin, TabularInline
    from django.contrib.admin.forms import AdminAuthenticationForm as AuthenticationForm
    from django.contrib.admin.views.main import ChangeList
    from django.contrib.admin.widgets import (
        AdminSplitDateTime,
        AdminTextareaWidget,
        AdminTextInputWidget,
    )
    from django.contrib.auth.forms import (
        AdminPasswordChangeForm,
        AdminUserCreationForm,
        UserChangeForm,
    )
    from django.core.paginator import Paginator
    from django.forms import CheckboxSelectMultiple, ModelForm, PasswordInput, Select
else:
    from django import forms
    from django.core import paginator
    from unfold.admin import ModelAdmin as _ModelAdmin
    from unfold.admin import TabularInline as _TabularInline
    from unfold.forms import AdminPasswordChangeForm, AuthenticationForm, UserChangeForm
    from unfold.forms import UserCreationForm as AdminUserCreationForm
    from unfold.sites import UnfoldAdminSite as AdminSite
    from unfold.views import ChangeList
    from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as CheckboxSelectMultiple
    from unfold.widgets import UnfoldAdminPasswordWidget as PasswordInput
    from unfold.widgets import UnfoldAdminSelectWidget as Select
    from unfold.widgets import UnfoldAdminSplitDateTimeWidget as AdminSplitDateTime
    from unfold.widgets import UnfoldAdminTextareaWidget as AdminTextareaWidget
    from unfold.widgets import UnfoldAdminTextInputWidget as AdminTextInputWidget

    class Subscriptable:
        """Can be written with its models in brackets, like its stub."""

        def __class_getitem__(cls, _models):
            return cls

    class ModelAdmin(Subscriptable, _ModelAdmin):
        pass

    class TabularInline(Subscriptable, _TabularInline):
        hide_title = True

    class ModelForm(Subscriptable, forms.ModelForm):
        pass

    class Paginator(Subscriptable, paginator.Paginator):
        pass


__all__ = [
    "AdminPasswordChangeForm",
    "AdminSite",
    "AdminSplitDateTime",
    "AdminTextInputWidget",
    "AdminTextareaWidget",
    "AdminUserCreationForm",
    "AuthenticationForm",
    "ChangeList",
    "CheckboxSelectMultiple",
    "ModelAdmin",
    "ModelForm",
    "Paginator",
    "PasswordInput",
    "Select",
    "TabularInline",
    "UserChangeForm",
]
