"""Announcements: staff write a draft, look at it, publish it, and end it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import EditableAdmin, Question, Tone, ago, badge, link, shorten
from commsproject.common.admin.theme import ModelForm
from notifications import weblinks
from notifications.models import Announcement, Topic
from notifications.services import announcements

State = Announcement.State
_TONES = {
    State.DRAFT: Tone.QUIET,
    State.PUBLISHED: Tone.WARN,
    State.LIVE: Tone.GOOD,
    State.ENDED: Tone.QUIET,
}
_PUBLISH = Question(
    title="Publish this announcement?",
    text="It goes into inboxes at its time, or within a second. What it says cannot be changed then.",
    button="Publish it",
)
_END = Question(
    title="End this announcement?",
    text="It leaves every inbox, also where it was read. This cannot be undone.",
    button="End it",
)


class AnnouncementForm(ModelForm[Announcement]):
    class Meta:
        model = Announcement
        fields = (
            *(
                "audience",
                "user_ids",
                "topic",
                "title",
                "body",
                "link",
                "image",
                "category",
                "tags",
            ),
            *("priority", "banner", "starts_at", "ends_at"),
        )

        help_texts = {
            "tags": "Separated by commas.",
            "user_ids": "Of a list: separated by commas.",
            "topic": "Of a topic: its key.",
        }

    @override
    def clean(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().clean() or self.cleaned_data
        is_topic = fields.get("audience") == Announcement.Audience.TOPIC
        if is_topic != bool(fields.get("topic")):
            self.add_error("topic", "A topic has its key, nothing else has.")
        elif is_topic and not Topic.objects.filter(key=fields["topic"]).exists():
            self.add_error("topic", "There is no such topic.")
        is_list = fields.get("audience") == Announcement.Audience.LIST
        if is_list != bool(fields.get("user_ids")):
            self.add_error("user_ids", "A list of people has people, nothing else has.")
        if len(fields.get("user_ids") or ()) > announcements.MOST_PEOPLE:
            self.add_error("user_ids", f"At most {announcements.MOST_PEOPLE:,}.")
        starts_at, ends_at = fields.get("starts_at"), fields.get("ends_at")
        if starts_at and ends_at and not announcements.is_time(starts_at, ends_at):
            self.add_error("ends_at", announcements.TIME_RULE)
        return fields

    def clean_link(self) -> str:
        return self._checked("link", weblinks.is_link)

    def clean_image(self) -> str:
        return self._checked("image", weblinks.is_image)

    def _checked(self, name: str, is_safe: Any) -> str:
        text: str = self.cleaned_data[name]
        if text and not is_safe(text):
            raise ValidationError("It begins with https://, http:// or a single slash.")
        return text


@admin.register(Announcement)
class AnnouncementAdmin(EditableAdmin[Announcement]):
    """A draft can be changed; after that people have it."""

    form = AnnouncementForm
    list_display = ("title", "state_badge", "to", "starts", "ends", "by")
    list_filter = ("state", "audience", "priority")
    list_select_related = ("client", "category")
    readonly_fields = ("state_badge",)
    fieldsets = (
        ("What it says", {"fields": ("title", "body", "link", "image", "category", "tags")}),
        ("To whom", {"fields": ("audience", "user_ids", "topic")}),
        ("How", {"fields": ("priority", "banner")}),
        ("When", {"fields": ("starts_at", "ends_at")}),
    )
    sortable_by = ()
    nothing = "Nobody has announced anything"
    begin = "An announcement stands in the inbox of everybody, or of those of a topic."
    change_form_template = "notifications/admin/announcement.html"
    row_pages = ("publish", "end")

    @override
    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        now = timezone.now()
        return {"starts_at": now, "ends_at": now + announcements.USUAL_TIME}

    @override
    def has_change_permission(self, request: HttpRequest, obj: Announcement | None = None) -> bool:
        is_draft = obj is None or obj.state == State.DRAFT
        return is_draft and super().has_change_permission(request, obj)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Announcement | None = None) -> bool:
        is_draft = obj is not None and obj.state == State.DRAFT
        return is_draft and self.may_act(request)

    def publish(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row = self.row_to_act_on(request, pk)

        def act() -> str:
            announcements.publish(row)
            return "Published."

        return self.ask_first(request, row, _PUBLISH, act)

    def end(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row = self.row_to_act_on(request, pk)

        def act() -> str:
            announcements.end(row)
            return "Ended."

        return self.ask_first(request, row, _END, act)

    @admin.display(description="State")
    def state_badge(self, row: Announcement) -> SafeString:
        state = State(row.state)
        return badge(state.label, _TONES[state])

    @admin.display(description="To")
    def to(self, row: Announcement) -> str:
        if row.audience == Announcement.Audience.LIST:
            return f"{len(row.user_ids):,} people"
        return row.topic or Announcement.Audience(row.audience).label

    @admin.display(description="Starts")
    def starts(self, row: Announcement) -> SafeString:
        return ago(row.starts_at)

    @admin.display(description="Ends")
    def ends(self, row: Announcement) -> SafeString:
        return ago(row.ends_at)

    @admin.display(description="By")
    def by(self, row: Announcement) -> SafeString | str:
        return link(self.url_of(row.client), shorten(row.client.name)) if row.client else "Staff"
