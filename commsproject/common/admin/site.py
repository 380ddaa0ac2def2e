"""The site of the staff pages: two steps to sign in, and a trail of what is done."""

from __future__ import annotations

from functools import cache, wraps
from typing import Any, cast

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from typing_extensions import override

from commsproject.common import audit
from commsproject.common.admin import security, sign_in
from commsproject.common.admin.theme import AdminSite
from commsproject.common.staff import sessions
from commsproject.common.staff.middleware import current


class StaffSite(AdminSite):
    login_form = sign_in.PasswordForm

    @override
    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        watched = audit.watched(view, lambda: self._registry)
        return super().admin_view(_of_words(watched), cacheable)

    @override
    def get_urls(self) -> list[URLPattern | URLResolver]:
        pages = security.Pages(self)
        own = [
            path("login/code/", self.second_step, name="login_code"),
            *(
                path(f"security/{where}", self.admin_view(view), name=name)
                for name, where, view in pages.all()
            ),
        ]
        djangos = super().get_urls()
        # No row has a page elsewhere; what leads there fails at a key that is none.
        return [*own, *(one for one in djangos if getattr(one, "name", "") != "view_on_site")]

    @override
    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Who has no role yet is told so, and nothing else."""
        if request.user.get_all_permissions():
            return super().index(request, extra_context)
        context = {**self.each_context(request), "title": "Welcome"}
        return TemplateResponse(request, "common/admin/no_role.html", context)

    @method_decorator(never_cache)
    @method_decorator(login_not_required)
    @override
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self._step(request, sign_in.FirstStep, "admin/login.html")

    @method_decorator(never_cache)
    @method_decorator(login_not_required)
    def second_step(self, request: HttpRequest) -> HttpResponse:
        return self._step(request, sign_in.SecondStep, "common/admin/login_code.html")

    def _step(self, request: HttpRequest, view: Any, template: str) -> HttpResponse:
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        context = {**self.each_context(request), "title": "Sign in", "subtitle": None}
        context["app_path"] = request.get_full_path()
        context["begin"] = reverse("admin:login")
        context["username"] = request.user.get_username()
        if not {REDIRECT_FIELD_NAME} & {*request.GET, *request.POST}:
            context[REDIRECT_FIELD_NAME] = reverse("admin:index")
        request.current_app = self.name
        answer: HttpResponse = view.as_view(template_name=template, extra_context=context)(request)
        return answer

    @override
    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """It has ended all sign-ins; this one begins anew."""
        row, user = current(request), cast("User", request.user)
        answer = super().password_change(request, extra_context)
        if answer.status_code == 302:
            sessions.begin(request, user)
            audit.touched(user)
            if row is not None and row.is_verified:
                sessions.verify(request)
        return answer


def _of_words(view: Any) -> Any:
    """Addresses with a NUL in them, which no text of PostgreSQL holds, lead nowhere."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            raise Http404
        return view(request, *args, **kwargs)

    return checked


@cache
def the_site() -> StaffSite:
    """Of `admin.site`. One, as its package registers pages while it is imported for this."""
    return StaffSite()
