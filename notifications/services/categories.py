"""Categories: what messages are about, and the rules of each."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from commsproject.common.errors import Conflict, InvalidInput, NotFound
from notifications.models import Category
from notifications.services import bounce_rates, fallback

RULES = (
    *("name", "kind", "on_unknown", "long_text", "is_optional", "is_opt_in"),
    *("needs_confirmation", "channels", "fallback", "quiet", "spares_watchers", "daily_cap"),
    *("digest_minutes", "digest_first_at_once", "content_days", "inbox_days", "is_sensitive"),
    *("track_opens", "track_clicks", "is_paused"),
)
"""What may be set, by anybody who may."""


def get(key: str) -> Category:
    """Raises `NotFound`."""
    found = Category.objects.filter(key=key).first()
    if found is None:
        raise NotFound("There is no category with this key.")
    return found


def make(key: str, **rules: Any) -> Category:
    """Raises `Conflict` where there is one, `InvalidInput` for rules that do not go together."""
    category = Category(key=key, **rules)
    check(category)
    Category.objects.bulk_create([category], ignore_conflicts=True)
    if not Category.objects.filter(id=category.id).exists():
        raise Conflict(f"There is a category {key!r} already.")
    return category


def change(key: str, **rules: Any) -> Category:
    """Raises `NotFound`, `InvalidInput`."""
    with transaction.atomic():
        category = Category.objects.select_for_update(no_key=True).filter(key=key).first()
        if category is None:
            raise NotFound("There is no category with this key.")
        for name, value in rules.items():
            setattr(category, name, value)
        if "is_paused" in rules:
            category.pause_reason = ""
        check(category)
        category.save(update_fields=[*rules, "pause_reason"])
        if rules.get("is_paused") is False:
            bounce_rates.start_again(category)
    return category


def check(category: Category) -> None:
    """Raises `InvalidInput` for rules that do not go together."""
    fallback.check(category.fallback, category.channels)
    if len(set(category.channels)) < len(category.channels):
        raise InvalidInput.of("channels", "repeated", "Each channel is named once.")
    if category.needs_confirmation and not category.is_opt_in:
        raise InvalidInput.of(
            "needs_confirmation",
            "not_opt_in",
            "Only what people ask for can be confirmed: set is_opt_in too.",
        )
    if category.is_sensitive and category.track_clicks:
        raise InvalidInput.of(
            "track_clicks", "sensitive", "Where links of sensitive messages lead is not kept."
        )
    if category.kind == Category.Kind.ESSENTIAL and category.is_opt_in:
        raise InvalidInput.of(
            "is_opt_in", "essential", "Essential messages go to everybody they are meant for."
        )
    if category.digest_minutes and category.fallback:
        raise InvalidInput.of(
            "digest_minutes", "has_steps", "What goes in steps is not collected: choose one."
        )
    if category.kind == Category.Kind.ESSENTIAL and category.digest_minutes:
        raise InvalidInput.of(
            "digest_minutes", "essential", "Essential messages are not collected."
        )
