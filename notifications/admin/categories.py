from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.postgres.forms import SimpleArrayField
from django.http import HttpRequest
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import EditableAdmin, Tone, ago, badge
from commsproject.common.admin.theme import AdminTextInputWidget, ModelForm
from commsproject.common.errors import InvalidInput
from notifications.models import Category
from notifications.services import bounce_rates, categories
from notifications.types import Channel

_TONES = {
    Category.Kind.ESSENTIAL: Tone.WARN,
    Category.Kind.TRANSACTIONAL: Tone.BUSY,
    Category.Kind.MARKETING: Tone.QUIET,
}


class OneChannel(forms.ChoiceField):
    """A word of a list, with the blank after the comma."""

    @override
    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).strip()


class CategoryForm(ModelForm[Category]):
    """Rules that do not go together are told at the field that is to be changed."""

    channels = SimpleArrayField(
        OneChannel(choices=Channel.choices),
        required=False,
        widget=AdminTextInputWidget,
        help_text=f"Where a message names none: any of {', '.join(Channel.values)}, with commas, in "
        "this order. Empty: all.",
    )

    class Meta:
        model = Category
        exclude = ("pause_reason",)

    def _post_clean(self) -> None:
        """Once the fields are those of `instance`, and before Django asks for its errors."""
        super()._post_clean()  # type: ignore[misc]  # the stubs do not know it
        if self.errors:
            return
        try:
            categories.check(self.instance)
        except InvalidInput as refusal:
            for error in refusal.errors:
                field, _, where = error.field.partition(".")
                self.add_error(field, f"{where}: {error.message}" if where else error.message)


@admin.register(Category)
class CategoryAdmin(EditableAdmin[Category]):
    """What messages are about, and the rules of each kind."""

    form = CategoryForm
    list_display = ("key", "name", "kind_badge", "state", "on_unknown", "created")
    nothing = "No category yet"
    begin = "A category says what messages are about: who may decline it, when and how it goes out."
    fieldsets = (
        (None, {"fields": ("key", "name", "kind")}),
        ("Sending", {"fields": ("is_paused", "pause_reason")}),
        (
            "What people decide",
            {"fields": ("is_optional", "is_opt_in", "needs_confirmation")},
        ),
        ("Where it goes", {"fields": ("channels", "fallback", "spares_watchers")}),
        (
            "When and how often",
            {"fields": ("quiet", "daily_cap", "digest_minutes", "digest_first_at_once")},
        ),
        ("What is noted", {"fields": ("track_opens", "track_clicks")}),
        ("Trouble", {"fields": ("on_unknown", "long_text")}),
        ("How long it is kept", {"fields": ("content_days", "inbox_days", "is_sensitive")}),
    )

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Category | None = None) -> Any:
        """Messages and suppressions name a category by its key."""
        return ("key", "pause_reason") if obj else ("pause_reason",)

    @override
    def save_model(self, request: HttpRequest, obj: Category, form: Any, change: bool) -> None:
        if "is_paused" in form.changed_data:
            obj.pause_reason = ""
            if not obj.is_paused:
                bounce_rates.start_again(obj)
        super().save_model(request, obj, form, change)

    @admin.display(description="Kind", ordering="kind")
    def kind_badge(self, category: Category) -> SafeString:
        kind = Category.Kind(category.kind)
        return badge(kind.label, _TONES[kind])

    @admin.display(description="Sending", ordering="is_paused")
    def state(self, category: Category) -> SafeString:
        return badge("Paused", Tone.BAD) if category.is_paused else badge("On", Tone.GOOD)

    @admin.display(description="Created", ordering="created_at")
    def created(self, category: Category) -> SafeString:
        return ago(category.created_at)
