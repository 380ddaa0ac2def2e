"""Full-text search over what somebody may see: words as they are, of any language, best first."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import (
    CombinedSearchQuery,
    SearchHeadline,
    SearchQuery,
    SearchRank,
)
from django.db import connection
from django.db.models import Case, F, FloatField, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast

from commsproject.common.errors import InvalidInput
from conversations import access, markup, selectors, terms
from conversations.models import Entry
from conversations.terms import Terms
from conversations.types import Actor

Query = SearchQuery | CombinedSearchQuery

MAX_LENGTH = 200
MOST_RANKED = 1_000
"""The latest ones that have the words are put in order; those before them are not found without a
filter. So a frequent word costs no more than a rare one.
"""

MOST_NAMED = 2_000

_START, _STOP = "\x02", "\x03"

_TREE = """
SELECT numnode(asked), querytree(asked) FROM (
    SELECT websearch_to_tsquery('simple', %s) && CASE WHEN %s = '' THEN ''::tsquery
        ELSE to_tsquery('simple', quote_literal(%s) || ':*') END
) AS one (asked)
"""


@dataclass(frozen=True)
class Wanted:
    """What is looked for, and where."""

    text: str
    conversation_id: UUID | None = None
    author_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Place:
    """Where a page ended."""

    rank: float
    entry_id: UUID


def find(
    actor: Actor, wanted: Wanted, *, after: Place | None = None, limit: int
) -> tuple[list[dict[str, Any]], Place | None]:
    """Entries as clients get them, each with its `snippet`, and where the next page begins.

    Raises `NotFound` for a conversation that is not theirs, `InvalidInput`.
    """
    asked = query(wanted.text)
    latest = _where(actor, wanted).filter(words=asked).order_by("-id").values("id")[:MOST_RANKED]
    rank = Cast(SearchRank(F("words"), asked, cover_density=True), FloatField())
    ranked = Entry.objects.filter(id__in=latest).annotate(rank=rank).order_by("-rank", "-id")
    if after is not None:
        ranked = ranked.filter(Q(rank__lt=after.rank) | Q(rank=after.rank, id__lt=after.entry_id))
    places = [Place(rank, id_) for rank, id_ in ranked.values_list("rank", "id")[: limit + 1]]
    following = places[limit - 1] if len(places) > limit else None
    return _results([place.entry_id for place in places[:limit]], asked), following


def query(text: str, shortest: int = terms.SHORTEST) -> Query:
    """For words as they are, of any language; the last may be begun with so many letters.

    Raises `InvalidInput`.
    """
    asked = _asked(text, shortest)
    said = SearchQuery(asked.said, config="simple", search_type="websearch")
    if not asked.begun:
        return said
    begun = SearchQuery(f"'{asked.begun}':*", config="simple", search_type="raw")
    return said & begun if asked.said.strip() else begun


def _asked(text: str, shortest: int) -> Terms:
    if len(text) > MAX_LENGTH or "\0" in text:
        raise InvalidInput.of("q", "too_long", f"At most {MAX_LENGTH} characters, without NUL.")
    asked = terms.parse(text, shortest)
    with connection.cursor() as cursor:
        # What the index cannot be asked for: nothing but words that must not be there.
        cursor.execute(_TREE, [asked.said, asked.begun, asked.begun])
        nodes, tree = cursor.fetchone()
    if nodes == 0 or tree == "T":
        raise InvalidInput.of("q", "no_words", "Say a word that is to be there.")
    return asked


def _visible(actor: Actor) -> QuerySet[Entry]:
    """Named one by one, PostgreSQL knows which of them are huge, and goes by the words there; of a
    subquery it knows nothing, and reads the huge ones whole.
    """
    theirs = access.visible(actor).values_list("id", flat=True)
    ids = list(theirs[: MOST_NAMED + 1])
    return Entry.objects.filter(conversation__in=ids if len(ids) <= MOST_NAMED else theirs)


def _where(actor: Actor, wanted: Wanted) -> QuerySet[Entry]:
    if wanted.conversation_id is not None:
        access.fetch(actor, wanted.conversation_id)
        rows = Entry.objects.filter(conversation=wanted.conversation_id)
    else:
        rows = _visible(actor)
    if wanted.author_id:
        rows = rows.filter(person_id=wanted.author_id)
    if wanted.since is not None:
        rows = rows.filter(created_at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(created_at__lt=wanted.until)
    return rows


def _results(ids: Sequence[UUID], query: Query) -> list[dict[str, Any]]:
    """The snippets are of what is shown, without marks of Markdown."""
    entries = Entry.objects.in_bulk(ids)
    if not entries:
        return []
    shown = [When(id=id_, then=Value(markup.text(one.body))) for id_, one in entries.items()]
    snippet = SearchHeadline(
        Case(*shown, output_field=TextField()),
        query,
        config="simple",
        start_sel=_START,
        stop_sel=_STOP,
        max_words=30,
        min_words=15,
        max_fragments=2,
        fragment_delimiter=" … ",
    )
    snippets = dict(Entry.objects.filter(id__in=entries).values_list("id", snippet))
    known = [entries[id_] for id_ in ids if id_ in snippets]
    return [
        {"entry": as_json, "snippet": _marked(snippets[entry.id])}
        for entry, as_json in zip(known, selectors.as_json(known), strict=True)
    ]


def _marked(snippet: str) -> str:
    """As HTML: the words that were looked for in `mark`, all else as text."""
    escaped = html.escape(snippet)
    return escaped.replace(_START, "<mark>").replace(_STOP, "</mark>")
