"""What the staff pages have in common: read only unless said, bounded on tables of any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property
from typing_extensions import override

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
    """Says how many there are only once."""

    @override
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.full_result_count is None and not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


@dataclass(frozen=True)
class Question:
    """What is asked before something that cannot be taken back."""

    title: str
    text: str
    button: str


class BaseAdmin(ModelAdmin[M]):
    """Nothing may be added, changed or deleted until a subclass says so."""

    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    paginator = CappedPaginator
    empty_value_display = NOTHING
    nothing = "Nothing here yet"
    """What a list without rows says."""

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
        term = search_term.strip().replace("\0", "")
        return (self.look_up(queryset, term) if term else queryset), False

    def may_act(self, request: HttpRequest) -> bool:
        """Whether the staff member may change such rows, be it only by the page's own buttons."""
        options = self.opts
        return request.user.has_perm(f"{options.app_label}.change_{options.model_name}")

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
            done = act()
        except CommsError as error:
            self.message_user(request, error.detail, messages.ERROR)
        else:
            self.log_change(request, row, done)
            self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(self.url_of(row))

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
