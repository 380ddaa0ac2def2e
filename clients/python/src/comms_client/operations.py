"""Every operation of the API, by groups. Made by `generate.py` from the service's description: not to be edited."""

from __future__ import annotations

from typing import Any, Literal, Unpack
from urllib.parse import quote

from comms_client import calls
from comms_client import models as m
from comms_client.calls import Call
from comms_client.client import AsyncRows, AsyncTransport, Rows, Transport

_List = list


def _in_path(part: object) -> str:
    return quote(str(part), safe="")


def _headers(**given: str | None) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in given.items() if value is not None}


class Alerts:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        acknowledged: Literal["true", "false"] | None = None,
        limit: int | None = None,
        severity: Literal["warning", "critical"] | None = None,
        state: Literal["standing", "resolved"] | None = None,
    ) -> Rows[m.AlertOutput]:
        """List alerts, newest first. `GET /alerts`"""
        return Rows(
            self._transport,
            Call(
                "GET",
                "/alerts",
                query={
                    "acknowledged": acknowledged,
                    "limit": limit,
                    "severity": severity,
                    "state": state,
                },
            ),
        )

    def get(self, alert_id: object, /) -> m.AlertOutput:
        """One alert. `GET /alerts/{alert_id}`"""
        found: m.AlertOutput = self._transport.call(Call("GET", f"/alerts/{_in_path(alert_id)}"))
        return found

    def acknowledge(self, alert_id: object, /, **body: Unpack[m.AcknowledgeInput]) -> m.AlertOutput:
        """Say that you look after an alert. `POST /alerts/{alert_id}/acknowledge`"""
        found: m.AlertOutput = self._transport.call(
            Call("POST", f"/alerts/{_in_path(alert_id)}/acknowledge", json=body)
        )
        return found


class Analytics:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def series(
        self,
        *,
        agent: str | None = None,
        batch: str | None = None,
        category: str | None = None,
        channel: Literal["email", "inapp", "push", "sms"] | None = None,
        country: str | None = None,
        format: Literal["csv", "json"] | None = None,
        granularity: Literal["day", "hour", "week"] | None = None,
        provider: str | None = None,
        since: str | None = None,
        template: str | None = None,
        until: str | None = None,
        variant: str | None = None,
        version: str | None = None,
        zone: str | None = None,
    ) -> m.AnalyticsSeries:
        """The same by the hour, day or week. `GET /analytics/series`"""
        found: m.AnalyticsSeries = self._transport.call(
            Call(
                "GET",
                "/analytics/series",
                query={
                    "agent": agent,
                    "batch": batch,
                    "category": category,
                    "channel": channel,
                    "country": country,
                    "format": format,
                    "granularity": granularity,
                    "provider": provider,
                    "since": since,
                    "template": template,
                    "until": until,
                    "variant": variant,
                    "version": version,
                    "zone": zone,
                },
            )
        )
        return found

    def summary(
        self,
        *,
        agent: str | None = None,
        batch: str | None = None,
        category: str | None = None,
        channel: Literal["email", "inapp", "push", "sms"] | None = None,
        country: str | None = None,
        format: Literal["csv", "json"] | None = None,
        provider: str | None = None,
        since: str | None = None,
        template: str | None = None,
        until: str | None = None,
        variant: str | None = None,
        version: str | None = None,
        zone: str | None = None,
    ) -> m.FiguresOutput:
        """What happened to messages in a span of time. `GET /analytics/summary`"""
        found: m.FiguresOutput = self._transport.call(
            Call(
                "GET",
                "/analytics/summary",
                query={
                    "agent": agent,
                    "batch": batch,
                    "category": category,
                    "channel": channel,
                    "country": country,
                    "format": format,
                    "provider": provider,
                    "since": since,
                    "template": template,
                    "until": until,
                    "variant": variant,
                    "version": version,
                    "zone": zone,
                },
            )
        )
        return found

    def top(
        self,
        *,
        agent: str | None = None,
        batch: str | None = None,
        by: Literal[
            "agent",
            "batch",
            "category",
            "channel",
            "country",
            "provider",
            "template",
            "variant",
            "version",
        ]
        | None = None,
        category: str | None = None,
        channel: Literal["email", "inapp", "push", "sms"] | None = None,
        country: str | None = None,
        format: Literal["csv", "json"] | None = None,
        limit: int | None = None,
        order: Literal[
            "accepted",
            "bounced",
            "calls",
            "calls_failed",
            "cancelled",
            "clicked",
            "clicked_machine",
            "complained",
            "cost",
            "delivered",
            "expired",
            "failed",
            "opened",
            "opened_machine",
            "opted_out",
            "segments",
            "sent",
            "suppressed",
            "unconfirmed",
        ]
        | None = None,
        provider: str | None = None,
        since: str | None = None,
        template: str | None = None,
        until: str | None = None,
        variant: str | None = None,
        version: str | None = None,
        zone: str | None = None,
    ) -> m.AnalyticsTop:
        """Which providers, templates, agents ... have most of a figure. `GET /analytics/top`"""
        found: m.AnalyticsTop = self._transport.call(
            Call(
                "GET",
                "/analytics/top",
                query={
                    "agent": agent,
                    "batch": batch,
                    "by": by,
                    "category": category,
                    "channel": channel,
                    "country": country,
                    "format": format,
                    "limit": limit,
                    "order": order,
                    "provider": provider,
                    "since": since,
                    "template": template,
                    "until": until,
                    "variant": variant,
                    "version": version,
                    "zone": zone,
                },
            )
        )
        return found


class Announcements:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        limit: int | None = None,
        state: Literal["draft", "ended", "live", "published"] | None = None,
    ) -> Rows[m.AnnouncementOutput]:
        """List your announcements, newest first. `GET /announcements`"""
        return Rows(
            self._transport, Call("GET", "/announcements", query={"limit": limit, "state": state})
        )

    def make(self, **body: Unpack[m.AnnouncementInput]) -> m.AnnouncementOutput:
        """Make an announcement; it is a draft until it is published. `POST /announcements`"""
        found: m.AnnouncementOutput = self._transport.call(
            Call("POST", "/announcements", json=body)
        )
        return found

    def get(self, announcement_id: object, /) -> m.AnnouncementOutput:
        """One announcement, and how it looks in an inbox. `GET
        /announcements/{announcement_id}`
        """
        found: m.AnnouncementOutput = self._transport.call(
            Call("GET", f"/announcements/{_in_path(announcement_id)}")
        )
        return found

    def change(
        self, announcement_id: object, /, **body: Unpack[m.PatchedAnnouncementInput]
    ) -> m.AnnouncementOutput:
        """Change a draft. `PATCH /announcements/{announcement_id}`"""
        found: m.AnnouncementOutput = self._transport.call(
            Call("PATCH", f"/announcements/{_in_path(announcement_id)}", json=body)
        )
        return found

    def discard(self, announcement_id: object, /) -> None:
        """Delete a draft. `DELETE /announcements/{announcement_id}`"""
        found: None = self._transport.call(
            Call("DELETE", f"/announcements/{_in_path(announcement_id)}")
        )
        return found

    def end(self, announcement_id: object, /) -> m.AnnouncementOutput:
        """Take it out of every inbox. `POST /announcements/{announcement_id}/end`"""
        found: m.AnnouncementOutput = self._transport.call(
            Call("POST", f"/announcements/{_in_path(announcement_id)}/end")
        )
        return found

    def publish(self, announcement_id: object, /) -> m.AnnouncementOutput:
        """Let it go live at its time, or within a second. `POST
        /announcements/{announcement_id}/publish`
        """
        found: m.AnnouncementOutput = self._transport.call(
            Call("POST", f"/announcements/{_in_path(announcement_id)}/publish")
        )
        return found


class Batches:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        limit: int | None = None,
        reference: str | None = None,
        state: Literal[
            "aborted",
            "awaiting_approval",
            "cancelled",
            "done",
            "halted",
            "paused",
            "receiving",
            "running",
        ]
        | None = None,
    ) -> Rows[m.BatchOutput]:
        """List your batches, newest first. `GET /batches`"""
        return Rows(
            self._transport,
            Call("GET", "/batches", query={"limit": limit, "reference": reference, "state": state}),
        )

    def send(
        self, *, idempotency_key: str | None = None, **body: Unpack[m.JsonBatchInput]
    ) -> m.BatchOutput:
        """Send to many. `POST /batches`"""
        found: m.BatchOutput = self._transport.call(
            Call(
                "POST",
                "/batches",
                json=body,
                headers=_headers(Idempotency_Key=idempotency_key or calls.key()),
            )
        )
        return found

    def get(self, batch_id: object, /) -> m.BatchOutput:
        """A batch, and how far it got. `GET /batches/{batch_id}`"""
        found: m.BatchOutput = self._transport.call(Call("GET", f"/batches/{_in_path(batch_id)}"))
        return found

    def approve(self, batch_id: object, /) -> m.BatchOutput:
        """Pause, resume, cancel or approve a batch. `POST /batches/{batch_id}/approve`"""
        found: m.BatchOutput = self._transport.call(
            Call("POST", f"/batches/{_in_path(batch_id)}/approve")
        )
        return found

    def cancel(self, batch_id: object, /) -> m.BatchOutput:
        """Pause, resume, cancel or approve a batch. `POST /batches/{batch_id}/cancel`"""
        found: m.BatchOutput = self._transport.call(
            Call("POST", f"/batches/{_in_path(batch_id)}/cancel")
        )
        return found

    def pause(self, batch_id: object, /) -> m.BatchOutput:
        """Pause, resume, cancel or approve a batch. `POST /batches/{batch_id}/pause`"""
        found: m.BatchOutput = self._transport.call(
            Call("POST", f"/batches/{_in_path(batch_id)}/pause")
        )
        return found

    def results(
        self,
        batch_id: object,
        /,
        *,
        format: Literal["csv", "json", "ndjson"] | None = None,
        limit: int | None = None,
        status: Literal["accepted", "rejected"] | None = None,
    ) -> Rows[m.ResultOutput]:
        """What became of each row, in the order of the upload. `GET
        /batches/{batch_id}/results`
        """
        return Rows(
            self._transport,
            Call(
                "GET",
                f"/batches/{_in_path(batch_id)}/results",
                query={"format": format, "limit": limit, "status": status},
            ),
        )

    def resume(self, batch_id: object, /) -> m.BatchOutput:
        """Pause, resume, cancel or approve a batch. `POST /batches/{batch_id}/resume`"""
        found: m.BatchOutput = self._transport.call(
            Call("POST", f"/batches/{_in_path(batch_id)}/resume")
        )
        return found


class Bounces:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        category: str | None = None,
        channel: Literal["email", "inapp", "push", "sms"] | None = None,
        kind: Literal["block", "complaint", "hard", "soft"] | None = None,
        limit: int | None = None,
        provider: str | None = None,
        sender: str | None = None,
    ) -> Rows[m.BounceOutput]:
        """List bounces and complaints, newest first. `GET /bounces`"""
        return Rows(
            self._transport,
            Call(
                "GET",
                "/bounces",
                query={
                    "category": category,
                    "channel": channel,
                    "kind": kind,
                    "limit": limit,
                    "provider": provider,
                    "sender": sender,
                },
            ),
        )


class Categories:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, limit: int | None = None) -> Rows[m.CategoryOutput]:
        """List categories, newest first. `GET /categories`"""
        return Rows(self._transport, Call("GET", "/categories", query={"limit": limit}))

    def make(self, **body: Unpack[m.CategoryInput]) -> m.CategoryOutput:
        """Make a category. `POST /categories`"""
        found: m.CategoryOutput = self._transport.call(Call("POST", "/categories", json=body))
        return found

    def get(self, key: object, /) -> m.CategoryOutput:
        """A category. `GET /categories/{key}`"""
        found: m.CategoryOutput = self._transport.call(Call("GET", f"/categories/{_in_path(key)}"))
        return found

    def change(self, key: object, /, **body: Unpack[m.PatchedCategoryChange]) -> m.CategoryOutput:
        """Change the rules of a category. `PATCH /categories/{key}`"""
        found: m.CategoryOutput = self._transport.call(
            Call("PATCH", f"/categories/{_in_path(key)}", json=body)
        )
        return found


class Conversations:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        archived: bool | None = None,
        kind: Literal["direct", "group", "support"] | None = None,
        limit: int | None = None,
        status: Literal["closed", "open", "pending"] | None = None,
    ) -> Rows[m.ConversationOutput]:
        """List your conversations, the latest active first. `GET /conversations`"""
        return Rows(
            self._transport,
            Call(
                "GET",
                "/conversations",
                query={"archived": archived, "kind": kind, "limit": limit, "status": status},
            ),
        )

    def start(self, **body: Unpack[m.ConversationInput]) -> m.ConversationOutput:
        """Start a conversation. `POST /conversations`"""
        found: m.ConversationOutput = self._transport.call(
            Call("POST", "/conversations", json=body)
        )
        return found

    def get(self, conversation_id: object, /) -> m.ConversationOutput:
        """A conversation, with its people and your marks. `GET
        /conversations/{conversation_id}`
        """
        found: m.ConversationOutput = self._transport.call(
            Call("GET", f"/conversations/{_in_path(conversation_id)}")
        )
        return found

    def change(
        self, conversation_id: object, /, **body: Unpack[m.PatchedConversationChange]
    ) -> m.ConversationOutput:
        """Give a group another title, or a support conversation another status. `PATCH
        /conversations/{conversation_id}`
        """
        found: m.ConversationOutput = self._transport.call(
            Call("PATCH", f"/conversations/{_in_path(conversation_id)}", json=body)
        )
        return found

    def archive(self, conversation_id: object, /) -> m.ConversationOutput:
        """Put it away until something new is written. `POST
        /conversations/{conversation_id}/archive`
        """
        found: m.ConversationOutput = self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/archive")
        )
        return found

    def unarchive(self, conversation_id: object, /) -> m.ConversationOutput:
        """Take it out of the archive. `DELETE /conversations/{conversation_id}/archive`"""
        found: m.ConversationOutput = self._transport.call(
            Call("DELETE", f"/conversations/{_in_path(conversation_id)}/archive")
        )
        return found

    def assign(
        self, conversation_id: object, /, **body: Unpack[m.AssignInput]
    ) -> m.ConversationOutput:
        """Give a support conversation to somebody of the staff. `POST
        /conversations/{conversation_id}/assign`
        """
        found: m.ConversationOutput = self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/assign", json=body)
        )
        return found

    def attachments_upload(
        self, conversation_id: object, /, *, file: bytes, filename: str
    ) -> m.AttachmentOutput:
        """Upload a file. `POST /conversations/{conversation_id}/attachments`"""
        found: m.AttachmentOutput = self._transport.call(
            Call(
                "POST",
                f"/conversations/{_in_path(conversation_id)}/attachments",
                files={"file": (filename, file)},
            )
        )
        return found

    def attachments_get(self, conversation_id: object, attachment_id: object, /) -> m.LinksOutput:
        """A file, with links to it. `GET
        /conversations/{conversation_id}/attachments/{attachment_id}`
        """
        found: m.LinksOutput = self._transport.call(
            Call(
                "GET",
                f"/conversations/{_in_path(conversation_id)}/attachments/{_in_path(attachment_id)}",
            )
        )
        return found

    def entries_list(
        self,
        conversation_id: object,
        /,
        *,
        after: int | None = None,
        around: str | None = None,
        before: int | None = None,
        date: str | None = None,
        from_: int | None = None,
        limit: int | None = None,
    ) -> m.HistoryOutput:
        """Read a conversation. `GET /conversations/{conversation_id}/entries`"""
        found: m.HistoryOutput = self._transport.call(
            Call(
                "GET",
                f"/conversations/{_in_path(conversation_id)}/entries",
                query={
                    "after": after,
                    "around": around,
                    "before": before,
                    "date": date,
                    "from": from_,
                    "limit": limit,
                },
            )
        )
        return found

    def entries_write(
        self, conversation_id: object, /, **body: Unpack[m.EntryInput]
    ) -> m.EntryOutput:
        """Write into a conversation. `POST /conversations/{conversation_id}/entries`"""
        found: m.EntryOutput = self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/entries", json=body)
        )
        return found

    def entries_edit(
        self, conversation_id: object, entry_id: object, /, **body: Unpack[m.PatchedEntryChange]
    ) -> m.EntryOutput:
        """Change what you wrote. `PATCH /conversations/{conversation_id}/entries/{entry_id}`"""
        found: m.EntryOutput = self._transport.call(
            Call(
                "PATCH",
                f"/conversations/{_in_path(conversation_id)}/entries/{_in_path(entry_id)}",
                json=body,
            )
        )
        return found

    def entries_delete(self, conversation_id: object, entry_id: object, /) -> None:
        """Delete an entry. `DELETE /conversations/{conversation_id}/entries/{entry_id}`"""
        found: None = self._transport.call(
            Call(
                "DELETE", f"/conversations/{_in_path(conversation_id)}/entries/{_in_path(entry_id)}"
            )
        )
        return found

    def export(
        self, conversation_id: object, /, *, format: Literal["json", "ndjson", "txt"] | None = None
    ) -> _List[m.EntryOutput]:
        """Download a conversation, from its first entry on. `GET
        /conversations/{conversation_id}/export`
        """
        found: _List[m.EntryOutput] = self._transport.call(
            Call(
                "GET",
                f"/conversations/{_in_path(conversation_id)}/export",
                query={"format": format},
            )
        )
        return found

    def mute(self, conversation_id: object, /, **body: Unpack[m.MuteInput]) -> m.ConversationOutput:
        """Not be called back to it until then. `POST /conversations/{conversation_id}/mute`"""
        found: m.ConversationOutput = self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/mute", json=body)
        )
        return found

    def notes_list(self, conversation_id: object, /) -> _List[m.NoteOutput]:
        """The team's notes, the latest 200. `GET /conversations/{conversation_id}/notes`"""
        found: _List[m.NoteOutput] = self._transport.call(
            Call("GET", f"/conversations/{_in_path(conversation_id)}/notes")
        )
        return found

    def notes_write(self, conversation_id: object, /, **body: Unpack[m.NoteInput]) -> m.NoteOutput:
        """Write a note for the team. `POST /conversations/{conversation_id}/notes`"""
        found: m.NoteOutput = self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/notes", json=body)
        )
        return found

    def participants_list(self, conversation_id: object, /) -> _List[m.ParticipantOutput]:
        """Who takes part, and how far they have read. `GET
        /conversations/{conversation_id}/participants`
        """
        found: _List[m.ParticipantOutput] = self._transport.call(
            Call("GET", f"/conversations/{_in_path(conversation_id)}/participants")
        )
        return found

    def participants_add(
        self, conversation_id: object, /, **body: Unpack[m.PeopleInput]
    ) -> m.ConversationOutput:
        """Bring people in. `POST /conversations/{conversation_id}/participants`"""
        found: m.ConversationOutput = self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/participants", json=body)
        )
        return found

    def participants_role(
        self, conversation_id: object, user_id: object, /, **body: Unpack[m.PatchedRoleInput]
    ) -> None:
        """Make somebody an admin, a member, or the owner in your place. `PATCH
        /conversations/{conversation_id}/participants/{user_id}`
        """
        found: None = self._transport.call(
            Call(
                "PATCH",
                f"/conversations/{_in_path(conversation_id)}/participants/{_in_path(user_id)}",
                json=body,
            )
        )
        return found

    def participants_remove(self, conversation_id: object, user_id: object, /) -> None:
        """Take somebody out, or leave: your own id. `DELETE
        /conversations/{conversation_id}/participants/{user_id}`
        """
        found: None = self._transport.call(
            Call(
                "DELETE",
                f"/conversations/{_in_path(conversation_id)}/participants/{_in_path(user_id)}",
            )
        )
        return found

    def pins_list(self, conversation_id: object, /) -> _List[m.EntryOutput]:
        """What is pinned, the latest first. `GET /conversations/{conversation_id}/pins`"""
        found: _List[m.EntryOutput] = self._transport.call(
            Call("GET", f"/conversations/{_in_path(conversation_id)}/pins")
        )
        return found

    def pins_add(
        self, conversation_id: object, /, **body: Unpack[m.EntryOfConversation]
    ) -> m.EntryOutput:
        """Pin an entry. `POST /conversations/{conversation_id}/pins`"""
        found: m.EntryOutput = self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/pins", json=body)
        )
        return found

    def pins_remove(
        self, conversation_id: object, /, **body: Unpack[m.EntryOfConversation]
    ) -> m.EntryOutput:
        """Unpin an entry. `DELETE /conversations/{conversation_id}/pins`"""
        found: m.EntryOutput = self._transport.call(
            Call("DELETE", f"/conversations/{_in_path(conversation_id)}/pins", json=body)
        )
        return found

    def reactions_add(
        self, conversation_id: object, /, **body: Unpack[m.ReactionInput]
    ) -> m.EntryOutput:
        """Put an emoji at an entry. `POST /conversations/{conversation_id}/reactions`"""
        found: m.EntryOutput = self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/reactions", json=body)
        )
        return found

    def reactions_remove(
        self, conversation_id: object, /, **body: Unpack[m.ReactionInput]
    ) -> m.EntryOutput:
        """Take your emoji away. `DELETE /conversations/{conversation_id}/reactions`"""
        found: m.EntryOutput = self._transport.call(
            Call("DELETE", f"/conversations/{_in_path(conversation_id)}/reactions", json=body)
        )
        return found

    def read(self, conversation_id: object, /, **body: Unpack[m.MarkInput]) -> m.ConversationOutput:
        """Say how far you have read. `POST /conversations/{conversation_id}/read`"""
        found: m.ConversationOutput = self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/read", json=body)
        )
        return found

    def search(
        self,
        *,
        author: str | None = None,
        conversation: str | None = None,
        from_: str | None = None,
        limit: int | None = None,
        q: str | None = None,
        to: str | None = None,
    ) -> Rows[m.FoundOutput]:
        """Search what you may read, best first. `GET /conversations/search`"""
        return Rows(
            self._transport,
            Call(
                "GET",
                "/conversations/search",
                query={
                    "author": author,
                    "conversation": conversation,
                    "from": from_,
                    "limit": limit,
                    "q": q,
                    "to": to,
                },
            ),
        )


class DeadLetters:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        batch: str | None = None,
        category: str | None = None,
        channel: Literal["email", "sms", "push", "inapp"] | None = None,
        code: str | None = None,
        error_class: Literal[
            "permanent_recipient",
            "permanent_message",
            "auth_config",
            "throttled",
            "temporary",
            "ambiguous",
        ]
        | None = None,
        limit: int | None = None,
        provider: str | None = None,
        replayed: Literal["true", "false"] | None = None,
        since: str | None = None,
        template: str | None = None,
        until: str | None = None,
    ) -> Rows[m.DeadLetterOutput]:
        """List your dead letters, newest first. `GET /dead-letters`"""
        return Rows(
            self._transport,
            Call(
                "GET",
                "/dead-letters",
                query={
                    "batch": batch,
                    "category": category,
                    "channel": channel,
                    "code": code,
                    "error_class": error_class,
                    "limit": limit,
                    "provider": provider,
                    "replayed": replayed,
                    "since": since,
                    "template": template,
                    "until": until,
                },
            ),
        )

    def get(self, letter_id: object, /) -> m.DeadLetterDetail:
        """One dead letter, with every attempt of its delivery. `GET /dead-letters/{letter_id}`"""
        found: m.DeadLetterDetail = self._transport.call(
            Call("GET", f"/dead-letters/{_in_path(letter_id)}")
        )
        return found

    def edit(self, letter_id: object, /, **body: Unpack[m.PatchedEditInput]) -> m.DeadLetterDetail:
        """Change where a replay goes and what it says. `PATCH /dead-letters/{letter_id}`"""
        found: m.DeadLetterDetail = self._transport.call(
            Call("PATCH", f"/dead-letters/{_in_path(letter_id)}", json=body)
        )
        return found

    def replay(self, letter_id: object, /) -> m.ReplayedOutput:
        """Send a dead letter again, once. `POST /dead-letters/{letter_id}/replay`"""
        found: m.ReplayedOutput = self._transport.call(
            Call("POST", f"/dead-letters/{_in_path(letter_id)}/replay")
        )
        return found

    def replay_many(self, **body: Unpack[m.ReplayInput]) -> m.ReplaysOutput:
        """Send dead letters again, by id or by filter. `POST /dead-letters/replay`"""
        found: m.ReplaysOutput = self._transport.call(
            Call("POST", "/dead-letters/replay", json=body)
        )
        return found


class Inbox:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        category: str | None = None,
        filter: Literal["all", "archived", "snoozed", "unread", "unseen"] | None = None,
        limit: int | None = None,
        tag: str | None = None,
    ) -> Rows[m.ItemOutput]:
        """Your inbox, newest first. `GET /inbox`"""
        return Rows(
            self._transport,
            Call(
                "GET",
                "/inbox",
                query={"category": category, "filter": filter, "limit": limit, "tag": tag},
            ),
        )

    def act(self, **body: Unpack[m.ActInput]) -> m.ItemOutput:
        """Press a button of an item. `POST /inbox/act`"""
        found: m.ItemOutput = self._transport.call(Call("POST", "/inbox/act", json=body))
        return found

    def archive(self, **body: Unpack[m.UndoableInput]) -> m.ChangedOutput:
        """Out of the feed, or with `undo` back. `POST /inbox/archive`"""
        found: m.ChangedOutput = self._transport.call(Call("POST", "/inbox/archive", json=body))
        return found

    def counts(self, *, tag: _List[str] | None = None) -> m.CountsOutput:
        """How many items are unseen, unread, snoozed; also by tag. `GET /inbox/counts`"""
        found: m.CountsOutput = self._transport.call(
            Call("GET", "/inbox/counts", query={"tag": tag})
        )
        return found

    def read(self, **body: Unpack[m.UndoableInput]) -> m.ChangedOutput:
        """They were read, or with `undo` not. `POST /inbox/read`"""
        found: m.ChangedOutput = self._transport.call(Call("POST", "/inbox/read", json=body))
        return found

    def seen(self, **body: Unpack[m.ChangeInput]) -> m.ChangedOutput:
        """They were shown. `POST /inbox/seen`"""
        found: m.ChangedOutput = self._transport.call(Call("POST", "/inbox/seen", json=body))
        return found

    def snooze(self, **body: Unpack[m.SnoozeInput]) -> m.ChangedOutput:
        """Out of the feed until a moment, when they come back as new. `POST /inbox/snooze`"""
        found: m.ChangedOutput = self._transport.call(Call("POST", "/inbox/snooze", json=body))
        return found


class Notifications:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        created_after: str | None = None,
        limit: int | None = None,
        reference: str | None = None,
        status: Literal[
            "bounced",
            "cancelled",
            "complained",
            "dead",
            "delivered",
            "expired",
            "failed",
            "queued",
            "scheduled",
            "sending",
            "sent",
            "suppressed",
            "unconfirmed",
            "unknown",
        ]
        | None = None,
        user_id: str | None = None,
    ) -> Rows[m.NotificationOutput]:
        """List your messages, newest first. `GET /notifications`"""
        return Rows(
            self._transport,
            Call(
                "GET",
                "/notifications",
                query={
                    "created_after": created_after,
                    "limit": limit,
                    "reference": reference,
                    "status": status,
                    "user_id": user_id,
                },
            ),
        )

    def send(
        self, *, idempotency_key: str | None = None, **body: Unpack[m.NotificationInput]
    ) -> m.AcceptedOutput:
        """Send a message. `POST /notifications`"""
        found: m.AcceptedOutput = self._transport.call(
            Call(
                "POST",
                "/notifications",
                json=body,
                headers=_headers(Idempotency_Key=idempotency_key or calls.key()),
            )
        )
        return found

    def get(self, notification_id: object, /) -> m.NotificationDetail:
        """One message, with every attempt and event. `GET /notifications/{notification_id}`"""
        found: m.NotificationDetail = self._transport.call(
            Call("GET", f"/notifications/{_in_path(notification_id)}")
        )
        return found

    def cancel(self, notification_id: object, /) -> m.CancelledOutput:
        """Stop a message before its provider is called. `POST
        /notifications/{notification_id}/cancel`
        """
        found: m.CancelledOutput = self._transport.call(
            Call("POST", f"/notifications/{_in_path(notification_id)}/cancel")
        )
        return found

    def convert(
        self, notification_id: object, /, **body: Unpack[m.ConvertInput]
    ) -> m.ConvertedOutput:
        """Say that a message brought about what it was sent for. `POST
        /notifications/{notification_id}/convert`
        """
        found: m.ConvertedOutput = self._transport.call(
            Call("POST", f"/notifications/{_in_path(notification_id)}/convert", json=body)
        )
        return found

    def explain(self, notification_id: object, /) -> m.ExplainedOutput:
        """Why a message goes out or does not, and by which provider. `GET
        /notifications/{notification_id}/explain`
        """
        found: m.ExplainedOutput = self._transport.call(
            Call("GET", f"/notifications/{_in_path(notification_id)}/explain")
        )
        return found


class Presence:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self) -> m.PresenceFields:
        """What others may know of my presence. `GET /presence`"""
        found: m.PresenceFields = self._transport.call(Call("GET", "/presence"))
        return found

    def set(self, **body: Unpack[m.PresenceFields]) -> m.PresenceFields:
        """Hide when I was last connected, or show it again. `PUT /presence`"""
        found: m.PresenceFields = self._transport.call(Call("PUT", "/presence", json=body))
        return found


class Providers:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> m.ProvidersOutput:
        """Every provider: whether it is on, well, and within its limit. `GET /providers`"""
        found: m.ProvidersOutput = self._transport.call(Call("GET", "/providers"))
        return found

    def get(self, name: object, /) -> m.ProviderOutput:
        """One provider, with more of its history. `GET /providers/{name}`"""
        found: m.ProviderOutput = self._transport.call(Call("GET", f"/providers/{_in_path(name)}"))
        return found

    def simulator_script_get(self) -> m.ScriptOutput:
        """The simulators' script. `GET /providers/simulator/script`"""
        found: m.ScriptOutput = self._transport.call(Call("GET", "/providers/simulator/script"))
        return found

    def simulator_script_put(self, **body: Unpack[m.ScriptInput]) -> m.ScriptOutput:
        """Make the simulators misbehave. `PUT /providers/simulator/script`"""
        found: m.ScriptOutput = self._transport.call(
            Call("PUT", "/providers/simulator/script", json=body)
        )
        return found

    def simulator_script_delete(self) -> None:
        """Let the simulators behave again. `DELETE /providers/simulator/script`"""
        found: None = self._transport.call(Call("DELETE", "/providers/simulator/script"))
        return found


class Push:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def web_key(self) -> m.WebKeyOutput:
        """The public key that browsers subscribe with. `GET /push/web-key`"""
        found: m.WebKeyOutput = self._transport.call(Call("GET", "/push/web-key"))
        return found


class Recipients:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self, *, limit: int | None = None, topic: str | None = None
    ) -> Rows[m.RecipientOutput]:
        """List people, the latest first. `GET /recipients`"""
        return Rows(
            self._transport, Call("GET", "/recipients", query={"limit": limit, "topic": topic})
        )

    def get(self, user_id: object, /) -> m.RecipientOutput:
        """A person, with addresses and topics. `GET /recipients/{user_id}`"""
        found: m.RecipientOutput = self._transport.call(
            Call("GET", f"/recipients/{_in_path(user_id)}")
        )
        return found

    def put(self, user_id: object, /, **body: Unpack[m.RecipientInput]) -> m.RecipientOutput:
        """Say what you know of a person, who may be new. `PUT /recipients/{user_id}`"""
        found: m.RecipientOutput = self._transport.call(
            Call("PUT", f"/recipients/{_in_path(user_id)}", json=body)
        )
        return found

    def change(
        self, user_id: object, /, **body: Unpack[m.PatchedRecipientInput]
    ) -> m.RecipientOutput:
        """Change a person who is known. `PATCH /recipients/{user_id}`"""
        found: m.RecipientOutput = self._transport.call(
            Call("PATCH", f"/recipients/{_in_path(user_id)}", json=body)
        )
        return found

    def erase(self, user_id: object, /) -> m.PersonalDataOutput:
        """Erase a person, everywhere and for good. `DELETE /recipients/{user_id}`"""
        found: m.PersonalDataOutput = self._transport.call(
            Call("DELETE", f"/recipients/{_in_path(user_id)}")
        )
        return found

    def addresses_list(
        self, user_id: object, /, *, limit: int | None = None
    ) -> Rows[m.AddressOutput]:
        """List a person's addresses, newest first. `GET /recipients/{user_id}/addresses`"""
        return Rows(
            self._transport,
            Call("GET", f"/recipients/{_in_path(user_id)}/addresses", query={"limit": limit}),
        )

    def addresses_add(self, user_id: object, /, **body: Unpack[m.AddressInput]) -> m.AddressOutput:
        """Add an address. `POST /recipients/{user_id}/addresses`"""
        found: m.AddressOutput = self._transport.call(
            Call("POST", f"/recipients/{_in_path(user_id)}/addresses", json=body)
        )
        return found

    def addresses_remove(self, user_id: object, address_id: object, /) -> None:
        """Remove an address: nothing more is sent there. `DELETE
        /recipients/{user_id}/addresses/{address_id}`
        """
        found: None = self._transport.call(
            Call("DELETE", f"/recipients/{_in_path(user_id)}/addresses/{_in_path(address_id)}")
        )
        return found

    def devices_list(self, user_id: object, /, *, limit: int | None = None) -> Rows[m.DeviceOutput]:
        """List a person's devices, newest first. `GET /recipients/{user_id}/devices`"""
        return Rows(
            self._transport,
            Call("GET", f"/recipients/{_in_path(user_id)}/devices", query={"limit": limit}),
        )

    def devices_register(self, user_id: object, /, **body: Unpack[m.DeviceInput]) -> m.DeviceOutput:
        """Register a device, or say that it is still in use. `POST
        /recipients/{user_id}/devices`
        """
        found: m.DeviceOutput = self._transport.call(
            Call("POST", f"/recipients/{_in_path(user_id)}/devices", json=body)
        )
        return found

    def devices_get(self, user_id: object, device_id: object, /) -> m.DeviceOutput:
        """One device, also a removed one, with the reason. `GET
        /recipients/{user_id}/devices/{device_id}`
        """
        found: m.DeviceOutput = self._transport.call(
            Call("GET", f"/recipients/{_in_path(user_id)}/devices/{_in_path(device_id)}")
        )
        return found

    def devices_remove(self, user_id: object, device_id: object, /) -> None:
        """Remove a device: it is not notified any more. `DELETE
        /recipients/{user_id}/devices/{device_id}`
        """
        found: None = self._transport.call(
            Call("DELETE", f"/recipients/{_in_path(user_id)}/devices/{_in_path(device_id)}")
        )
        return found

    def erasure(self, user_id: object, /) -> m.PersonalDataOutput:
        """The receipt of a person's erasure, or how far it has come. `GET
        /recipients/{user_id}/erasure`
        """
        found: m.PersonalDataOutput = self._transport.call(
            Call("GET", f"/recipients/{_in_path(user_id)}/erasure")
        )
        return found

    def export(self, user_id: object, /) -> m.PersonalDataOutput | str:
        """All that is known of a person. `GET /recipients/{user_id}/export`"""
        found: m.PersonalDataOutput | str = self._transport.call(
            Call("GET", f"/recipients/{_in_path(user_id)}/export")
        )
        return found

    def preferences_get(self, user_id: object, /) -> m.PreferencesOutput:
        """A person's choices and what there is to choose from. `GET
        /recipients/{user_id}/preferences`
        """
        found: m.PreferencesOutput = self._transport.call(
            Call("GET", f"/recipients/{_in_path(user_id)}/preferences")
        )
        return found

    def preferences_put(
        self, user_id: object, /, **body: Unpack[m.PreferencesInput]
    ) -> m.PreferencesOutput:
        """Write choices of a person. `PUT /recipients/{user_id}/preferences`"""
        found: m.PreferencesOutput = self._transport.call(
            Call("PUT", f"/recipients/{_in_path(user_id)}/preferences", json=body)
        )
        return found

    def quiet_hours_get(self, user_id: object, /) -> m.QuietHoursOutput:
        """A person's quiet hours. `GET /recipients/{user_id}/quiet-hours`"""
        found: m.QuietHoursOutput = self._transport.call(
            Call("GET", f"/recipients/{_in_path(user_id)}/quiet-hours")
        )
        return found

    def quiet_hours_put(
        self, user_id: object, /, **body: Unpack[m.QuietHoursInput]
    ) -> m.QuietHoursOutput:
        """Set a person's quiet hours. `PUT /recipients/{user_id}/quiet-hours`"""
        found: m.QuietHoursOutput = self._transport.call(
            Call("PUT", f"/recipients/{_in_path(user_id)}/quiet-hours", json=body)
        )
        return found

    def import_(
        self, *, content: bytes, content_type: str = "application/x-ndjson"
    ) -> m.PeopleImportedOutput:
        """Import people from NDJSON or CSV. `POST /recipients/import`"""
        found: m.PeopleImportedOutput = self._transport.call(
            Call(
                "POST",
                "/recipients/import",
                content=content,
                headers=_headers(Content_Type=content_type),
            )
        )
        return found


class Schedules:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> m.SchedulePage:
        """List your schedules, newest first. `GET /schedules`"""
        found: m.SchedulePage = self._transport.call(Call("GET", "/schedules"))
        return found

    def create(
        self, *, idempotency_key: str | None = None, **body: Unpack[m.ScheduleInput]
    ) -> m.ScheduleDetail:
        """Send a message or a batch again and again. `POST /schedules`"""
        found: m.ScheduleDetail = self._transport.call(
            Call(
                "POST",
                "/schedules",
                json=body,
                headers=_headers(Idempotency_Key=idempotency_key or calls.key()),
            )
        )
        return found

    def get(self, schedule_id: object, /) -> m.ScheduleDetail:
        """One schedule, with its next runs. `GET /schedules/{schedule_id}`"""
        found: m.ScheduleDetail = self._transport.call(
            Call("GET", f"/schedules/{_in_path(schedule_id)}")
        )
        return found

    def change(
        self, schedule_id: object, /, **body: Unpack[m.PatchedScheduleChange]
    ) -> m.ScheduleDetail:
        """Change, pause or resume a schedule. `PATCH /schedules/{schedule_id}`"""
        found: m.ScheduleDetail = self._transport.call(
            Call("PATCH", f"/schedules/{_in_path(schedule_id)}", json=body)
        )
        return found

    def delete(self, schedule_id: object, /) -> None:
        """Delete a schedule; what it has sent stays. `DELETE /schedules/{schedule_id}`"""
        found: None = self._transport.call(Call("DELETE", f"/schedules/{_in_path(schedule_id)}"))
        return found


class Suppressions:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        address: str | None = None,
        channel: Literal["email", "inapp", "push", "sms"] | None = None,
        limit: int | None = None,
        reason: Literal["bounce", "complaint", "manual", "unsubscribe"] | None = None,
        scope: str | None = None,
    ) -> Rows[m.SuppressionOutput]:
        """List suppressed addresses, newest first. `GET /suppressions`"""
        return Rows(
            self._transport,
            Call(
                "GET",
                "/suppressions",
                query={
                    "address": address,
                    "channel": channel,
                    "limit": limit,
                    "reason": reason,
                    "scope": scope,
                },
            ),
        )

    def add(self, **body: Unpack[m.SuppressionInput]) -> m.SuppressionOutput:
        """Put an address on the list. `POST /suppressions`"""
        found: m.SuppressionOutput = self._transport.call(Call("POST", "/suppressions", json=body))
        return found

    def get(self, suppression_id: object, /) -> m.SuppressionOutput:
        """An entry. `GET /suppressions/{suppression_id}`"""
        found: m.SuppressionOutput = self._transport.call(
            Call("GET", f"/suppressions/{_in_path(suppression_id)}")
        )
        return found

    def lift(self, suppression_id: object, /, *, why: str | None = None) -> None:
        """Lift an entry: the address is written to again. `DELETE
        /suppressions/{suppression_id}`
        """
        found: None = self._transport.call(
            Call("DELETE", f"/suppressions/{_in_path(suppression_id)}", query={"why": why})
        )
        return found

    def export(
        self,
        *,
        address: str | None = None,
        channel: Literal["email", "inapp", "push", "sms"] | None = None,
        reason: Literal["bounce", "complaint", "manual", "unsubscribe"] | None = None,
        scope: str | None = None,
    ) -> str:
        """Export the list as CSV. `GET /suppressions/export`"""
        found: str = self._transport.call(
            Call(
                "GET",
                "/suppressions/export",
                query={"address": address, "channel": channel, "reason": reason, "scope": scope},
            )
        )
        return found

    def import_(
        self, *, content: bytes, content_type: str = "application/x-ndjson"
    ) -> m.PeopleImportedOutput:
        """Import entries from NDJSON or CSV. `POST /suppressions/import`"""
        found: m.PeopleImportedOutput = self._transport.call(
            Call(
                "POST",
                "/suppressions/import",
                content=content,
                headers=_headers(Content_Type=content_type),
            )
        )
        return found


class Templates:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, archived: bool | None = None) -> m.TemplatePage:
        """List templates. `GET /templates`"""
        found: m.TemplatePage = self._transport.call(
            Call("GET", "/templates", query={"archived": archived})
        )
        return found

    def create(self, **body: Unpack[m.TemplateInput]) -> m.TemplateDetail:
        """Make a template; its first version is a draft. `POST /templates`"""
        found: m.TemplateDetail = self._transport.call(Call("POST", "/templates", json=body))
        return found

    def get(self, key: object, /) -> m.TemplateDetail:
        """One template. `GET /templates/{key}`"""
        found: m.TemplateDetail = self._transport.call(Call("GET", f"/templates/{_in_path(key)}"))
        return found

    def change(
        self,
        key: object,
        /,
        *,
        if_match: str | None = None,
        **body: Unpack[m.PatchedTemplateChange],
    ) -> m.TemplateDetail:
        """Change the draft. `PATCH /templates/{key}`"""
        found: m.TemplateDetail = self._transport.call(
            Call(
                "PATCH",
                f"/templates/{_in_path(key)}",
                json=body,
                headers=_headers(If_Match=if_match),
            )
        )
        return found

    def archive(self, key: object, /) -> None:
        """Archive a template. `DELETE /templates/{key}`"""
        found: None = self._transport.call(Call("DELETE", f"/templates/{_in_path(key)}"))
        return found

    def experiments_list(self, key: object, /) -> m.ExperimentPage:
        """A template's A/B tests, newest first. `GET /templates/{key}/experiments`"""
        found: m.ExperimentPage = self._transport.call(
            Call("GET", f"/templates/{_in_path(key)}/experiments")
        )
        return found

    def experiments_create(
        self, key: object, /, **body: Unpack[m.ExperimentInput]
    ) -> m.ExperimentOutput:
        """Make an A/B test; it begins when it is started. `POST /templates/{key}/experiments`"""
        found: m.ExperimentOutput = self._transport.call(
            Call("POST", f"/templates/{_in_path(key)}/experiments", json=body)
        )
        return found

    def experiments_get(self, key: object, experiment_id: object, /) -> m.ExperimentOutput:
        """One A/B test. `GET /templates/{key}/experiments/{experiment_id}`"""
        found: m.ExperimentOutput = self._transport.call(
            Call("GET", f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}")
        )
        return found

    def experiments_change(
        self, key: object, experiment_id: object, /, **body: Unpack[m.PatchedExperimentChange]
    ) -> m.ExperimentOutput:
        """Change an A/B test. `PATCH /templates/{key}/experiments/{experiment_id}`"""
        found: m.ExperimentOutput = self._transport.call(
            Call(
                "PATCH",
                f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}",
                json=body,
            )
        )
        return found

    def experiments_remove(self, key: object, experiment_id: object, /) -> None:
        """Remove a draft. `DELETE /templates/{key}/experiments/{experiment_id}`"""
        found: None = self._transport.call(
            Call("DELETE", f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}")
        )
        return found

    def experiments_decide(
        self, key: object, experiment_id: object, /, **body: Unpack[m.WinnerInput]
    ) -> m.ExperimentOutput:
        """Send the winner to everybody from now on. `POST
        /templates/{key}/experiments/{experiment_id}/decide`
        """
        found: m.ExperimentOutput = self._transport.call(
            Call(
                "POST",
                f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}/decide",
                json=body,
            )
        )
        return found

    def experiments_results(self, key: object, experiment_id: object, /) -> m.ResultsOutput:
        """Rates with their intervals, and how certain the best one is. `GET
        /templates/{key}/experiments/{experiment_id}/results`
        """
        found: m.ResultsOutput = self._transport.call(
            Call("GET", f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}/results")
        )
        return found

    def experiments_start(self, key: object, experiment_id: object, /) -> m.ExperimentOutput:
        """Send the variants from now on. `POST
        /templates/{key}/experiments/{experiment_id}/start`
        """
        found: m.ExperimentOutput = self._transport.call(
            Call("POST", f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}/start")
        )
        return found

    def experiments_stop(self, key: object, experiment_id: object, /) -> m.ExperimentOutput:
        """Send the version in use again; what was sent is still counted. `POST
        /templates/{key}/experiments/{experiment_id}/stop`
        """
        found: m.ExperimentOutput = self._transport.call(
            Call("POST", f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}/stop")
        )
        return found

    def import_html(
        self, key: object, /, *, if_match: str | None = None, **body: Unpack[m.PageInput]
    ) -> m.LoadedPage:
        """Make a page of HTML the email of a template, new or there already. `POST
        /templates/{key}/import-html`
        """
        found: m.LoadedPage = self._transport.call(
            Call(
                "POST",
                f"/templates/{_in_path(key)}/import-html",
                json=body,
                headers=_headers(If_Match=if_match),
            )
        )
        return found

    def preview(self, key: object, /, **body: Unpack[m.PreviewInput]) -> m.PreviewOutput:
        """Render a version, or content that is not saved, with your data. `POST
        /templates/{key}/preview`
        """
        found: m.PreviewOutput = self._transport.call(
            Call("POST", f"/templates/{_in_path(key)}/preview", json=body)
        )
        return found

    def publish(self, key: object, /, *, if_match: str | None = None) -> m.PublishedOutput:
        """Publish the draft: messages use it from now on. `POST /templates/{key}/publish`"""
        found: m.PublishedOutput = self._transport.call(
            Call("POST", f"/templates/{_in_path(key)}/publish", headers=_headers(If_Match=if_match))
        )
        return found

    def test_send(
        self, key: object, /, *, idempotency_key: str | None = None, **body: Unpack[m.ProofInput]
    ) -> m.AcceptedOutput:
        """Send a version of a template, also a draft, to somebody to look at. `POST
        /templates/{key}/test-send`
        """
        found: m.AcceptedOutput = self._transport.call(
            Call(
                "POST",
                f"/templates/{_in_path(key)}/test-send",
                json=body,
                headers=_headers(Idempotency_Key=idempotency_key or calls.key()),
            )
        )
        return found

    def unarchive(self, key: object, /) -> m.TemplateOutput:
        """Take a template from the archive: messages can use it again. `POST
        /templates/{key}/unarchive`
        """
        found: m.TemplateOutput = self._transport.call(
            Call("POST", f"/templates/{_in_path(key)}/unarchive")
        )
        return found

    def versions(self, key: object, /) -> m.VersionPage:
        """All versions, newest first. `GET /templates/{key}/versions`"""
        found: m.VersionPage = self._transport.call(
            Call("GET", f"/templates/{_in_path(key)}/versions")
        )
        return found

    def version(self, key: object, number: object, /) -> m.VersionOutput:
        """One version. `GET /templates/{key}/versions/{number}`"""
        found: m.VersionOutput = self._transport.call(
            Call("GET", f"/templates/{_in_path(key)}/versions/{_in_path(number)}")
        )
        return found

    def diff(self, key: object, number: object, /, *, to: int | None = None) -> m.DiffOutput:
        """What differs between two versions, part by part. `GET
        /templates/{key}/versions/{number}/diff`
        """
        found: m.DiffOutput = self._transport.call(
            Call(
                "GET",
                f"/templates/{_in_path(key)}/versions/{_in_path(number)}/diff",
                query={"to": to},
            )
        )
        return found

    def restore(
        self, key: object, number: object, /, *, if_match: str | None = None
    ) -> m.VersionOutput:
        """Make a draft that says what this version said. `POST
        /templates/{key}/versions/{number}/restore`
        """
        found: m.VersionOutput = self._transport.call(
            Call(
                "POST",
                f"/templates/{_in_path(key)}/versions/{_in_path(number)}/restore",
                headers=_headers(If_Match=if_match),
            )
        )
        return found

    def export(self, *, key: _List[str] | None = None) -> m.BundleOutput:
        """All templates in one document. `GET /templates/export`"""
        found: m.BundleOutput = self._transport.call(
            Call("GET", "/templates/export", query={"key": key})
        )
        return found

    def import_(self, **body: Unpack[m.BundleInput]) -> m.ImportedOutput:
        """Make the templates what a document says: all of it or nothing. `POST
        /templates/import`
        """
        found: m.ImportedOutput = self._transport.call(Call("POST", "/templates/import", json=body))
        return found


class Topics:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, limit: int | None = None) -> Rows[m.TopicOutput]:
        """List topics, newest first. `GET /topics`"""
        return Rows(self._transport, Call("GET", "/topics", query={"limit": limit}))

    def make(self, **body: Unpack[m.TopicInput]) -> m.TopicOutput:
        """Make a topic. `POST /topics`"""
        found: m.TopicOutput = self._transport.call(Call("POST", "/topics", json=body))
        return found

    def get(self, key: object, /) -> m.TopicOutput:
        """A topic. `GET /topics/{key}`"""
        found: m.TopicOutput = self._transport.call(Call("GET", f"/topics/{_in_path(key)}"))
        return found

    def change(self, key: object, /, **body: Unpack[m.PatchedTopicChange]) -> m.TopicOutput:
        """Give a topic another name. `PATCH /topics/{key}`"""
        found: m.TopicOutput = self._transport.call(
            Call("PATCH", f"/topics/{_in_path(key)}", json=body)
        )
        return found

    def delete(self, key: object, /) -> None:
        """Delete a topic; its people stay. `DELETE /topics/{key}`"""
        found: None = self._transport.call(Call("DELETE", f"/topics/{_in_path(key)}"))
        return found

    def members(self, key: object, /, *, limit: int | None = None) -> Rows[m.MemberOutput]:
        """List the people of a topic, the latest first. `GET /topics/{key}/members`"""
        return Rows(
            self._transport, Call("GET", f"/topics/{_in_path(key)}/members", query={"limit": limit})
        )

    def add(self, key: object, /, **body: Unpack[m.MembersInput]) -> m.MembersChangedOutput:
        """Add people to a topic. `POST /topics/{key}/members`"""
        found: m.MembersChangedOutput = self._transport.call(
            Call("POST", f"/topics/{_in_path(key)}/members", json=body)
        )
        return found

    def remove(self, key: object, /, **body: Unpack[m.MembersInput]) -> m.MembersChangedOutput:
        """Take people out of a topic. `DELETE /topics/{key}/members`"""
        found: m.MembersChangedOutput = self._transport.call(
            Call("DELETE", f"/topics/{_in_path(key)}/members", json=body)
        )
        return found


class WebhookEndpoints:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, limit: int | None = None) -> Rows[m.EndpointOutput]:
        """List your webhook endpoints, newest first. `GET /webhook-endpoints`"""
        return Rows(self._transport, Call("GET", "/webhook-endpoints", query={"limit": limit}))

    def make(self, **body: Unpack[m.EndpointInput]) -> m.EndpointMade:
        """Have events sent to an address. `POST /webhook-endpoints`"""
        found: m.EndpointMade = self._transport.call(Call("POST", "/webhook-endpoints", json=body))
        return found

    def get(self, endpoint_id: object, /) -> m.EndpointOutput:
        """A webhook endpoint. `GET /webhook-endpoints/{endpoint_id}`"""
        found: m.EndpointOutput = self._transport.call(
            Call("GET", f"/webhook-endpoints/{_in_path(endpoint_id)}")
        )
        return found

    def change(
        self, endpoint_id: object, /, **body: Unpack[m.PatchedEndpointChange]
    ) -> m.EndpointOutput:
        """Change a webhook endpoint, or switch it on or off. `PATCH /webhook-
        endpoints/{endpoint_id}`
        """
        found: m.EndpointOutput = self._transport.call(
            Call("PATCH", f"/webhook-endpoints/{_in_path(endpoint_id)}", json=body)
        )
        return found

    def delete(self, endpoint_id: object, /) -> None:
        """Delete a webhook endpoint, with what waits for it and its log. `DELETE /webhook-
        endpoints/{endpoint_id}`
        """
        found: None = self._transport.call(
            Call("DELETE", f"/webhook-endpoints/{_in_path(endpoint_id)}")
        )
        return found

    def deliveries(
        self,
        endpoint_id: object,
        /,
        *,
        limit: int | None = None,
        state: Literal["delivered", "failed", "waiting"] | None = None,
    ) -> Rows[m.WebhookDeliveryOutput]:
        """List the deliveries to an endpoint with every try, newest first. `GET /webhook-
        endpoints/{endpoint_id}/deliveries`
        """
        return Rows(
            self._transport,
            Call(
                "GET",
                f"/webhook-endpoints/{_in_path(endpoint_id)}/deliveries",
                query={"limit": limit, "state": state},
            ),
        )

    def replay(
        self, endpoint_id: object, /, **body: Unpack[m.ReplayWebhooks]
    ) -> m.ReplayedWebhooksOutput:
        """Send one delivery, or those of a time, once more. `POST /webhook-
        endpoints/{endpoint_id}/replay`
        """
        found: m.ReplayedWebhooksOutput = self._transport.call(
            Call("POST", f"/webhook-endpoints/{_in_path(endpoint_id)}/replay", json=body)
        )
        return found

    def rotate(self, endpoint_id: object, /) -> m.EndpointMade:
        """Give an endpoint a new secret. `POST /webhook-endpoints/{endpoint_id}/rotate-secret`"""
        found: m.EndpointMade = self._transport.call(
            Call("POST", f"/webhook-endpoints/{_in_path(endpoint_id)}/rotate-secret")
        )
        return found

    def test(self, endpoint_id: object, /) -> m.WebhookDeliveryOutput:
        """Have a `webhook.test` event sent to an endpoint. `POST /webhook-
        endpoints/{endpoint_id}/test`
        """
        found: m.WebhookDeliveryOutput = self._transport.call(
            Call("POST", f"/webhook-endpoints/{_in_path(endpoint_id)}/test")
        )
        return found


class WebhookReceipts:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        limit: int | None = None,
        provider: str | None = None,
        since: str | None = None,
        state: Literal["waiting", "applied", "unknown", "set_aside"] | None = None,
        until: str | None = None,
    ) -> Rows[m.ReceiptOutput]:
        """List providers' webhook calls, newest first. `GET /webhook-receipts`"""
        return Rows(
            self._transport,
            Call(
                "GET",
                "/webhook-receipts",
                query={
                    "limit": limit,
                    "provider": provider,
                    "since": since,
                    "state": state,
                    "until": until,
                },
            ),
        )

    def replay(self, receipt_id: object, /) -> m.ReceiptOutput:
        """Apply a webhook call again. `POST /webhook-receipts/{receipt_id}/replay`"""
        found: m.ReceiptOutput = self._transport.call(
            Call("POST", f"/webhook-receipts/{_in_path(receipt_id)}/replay")
        )
        return found

    def replay_many(self, **body: Unpack[m.ReceiptReplayInput]) -> m.ReplayOutput:
        """Apply webhook calls again, by filter. `POST /webhook-receipts/replay`"""
        found: m.ReplayOutput = self._transport.call(
            Call("POST", "/webhook-receipts/replay", json=body)
        )
        return found


class Comms(Transport):
    """The API. `url` is where the service is, `key` an API key or the token of a person."""

    def __init__(self, url: str, key: str, **options: Any) -> None:
        super().__init__(url, key, **options)
        self.alerts = Alerts(self)
        self.analytics = Analytics(self)
        self.announcements = Announcements(self)
        self.batches = Batches(self)
        self.bounces = Bounces(self)
        self.categories = Categories(self)
        self.conversations = Conversations(self)
        self.dead_letters = DeadLetters(self)
        self.inbox = Inbox(self)
        self.notifications = Notifications(self)
        self.presence = Presence(self)
        self.providers = Providers(self)
        self.push = Push(self)
        self.recipients = Recipients(self)
        self.schedules = Schedules(self)
        self.suppressions = Suppressions(self)
        self.templates = Templates(self)
        self.topics = Topics(self)
        self.webhook_endpoints = WebhookEndpoints(self)
        self.webhook_receipts = WebhookReceipts(self)

    def queues(self) -> m.QueuesOutput:
        """How much waits, for how long, and how fast it goes. `GET /queues`"""
        found: m.QueuesOutput = self.call(Call("GET", "/queues"))
        return found

    def whoami(self) -> m.WhoAmIOutput:
        """Whose credentials are these?. `GET /whoami`"""
        found: m.WhoAmIOutput = self.call(Call("GET", "/whoami"))
        return found

    def ws_ticket(self) -> m.WsTicketOutput:
        """Get a ticket for the WebSocket. `POST /ws-ticket`"""
        found: m.WsTicketOutput = self.call(Call("POST", "/ws-ticket"))
        return found


class AsyncAlerts:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        acknowledged: Literal["true", "false"] | None = None,
        limit: int | None = None,
        severity: Literal["warning", "critical"] | None = None,
        state: Literal["standing", "resolved"] | None = None,
    ) -> AsyncRows[m.AlertOutput]:
        """List alerts, newest first. `GET /alerts`"""
        return AsyncRows(
            self._transport,
            Call(
                "GET",
                "/alerts",
                query={
                    "acknowledged": acknowledged,
                    "limit": limit,
                    "severity": severity,
                    "state": state,
                },
            ),
        )

    async def get(self, alert_id: object, /) -> m.AlertOutput:
        """One alert. `GET /alerts/{alert_id}`"""
        found: m.AlertOutput = await self._transport.call(
            Call("GET", f"/alerts/{_in_path(alert_id)}")
        )
        return found

    async def acknowledge(
        self, alert_id: object, /, **body: Unpack[m.AcknowledgeInput]
    ) -> m.AlertOutput:
        """Say that you look after an alert. `POST /alerts/{alert_id}/acknowledge`"""
        found: m.AlertOutput = await self._transport.call(
            Call("POST", f"/alerts/{_in_path(alert_id)}/acknowledge", json=body)
        )
        return found


class AsyncAnalytics:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def series(
        self,
        *,
        agent: str | None = None,
        batch: str | None = None,
        category: str | None = None,
        channel: Literal["email", "inapp", "push", "sms"] | None = None,
        country: str | None = None,
        format: Literal["csv", "json"] | None = None,
        granularity: Literal["day", "hour", "week"] | None = None,
        provider: str | None = None,
        since: str | None = None,
        template: str | None = None,
        until: str | None = None,
        variant: str | None = None,
        version: str | None = None,
        zone: str | None = None,
    ) -> m.AnalyticsSeries:
        """The same by the hour, day or week. `GET /analytics/series`"""
        found: m.AnalyticsSeries = await self._transport.call(
            Call(
                "GET",
                "/analytics/series",
                query={
                    "agent": agent,
                    "batch": batch,
                    "category": category,
                    "channel": channel,
                    "country": country,
                    "format": format,
                    "granularity": granularity,
                    "provider": provider,
                    "since": since,
                    "template": template,
                    "until": until,
                    "variant": variant,
                    "version": version,
                    "zone": zone,
                },
            )
        )
        return found

    async def summary(
        self,
        *,
        agent: str | None = None,
        batch: str | None = None,
        category: str | None = None,
        channel: Literal["email", "inapp", "push", "sms"] | None = None,
        country: str | None = None,
        format: Literal["csv", "json"] | None = None,
        provider: str | None = None,
        since: str | None = None,
        template: str | None = None,
        until: str | None = None,
        variant: str | None = None,
        version: str | None = None,
        zone: str | None = None,
    ) -> m.FiguresOutput:
        """What happened to messages in a span of time. `GET /analytics/summary`"""
        found: m.FiguresOutput = await self._transport.call(
            Call(
                "GET",
                "/analytics/summary",
                query={
                    "agent": agent,
                    "batch": batch,
                    "category": category,
                    "channel": channel,
                    "country": country,
                    "format": format,
                    "provider": provider,
                    "since": since,
                    "template": template,
                    "until": until,
                    "variant": variant,
                    "version": version,
                    "zone": zone,
                },
            )
        )
        return found

    async def top(
        self,
        *,
        agent: str | None = None,
        batch: str | None = None,
        by: Literal[
            "agent",
            "batch",
            "category",
            "channel",
            "country",
            "provider",
            "template",
            "variant",
            "version",
        ]
        | None = None,
        category: str | None = None,
        channel: Literal["email", "inapp", "push", "sms"] | None = None,
        country: str | None = None,
        format: Literal["csv", "json"] | None = None,
        limit: int | None = None,
        order: Literal[
            "accepted",
            "bounced",
            "calls",
            "calls_failed",
            "cancelled",
            "clicked",
            "clicked_machine",
            "complained",
            "cost",
            "delivered",
            "expired",
            "failed",
            "opened",
            "opened_machine",
            "opted_out",
            "segments",
            "sent",
            "suppressed",
            "unconfirmed",
        ]
        | None = None,
        provider: str | None = None,
        since: str | None = None,
        template: str | None = None,
        until: str | None = None,
        variant: str | None = None,
        version: str | None = None,
        zone: str | None = None,
    ) -> m.AnalyticsTop:
        """Which providers, templates, agents ... have most of a figure. `GET /analytics/top`"""
        found: m.AnalyticsTop = await self._transport.call(
            Call(
                "GET",
                "/analytics/top",
                query={
                    "agent": agent,
                    "batch": batch,
                    "by": by,
                    "category": category,
                    "channel": channel,
                    "country": country,
                    "format": format,
                    "limit": limit,
                    "order": order,
                    "provider": provider,
                    "since": since,
                    "template": template,
                    "until": until,
                    "variant": variant,
                    "version": version,
                    "zone": zone,
                },
            )
        )
        return found


class AsyncAnnouncements:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        limit: int | None = None,
        state: Literal["draft", "ended", "live", "published"] | None = None,
    ) -> AsyncRows[m.AnnouncementOutput]:
        """List your announcements, newest first. `GET /announcements`"""
        return AsyncRows(
            self._transport, Call("GET", "/announcements", query={"limit": limit, "state": state})
        )

    async def make(self, **body: Unpack[m.AnnouncementInput]) -> m.AnnouncementOutput:
        """Make an announcement; it is a draft until it is published. `POST /announcements`"""
        found: m.AnnouncementOutput = await self._transport.call(
            Call("POST", "/announcements", json=body)
        )
        return found

    async def get(self, announcement_id: object, /) -> m.AnnouncementOutput:
        """One announcement, and how it looks in an inbox. `GET
        /announcements/{announcement_id}`
        """
        found: m.AnnouncementOutput = await self._transport.call(
            Call("GET", f"/announcements/{_in_path(announcement_id)}")
        )
        return found

    async def change(
        self, announcement_id: object, /, **body: Unpack[m.PatchedAnnouncementInput]
    ) -> m.AnnouncementOutput:
        """Change a draft. `PATCH /announcements/{announcement_id}`"""
        found: m.AnnouncementOutput = await self._transport.call(
            Call("PATCH", f"/announcements/{_in_path(announcement_id)}", json=body)
        )
        return found

    async def discard(self, announcement_id: object, /) -> None:
        """Delete a draft. `DELETE /announcements/{announcement_id}`"""
        found: None = await self._transport.call(
            Call("DELETE", f"/announcements/{_in_path(announcement_id)}")
        )
        return found

    async def end(self, announcement_id: object, /) -> m.AnnouncementOutput:
        """Take it out of every inbox. `POST /announcements/{announcement_id}/end`"""
        found: m.AnnouncementOutput = await self._transport.call(
            Call("POST", f"/announcements/{_in_path(announcement_id)}/end")
        )
        return found

    async def publish(self, announcement_id: object, /) -> m.AnnouncementOutput:
        """Let it go live at its time, or within a second. `POST
        /announcements/{announcement_id}/publish`
        """
        found: m.AnnouncementOutput = await self._transport.call(
            Call("POST", f"/announcements/{_in_path(announcement_id)}/publish")
        )
        return found


class AsyncBatches:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        limit: int | None = None,
        reference: str | None = None,
        state: Literal[
            "aborted",
            "awaiting_approval",
            "cancelled",
            "done",
            "halted",
            "paused",
            "receiving",
            "running",
        ]
        | None = None,
    ) -> AsyncRows[m.BatchOutput]:
        """List your batches, newest first. `GET /batches`"""
        return AsyncRows(
            self._transport,
            Call("GET", "/batches", query={"limit": limit, "reference": reference, "state": state}),
        )

    async def send(
        self, *, idempotency_key: str | None = None, **body: Unpack[m.JsonBatchInput]
    ) -> m.BatchOutput:
        """Send to many. `POST /batches`"""
        found: m.BatchOutput = await self._transport.call(
            Call(
                "POST",
                "/batches",
                json=body,
                headers=_headers(Idempotency_Key=idempotency_key or calls.key()),
            )
        )
        return found

    async def get(self, batch_id: object, /) -> m.BatchOutput:
        """A batch, and how far it got. `GET /batches/{batch_id}`"""
        found: m.BatchOutput = await self._transport.call(
            Call("GET", f"/batches/{_in_path(batch_id)}")
        )
        return found

    async def approve(self, batch_id: object, /) -> m.BatchOutput:
        """Pause, resume, cancel or approve a batch. `POST /batches/{batch_id}/approve`"""
        found: m.BatchOutput = await self._transport.call(
            Call("POST", f"/batches/{_in_path(batch_id)}/approve")
        )
        return found

    async def cancel(self, batch_id: object, /) -> m.BatchOutput:
        """Pause, resume, cancel or approve a batch. `POST /batches/{batch_id}/cancel`"""
        found: m.BatchOutput = await self._transport.call(
            Call("POST", f"/batches/{_in_path(batch_id)}/cancel")
        )
        return found

    async def pause(self, batch_id: object, /) -> m.BatchOutput:
        """Pause, resume, cancel or approve a batch. `POST /batches/{batch_id}/pause`"""
        found: m.BatchOutput = await self._transport.call(
            Call("POST", f"/batches/{_in_path(batch_id)}/pause")
        )
        return found

    def results(
        self,
        batch_id: object,
        /,
        *,
        format: Literal["csv", "json", "ndjson"] | None = None,
        limit: int | None = None,
        status: Literal["accepted", "rejected"] | None = None,
    ) -> AsyncRows[m.ResultOutput]:
        """What became of each row, in the order of the upload. `GET
        /batches/{batch_id}/results`
        """
        return AsyncRows(
            self._transport,
            Call(
                "GET",
                f"/batches/{_in_path(batch_id)}/results",
                query={"format": format, "limit": limit, "status": status},
            ),
        )

    async def resume(self, batch_id: object, /) -> m.BatchOutput:
        """Pause, resume, cancel or approve a batch. `POST /batches/{batch_id}/resume`"""
        found: m.BatchOutput = await self._transport.call(
            Call("POST", f"/batches/{_in_path(batch_id)}/resume")
        )
        return found


class AsyncBounces:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        category: str | None = None,
        channel: Literal["email", "inapp", "push", "sms"] | None = None,
        kind: Literal["block", "complaint", "hard", "soft"] | None = None,
        limit: int | None = None,
        provider: str | None = None,
        sender: str | None = None,
    ) -> AsyncRows[m.BounceOutput]:
        """List bounces and complaints, newest first. `GET /bounces`"""
        return AsyncRows(
            self._transport,
            Call(
                "GET",
                "/bounces",
                query={
                    "category": category,
                    "channel": channel,
                    "kind": kind,
                    "limit": limit,
                    "provider": provider,
                    "sender": sender,
                },
            ),
        )


class AsyncCategories:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(self, *, limit: int | None = None) -> AsyncRows[m.CategoryOutput]:
        """List categories, newest first. `GET /categories`"""
        return AsyncRows(self._transport, Call("GET", "/categories", query={"limit": limit}))

    async def make(self, **body: Unpack[m.CategoryInput]) -> m.CategoryOutput:
        """Make a category. `POST /categories`"""
        found: m.CategoryOutput = await self._transport.call(Call("POST", "/categories", json=body))
        return found

    async def get(self, key: object, /) -> m.CategoryOutput:
        """A category. `GET /categories/{key}`"""
        found: m.CategoryOutput = await self._transport.call(
            Call("GET", f"/categories/{_in_path(key)}")
        )
        return found

    async def change(
        self, key: object, /, **body: Unpack[m.PatchedCategoryChange]
    ) -> m.CategoryOutput:
        """Change the rules of a category. `PATCH /categories/{key}`"""
        found: m.CategoryOutput = await self._transport.call(
            Call("PATCH", f"/categories/{_in_path(key)}", json=body)
        )
        return found


class AsyncConversations:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        archived: bool | None = None,
        kind: Literal["direct", "group", "support"] | None = None,
        limit: int | None = None,
        status: Literal["closed", "open", "pending"] | None = None,
    ) -> AsyncRows[m.ConversationOutput]:
        """List your conversations, the latest active first. `GET /conversations`"""
        return AsyncRows(
            self._transport,
            Call(
                "GET",
                "/conversations",
                query={"archived": archived, "kind": kind, "limit": limit, "status": status},
            ),
        )

    async def start(self, **body: Unpack[m.ConversationInput]) -> m.ConversationOutput:
        """Start a conversation. `POST /conversations`"""
        found: m.ConversationOutput = await self._transport.call(
            Call("POST", "/conversations", json=body)
        )
        return found

    async def get(self, conversation_id: object, /) -> m.ConversationOutput:
        """A conversation, with its people and your marks. `GET
        /conversations/{conversation_id}`
        """
        found: m.ConversationOutput = await self._transport.call(
            Call("GET", f"/conversations/{_in_path(conversation_id)}")
        )
        return found

    async def change(
        self, conversation_id: object, /, **body: Unpack[m.PatchedConversationChange]
    ) -> m.ConversationOutput:
        """Give a group another title, or a support conversation another status. `PATCH
        /conversations/{conversation_id}`
        """
        found: m.ConversationOutput = await self._transport.call(
            Call("PATCH", f"/conversations/{_in_path(conversation_id)}", json=body)
        )
        return found

    async def archive(self, conversation_id: object, /) -> m.ConversationOutput:
        """Put it away until something new is written. `POST
        /conversations/{conversation_id}/archive`
        """
        found: m.ConversationOutput = await self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/archive")
        )
        return found

    async def unarchive(self, conversation_id: object, /) -> m.ConversationOutput:
        """Take it out of the archive. `DELETE /conversations/{conversation_id}/archive`"""
        found: m.ConversationOutput = await self._transport.call(
            Call("DELETE", f"/conversations/{_in_path(conversation_id)}/archive")
        )
        return found

    async def assign(
        self, conversation_id: object, /, **body: Unpack[m.AssignInput]
    ) -> m.ConversationOutput:
        """Give a support conversation to somebody of the staff. `POST
        /conversations/{conversation_id}/assign`
        """
        found: m.ConversationOutput = await self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/assign", json=body)
        )
        return found

    async def attachments_upload(
        self, conversation_id: object, /, *, file: bytes, filename: str
    ) -> m.AttachmentOutput:
        """Upload a file. `POST /conversations/{conversation_id}/attachments`"""
        found: m.AttachmentOutput = await self._transport.call(
            Call(
                "POST",
                f"/conversations/{_in_path(conversation_id)}/attachments",
                files={"file": (filename, file)},
            )
        )
        return found

    async def attachments_get(
        self, conversation_id: object, attachment_id: object, /
    ) -> m.LinksOutput:
        """A file, with links to it. `GET
        /conversations/{conversation_id}/attachments/{attachment_id}`
        """
        found: m.LinksOutput = await self._transport.call(
            Call(
                "GET",
                f"/conversations/{_in_path(conversation_id)}/attachments/{_in_path(attachment_id)}",
            )
        )
        return found

    async def entries_list(
        self,
        conversation_id: object,
        /,
        *,
        after: int | None = None,
        around: str | None = None,
        before: int | None = None,
        date: str | None = None,
        from_: int | None = None,
        limit: int | None = None,
    ) -> m.HistoryOutput:
        """Read a conversation. `GET /conversations/{conversation_id}/entries`"""
        found: m.HistoryOutput = await self._transport.call(
            Call(
                "GET",
                f"/conversations/{_in_path(conversation_id)}/entries",
                query={
                    "after": after,
                    "around": around,
                    "before": before,
                    "date": date,
                    "from": from_,
                    "limit": limit,
                },
            )
        )
        return found

    async def entries_write(
        self, conversation_id: object, /, **body: Unpack[m.EntryInput]
    ) -> m.EntryOutput:
        """Write into a conversation. `POST /conversations/{conversation_id}/entries`"""
        found: m.EntryOutput = await self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/entries", json=body)
        )
        return found

    async def entries_edit(
        self, conversation_id: object, entry_id: object, /, **body: Unpack[m.PatchedEntryChange]
    ) -> m.EntryOutput:
        """Change what you wrote. `PATCH /conversations/{conversation_id}/entries/{entry_id}`"""
        found: m.EntryOutput = await self._transport.call(
            Call(
                "PATCH",
                f"/conversations/{_in_path(conversation_id)}/entries/{_in_path(entry_id)}",
                json=body,
            )
        )
        return found

    async def entries_delete(self, conversation_id: object, entry_id: object, /) -> None:
        """Delete an entry. `DELETE /conversations/{conversation_id}/entries/{entry_id}`"""
        found: None = await self._transport.call(
            Call(
                "DELETE", f"/conversations/{_in_path(conversation_id)}/entries/{_in_path(entry_id)}"
            )
        )
        return found

    async def export(
        self, conversation_id: object, /, *, format: Literal["json", "ndjson", "txt"] | None = None
    ) -> _List[m.EntryOutput]:
        """Download a conversation, from its first entry on. `GET
        /conversations/{conversation_id}/export`
        """
        found: _List[m.EntryOutput] = await self._transport.call(
            Call(
                "GET",
                f"/conversations/{_in_path(conversation_id)}/export",
                query={"format": format},
            )
        )
        return found

    async def mute(
        self, conversation_id: object, /, **body: Unpack[m.MuteInput]
    ) -> m.ConversationOutput:
        """Not be called back to it until then. `POST /conversations/{conversation_id}/mute`"""
        found: m.ConversationOutput = await self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/mute", json=body)
        )
        return found

    async def notes_list(self, conversation_id: object, /) -> _List[m.NoteOutput]:
        """The team's notes, the latest 200. `GET /conversations/{conversation_id}/notes`"""
        found: _List[m.NoteOutput] = await self._transport.call(
            Call("GET", f"/conversations/{_in_path(conversation_id)}/notes")
        )
        return found

    async def notes_write(
        self, conversation_id: object, /, **body: Unpack[m.NoteInput]
    ) -> m.NoteOutput:
        """Write a note for the team. `POST /conversations/{conversation_id}/notes`"""
        found: m.NoteOutput = await self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/notes", json=body)
        )
        return found

    async def participants_list(self, conversation_id: object, /) -> _List[m.ParticipantOutput]:
        """Who takes part, and how far they have read. `GET
        /conversations/{conversation_id}/participants`
        """
        found: _List[m.ParticipantOutput] = await self._transport.call(
            Call("GET", f"/conversations/{_in_path(conversation_id)}/participants")
        )
        return found

    async def participants_add(
        self, conversation_id: object, /, **body: Unpack[m.PeopleInput]
    ) -> m.ConversationOutput:
        """Bring people in. `POST /conversations/{conversation_id}/participants`"""
        found: m.ConversationOutput = await self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/participants", json=body)
        )
        return found

    async def participants_role(
        self, conversation_id: object, user_id: object, /, **body: Unpack[m.PatchedRoleInput]
    ) -> None:
        """Make somebody an admin, a member, or the owner in your place. `PATCH
        /conversations/{conversation_id}/participants/{user_id}`
        """
        found: None = await self._transport.call(
            Call(
                "PATCH",
                f"/conversations/{_in_path(conversation_id)}/participants/{_in_path(user_id)}",
                json=body,
            )
        )
        return found

    async def participants_remove(self, conversation_id: object, user_id: object, /) -> None:
        """Take somebody out, or leave: your own id. `DELETE
        /conversations/{conversation_id}/participants/{user_id}`
        """
        found: None = await self._transport.call(
            Call(
                "DELETE",
                f"/conversations/{_in_path(conversation_id)}/participants/{_in_path(user_id)}",
            )
        )
        return found

    async def pins_list(self, conversation_id: object, /) -> _List[m.EntryOutput]:
        """What is pinned, the latest first. `GET /conversations/{conversation_id}/pins`"""
        found: _List[m.EntryOutput] = await self._transport.call(
            Call("GET", f"/conversations/{_in_path(conversation_id)}/pins")
        )
        return found

    async def pins_add(
        self, conversation_id: object, /, **body: Unpack[m.EntryOfConversation]
    ) -> m.EntryOutput:
        """Pin an entry. `POST /conversations/{conversation_id}/pins`"""
        found: m.EntryOutput = await self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/pins", json=body)
        )
        return found

    async def pins_remove(
        self, conversation_id: object, /, **body: Unpack[m.EntryOfConversation]
    ) -> m.EntryOutput:
        """Unpin an entry. `DELETE /conversations/{conversation_id}/pins`"""
        found: m.EntryOutput = await self._transport.call(
            Call("DELETE", f"/conversations/{_in_path(conversation_id)}/pins", json=body)
        )
        return found

    async def reactions_add(
        self, conversation_id: object, /, **body: Unpack[m.ReactionInput]
    ) -> m.EntryOutput:
        """Put an emoji at an entry. `POST /conversations/{conversation_id}/reactions`"""
        found: m.EntryOutput = await self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/reactions", json=body)
        )
        return found

    async def reactions_remove(
        self, conversation_id: object, /, **body: Unpack[m.ReactionInput]
    ) -> m.EntryOutput:
        """Take your emoji away. `DELETE /conversations/{conversation_id}/reactions`"""
        found: m.EntryOutput = await self._transport.call(
            Call("DELETE", f"/conversations/{_in_path(conversation_id)}/reactions", json=body)
        )
        return found

    async def read(
        self, conversation_id: object, /, **body: Unpack[m.MarkInput]
    ) -> m.ConversationOutput:
        """Say how far you have read. `POST /conversations/{conversation_id}/read`"""
        found: m.ConversationOutput = await self._transport.call(
            Call("POST", f"/conversations/{_in_path(conversation_id)}/read", json=body)
        )
        return found

    def search(
        self,
        *,
        author: str | None = None,
        conversation: str | None = None,
        from_: str | None = None,
        limit: int | None = None,
        q: str | None = None,
        to: str | None = None,
    ) -> AsyncRows[m.FoundOutput]:
        """Search what you may read, best first. `GET /conversations/search`"""
        return AsyncRows(
            self._transport,
            Call(
                "GET",
                "/conversations/search",
                query={
                    "author": author,
                    "conversation": conversation,
                    "from": from_,
                    "limit": limit,
                    "q": q,
                    "to": to,
                },
            ),
        )


class AsyncDeadLetters:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        batch: str | None = None,
        category: str | None = None,
        channel: Literal["email", "sms", "push", "inapp"] | None = None,
        code: str | None = None,
        error_class: Literal[
            "permanent_recipient",
            "permanent_message",
            "auth_config",
            "throttled",
            "temporary",
            "ambiguous",
        ]
        | None = None,
        limit: int | None = None,
        provider: str | None = None,
        replayed: Literal["true", "false"] | None = None,
        since: str | None = None,
        template: str | None = None,
        until: str | None = None,
    ) -> AsyncRows[m.DeadLetterOutput]:
        """List your dead letters, newest first. `GET /dead-letters`"""
        return AsyncRows(
            self._transport,
            Call(
                "GET",
                "/dead-letters",
                query={
                    "batch": batch,
                    "category": category,
                    "channel": channel,
                    "code": code,
                    "error_class": error_class,
                    "limit": limit,
                    "provider": provider,
                    "replayed": replayed,
                    "since": since,
                    "template": template,
                    "until": until,
                },
            ),
        )

    async def get(self, letter_id: object, /) -> m.DeadLetterDetail:
        """One dead letter, with every attempt of its delivery. `GET /dead-letters/{letter_id}`"""
        found: m.DeadLetterDetail = await self._transport.call(
            Call("GET", f"/dead-letters/{_in_path(letter_id)}")
        )
        return found

    async def edit(
        self, letter_id: object, /, **body: Unpack[m.PatchedEditInput]
    ) -> m.DeadLetterDetail:
        """Change where a replay goes and what it says. `PATCH /dead-letters/{letter_id}`"""
        found: m.DeadLetterDetail = await self._transport.call(
            Call("PATCH", f"/dead-letters/{_in_path(letter_id)}", json=body)
        )
        return found

    async def replay(self, letter_id: object, /) -> m.ReplayedOutput:
        """Send a dead letter again, once. `POST /dead-letters/{letter_id}/replay`"""
        found: m.ReplayedOutput = await self._transport.call(
            Call("POST", f"/dead-letters/{_in_path(letter_id)}/replay")
        )
        return found

    async def replay_many(self, **body: Unpack[m.ReplayInput]) -> m.ReplaysOutput:
        """Send dead letters again, by id or by filter. `POST /dead-letters/replay`"""
        found: m.ReplaysOutput = await self._transport.call(
            Call("POST", "/dead-letters/replay", json=body)
        )
        return found


class AsyncInbox:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        category: str | None = None,
        filter: Literal["all", "archived", "snoozed", "unread", "unseen"] | None = None,
        limit: int | None = None,
        tag: str | None = None,
    ) -> AsyncRows[m.ItemOutput]:
        """Your inbox, newest first. `GET /inbox`"""
        return AsyncRows(
            self._transport,
            Call(
                "GET",
                "/inbox",
                query={"category": category, "filter": filter, "limit": limit, "tag": tag},
            ),
        )

    async def act(self, **body: Unpack[m.ActInput]) -> m.ItemOutput:
        """Press a button of an item. `POST /inbox/act`"""
        found: m.ItemOutput = await self._transport.call(Call("POST", "/inbox/act", json=body))
        return found

    async def archive(self, **body: Unpack[m.UndoableInput]) -> m.ChangedOutput:
        """Out of the feed, or with `undo` back. `POST /inbox/archive`"""
        found: m.ChangedOutput = await self._transport.call(
            Call("POST", "/inbox/archive", json=body)
        )
        return found

    async def counts(self, *, tag: _List[str] | None = None) -> m.CountsOutput:
        """How many items are unseen, unread, snoozed; also by tag. `GET /inbox/counts`"""
        found: m.CountsOutput = await self._transport.call(
            Call("GET", "/inbox/counts", query={"tag": tag})
        )
        return found

    async def read(self, **body: Unpack[m.UndoableInput]) -> m.ChangedOutput:
        """They were read, or with `undo` not. `POST /inbox/read`"""
        found: m.ChangedOutput = await self._transport.call(Call("POST", "/inbox/read", json=body))
        return found

    async def seen(self, **body: Unpack[m.ChangeInput]) -> m.ChangedOutput:
        """They were shown. `POST /inbox/seen`"""
        found: m.ChangedOutput = await self._transport.call(Call("POST", "/inbox/seen", json=body))
        return found

    async def snooze(self, **body: Unpack[m.SnoozeInput]) -> m.ChangedOutput:
        """Out of the feed until a moment, when they come back as new. `POST /inbox/snooze`"""
        found: m.ChangedOutput = await self._transport.call(
            Call("POST", "/inbox/snooze", json=body)
        )
        return found


class AsyncNotifications:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        created_after: str | None = None,
        limit: int | None = None,
        reference: str | None = None,
        status: Literal[
            "bounced",
            "cancelled",
            "complained",
            "dead",
            "delivered",
            "expired",
            "failed",
            "queued",
            "scheduled",
            "sending",
            "sent",
            "suppressed",
            "unconfirmed",
            "unknown",
        ]
        | None = None,
        user_id: str | None = None,
    ) -> AsyncRows[m.NotificationOutput]:
        """List your messages, newest first. `GET /notifications`"""
        return AsyncRows(
            self._transport,
            Call(
                "GET",
                "/notifications",
                query={
                    "created_after": created_after,
                    "limit": limit,
                    "reference": reference,
                    "status": status,
                    "user_id": user_id,
                },
            ),
        )

    async def send(
        self, *, idempotency_key: str | None = None, **body: Unpack[m.NotificationInput]
    ) -> m.AcceptedOutput:
        """Send a message. `POST /notifications`"""
        found: m.AcceptedOutput = await self._transport.call(
            Call(
                "POST",
                "/notifications",
                json=body,
                headers=_headers(Idempotency_Key=idempotency_key or calls.key()),
            )
        )
        return found

    async def get(self, notification_id: object, /) -> m.NotificationDetail:
        """One message, with every attempt and event. `GET /notifications/{notification_id}`"""
        found: m.NotificationDetail = await self._transport.call(
            Call("GET", f"/notifications/{_in_path(notification_id)}")
        )
        return found

    async def cancel(self, notification_id: object, /) -> m.CancelledOutput:
        """Stop a message before its provider is called. `POST
        /notifications/{notification_id}/cancel`
        """
        found: m.CancelledOutput = await self._transport.call(
            Call("POST", f"/notifications/{_in_path(notification_id)}/cancel")
        )
        return found

    async def convert(
        self, notification_id: object, /, **body: Unpack[m.ConvertInput]
    ) -> m.ConvertedOutput:
        """Say that a message brought about what it was sent for. `POST
        /notifications/{notification_id}/convert`
        """
        found: m.ConvertedOutput = await self._transport.call(
            Call("POST", f"/notifications/{_in_path(notification_id)}/convert", json=body)
        )
        return found

    async def explain(self, notification_id: object, /) -> m.ExplainedOutput:
        """Why a message goes out or does not, and by which provider. `GET
        /notifications/{notification_id}/explain`
        """
        found: m.ExplainedOutput = await self._transport.call(
            Call("GET", f"/notifications/{_in_path(notification_id)}/explain")
        )
        return found


class AsyncPresence:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def get(self) -> m.PresenceFields:
        """What others may know of my presence. `GET /presence`"""
        found: m.PresenceFields = await self._transport.call(Call("GET", "/presence"))
        return found

    async def set(self, **body: Unpack[m.PresenceFields]) -> m.PresenceFields:
        """Hide when I was last connected, or show it again. `PUT /presence`"""
        found: m.PresenceFields = await self._transport.call(Call("PUT", "/presence", json=body))
        return found


class AsyncProviders:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def list(self) -> m.ProvidersOutput:
        """Every provider: whether it is on, well, and within its limit. `GET /providers`"""
        found: m.ProvidersOutput = await self._transport.call(Call("GET", "/providers"))
        return found

    async def get(self, name: object, /) -> m.ProviderOutput:
        """One provider, with more of its history. `GET /providers/{name}`"""
        found: m.ProviderOutput = await self._transport.call(
            Call("GET", f"/providers/{_in_path(name)}")
        )
        return found

    async def simulator_script_get(self) -> m.ScriptOutput:
        """The simulators' script. `GET /providers/simulator/script`"""
        found: m.ScriptOutput = await self._transport.call(
            Call("GET", "/providers/simulator/script")
        )
        return found

    async def simulator_script_put(self, **body: Unpack[m.ScriptInput]) -> m.ScriptOutput:
        """Make the simulators misbehave. `PUT /providers/simulator/script`"""
        found: m.ScriptOutput = await self._transport.call(
            Call("PUT", "/providers/simulator/script", json=body)
        )
        return found

    async def simulator_script_delete(self) -> None:
        """Let the simulators behave again. `DELETE /providers/simulator/script`"""
        found: None = await self._transport.call(Call("DELETE", "/providers/simulator/script"))
        return found


class AsyncPush:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def web_key(self) -> m.WebKeyOutput:
        """The public key that browsers subscribe with. `GET /push/web-key`"""
        found: m.WebKeyOutput = await self._transport.call(Call("GET", "/push/web-key"))
        return found


class AsyncRecipients:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self, *, limit: int | None = None, topic: str | None = None
    ) -> AsyncRows[m.RecipientOutput]:
        """List people, the latest first. `GET /recipients`"""
        return AsyncRows(
            self._transport, Call("GET", "/recipients", query={"limit": limit, "topic": topic})
        )

    async def get(self, user_id: object, /) -> m.RecipientOutput:
        """A person, with addresses and topics. `GET /recipients/{user_id}`"""
        found: m.RecipientOutput = await self._transport.call(
            Call("GET", f"/recipients/{_in_path(user_id)}")
        )
        return found

    async def put(self, user_id: object, /, **body: Unpack[m.RecipientInput]) -> m.RecipientOutput:
        """Say what you know of a person, who may be new. `PUT /recipients/{user_id}`"""
        found: m.RecipientOutput = await self._transport.call(
            Call("PUT", f"/recipients/{_in_path(user_id)}", json=body)
        )
        return found

    async def change(
        self, user_id: object, /, **body: Unpack[m.PatchedRecipientInput]
    ) -> m.RecipientOutput:
        """Change a person who is known. `PATCH /recipients/{user_id}`"""
        found: m.RecipientOutput = await self._transport.call(
            Call("PATCH", f"/recipients/{_in_path(user_id)}", json=body)
        )
        return found

    async def erase(self, user_id: object, /) -> m.PersonalDataOutput:
        """Erase a person, everywhere and for good. `DELETE /recipients/{user_id}`"""
        found: m.PersonalDataOutput = await self._transport.call(
            Call("DELETE", f"/recipients/{_in_path(user_id)}")
        )
        return found

    def addresses_list(
        self, user_id: object, /, *, limit: int | None = None
    ) -> AsyncRows[m.AddressOutput]:
        """List a person's addresses, newest first. `GET /recipients/{user_id}/addresses`"""
        return AsyncRows(
            self._transport,
            Call("GET", f"/recipients/{_in_path(user_id)}/addresses", query={"limit": limit}),
        )

    async def addresses_add(
        self, user_id: object, /, **body: Unpack[m.AddressInput]
    ) -> m.AddressOutput:
        """Add an address. `POST /recipients/{user_id}/addresses`"""
        found: m.AddressOutput = await self._transport.call(
            Call("POST", f"/recipients/{_in_path(user_id)}/addresses", json=body)
        )
        return found

    async def addresses_remove(self, user_id: object, address_id: object, /) -> None:
        """Remove an address: nothing more is sent there. `DELETE
        /recipients/{user_id}/addresses/{address_id}`
        """
        found: None = await self._transport.call(
            Call("DELETE", f"/recipients/{_in_path(user_id)}/addresses/{_in_path(address_id)}")
        )
        return found

    def devices_list(
        self, user_id: object, /, *, limit: int | None = None
    ) -> AsyncRows[m.DeviceOutput]:
        """List a person's devices, newest first. `GET /recipients/{user_id}/devices`"""
        return AsyncRows(
            self._transport,
            Call("GET", f"/recipients/{_in_path(user_id)}/devices", query={"limit": limit}),
        )

    async def devices_register(
        self, user_id: object, /, **body: Unpack[m.DeviceInput]
    ) -> m.DeviceOutput:
        """Register a device, or say that it is still in use. `POST
        /recipients/{user_id}/devices`
        """
        found: m.DeviceOutput = await self._transport.call(
            Call("POST", f"/recipients/{_in_path(user_id)}/devices", json=body)
        )
        return found

    async def devices_get(self, user_id: object, device_id: object, /) -> m.DeviceOutput:
        """One device, also a removed one, with the reason. `GET
        /recipients/{user_id}/devices/{device_id}`
        """
        found: m.DeviceOutput = await self._transport.call(
            Call("GET", f"/recipients/{_in_path(user_id)}/devices/{_in_path(device_id)}")
        )
        return found

    async def devices_remove(self, user_id: object, device_id: object, /) -> None:
        """Remove a device: it is not notified any more. `DELETE
        /recipients/{user_id}/devices/{device_id}`
        """
        found: None = await self._transport.call(
            Call("DELETE", f"/recipients/{_in_path(user_id)}/devices/{_in_path(device_id)}")
        )
        return found

    async def erasure(self, user_id: object, /) -> m.PersonalDataOutput:
        """The receipt of a person's erasure, or how far it has come. `GET
        /recipients/{user_id}/erasure`
        """
        found: m.PersonalDataOutput = await self._transport.call(
            Call("GET", f"/recipients/{_in_path(user_id)}/erasure")
        )
        return found

    async def export(self, user_id: object, /) -> m.PersonalDataOutput | str:
        """All that is known of a person. `GET /recipients/{user_id}/export`"""
        found: m.PersonalDataOutput | str = await self._transport.call(
            Call("GET", f"/recipients/{_in_path(user_id)}/export")
        )
        return found

    async def preferences_get(self, user_id: object, /) -> m.PreferencesOutput:
        """A person's choices and what there is to choose from. `GET
        /recipients/{user_id}/preferences`
        """
        found: m.PreferencesOutput = await self._transport.call(
            Call("GET", f"/recipients/{_in_path(user_id)}/preferences")
        )
        return found

    async def preferences_put(
        self, user_id: object, /, **body: Unpack[m.PreferencesInput]
    ) -> m.PreferencesOutput:
        """Write choices of a person. `PUT /recipients/{user_id}/preferences`"""
        found: m.PreferencesOutput = await self._transport.call(
            Call("PUT", f"/recipients/{_in_path(user_id)}/preferences", json=body)
        )
        return found

    async def quiet_hours_get(self, user_id: object, /) -> m.QuietHoursOutput:
        """A person's quiet hours. `GET /recipients/{user_id}/quiet-hours`"""
        found: m.QuietHoursOutput = await self._transport.call(
            Call("GET", f"/recipients/{_in_path(user_id)}/quiet-hours")
        )
        return found

    async def quiet_hours_put(
        self, user_id: object, /, **body: Unpack[m.QuietHoursInput]
    ) -> m.QuietHoursOutput:
        """Set a person's quiet hours. `PUT /recipients/{user_id}/quiet-hours`"""
        found: m.QuietHoursOutput = await self._transport.call(
            Call("PUT", f"/recipients/{_in_path(user_id)}/quiet-hours", json=body)
        )
        return found

    async def import_(
        self, *, content: bytes, content_type: str = "application/x-ndjson"
    ) -> m.PeopleImportedOutput:
        """Import people from NDJSON or CSV. `POST /recipients/import`"""
        found: m.PeopleImportedOutput = await self._transport.call(
            Call(
                "POST",
                "/recipients/import",
                content=content,
                headers=_headers(Content_Type=content_type),
            )
        )
        return found


class AsyncSchedules:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def list(self) -> m.SchedulePage:
        """List your schedules, newest first. `GET /schedules`"""
        found: m.SchedulePage = await self._transport.call(Call("GET", "/schedules"))
        return found

    async def create(
        self, *, idempotency_key: str | None = None, **body: Unpack[m.ScheduleInput]
    ) -> m.ScheduleDetail:
        """Send a message or a batch again and again. `POST /schedules`"""
        found: m.ScheduleDetail = await self._transport.call(
            Call(
                "POST",
                "/schedules",
                json=body,
                headers=_headers(Idempotency_Key=idempotency_key or calls.key()),
            )
        )
        return found

    async def get(self, schedule_id: object, /) -> m.ScheduleDetail:
        """One schedule, with its next runs. `GET /schedules/{schedule_id}`"""
        found: m.ScheduleDetail = await self._transport.call(
            Call("GET", f"/schedules/{_in_path(schedule_id)}")
        )
        return found

    async def change(
        self, schedule_id: object, /, **body: Unpack[m.PatchedScheduleChange]
    ) -> m.ScheduleDetail:
        """Change, pause or resume a schedule. `PATCH /schedules/{schedule_id}`"""
        found: m.ScheduleDetail = await self._transport.call(
            Call("PATCH", f"/schedules/{_in_path(schedule_id)}", json=body)
        )
        return found

    async def delete(self, schedule_id: object, /) -> None:
        """Delete a schedule; what it has sent stays. `DELETE /schedules/{schedule_id}`"""
        found: None = await self._transport.call(
            Call("DELETE", f"/schedules/{_in_path(schedule_id)}")
        )
        return found


class AsyncSuppressions:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        address: str | None = None,
        channel: Literal["email", "inapp", "push", "sms"] | None = None,
        limit: int | None = None,
        reason: Literal["bounce", "complaint", "manual", "unsubscribe"] | None = None,
        scope: str | None = None,
    ) -> AsyncRows[m.SuppressionOutput]:
        """List suppressed addresses, newest first. `GET /suppressions`"""
        return AsyncRows(
            self._transport,
            Call(
                "GET",
                "/suppressions",
                query={
                    "address": address,
                    "channel": channel,
                    "limit": limit,
                    "reason": reason,
                    "scope": scope,
                },
            ),
        )

    async def add(self, **body: Unpack[m.SuppressionInput]) -> m.SuppressionOutput:
        """Put an address on the list. `POST /suppressions`"""
        found: m.SuppressionOutput = await self._transport.call(
            Call("POST", "/suppressions", json=body)
        )
        return found

    async def get(self, suppression_id: object, /) -> m.SuppressionOutput:
        """An entry. `GET /suppressions/{suppression_id}`"""
        found: m.SuppressionOutput = await self._transport.call(
            Call("GET", f"/suppressions/{_in_path(suppression_id)}")
        )
        return found

    async def lift(self, suppression_id: object, /, *, why: str | None = None) -> None:
        """Lift an entry: the address is written to again. `DELETE
        /suppressions/{suppression_id}`
        """
        found: None = await self._transport.call(
            Call("DELETE", f"/suppressions/{_in_path(suppression_id)}", query={"why": why})
        )
        return found

    async def export(
        self,
        *,
        address: str | None = None,
        channel: Literal["email", "inapp", "push", "sms"] | None = None,
        reason: Literal["bounce", "complaint", "manual", "unsubscribe"] | None = None,
        scope: str | None = None,
    ) -> str:
        """Export the list as CSV. `GET /suppressions/export`"""
        found: str = await self._transport.call(
            Call(
                "GET",
                "/suppressions/export",
                query={"address": address, "channel": channel, "reason": reason, "scope": scope},
            )
        )
        return found

    async def import_(
        self, *, content: bytes, content_type: str = "application/x-ndjson"
    ) -> m.PeopleImportedOutput:
        """Import entries from NDJSON or CSV. `POST /suppressions/import`"""
        found: m.PeopleImportedOutput = await self._transport.call(
            Call(
                "POST",
                "/suppressions/import",
                content=content,
                headers=_headers(Content_Type=content_type),
            )
        )
        return found


class AsyncTemplates:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def list(self, *, archived: bool | None = None) -> m.TemplatePage:
        """List templates. `GET /templates`"""
        found: m.TemplatePage = await self._transport.call(
            Call("GET", "/templates", query={"archived": archived})
        )
        return found

    async def create(self, **body: Unpack[m.TemplateInput]) -> m.TemplateDetail:
        """Make a template; its first version is a draft. `POST /templates`"""
        found: m.TemplateDetail = await self._transport.call(Call("POST", "/templates", json=body))
        return found

    async def get(self, key: object, /) -> m.TemplateDetail:
        """One template. `GET /templates/{key}`"""
        found: m.TemplateDetail = await self._transport.call(
            Call("GET", f"/templates/{_in_path(key)}")
        )
        return found

    async def change(
        self,
        key: object,
        /,
        *,
        if_match: str | None = None,
        **body: Unpack[m.PatchedTemplateChange],
    ) -> m.TemplateDetail:
        """Change the draft. `PATCH /templates/{key}`"""
        found: m.TemplateDetail = await self._transport.call(
            Call(
                "PATCH",
                f"/templates/{_in_path(key)}",
                json=body,
                headers=_headers(If_Match=if_match),
            )
        )
        return found

    async def archive(self, key: object, /) -> None:
        """Archive a template. `DELETE /templates/{key}`"""
        found: None = await self._transport.call(Call("DELETE", f"/templates/{_in_path(key)}"))
        return found

    async def experiments_list(self, key: object, /) -> m.ExperimentPage:
        """A template's A/B tests, newest first. `GET /templates/{key}/experiments`"""
        found: m.ExperimentPage = await self._transport.call(
            Call("GET", f"/templates/{_in_path(key)}/experiments")
        )
        return found

    async def experiments_create(
        self, key: object, /, **body: Unpack[m.ExperimentInput]
    ) -> m.ExperimentOutput:
        """Make an A/B test; it begins when it is started. `POST /templates/{key}/experiments`"""
        found: m.ExperimentOutput = await self._transport.call(
            Call("POST", f"/templates/{_in_path(key)}/experiments", json=body)
        )
        return found

    async def experiments_get(self, key: object, experiment_id: object, /) -> m.ExperimentOutput:
        """One A/B test. `GET /templates/{key}/experiments/{experiment_id}`"""
        found: m.ExperimentOutput = await self._transport.call(
            Call("GET", f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}")
        )
        return found

    async def experiments_change(
        self, key: object, experiment_id: object, /, **body: Unpack[m.PatchedExperimentChange]
    ) -> m.ExperimentOutput:
        """Change an A/B test. `PATCH /templates/{key}/experiments/{experiment_id}`"""
        found: m.ExperimentOutput = await self._transport.call(
            Call(
                "PATCH",
                f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}",
                json=body,
            )
        )
        return found

    async def experiments_remove(self, key: object, experiment_id: object, /) -> None:
        """Remove a draft. `DELETE /templates/{key}/experiments/{experiment_id}`"""
        found: None = await self._transport.call(
            Call("DELETE", f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}")
        )
        return found

    async def experiments_decide(
        self, key: object, experiment_id: object, /, **body: Unpack[m.WinnerInput]
    ) -> m.ExperimentOutput:
        """Send the winner to everybody from now on. `POST
        /templates/{key}/experiments/{experiment_id}/decide`
        """
        found: m.ExperimentOutput = await self._transport.call(
            Call(
                "POST",
                f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}/decide",
                json=body,
            )
        )
        return found

    async def experiments_results(self, key: object, experiment_id: object, /) -> m.ResultsOutput:
        """Rates with their intervals, and how certain the best one is. `GET
        /templates/{key}/experiments/{experiment_id}/results`
        """
        found: m.ResultsOutput = await self._transport.call(
            Call("GET", f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}/results")
        )
        return found

    async def experiments_start(self, key: object, experiment_id: object, /) -> m.ExperimentOutput:
        """Send the variants from now on. `POST
        /templates/{key}/experiments/{experiment_id}/start`
        """
        found: m.ExperimentOutput = await self._transport.call(
            Call("POST", f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}/start")
        )
        return found

    async def experiments_stop(self, key: object, experiment_id: object, /) -> m.ExperimentOutput:
        """Send the version in use again; what was sent is still counted. `POST
        /templates/{key}/experiments/{experiment_id}/stop`
        """
        found: m.ExperimentOutput = await self._transport.call(
            Call("POST", f"/templates/{_in_path(key)}/experiments/{_in_path(experiment_id)}/stop")
        )
        return found

    async def import_html(
        self, key: object, /, *, if_match: str | None = None, **body: Unpack[m.PageInput]
    ) -> m.LoadedPage:
        """Make a page of HTML the email of a template, new or there already. `POST
        /templates/{key}/import-html`
        """
        found: m.LoadedPage = await self._transport.call(
            Call(
                "POST",
                f"/templates/{_in_path(key)}/import-html",
                json=body,
                headers=_headers(If_Match=if_match),
            )
        )
        return found

    async def preview(self, key: object, /, **body: Unpack[m.PreviewInput]) -> m.PreviewOutput:
        """Render a version, or content that is not saved, with your data. `POST
        /templates/{key}/preview`
        """
        found: m.PreviewOutput = await self._transport.call(
            Call("POST", f"/templates/{_in_path(key)}/preview", json=body)
        )
        return found

    async def publish(self, key: object, /, *, if_match: str | None = None) -> m.PublishedOutput:
        """Publish the draft: messages use it from now on. `POST /templates/{key}/publish`"""
        found: m.PublishedOutput = await self._transport.call(
            Call("POST", f"/templates/{_in_path(key)}/publish", headers=_headers(If_Match=if_match))
        )
        return found

    async def test_send(
        self, key: object, /, *, idempotency_key: str | None = None, **body: Unpack[m.ProofInput]
    ) -> m.AcceptedOutput:
        """Send a version of a template, also a draft, to somebody to look at. `POST
        /templates/{key}/test-send`
        """
        found: m.AcceptedOutput = await self._transport.call(
            Call(
                "POST",
                f"/templates/{_in_path(key)}/test-send",
                json=body,
                headers=_headers(Idempotency_Key=idempotency_key or calls.key()),
            )
        )
        return found

    async def unarchive(self, key: object, /) -> m.TemplateOutput:
        """Take a template from the archive: messages can use it again. `POST
        /templates/{key}/unarchive`
        """
        found: m.TemplateOutput = await self._transport.call(
            Call("POST", f"/templates/{_in_path(key)}/unarchive")
        )
        return found

    async def versions(self, key: object, /) -> m.VersionPage:
        """All versions, newest first. `GET /templates/{key}/versions`"""
        found: m.VersionPage = await self._transport.call(
            Call("GET", f"/templates/{_in_path(key)}/versions")
        )
        return found

    async def version(self, key: object, number: object, /) -> m.VersionOutput:
        """One version. `GET /templates/{key}/versions/{number}`"""
        found: m.VersionOutput = await self._transport.call(
            Call("GET", f"/templates/{_in_path(key)}/versions/{_in_path(number)}")
        )
        return found

    async def diff(self, key: object, number: object, /, *, to: int | None = None) -> m.DiffOutput:
        """What differs between two versions, part by part. `GET
        /templates/{key}/versions/{number}/diff`
        """
        found: m.DiffOutput = await self._transport.call(
            Call(
                "GET",
                f"/templates/{_in_path(key)}/versions/{_in_path(number)}/diff",
                query={"to": to},
            )
        )
        return found

    async def restore(
        self, key: object, number: object, /, *, if_match: str | None = None
    ) -> m.VersionOutput:
        """Make a draft that says what this version said. `POST
        /templates/{key}/versions/{number}/restore`
        """
        found: m.VersionOutput = await self._transport.call(
            Call(
                "POST",
                f"/templates/{_in_path(key)}/versions/{_in_path(number)}/restore",
                headers=_headers(If_Match=if_match),
            )
        )
        return found

    async def export(self, *, key: _List[str] | None = None) -> m.BundleOutput:
        """All templates in one document. `GET /templates/export`"""
        found: m.BundleOutput = await self._transport.call(
            Call("GET", "/templates/export", query={"key": key})
        )
        return found

    async def import_(self, **body: Unpack[m.BundleInput]) -> m.ImportedOutput:
        """Make the templates what a document says: all of it or nothing. `POST
        /templates/import`
        """
        found: m.ImportedOutput = await self._transport.call(
            Call("POST", "/templates/import", json=body)
        )
        return found


class AsyncTopics:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(self, *, limit: int | None = None) -> AsyncRows[m.TopicOutput]:
        """List topics, newest first. `GET /topics`"""
        return AsyncRows(self._transport, Call("GET", "/topics", query={"limit": limit}))

    async def make(self, **body: Unpack[m.TopicInput]) -> m.TopicOutput:
        """Make a topic. `POST /topics`"""
        found: m.TopicOutput = await self._transport.call(Call("POST", "/topics", json=body))
        return found

    async def get(self, key: object, /) -> m.TopicOutput:
        """A topic. `GET /topics/{key}`"""
        found: m.TopicOutput = await self._transport.call(Call("GET", f"/topics/{_in_path(key)}"))
        return found

    async def change(self, key: object, /, **body: Unpack[m.PatchedTopicChange]) -> m.TopicOutput:
        """Give a topic another name. `PATCH /topics/{key}`"""
        found: m.TopicOutput = await self._transport.call(
            Call("PATCH", f"/topics/{_in_path(key)}", json=body)
        )
        return found

    async def delete(self, key: object, /) -> None:
        """Delete a topic; its people stay. `DELETE /topics/{key}`"""
        found: None = await self._transport.call(Call("DELETE", f"/topics/{_in_path(key)}"))
        return found

    def members(self, key: object, /, *, limit: int | None = None) -> AsyncRows[m.MemberOutput]:
        """List the people of a topic, the latest first. `GET /topics/{key}/members`"""
        return AsyncRows(
            self._transport, Call("GET", f"/topics/{_in_path(key)}/members", query={"limit": limit})
        )

    async def add(self, key: object, /, **body: Unpack[m.MembersInput]) -> m.MembersChangedOutput:
        """Add people to a topic. `POST /topics/{key}/members`"""
        found: m.MembersChangedOutput = await self._transport.call(
            Call("POST", f"/topics/{_in_path(key)}/members", json=body)
        )
        return found

    async def remove(
        self, key: object, /, **body: Unpack[m.MembersInput]
    ) -> m.MembersChangedOutput:
        """Take people out of a topic. `DELETE /topics/{key}/members`"""
        found: m.MembersChangedOutput = await self._transport.call(
            Call("DELETE", f"/topics/{_in_path(key)}/members", json=body)
        )
        return found


class AsyncWebhookEndpoints:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(self, *, limit: int | None = None) -> AsyncRows[m.EndpointOutput]:
        """List your webhook endpoints, newest first. `GET /webhook-endpoints`"""
        return AsyncRows(self._transport, Call("GET", "/webhook-endpoints", query={"limit": limit}))

    async def make(self, **body: Unpack[m.EndpointInput]) -> m.EndpointMade:
        """Have events sent to an address. `POST /webhook-endpoints`"""
        found: m.EndpointMade = await self._transport.call(
            Call("POST", "/webhook-endpoints", json=body)
        )
        return found

    async def get(self, endpoint_id: object, /) -> m.EndpointOutput:
        """A webhook endpoint. `GET /webhook-endpoints/{endpoint_id}`"""
        found: m.EndpointOutput = await self._transport.call(
            Call("GET", f"/webhook-endpoints/{_in_path(endpoint_id)}")
        )
        return found

    async def change(
        self, endpoint_id: object, /, **body: Unpack[m.PatchedEndpointChange]
    ) -> m.EndpointOutput:
        """Change a webhook endpoint, or switch it on or off. `PATCH /webhook-
        endpoints/{endpoint_id}`
        """
        found: m.EndpointOutput = await self._transport.call(
            Call("PATCH", f"/webhook-endpoints/{_in_path(endpoint_id)}", json=body)
        )
        return found

    async def delete(self, endpoint_id: object, /) -> None:
        """Delete a webhook endpoint, with what waits for it and its log. `DELETE /webhook-
        endpoints/{endpoint_id}`
        """
        found: None = await self._transport.call(
            Call("DELETE", f"/webhook-endpoints/{_in_path(endpoint_id)}")
        )
        return found

    def deliveries(
        self,
        endpoint_id: object,
        /,
        *,
        limit: int | None = None,
        state: Literal["delivered", "failed", "waiting"] | None = None,
    ) -> AsyncRows[m.WebhookDeliveryOutput]:
        """List the deliveries to an endpoint with every try, newest first. `GET /webhook-
        endpoints/{endpoint_id}/deliveries`
        """
        return AsyncRows(
            self._transport,
            Call(
                "GET",
                f"/webhook-endpoints/{_in_path(endpoint_id)}/deliveries",
                query={"limit": limit, "state": state},
            ),
        )

    async def replay(
        self, endpoint_id: object, /, **body: Unpack[m.ReplayWebhooks]
    ) -> m.ReplayedWebhooksOutput:
        """Send one delivery, or those of a time, once more. `POST /webhook-
        endpoints/{endpoint_id}/replay`
        """
        found: m.ReplayedWebhooksOutput = await self._transport.call(
            Call("POST", f"/webhook-endpoints/{_in_path(endpoint_id)}/replay", json=body)
        )
        return found

    async def rotate(self, endpoint_id: object, /) -> m.EndpointMade:
        """Give an endpoint a new secret. `POST /webhook-endpoints/{endpoint_id}/rotate-secret`"""
        found: m.EndpointMade = await self._transport.call(
            Call("POST", f"/webhook-endpoints/{_in_path(endpoint_id)}/rotate-secret")
        )
        return found

    async def test(self, endpoint_id: object, /) -> m.WebhookDeliveryOutput:
        """Have a `webhook.test` event sent to an endpoint. `POST /webhook-
        endpoints/{endpoint_id}/test`
        """
        found: m.WebhookDeliveryOutput = await self._transport.call(
            Call("POST", f"/webhook-endpoints/{_in_path(endpoint_id)}/test")
        )
        return found


class AsyncWebhookReceipts:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        limit: int | None = None,
        provider: str | None = None,
        since: str | None = None,
        state: Literal["waiting", "applied", "unknown", "set_aside"] | None = None,
        until: str | None = None,
    ) -> AsyncRows[m.ReceiptOutput]:
        """List providers' webhook calls, newest first. `GET /webhook-receipts`"""
        return AsyncRows(
            self._transport,
            Call(
                "GET",
                "/webhook-receipts",
                query={
                    "limit": limit,
                    "provider": provider,
                    "since": since,
                    "state": state,
                    "until": until,
                },
            ),
        )

    async def replay(self, receipt_id: object, /) -> m.ReceiptOutput:
        """Apply a webhook call again. `POST /webhook-receipts/{receipt_id}/replay`"""
        found: m.ReceiptOutput = await self._transport.call(
            Call("POST", f"/webhook-receipts/{_in_path(receipt_id)}/replay")
        )
        return found

    async def replay_many(self, **body: Unpack[m.ReceiptReplayInput]) -> m.ReplayOutput:
        """Apply webhook calls again, by filter. `POST /webhook-receipts/replay`"""
        found: m.ReplayOutput = await self._transport.call(
            Call("POST", "/webhook-receipts/replay", json=body)
        )
        return found


class AsyncComms(AsyncTransport):
    """The API. `url` is where the service is, `key` an API key or the token of a person."""

    def __init__(self, url: str, key: str, **options: Any) -> None:
        super().__init__(url, key, **options)
        self.alerts = AsyncAlerts(self)
        self.analytics = AsyncAnalytics(self)
        self.announcements = AsyncAnnouncements(self)
        self.batches = AsyncBatches(self)
        self.bounces = AsyncBounces(self)
        self.categories = AsyncCategories(self)
        self.conversations = AsyncConversations(self)
        self.dead_letters = AsyncDeadLetters(self)
        self.inbox = AsyncInbox(self)
        self.notifications = AsyncNotifications(self)
        self.presence = AsyncPresence(self)
        self.providers = AsyncProviders(self)
        self.push = AsyncPush(self)
        self.recipients = AsyncRecipients(self)
        self.schedules = AsyncSchedules(self)
        self.suppressions = AsyncSuppressions(self)
        self.templates = AsyncTemplates(self)
        self.topics = AsyncTopics(self)
        self.webhook_endpoints = AsyncWebhookEndpoints(self)
        self.webhook_receipts = AsyncWebhookReceipts(self)

    async def queues(self) -> m.QueuesOutput:
        """How much waits, for how long, and how fast it goes. `GET /queues`"""
        found: m.QueuesOutput = await self.call(Call("GET", "/queues"))
        return found

    async def whoami(self) -> m.WhoAmIOutput:
        """Whose credentials are these?. `GET /whoami`"""
        found: m.WhoAmIOutput = await self.call(Call("GET", "/whoami"))
        return found

    async def ws_ticket(self) -> m.WsTicketOutput:
        """Get a ticket for the WebSocket. `POST /ws-ticket`"""
        found: m.WsTicketOutput = await self.call(Call("POST", "/ws-ticket"))
        return found
