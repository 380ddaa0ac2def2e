"""People's inboxes, to look at: what is in them, what was done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import ReadOnlyAdmin, Tone, ago, as_uuid, badge, link, shorten
from notifications.models import Category, Inbox, InboxItem
from notifications.services import inbox_feed
from notifications.services.inbox_feed import Filter

SHOWN = 50
"""Items of each tab on a page."""
_TABS = {
    "In the feed": Filter.ALL,
    Filter.SNOOZED.label: Filter.SNOOZED,
    Filter.ARCHIVED.label: Filter.ARCHIVED,
}


@dataclass(frozen=True)
class _Line:
    """One item as the page shows it."""

    title: str
    kind: str
    state: SafeString
    shown: SafeString
    ends: SafeString


@admin.register(Inbox)
class InboxAdmin(ReadOnlyAdmin[Inbox]):
    """The numbers are those that are kept; announcements that nobody has touched are not in them."""

    list_display = ("person", "unseen", "unread", "snoozed")
    list_select_related = ("recipient",)
    ordering = ("-recipient_id",)
    fields = ("person_page", "unseen", "unread", "snoozed", "seq")
    search_fields = ("recipient__user_id",)
    search_help_text = "Exact user id"
    nothing = "Nobody has a message in the app"
    begin = "A person has an inbox from the first message on that goes to the channel in-app."
    change_form_template = "notifications/admin/inbox.html"

    @override
    def look_up(self, rows: QuerySet[Inbox], term: str) -> QuerySet[Inbox]:
        return rows.filter(Q(recipient__user_id=term) | Q(recipient=as_uuid(term)))

    @override
    def own_page(self, row: Inbox) -> dict[str, Any]:
        pages = {
            label: inbox_feed.page(row.pk, which, limit=SHOWN) for label, which in _TABS.items()
        }
        return {
            "subtitle": None,
            "title": row.recipient.user_id,
            "tabs": [
                (label, [_line(item) for item in page.items], page.older is not None)
                for label, page in pages.items()
            ],
        }

    @admin.display(description="Person")
    def person(self, row: Inbox) -> str:
        return row.recipient.user_id

    @admin.display(description="Person")
    def person_page(self, row: Inbox) -> SafeString:
        return link(self.url_of(row.recipient), row.recipient.user_id)


def _line(item: InboxItem) -> _Line:
    """One-time codes and the like are nobody's business but the person's."""
    said = item.announcement or item
    text = "Hidden" if _is_private(item.category) else shorten(said.title or said.body)
    return _Line(
        text, inbox_feed.kind(item), _state(item), ago(item.shown_at), ago(item.expires_at)
    )


def _is_private(category: Category | None) -> bool:
    if category is None:
        return False
    return category.is_sensitive or category.kind == Category.Kind.ESSENTIAL


def _state(item: InboxItem) -> SafeString:
    if item.read_at:
        return badge("Read", Tone.GOOD)
    return badge("Seen", Tone.BUSY) if item.seen_at else badge("New", Tone.WARN)
