"""Webhook endpoints, and what was sent to them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import (
    Age,
    EditableAdmin,
    Question,
    ReadOnlyAdmin,
    ReadOnlyInline,
    Tone,
    ago,
    as_uuid,
    badge,
    code,
    link,
    moment,
    shorten,
)
from commsproject.common.admin.theme import CheckboxSelectMultiple, ModelForm
from commsproject.common.errors import InvalidInput, NotFound
from commsproject.common.outbox import catalogue
from tracking.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tracking.services import endpoints

_TEST = Question(
    title="Send a test event?",
    text="A worker sends it within a second. The deliveries tell what came of it.",
    button="Send it",
)
_SHOW = Question(
    title="Show the secret?",
    text="It is noted in the history that you have seen it.",
    button="Show it",
)
_ROTATE = Question(
    title="Make a new secret?",
    text="The present one signs too for another 24 hours. Tell the receiver the new one meanwhile.",
    button="Make a new secret",
)
_REPLAY = Question(
    title="Send it again?",
    text="With the id it had, so that a receiver that has it already may leave it.",
    button="Send it again",
)


def _kinds() -> list[tuple[str, str]]:
    """What can be chosen: each type, behind all that begin so."""
    found: dict[str, str] = {}
    for name in catalogue.KINDS:
        if name == endpoints.TEST:
            continue
        for place in (place for place, char in enumerate(name) if char == "."):
            found.setdefault(f"{name[:place]}.*", f"{name[:place]}.* (all of these)")
        found[name] = name
    return list(found.items())


class EndpointForm(ModelForm[WebhookEndpoint]):
    events = forms.MultipleChoiceField(
        choices=_kinds,
        required=False,
        widget=CheckboxSelectMultiple,
        label="Hears of",
        help_text="None chosen: everything; an agent's endpoint then hears of its messages.",
    )

    class Meta:
        model = WebhookEndpoint
        fields = ("url", "description", "events", "client", "is_active")
        help_texts = {"url": "By https, on port 443 or 8443."}

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            endpoints.check({"url": url}, None)
        except InvalidInput as refusal:
            raise ValidationError([error.message for error in refusal.errors]) from None
        return url


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(EditableAdmin[WebhookEndpoint]):
    """Who hears of events. Those of staff hear of everything."""

    form = EndpointForm
    list_display = ("name", "state", "hears", "of", "created")
    list_filter = ("is_active", ("client", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("client",)
    sortable_by = ()
    nothing = "Nobody hears of events"
    begin = "Name an address, and it is told of each event: signed, and again until it answers."
    change_form_template = "tracking/admin/endpoint.html"
    row_pages = ("test", "secret", "rotate")

    @override
    def named(self, row: WebhookEndpoint) -> str:
        return row.description or row.url

    @override
    def has_delete_permission(
        self, request: HttpRequest, obj: WebhookEndpoint | None = None
    ) -> bool:
        return self.may_act(request)

    @override
    def save_model(
        self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if change and obj.is_active and "is_active" in form.changed_data:
            endpoints.enable(obj)

    @override
    def delete_model(self, request: HttpRequest, obj: WebhookEndpoint) -> None:
        endpoints.delete(obj)

    @override
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        for row in queryset:
            endpoints.delete(row)

    @admin.display(description="Endpoint")
    def name(self, row: WebhookEndpoint) -> str:
        return shorten(row.description or row.url)

    @admin.display(description="State")
    def state(self, row: WebhookEndpoint) -> SafeString:
        if not row.is_active:
            return badge("Off", Tone.BAD if row.disabled_reason else Tone.QUIET)
        return badge("Failing", Tone.WARN) if row.failing_since else badge("On", Tone.GOOD)

    @admin.display(description="Hears of")
    def hears(self, row: WebhookEndpoint) -> str:
        return shorten(", ".join(row.events)) or "everything it may"

    @admin.display(description="Whose messages")
    def of(self, row: WebhookEndpoint) -> str:
        return row.client.name if row.client else "all"

    @admin.display(description="Made")
    def created(self, row: WebhookEndpoint) -> SafeString:
        return ago(row.created_at)

    # --- Its buttons ---------------------------------------------------------------------------

    @override
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        listed = reverse("admin:tracking_webhookdelivery_changelist")
        context = {
            "may_act": self.may_act(request),
            "deliveries": f"{listed}?endpoint__id__exact={object_id}",
        }
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    def test(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row = self.row_to_act_on(request, pk)

        def act() -> str:
            endpoints.test(row)
            return "A test event is on its way."

        return self.ask_first(request, row, _TEST, act)

    def secret(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row = self.row_to_act_on(request, pk)
        if request.method != "POST":
            return self.ask_first(request, row, _SHOW, str)
        self.log_change(request, row, "Looked at the secret.")
        return self._shown(request, row)

    def rotate(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row = self.row_to_act_on(request, pk)
        if request.method != "POST":
            return self.ask_first(request, row, _ROTATE, str)
        try:
            endpoints.rotate(row)
        except NotFound:
            self.message_user(request, "The endpoint has just been deleted.", messages.ERROR)
            return HttpResponseRedirect(reverse("admin:tracking_webhookendpoint_changelist"))
        self.log_change(request, row, "Made a new secret.")
        return self._shown(request, row)

    def _shown(self, request: HttpRequest, row: WebhookEndpoint) -> HttpResponse:
        context = {
            "original": row,
            "secret": endpoints.secret_of(row),
            "back": self.url_of(row),
        }
        response = self.page(request, "tracking/admin/secret.html", context, title="Secret")
        add_never_cache_headers(response)
        return response


class AttemptsOfDelivery(ReadOnlyInline[WebhookAttempt, WebhookDelivery]):
    model = WebhookAttempt
    verbose_name_plural = "Tries"
    fields = readonly_fields = ("number", "when", "status", "latency", "error", "answer")

    @admin.display(description="When")
    def when(self, row: WebhookAttempt) -> SafeString:
        return ago(row.at)

    @admin.display(description="Took")
    def latency(self, row: WebhookAttempt) -> str:
        return f"{row.latency_ms:,} ms"


_TONES = {"waiting": Tone.BUSY, "delivered": Tone.GOOD, "failed": Tone.BAD}


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin[WebhookDelivery]):
    """Each event for each endpoint, with every try."""

    list_display = ("event", "shown_state", "to", "last", "tries", "next_try", "made")
    list_filter = (Age, ("delivered_at", admin.EmptyFieldListFilter), "endpoint")
    list_select_related = ("endpoint",)
    fields = (
        *("event", "shown_state", "to", "subject", "event_id", "last", "tries", "next_try", "made"),
        "content",
    )
    inlines = (AttemptsOfDelivery,)
    search_fields = ("id",)
    search_help_text = "Exact id of the delivery or of its event"
    nothing = "Nothing was sent to a webhook"
    begin = "Each event that goes to a webhook is listed here, with what was answered."
    change_form_template = "tracking/admin/webhook_delivery.html"
    row_pages = ("replay",)

    @override
    def named(self, row: WebhookDelivery) -> str:
        return f"{row.type}, {moment(row.created_at)}"

    @override
    def look_up(self, rows: QuerySet[WebhookDelivery], term: str) -> QuerySet[WebhookDelivery]:
        return rows.filter(Q(id=as_uuid(term)) | Q(event_id=term))

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        rows = super().get_queryset(request)
        match = request.resolver_match
        is_list = match is not None and str(match.url_name).endswith("changelist")
        return rows.defer("body") if is_list else rows

    @override
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        context = {"may_act": self.may_act(request), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def replay(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row = self.row_to_act_on(request, pk)

        def act() -> str:
            again = endpoints.replay(row.endpoint, endpoints.Wanted(delivery_id=row.id))
            return "It is sent again." if again else "It waits to be sent anyway."

        return self.ask_first(request, row, _REPLAY, act)

    @admin.display(description="Event")
    def event(self, row: WebhookDelivery) -> SafeString:
        return code(row.type)

    @admin.display(description="State")
    def shown_state(self, row: WebhookDelivery) -> SafeString:
        return badge(row.state.capitalize(), _TONES[row.state])

    @admin.display(description="To")
    def to(self, row: WebhookDelivery) -> SafeString:
        return link(self.url_of(row.endpoint), shorten(str(row.endpoint), 40))

    @admin.display(description="Last answer")
    def last(self, row: WebhookDelivery) -> str | None:
        return row.error or (str(row.status) if row.status else None)

    @admin.display(description="Next try")
    def next_try(self, row: WebhookDelivery) -> SafeString:
        return ago(row.next_try_at)

    @admin.display(description="Made")
    def made(self, row: WebhookDelivery) -> SafeString:
        return ago(row.created_at)

    @admin.display(description="Content")
    def content(self, row: WebhookDelivery) -> SafeString:
        return code(row.body)
