from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import EditableAdmin, Tone, ago, badge
from notifications.models import Category

_TONES = {
    Category.Kind.ESSENTIAL: Tone.WARN,
    Category.Kind.TRANSACTIONAL: Tone.BUSY,
    Category.Kind.MARKETING: Tone.QUIET,
}


@admin.register(Category)
class CategoryAdmin(EditableAdmin[Category]):
    """What messages are about, and the rules of each kind."""

    list_display = ("key", "name", "kind_badge", "on_unknown", "created")
    fields = ("key", "name", "kind", "on_unknown", "long_text")

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Category | None = None) -> Any:
        """Messages and suppressions name a category by its key."""
        return ("key",) if obj else ()

    @admin.display(description="Kind", ordering="kind")
    def kind_badge(self, category: Category) -> SafeString:
        kind = Category.Kind(category.kind)
        return badge(kind.label, _TONES[kind])

    @admin.display(description="Created", ordering="created_at")
    def created(self, category: Category) -> SafeString:
        return ago(category.created_at)
