"""The same looks for templates that `commsproject.common.admin.show` gives to lists."""

from __future__ import annotations

import math
from datetime import datetime

from django import template
from django.contrib import admin
from django.db.models import Model
from django.utils.safestring import SafeString

from commsproject.common.staff import browsers

register = template.Library()


@register.filter
def ago(moment: datetime | None) -> SafeString:
    from commsproject.common.admin import show  # Unfold renders a widget while it is imported

    return show.ago(moment)


@register.filter
def named(what: object) -> str:
    """A row as staff call it; anything else as it is."""
    from commsproject.common.admin import StaffModelAdmin  # as above

    page = admin.site._registry.get(type(what)) if isinstance(what, Model) else None  # noqa: SLF001
    return page.named(what) if isinstance(page, StaffModelAdmin) else str(what)


@register.filter
def thousands(count: int) -> str:
    """`1,234,567`."""
    return f"{count:,}"


@register.filter
def browser(user_agent: str) -> str:
    return browsers.name(user_agent)


@register.filter
def percent(share: float) -> str:
    """`99.87%`, never rounded up to all of it."""
    return f"{math.floor(share * 10_000) / 100:.2f}%".replace(".00%", "%")


@register.simple_tag
def mail(html: str, title: str = "Message") -> SafeString:
    from commsproject.common.admin import sandbox  # as above

    return sandbox.frame(html, title)
