"""Agents and their API keys. A key's secret is in one response, and nowhere else."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common import audit
from commsproject.common.admin.base import EditableAdmin, Question, ReadOnlyAdmin, ReadOnlyInline
from commsproject.common.admin.show import Tone, ago, badge, code, link
from commsproject.common.admin.theme import AdminSplitDateTime, CheckboxSelectMultiple
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient, ApiKey


def _state(key: ApiKey) -> SafeString:
    if key.revoked_at is not None:
        return badge("Revoked", Tone.BAD)
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return badge("Expired", Tone.WARN)
    if not key.client.is_active:
        return badge("Agent inactive", Tone.WARN)
    return badge("In use", Tone.GOOD)


class _Columns:
    """The columns of a key, in its own list and at its agent."""

    @admin.display(description="Key")
    def start(self, key: ApiKey) -> SafeString:
        return code(f"{keys.MARK}live_{key.prefix}_…")

    @admin.display(description="State")
    def state(self, key: ApiKey) -> SafeString:
        return _state(key)

    @admin.display(description="May")
    def may(self, key: ApiKey) -> str:
        return "everything" if set(key.scopes) >= set(Scope.values) else ", ".join(key.scopes)

    @admin.display(description="Issued")
    def issued(self, key: ApiKey) -> SafeString:
        return ago(key.created_at)

    @admin.display(description="Expires")
    def expires(self, key: ApiKey) -> SafeString | str:
        return ago(key.expires_at) if key.expires_at else "never"

    @admin.display(description="Last used")
    def used(self, key: ApiKey) -> SafeString | str:
        return ago(key.last_used_at) if key.last_used_at else "never"


class KeysOfAgent(_Columns, ReadOnlyInline[ApiKey, ApiClient]):
    model = ApiKey
    verbose_name_plural = "API keys"
    fields = readonly_fields = ("start", "state", "may", "issued", "expires", "used", "revoke")

    @admin.display(description="")
    def revoke(self, key: ApiKey) -> SafeString | str:
        if key.revoked_at is not None:
            return ""
        return link(reverse("admin:common_apikey_revoke", args=[key.pk]), "Revoke")


class KeyForm(forms.Form):
    """What a new key may do, and for how long."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, f"{scope.value}: {scope.label}") for scope in Scope],
        initial=Scope.values,
        widget=CheckboxSelectMultiple,
        label="May",
    )
    expires_at = forms.SplitDateTimeField(
        required=False, widget=AdminSplitDateTime, label="Expires", help_text="Empty: never. UTC."
    )

    def clean_expires_at(self) -> Any:
        moment = self.cleaned_data["expires_at"]
        if moment is not None and moment <= timezone.now():
            raise forms.ValidationError("A new key has to expire in the future.", code="past")
        return moment


@admin.register(ApiClient)
class AgentAdmin(EditableAdmin[ApiClient]):
    """Who may call. Keys are issued and revoked here, never shown."""

    list_display = ("name", "active", "usable_keys", "created")
    list_filter = ("is_active",)
    fields = ("name", "is_active")
    inlines = (KeysOfAgent,)
    search_fields = ("name",)
    search_help_text = "Exact name"
    change_form_template = "common/admin/agent.html"
    nothing = "No agent yet"
    begin = "An agent is a program that sends messages: make one, and issue its key."

    @override
    def look_up(self, rows: QuerySet[ApiClient], term: str) -> QuerySet[ApiClient]:
        return rows.filter(name=term)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiClient]:
        return super().get_queryset(request).prefetch_related("keys")

    @admin.display(description="State")
    def active(self, agent: ApiClient) -> SafeString:
        return badge("Active", Tone.GOOD) if agent.is_active else badge("Inactive", Tone.WARN)

    @admin.display(description="Keys in use")
    def usable_keys(self, agent: ApiClient) -> int:
        return sum(key.revoked_at is None for key in agent.keys.all())

    @admin.display(description="Created")
    def created(self, agent: ApiClient) -> SafeString:
        return ago(agent.created_at)

    @override
    def get_urls(self) -> list[URLPattern]:
        issue = self.admin_site.admin_view(self.issue_key)
        name = "common_apiclient_issue_key"
        return [path("<uuid:pk>/issue-key/", issue, name=name), *super().get_urls()]

    def issue_key(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """The answer to the POST is the only place where the secret ever is: nothing is stored."""
        agent = get_object_or_404(ApiClient, pk=pk)
        if not request.user.has_perm("common.add_apikey"):
            raise PermissionDenied
        form = KeyForm(request.POST if request.method == "POST" else None)
        context: dict[str, Any] = {"form": form, "original": agent, "back": self.url_of(agent)}
        if form.is_valid():
            key, context["secret"] = keys.issue(
                agent, form.cleaned_data["scopes"], form.cleaned_data["expires_at"]
            )
            audit.made(key)
            self.log_change(request, agent, f"Issued the key {key.prefix}.")
        title = f"Issue a key for {agent.name}"
        response = self.page(request, "common/admin/issue_key.html", context, title=title)
        add_never_cache_headers(response)
        return response


@admin.register(ApiKey)
class KeyAdmin(_Columns, ReadOnlyAdmin[ApiKey]):
    """All keys of all agents."""

    list_display = ("start", "agent", "state", "may", "issued", "expires", "used")
    list_filter = (("client", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("client",)
    fields = ("start", "agent", "state", "all_scopes", "issued", "expires", "used")
    search_fields = ("prefix",)
    search_help_text = "The start of a key, or its 8 characters"
    change_form_template = "common/admin/key.html"
    nothing = "No key was issued"
    begin = "Keys are issued on the page of their agent."
    actions = ("revoke_selected",)

    @override
    def look_up(self, rows: QuerySet[ApiKey], term: str) -> QuerySet[ApiKey]:
        return rows.filter(prefix=term.removeprefix(f"{keys.MARK}live_").split("_")[0])

    @admin.display(description="Agent")
    def agent(self, key: ApiKey) -> SafeString:
        return link(self.url_of(key.client), key.client.name)

    @admin.display(description="May")
    def all_scopes(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @override
    def get_urls(self) -> list[URLPattern]:
        revoke = self.admin_site.admin_view(self.revoke)
        return [
            path("<uuid:pk>/revoke/", revoke, name="common_apikey_revoke"),
            *super().get_urls(),
        ]

    def revoke(self, request: HttpRequest, pk: Any) -> HttpResponse:
        key = get_object_or_404(ApiKey.objects.select_related("client"), pk=pk)
        if not self.may_act(request):
            raise PermissionDenied

        def act() -> str:
            keys.revoke(key)
            return f"The key {key.prefix} of {key.client.name} is revoked."

        question = Question(
            title=f"Revoke the key {key.prefix} of {key.client.name}?",
            text="Whoever uses it is refused from the next request on. This cannot be undone.",
            button="Revoke the key",
        )
        return self.ask_first(request, key, question, act)

    def has_act_permission(self, request: HttpRequest) -> bool:
        return self.may_act(request)

    @admin.action(description="Revoke the selected keys", permissions=["act"])
    def revoke_selected(self, request: HttpRequest, rows: QuerySet[ApiKey]) -> None:
        for key in rows:
            keys.revoke(key)
            self.log_change(request, key, "Revoked.")
        self.message_user(request, f"{len(rows)} revoked: refused from the next request on.")
