"""The list of templates, and the addresses of the editor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import EditableAdmin, Question, ago, sandbox
from commsproject.common.admin.show import NOTHING
from commsproject.common.errors import CommsError
from templates_app import services
from templates_app.admin import (
    cheat_sheet,
    content,
    editor,
    previews,
    standing,
    state,
    test_send,
    versions,
)
from templates_app.admin.forms import NewTemplate
from templates_app.admin.parts import CHANNELS, label
from templates_app.models import Template, TemplateVersion

Act = Callable[[HttpRequest, Template, Mapping[str, Any]], Mapping[str, Any]]
"""The last is what the browser sent; the result is what it gets."""


@admin.register(Template)
class TemplateAdmin(EditableAdmin[Template]):
    """Templates, each with its editor."""

    form = NewTemplate
    list_display = ("key", "name", "what", "channels", "languages", "state", "created")
    list_filter = ("kind", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("key",)
    search_help_text = "Exact key"
    prepopulated_fields = {"key": ("name",)}
    fields = ("name", "key", "kind", "begin", "locale")
    nothing = "No template yet"
    begin = "Write a message once, and send it with other data to everybody."

    @override
    def look_up(self, rows: QuerySet[Template], term: str) -> QuerySet[Template]:
        return rows.filter(key=term)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Template]:
        versions = TemplateVersion.objects.defer("built", "schema").order_by("-number")
        return (
            super().get_queryset(request).prefetch_related(Prefetch("versions", queryset=versions))
        )

    @override
    def has_change_permission(self, request: HttpRequest, obj: Template | None = None) -> bool:
        archived = obj is not None and obj.archived_at is not None
        return not archived and super().has_change_permission(request, obj)

    @override
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One button: the editor comes next."""
        one = {"show_save_and_continue": False, "show_save_and_add_another": False}
        return super().add_view(request, form_url, {**one, **(extra_context or {})})

    @override
    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: bool) -> None:
        created = services.create(**form.fields_of_service(), author=request.user.get_username())
        obj.pk = created.pk

    @override
    def response_add(
        self, request: HttpRequest, obj: Template, post_url_continue: str | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(self.url_of(obj))

    @override
    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, Callable[..., HttpResponse]] = {
            "archive": self.archive,
            "unarchive": self.unarchive,
            "draft": self._answering(self._save),
            "publish": self._answering(self._publish),
            "import": self._answering(_imported),
            "preview": self._answering(_preview, changes=False),
            "test": self._answering(self._test),
            "pictures": self.pictures,
            "versions": self.versions,
            "compare": self.compare,
            "versions/<int:number>/restore": self.restore,
        }
        return [
            *(
                path(
                    f"<uuid:pk>/{name}/",
                    self.admin_site.admin_view(view),
                    name=f"templates_app_template_{name.rpartition('/')[2]}",
                )
                for name, view in pages.items()
            ),
            *super().get_urls(),
        ]

    @override
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The editor. What it changes is posted to addresses of its own."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        template = self.get_object(request, object_id)
        if template is None:
            raise Http404
        if not self.has_view_or_change_permission(request, template):
            raise PermissionDenied
        may_change = self.has_change_permission(request, template)
        context = {
            "original": template,
            "editor": state.opened(template, may_change=may_change),
            "cheat_sheet": cheat_sheet,
            "is_nav_sidebar_enabled": False,
            "may_change": may_change,
        }
        return self.page(request, "templates_app/admin/editor.html", context, title=template.key)

    def _answering(self, act: Act, *, changes: bool = True) -> Callable[..., HttpResponse]:
        """A view that takes and gives JSON; errors are problems as of the API."""

        def view(request: HttpRequest, pk: Any) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            template = get_object_or_404(Template, pk=pk)
            is_allowed = (
                self.has_change_permission if changes else self.has_view_or_change_permission
            )
            if not is_allowed(request, template):
                raise PermissionDenied
            try:
                return JsonResponse(dict(act(request, template, content.body(request.body))))
            except CommsError as error:
                return JsonResponse(error.problem(), status=error.status)

        return view

    def _save(
        self, request: HttpRequest, template: Template, asked: Mapping[str, Any]
    ) -> dict[str, Any]:
        if editor.save(template, asked, request.user.get_username()):
            self.log_change(request, template, "Saved in the editor.")
        return _stored(template)

    def _publish(
        self, request: HttpRequest, template: Template, asked: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What was just saved, and nothing else: `stamp` says what that was."""
        number = editor.publish(template, asked)
        self.log_change(request, template, f"Published v{number}.")
        return _stored(template)

    def _test(
        self, request: HttpRequest, template: Template, asked: Mapping[str, Any]
    ) -> dict[str, Any]:
        said = test_send.send(template, asked)
        self.log_change(request, template, "Sent a test.")
        return {"detail": said}

    def pictures(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """The email as a page for the preview's frame, with what it loads from elsewhere."""
        template = get_object_or_404(Template, pk=pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_view_or_change_permission(request, template):
            raise PermissionDenied
        try:
            asked = content.body(request.POST.get("asked", "").encode())
            return sandbox.with_pictures(previews.page(template.kind, asked))
        except CommsError as error:
            return HttpResponse(error.detail, status=error.status, content_type="text/plain")

    def versions(self, request: HttpRequest, pk: Any) -> HttpResponse:
        template = self._seen(request, pk)
        context = {
            "original": template,
            "may_change": self.has_change_permission(request, template),
            **versions.listed(template),
        }
        title = f"Versions of {template.key}"
        return self.page(request, "templates_app/admin/versions.html", context, title=title)

    def compare(self, request: HttpRequest, pk: Any) -> HttpResponse:
        template = self._seen(request, pk)
        context = {
            "original": template,
            "may_change": self.has_change_permission(request, template),
            **versions.compared(template, request.GET),
        }
        title = f"{template.key}: v{context['before'].number} and v{context['after'].number}"
        return self.page(request, "templates_app/admin/compare.html", context, title=title)

    def restore(self, request: HttpRequest, pk: Any, number: int) -> HttpResponse:
        template = self._changed(request, pk)
        versions.numbered(template, str(number))

        def act() -> str:
            services.restore(template, number, author=request.user.get_username())
            return f"The draft is v{number} again. Publish it to use it."

        question = Question(
            title=f"Restore v{number} of {template.key}?",
            text="It becomes the draft; what the draft says now is lost. Messages keep using the"
            " version in use until the draft is published.",
            button=f"Restore v{number}",
        )
        return self.ask_first(request, template, question, act)

    def archive(self, request: HttpRequest, pk: Any) -> HttpResponse:
        template = self._changed(request, pk)

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

    def unarchive(self, request: HttpRequest, pk: Any) -> HttpResponse:
        template = get_object_or_404(Template, pk=pk)
        if not self.may_act(request):
            raise PermissionDenied
        if template.archived_at is None:
            raise Http404

        def act() -> str:
            services.unarchive(template)
            return f"{template.key} is back."

        question = Question(
            title=f"Take {template.key} back?",
            text="New messages can use the version that was in use when it was archived.",
            button="Take it back",
        )
        return self.ask_first(request, template, question, act)

    def _seen(self, request: HttpRequest, pk: Any) -> Template:
        template = get_object_or_404(Template, pk=pk)
        if not self.has_view_or_change_permission(request, template):
            raise PermissionDenied
        return template

    def _changed(self, request: HttpRequest, pk: Any) -> Template:
        template = self._seen(request, pk)
        if not self.has_change_permission(request, template):
            raise PermissionDenied
        return template

    @admin.display(description="Kind")
    def what(self, template: Template) -> str:
        return template.get_kind_display()

    @admin.display(description="Channels")
    def channels(self, template: Template) -> str:
        written = _newest(template).channels
        return ", ".join(label(channel) for channel in CHANNELS if channel in written) or NOTHING

    @admin.display(description="Languages")
    def languages(self, template: Template) -> str:
        newest = _newest(template)
        return ", ".join([newest.locale, *newest.translations]).removeprefix(", ") or NOTHING

    @admin.display(description="State")
    def state(self, template: Template) -> SafeString:
        return standing.of(template).badge

    @admin.display(description="Created", ordering="created_at")
    def created(self, template: Template) -> SafeString:
        return ago(template.created_at)


def _newest(template: Template) -> TemplateVersion:
    return max(
        template.versions.all(), key=lambda each: each.number, default=TemplateVersion(channels={})
    )


def _stored(template: Template) -> dict[str, Any]:
    return state.stored(Template.objects.get(id=template.id))


def _preview(_request: HttpRequest, template: Template, asked: Mapping[str, Any]) -> dict[str, Any]:
    """With the stamp of what is stored, so that two who edit hear of each other early."""
    stored = _stored(template)
    return {
        **previews.shown(template.kind, asked),
        "stamp": stored["stamp"],
        "author": stored["author"],
    }


def _imported(
    _request: HttpRequest, _template: Template, asked: Mapping[str, Any]
) -> dict[str, Any]:
    return editor.imported(asked)
