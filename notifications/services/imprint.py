"""What the law asks for in a message: a way out of it, and where its sender is."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from django.conf import settings

from notifications import policy
from notifications.services import items
from notifications.services.items import Item
from notifications.types import Channel
from templates_app import links

_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_STYLE = "margin:24px 0 0;font-size:12px;line-height:1.5;color:#6b7280;text-align:center"


def headers(item: Item) -> dict[str, str]:
    """RFC 8058 one-click unsubscribe, on every email that a person may refuse; on marketing the name
    of the list too (RFC 2919).
    """
    if item.channel is not Channel.EMAIL or item.is_essential:
        return {}
    found = {
        "List-Unsubscribe": f"<{_unsubscribe_url(item)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    if item.is_marketing:
        domain = settings.PUBLIC_URL.partition("://")[2].partition("/")[0].partition(":")[0]
        found["List-Id"] = f"<{item.category}.{domain}>"
    return found


def linked(texts: Mapping[str, str], item: Item) -> Mapping[str, str]:
    """With the person's own links in place of the marks that rendering has left."""
    if not any(links.MARK in text for text in texts.values()):
        return texts
    ways_out = {
        links.UNSUBSCRIBE_MARK: _unsubscribe_url,
        links.PREFERENCES_MARK: _preferences_url,
    }
    filled = dict(texts)
    for mark, url in ways_out.items():
        for written in (mark, mark.replace("/", "&#x2f;")):  # in HTML it was escaped
            if any(written in text for text in filled.values()):
                link = url(item)
                filled = {name: text.replace(written, link) for name, text in filled.items()}
    return filled


def addressed(parts: Mapping[str, str], item: Item) -> Mapping[str, str]:
    """Marketing email with the postal address at its end, unless its template puts it somewhere."""
    address = settings.POSTAL_ADDRESS
    if not (address and item.is_marketing and item.channel is Channel.EMAIL):
        return parts
    if any("postal_address" in part for part in items.source(item).parts.values()):
        return parts
    found = dict(parts)
    if "text" in parts:
        found["text"] = f"{parts['text'].rstrip()}\n\n-- \n{address}\n"
    if "html" in parts:
        found["html"] = _below(parts["html"], f'<p style="{_STYLE}">{html.escape(address)}</p>')
    return found


def _below(page: str, line: str) -> str:
    ends = list(_BODY_END.finditer(page))
    place = ends[-1].start() if ends else len(page)
    return page[:place] + line + page[place:]


def _unsubscribe_url(item: Item) -> str:
    token = links.unsubscribe_token(
        channel=item.channel,
        address_hash=item.address_hash,
        scope=item.category or policy.ALL,
        delivery_id=item.id,
    )
    return f"{settings.PUBLIC_URL}/u/{token}"


def _preferences_url(item: Item) -> str:
    """Of somebody who is only an address, the way out of this one category."""
    if item.recipient_id is None:
        return _unsubscribe_url(item)
    return f"{settings.PUBLIC_URL}/preferences/{links.preferences_token(item.recipient_id)}"
