from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import (
    ReadOnlyInline,
    Tone,
    ago,
    as_uuid,
    badge,
    link,
)
from notifications.admin.personal_data import PersonalData
from notifications.models import (
    Address,
    Consent,
    Preference,
    QuietHours,
    Recipient,
    Suppression,
    TopicMember,
)
from notifications.services import centre
from notifications.types import Channel
from templates_app import links


class Addresses(ReadOnlyInline[Address, Recipient]):
    model = Address
    fields = readonly_fields = ("channel", "value", "verified", "since")

    @admin.display(description="Verified")
    def verified(self, address: Address) -> SafeString:
        return ago(address.verified_at) if address.verified_at else badge("Not verified")

    @admin.display(description="Known since")
    def since(self, address: Address) -> SafeString:
        return ago(address.created_at)


class Choices(ReadOnlyInline[Preference, Recipient]):
    model = Preference
    verbose_name_plural = "choices"
    fields = readonly_fields = ("about", "by", "wanted", "since")

    @admin.display(description="About")
    def about(self, choice: Preference) -> str:
        return choice.category.name if choice.category else "Everything"

    @admin.display(description="By")
    def by(self, choice: Preference) -> str:
        return Channel(choice.channel).label if choice.channel else "Every channel"

    @admin.display(description="Wanted")
    def wanted(self, choice: Preference) -> SafeString:
        return badge("On", Tone.GOOD) if choice.is_on else badge("Off", Tone.WARN)

    @admin.display(description="Since")
    def since(self, choice: Preference) -> SafeString:
        return ago(choice.changed_at)


class Periods(ReadOnlyInline[QuietHours, Recipient]):
    model = QuietHours
    fields = readonly_fields = ("start", "end", "on")

    @admin.display(description="Starting on")
    def on(self, period: QuietHours) -> str:
        days = [_DAYS[day] for day in period.days]
        return ", ".join(days) or "Every day"


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Topics(ReadOnlyInline[TopicMember, Recipient]):
    model = TopicMember
    verbose_name_plural = "topics"
    fields = readonly_fields = ("topic", "since")

    @admin.display(description="Since")
    def since(self, member: TopicMember) -> SafeString:
        return ago(member.joined_at)


class Consents(ReadOnlyInline[Consent, Recipient]):
    model = Consent
    fields = readonly_fields = ("said", "about", "by", "source", "when")

    @admin.display(description="Said")
    def said(self, consent: Consent) -> str:
        return consent.get_act_display()

    @admin.display(description="About")
    def about(self, consent: Consent) -> str:
        return consent.category.name if consent.category else "Everything"

    @admin.display(description="By")
    def by(self, consent: Consent) -> str:
        return Channel(consent.channel).label if consent.channel else "Every channel"

    @admin.display(description="When")
    def when(self, consent: Consent) -> SafeString:
        return ago(consent.at)


@admin.register(Recipient)
class RecipientAdmin(PersonalData):
    """People, by the identity service's id."""

    list_display = ("user_id", "channels", "since")
    fields = (
        *("user_id", "since", "locale", "time_zone", "pause", "suppressed"),
        *("choices_page", "messages", "inbox", "devices"),
    )
    inlines = (Addresses, Choices, Periods, Topics, Consents)
    nothing = "Nobody is known yet"
    begin = "People come with their first message, or by POST /api/v1/recipients/import."
    search_fields = ("user_id",)
    search_help_text = "Exact user id"
    ordering = ("-id",)

    @override
    def look_up(self, rows: QuerySet[Recipient], term: str) -> QuerySet[Recipient]:
        return rows.filter(Q(user_id=term) | Q(id=as_uuid(term)))

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Recipient]:
        return Recipient.objects.order_by("-id").prefetch_related("addresses")

    @admin.display(description="Can be reached by")
    def channels(self, person: Recipient) -> str:
        labels = {address.get_channel_display() for address in person.addresses.all()}
        return ", ".join(sorted(labels))

    @admin.display(description="Known since")
    def since(self, person: Recipient) -> SafeString:
        return ago(person.created_at)

    @admin.display(description="Paused until")
    def pause(self, person: Recipient) -> SafeString | None:
        return ago(person.paused_until) if person.paused_until else None

    @admin.display(description="Suppressed")
    def suppressed(self, person: Recipient) -> SafeString | None:
        found = Suppression.objects.none()
        for channel, digests in centre.digests(person).items():
            found |= Suppression.objects.filter(channel=channel, address_hash__in=digests)
        rows = [
            (self.url_of(row), row.get_reason_display(), row.get_channel_display(), row.scope)
            for row in found[:50]
        ]
        return format_html_join(", ", '<a href="{}">{}, {}, {}</a>', rows) if rows else None

    @admin.display(description="Preference centre")
    def choices_page(self, person: Recipient) -> SafeString:
        token = links.preferences_token(person.id)
        return link(f"/preferences/{token}", "The page as this person sees it")

    @admin.display(description="Messages")
    def messages(self, person: Recipient) -> SafeString:
        page = reverse("admin:notifications_notification_changelist")
        return link(f"{page}?{urlencode({'q': person.user_id})}", "All messages to this person")

    @admin.display(description="Inbox")
    def inbox(self, person: Recipient) -> SafeString:
        page = reverse("admin:notifications_inbox_changelist")
        return link(f"{page}?{urlencode({'q': person.user_id})}", "The person's inbox")

    @admin.display(description="Devices")
    def devices(self, person: Recipient) -> SafeString:
        page = reverse("admin:notifications_device_changelist")
        return link(f"{page}?{urlencode({'q': person.user_id})}", "All devices of this person")
