"""An entry in, with all that it moves: one statement, since everybody else waits for the conversation."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from psycopg.types.json import Jsonb

from commsproject.common.live import publish
from conversations import policy
from conversations.access import Membership
from conversations.models import Entry
from conversations.services import own
from conversations.services.sequence import FEED
from conversations.services.team import tell_team


def write(membership: Membership, entry: Entry, *, status: str, remind_at: datetime | None) -> bool:
    """Give `entry` its number and store it; False, and nothing is done, where its author has used
    its `client_id` here before. The caller holds the conversation, whose status this sets.

    Its author has read what was before. Where it is a text, it brings the conversation out of the
    archives of those who have not muted it, and those who are not to be reminded of it yet are to be
    at `remind_at`, if ever. What people are not shown has a number, and nothing else.
    """
    conversation, me = membership.conversation, membership.participant
    is_new = entry.event is None or policy.for_people(entry.event) is not None
    values = {
        **{name: getattr(entry, name) for name in _COLUMNS},
        "event": entry.event and Jsonb(entry.event),
        "me": me and me.id,
        "status": status,
        "remind_at": remind_at,
        "is_new": is_new,
        "was_quiet": entry.created_at - conversation.active_at > own.QUIET,
    }
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, values)
        written = cursor.fetchone()
    if written is None:
        return False
    *numbers, listed = written
    entry.seq, entry.number = numbers
    entry.changed_seq = entry.seq
    conversation.last_seq, conversation.entries_made = numbers
    conversation.status = status
    if is_new:
        conversation.active_at = entry.created_at
    publish.advanced(FEED, {str(conversation.id): entry.seq})
    tell_team(conversation)
    if listed:
        own.tell_listed(conversation, listed)
    return True


_COLUMNS = (
    *("id", "conversation_id", "kind", "who", "person_id", "medium", "client_id", "body", "event"),
    *("reply_to_id", "mentions", "created_at"),
)

# The parts see what was before the statement, and no two of them change the same row.
_WRITE = """
WITH numbered AS (
    UPDATE conversations_conversation
    SET last_seq = last_seq + 1, entries_made = entries_made + %(is_new)s::int,
        active_at = CASE WHEN %(is_new)s THEN %(created_at)s ELSE active_at END,
        status = %(status)s
    WHERE id = %(conversation_id)s AND NOT EXISTS (
        SELECT FROM conversations_entry
        WHERE %(client_id)s <> '' AND conversation_id = %(conversation_id)s AND who = %(who)s
            AND person_id = %(person_id)s AND client_id = %(client_id)s
    )
    RETURNING last_seq, entries_made
), written AS (
    INSERT INTO conversations_entry (id, conversation_id, seq, changed_seq, number, kind, who,
        person_id, medium, client_id, body, event, reply_to_id, mentions, created_at)
    SELECT %(id)s, %(conversation_id)s, last_seq, last_seq, entries_made, %(kind)s, %(who)s,
        %(person_id)s, %(medium)s, %(client_id)s, %(body)s, %(event)s::jsonb, %(reply_to_id)s::uuid,
        %(mentions)s::varchar[], %(created_at)s
    FROM numbered
), awake AS (
    SELECT id, person_id, archived_at IS NOT NULL AS is_put_away,
        who = 'user' AND left_at IS NULL AS is_there
    FROM numbered, conversations_participant
    WHERE conversation_id = %(conversation_id)s AND %(kind)s = 'text'
        AND (muted_until IS NULL OR muted_until <= %(created_at)s)
), my_marks AS (
    UPDATE conversations_participant AS me
    SET read_seq = last_seq, delivered_seq = last_seq, read_entries = entries_made, mentions = 0,
        read_at = %(created_at)s,
        archived_at = CASE WHEN id IN (SELECT id FROM awake) THEN NULL ELSE archived_at END
    FROM numbered WHERE id = %(me)s AND %(is_new)s
), returned AS (
    UPDATE conversations_participant SET archived_at = NULL
    WHERE id IN (SELECT id FROM awake WHERE is_put_away) AND id IS DISTINCT FROM %(me)s
), reminded AS (
    INSERT INTO conversations_reminder (participant_id, due_at)
    SELECT id, %(remind_at)s FROM awake
    WHERE is_there AND id IS DISTINCT FROM %(me)s AND %(remind_at)s::timestamptz IS NOT NULL
        AND NOT EXISTS (SELECT FROM conversations_reminder WHERE participant_id = awake.id)
    ON CONFLICT DO NOTHING
), forgotten AS (
    DELETE FROM conversations_reminder USING numbered WHERE participant_id = %(me)s
)
SELECT last_seq, entries_made,
    ARRAY(SELECT person_id FROM awake WHERE is_there AND (is_put_away OR %(was_quiet)s))
FROM numbered
"""
