"""The editor of templates. What is saved and published goes through the services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import (
    EditableAdmin,
    Question,
    ReadOnlyAdmin,
    ReadOnlyInline,
    Tone,
    ago,
    badge,
    link,
)
from commsproject.common.admin.show import NOTHING
from commsproject.common.admin.theme import AdminTextareaWidget, AdminTextInputWidget, ModelForm
from commsproject.common.errors import CommsError, InvalidInput
from templates_app import services
from templates_app.compile import MAX_SOURCE
from templates_app.models import Kind, Template, TemplateVersion

PARTS = {
    "email_subject": ("email", "subject"),
    "email_text": ("email", "text"),
    "email_html": ("email", "html"),
    "sms_text": ("sms", "text"),
}
"""Form field to channel and part."""


def _source(label: str, rows: int, help_text: str = "") -> forms.CharField:
    """A part as it is written: space is kept, line ends are those of the API."""
    classes = "comms-source"
    widget = (
        AdminTextInputWidget(attrs={"class": classes})
        if rows == 1
        else AdminTextareaWidget(attrs={"rows": rows, "class": classes, "spellcheck": "false"})
    )
    return forms.CharField(
        label=label,
        required=False,
        strip=False,
        max_length=MAX_SOURCE,
        widget=widget,
        help_text=help_text,
    )


class TemplateForm(ModelForm[Template]):
    """Name and draft of a template in one form."""

    locale = forms.CharField(
        required=False,
        max_length=35,
        widget=AdminTextInputWidget,
        help_text="For example en or de.",
    )
    email_subject = _source("Subject", 1)
    email_text = _source("Plain text", 8)
    email_html = _source(
        "HTML", 14, "Values are escaped. {{ name }} prints a variable of the data."
    )
    sms_text = _source("Text", 4)

    class Meta:
        model = Template
        fields = ("key", "name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.latest = _latest(self.instance)
        if self.latest is not None:
            self.initial["locale"] = self.latest.locale
            for field, (channel, part) in PARTS.items():
                self.initial[field] = self.latest.channels.get(channel, {}).get(part, "")

    @override
    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        channels = self._channels(data)
        if not channels:
            raise forms.ValidationError("Write an email or an SMS.", code="required")
        email = channels.get("email")
        if email and not email.get("subject"):
            self.add_error("email_subject", "An email needs a subject.")
        if email and not email.keys() & {"text", "html", "mjml"}:
            self.add_error("email_text", "An email needs a plain text or an HTML part.")
        try:
            self._check(channels, data.get("locale", ""))
        except InvalidInput as error:
            self._show(error)
        data["channels"] = channels
        return data

    def _check(self, channels: dict[str, dict[str, str]], locale: str) -> None:
        """With what the form has no fields for. Raises InvalidInput."""
        latest = self.latest or TemplateVersion()
        services.check(
            channels,
            kind=Kind(self.instance.kind),
            locale=locale,
            translations=latest.translations,
            layout=latest.layout,
        )

    def _channels(self, data: dict[str, Any]) -> dict[str, dict[str, str]]:
        """The content as written, with the parts of it this form has no fields for."""
        before = self.latest.channels if self.latest is not None else {}
        channels = {name: dict(parts) for name, parts in before.items()}
        for field, (channel, part) in PARTS.items():
            text = (data.get(field) or "").replace("\r\n", "\n")
            channels.setdefault(channel, {}).pop(part, None)
            if text.strip():
                channels[channel][part] = text
        return {name: parts for name, parts in channels.items() if parts}

    def _show(self, error: InvalidInput) -> None:
        """Each error at the part it is in."""
        fields = {f"channels.{channel}.{part}": name for name, (channel, part) in PARTS.items()}
        for item in error.errors:
            field = fields.get(item.field)
            self.add_error(field, item.message if field else f"{item.field}: {item.message}")

    def changes_content(self) -> bool:
        """Whether saving makes a draft."""
        latest = self.latest
        return (
            latest is None
            or latest.channels != self.cleaned_data["channels"]
            or latest.locale != self.cleaned_data["locale"]
        )


def _latest(template: Template) -> TemplateVersion | None:
    return template.versions.order_by("-number").first()


class _Columns:
    """The columns of a version, in its own page and at its template."""

    @admin.display(description="Version")
    def name(self, version: TemplateVersion) -> str:
        return f"v{version.number}"

    @admin.display(description="State")
    def state(self, version: TemplateVersion) -> SafeString:
        if version.published_at is None:
            return badge("Draft", Tone.WARN)
        newest = version.template.versions.filter(published_at__isnull=False).first()
        in_use = newest is not None and newest.pk == version.pk
        return badge("In use", Tone.GOOD) if in_use else badge("Replaced")

    @admin.display(description="Reads")
    def reads(self, version: TemplateVersion) -> str:
        return ", ".join(version.variables) or "nothing"

    @admin.display(description="By")
    def author(self, version: TemplateVersion) -> str:
        return version.created_by or NOTHING

    @admin.display(description="Published")
    def published(self, version: TemplateVersion) -> SafeString:
        return ago(version.published_at)


class Versions(_Columns, ReadOnlyInline[TemplateVersion, Template]):
    model = TemplateVersion
    verbose_name_plural = "versions"
    fields = readonly_fields = ("name", "state", "reads", "author", "published", "look")
    per_page = 10

    @admin.display(description="")
    def look(self, version: TemplateVersion) -> SafeString:
        page = reverse("admin:templates_app_templateversion_change", args=[version.pk])
        return link(page, "Look")


@admin.register(Template)
class TemplateAdmin(EditableAdmin[Template]):
    """Templates, each with the editor of its draft."""

    form = TemplateForm
    list_display = ("key", "name", "state", "created")
    list_filter = (("archived_at", admin.EmptyFieldListFilter),)
    search_fields = ("key",)
    search_help_text = "Exact key"
    inlines = (Versions,)
    change_form_template = "templates_app/admin/template.html"
    fieldsets = (
        (None, {"fields": ("key", "name", "locale")}),
        ("Email", {"fields": ("email_subject", "email_html", "email_text")}),
        ("SMS", {"fields": ("sms_text",)}),
    )

    @override
    def look_up(self, rows: QuerySet[Template], term: str) -> QuerySet[Template]:
        return rows.filter(key=term)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Template]:
        versions = TemplateVersion.objects.only("template_id", "number", "published_at")
        return (
            super().get_queryset(request).prefetch_related(Prefetch("versions", queryset=versions))
        )

    @override
    def has_change_permission(self, request: HttpRequest, obj: Template | None = None) -> bool:
        archived = obj is not None and obj.archived_at is not None
        return not archived and super().has_change_permission(request, obj)

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Template | None = None) -> Any:
        return ("key",) if obj else ()

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Template | None = None) -> Any:
        """Without the right to change it there is no form, so no fields of the form's own."""
        if obj is not None and not self.has_change_permission(request, obj):
            return ((None, {"fields": ("key", "name")}),)
        return super().get_fieldsets(request, obj)

    @override
    def get_inlines(self, request: HttpRequest, obj: Template | None) -> Any:
        return self.inlines if obj else ()

    @override
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        template = self.get_object(request, object_id)
        context = {"standing": _standing(template)} if template else {}
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    @override
    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: bool) -> None:
        data, author = form.cleaned_data, request.user.get_username()
        if change:
            changed = form.changes_content()
            services.revise(
                obj,
                name=data["name"],
                channels=data["channels"] if changed else None,
                locale=data["locale"] if changed else None,
                author=author,
            )
        else:
            created = services.create(
                key=data["key"],
                name=data["name"],
                channels=data["channels"],
                locale=data["locale"],
                author=author,
            )
            obj.pk = created.pk

    @override
    def response_add(
        self, request: HttpRequest, obj: Template, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._publish(request, obj) or super().response_add(request, obj, post_url_continue)

    @override
    def response_change(self, request: HttpRequest, obj: Template) -> HttpResponse:
        return self._publish(request, obj) or super().response_change(request, obj)

    def _publish(self, request: HttpRequest, template: Template) -> HttpResponse | None:
        """`Save and publish` was pressed: what was just saved becomes the version in use."""
        if "_publish" not in request.POST:
            return None
        try:
            version = services.publish(template)
        except CommsError as error:
            self.message_user(request, error.detail, messages.ERROR)
        else:
            self.log_change(request, template, f"Published v{version.number}.")
            text = f"v{version.number} is published: new messages use it from now on."
            self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(self.url_of(template))

    @override
    def get_urls(self) -> list[URLPattern]:
        archive = self.admin_site.admin_view(self.archive)
        return [
            path("<uuid:pk>/archive/", archive, name="templates_app_template_archive"),
            *super().get_urls(),
        ]

    def archive(self, request: HttpRequest, pk: Any) -> HttpResponse:
        template = get_object_or_404(Template, pk=pk)
        if not self.may_act(request):
            raise PermissionDenied

        def act() -> str:
            services.archive(template)
            return f"{template.key} is archived."

        question = Question(
            title=f"Archive {template.key}?",
            text="No new message can use it. Messages on their way and those sent keep it."
            " Its key stays taken.",
            button="Archive it",
        )
        return self.ask_first(request, template, question, act)

    @admin.display(description="State")
    def state(self, template: Template) -> SafeString:
        return _standing(template).badge

    @admin.display(description="Created", ordering="created_at")
    def created(self, template: Template) -> SafeString:
        return ago(template.created_at)


@dataclass(frozen=True)
class _Standing:
    """Where a template stands: what is in use, whether there is a draft."""

    badge: SafeString
    in_use: int | None
    draft: int | None


def _standing(template: Template) -> _Standing:
    versions = list(template.versions.all())
    in_use = max((v.number for v in versions if v.published_at), default=None)
    draft = next((v.number for v in versions if v.published_at is None), None)
    if template.archived_at is not None:
        shown = badge("Archived")
    elif in_use is None:
        shown = badge("Draft only", Tone.WARN)
    elif draft is None:
        shown = badge(f"v{in_use} in use", Tone.GOOD)
    else:
        shown = badge(f"v{in_use} in use, v{draft} drafted", Tone.BUSY)
    return _Standing(shown, in_use, draft)


@admin.register(TemplateVersion)
class VersionAdmin(_Columns, ReadOnlyAdmin[TemplateVersion]):
    """One version, to look at. Reached from its template."""

    list_display = ("template", "name", "author", "published")
    list_filter = (("published_at", admin.EmptyFieldListFilter),)
    list_select_related = ("template",)
    ordering = ("-id",)
    fields = ("template", "name", "state", "locale", "reads", "author", "published")
    change_form_template = "templates_app/admin/version.html"
