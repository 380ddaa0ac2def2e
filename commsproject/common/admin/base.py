"""What the staff pages have in common: read only unless said, bounded on tables of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from typing_extensions import override

from commsproject.common import audit
from commsproject.common.admin.show import NOTHING
from commsproject.common.admin.theme import ChangeList, ModelAdmin, Paginator, TabularInline
from commsproject.common.errors import CommsError

COUNT_CAP = 10_000
"""Rows a list counts and pages through; beyond them it says `10,000+`."""

M = TypeVar("M", bound=Model)
P = TypeVar("P", bound=Model)


class AtLeast(int):
    """A count that stopped at its cap."""

    @override
    def __str__(self) -> str:
        return f"{int(self):,}+"


class CappedPaginator(Paginator[Any]):
    """Never counts a whole table."""

    @cached_property
    @override
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        found = rows.order_by()[: COUNT_CAP + 1].count()
        return AtLeast(COUNT_CAP) if found > COUNT_CAP else found


class CappedChangeList(ChangeList):
    """Says how many there are only once. Knows where the first row is made, for a list without any."""

    begin_at: tuple[str, str] | None = None

    @override
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if (begin := cast("BaseAdmin[Any]", self.model_admin).begin_at) is not None:
            page, label, permission = begin
            self.begin_at = (reverse(page), label) if request.user.has_perm(permission) else None
        if self.full_result_count is None and not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


@dataclass(frozen=True)
class Question:
    """What is asked before something that cannot be taken back."""

    title: str
    text: str
    button: str


class StaffModelAdmin(ModelAdmin[M]):
    """What a page does to a row is in the trail, also where the row's own columns stay the same."""

    def named(self, row: M) -> str:
        """What staff call it, at the head of its pages: an id says nothing to them."""
        return str(row)

    @override
    def log_addition(self, request: HttpRequest, obj: M, message: Any) -> Any:
        audit.made(obj)
        return super().log_addition(request, obj, message)

    @override
    def log_change(self, request: HttpRequest, obj: M, message: Any) -> Any:
        audit.touched(obj)
        return super().log_change(request, obj, message)

    @override
    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What hangs on a row goes with it, also where it cannot be deleted by itself."""
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, needed & {self.opts.verbose_name}, protected


class BaseAdmin(StaffModelAdmin[M]):
    """Nothing may be added, changed or deleted until a subclass says so."""

    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    paginator = CappedPaginator
    empty_value_display = NOTHING
    nothing = "Nothing here yet"
    """What a list without rows says."""
    begin = ""
    """How the first one comes to be."""
    begin_at: tuple[str, str, str] | None = None
    """Where that is, for those who may: the name of a page, what its button says, the permission."""
    row_pages: Sequence[str] = ()
    """Methods that are a row's own pages and buttons, with its key: `stop` is at `<key>/stop/`, by the
    name `<app>_<model>_stop`.
    """

    @override
    def get_urls(self) -> list[URLPattern]:
        model = f"{self.opts.app_label}_{self.opts.model_name}"
        own = [
            path(
                f"<uuid:pk>/{name}/",
                self.admin_site.admin_view(getattr(self, name)),
                name=f"{model}_{name}",
            )
            for name in self.row_pages
        ]
        return own + super().get_urls()

    @override
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CappedChangeList

    def look_up(self, rows: QuerySet[M], term: str) -> QuerySet[M]:
        """The rows that `term` names exactly: through an index, whatever the size of the table."""
        return rows

    @override
    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        term = search_term.strip()
        return (self.look_up(queryset, term) if term else queryset), False

    def may_act(self, request: HttpRequest) -> bool:
        """Whether the staff member may change such rows, be it only by the page's own buttons."""
        options = self.opts
        return request.user.has_perm(f"{options.app_label}.change_{options.model_name}")

    def row_to_act_on(self, request: HttpRequest, pk: UUID) -> M:
        """Raises PermissionDenied for who may only look, and Http404."""
        if not self.may_act(request):
            raise PermissionDenied
        return get_object_or_404(self.get_queryset(request), pk=pk)

    def url_of(self, row: Model) -> str:
        """The detail page of any row."""
        options = row._meta  # noqa: SLF001 - documented API
        return reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[row.pk])

    def page(
        self, request: HttpRequest, template: str, context: dict[str, Any], *, title: str
    ) -> TemplateResponse:
        """A page of one's own in the frame of the others."""
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        return TemplateResponse(request, template, {**shared, **context})

    def ask_first(
        self, request: HttpRequest, row: M, question: Question, act: Callable[[], str]
    ) -> HttpResponse:
        """GET asks, POST does it. `act` returns what was done, for the log and the next page."""
        if request.method != "POST":
            context = {"question": question, "original": row, "back": self.url_of(row)}
            return self.page(request, "common/admin/confirm.html", context, title=question.title)
        try:
            with transaction.atomic():
                done = act()
        except CommsError as error:
            self.message_user(request, error.detail, messages.ERROR)
        else:
            self.log_change(request, row, done)
            self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(self.url_of(row))

    @override
    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        if context["subtitle"]:
            context["subtitle"] = self.named(context["original"])
        return super().render_change_form(request, context, *args, **kwargs)

    @override
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except CommsError as error:
            self.message_user(request, error.detail, messages.ERROR)
            return HttpResponseRedirect(request.path)


class ReadOnlyAdmin(BaseAdmin[M]):
    """Rows that the service writes and staff look at."""

    sortable_by = ()

    def own_page(self, row: M) -> dict[str, Any]:
        """What the template of a row's own page gets beside the row."""
        return {}

    @override
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        row = self.get_object(request, object_id)
        context = {} if row is None else self.own_page(row)
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


class EditableAdmin(BaseAdmin[M]):
    """Rows that staff write. What was used is kept: no deleting."""

    warn_unsaved_form = True

    @override
    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> M | None:
        """Locked where a form is about to be saved, which writes every column: so it cannot undo what
        the service has just changed, nor bring back what was just deleted.
        """
        row: M | None = super().get_object(request, object_id, from_field)
        if row is None or request.method != "POST":
            return row
        rows = self.model._default_manager.select_for_update()  # noqa: SLF001 - documented API
        try:
            row.refresh_from_db(from_queryset=rows)
        except ObjectDoesNotExist:
            return None
        return row

    @override
    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


class ReadOnlyInline(TabularInline[M, P]):
    """Rows of another row, to look at."""

    extra = 0
    can_delete = False

    @override
    def has_add_permission(self, request: HttpRequest, obj: P | None = None) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: P | None = None) -> bool:
        return False


def as_uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None
