"""Public pages behind signed links. No account, no cookie, no script."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from notifications.services import suppress
from templates_app import links


@method_decorator(csrf_exempt, name="dispatch")  # mail programs post here, without a cookie
class UnsubscribePage(View):
    """`/u/<token>`. GET only shows the question: link scanners fetch it. POST unsubscribes.

    RFC 8058: the mail program posts `List-Unsubscribe=One-Click`; our own form posts the same.
    """

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        return self._page(request, token, done=False)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        if request.POST.get("List-Unsubscribe") != "One-Click":
            return self._page(request, token, done=False, status=400)
        return self._page(request, token, done=True)

    def _page(
        self, request: HttpRequest, token: str, *, done: bool, status: int = 200
    ) -> HttpResponse:
        try:
            link = links.read_unsubscribe(token)
        except links.BadLink:
            return render(request, "notifications/unsubscribe_unknown.html", status=404)
        if done:
            suppress.unsubscribe(link)
        return render(request, "notifications/unsubscribe.html", {"done": done}, status=status)
