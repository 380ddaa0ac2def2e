"""Which language of a content a reader gets: `pt-BR`, else `pt`, else the one it was written in."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

Channels = Mapping[str, Mapping[str, str]]
"""`{"email": {"subject": source, ...}, "sms": {"text": source}}`."""


_TAG = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*")
_MAX_TAG = 35
_REGION, _SCRIPT = 2, 4  # characters


def is_tag(text: str) -> bool:
    return len(text) <= _MAX_TAG and _TAG.fullmatch(text) is not None


def normal(tag: str) -> str:
    """`pt_br` is `pt-BR` (RFC 5646, 2.1.1); what is no tag stays as it is."""
    if not is_tag(tag):
        return tag
    language, *rest = tag.replace("_", "-").lower().split("-")
    return "-".join([language, *map(_subtag, rest)])


def _subtag(text: str) -> str:
    if len(text) == _REGION:
        return text.upper()
    return text.title() if len(text) == _SCRIPT and text.isalpha() else text


def chosen(wanted: str, default: str, translated: Collection[str]) -> str:
    """The best of `translated`, or "" for the language of the rest, which is `default`."""
    known = {_plain(each): each for each in translated} | {_plain(default): ""}
    tag = _plain(wanted)
    while tag:
        if tag in known:
            return known[tag]
        tag = tag.rpartition("-")[0]
    return ""


def content(
    wanted: str, default: str, channels: Channels, translations: Mapping[str, Channels]
) -> Channels:
    """Each channel in the best language that has it."""
    found: dict[str, Mapping[str, str]] = {}
    for channel, parts in channels.items():
        having = [locale for locale, theirs in translations.items() if channel in theirs]
        best = chosen(wanted, default, having)
        found[channel] = translations[best][channel] if best else parts
    return found


def _plain(tag: str) -> str:
    return tag.replace("_", "-").lower()
