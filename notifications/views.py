"""Public pages behind signed links. No account, no cookie, no script."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from typing_extensions import override

from commsproject.common import clock
from notifications.forms import PeriodForms, Periods, PersonForm, period_initial
from notifications.models import Category, Recipient
from notifications.services import centre, preferences, recipients
from notifications.services.centre import Place, Saved
from notifications.services.preferences import Said
from notifications.types import Channel
from templates_app import links


def _unknown(request: HttpRequest) -> HttpResponse:
    return render(request, "notifications/link_unknown.html", status=404)


@method_decorator(csrf_exempt, name="dispatch")  # the link is the credential: there is no cookie
class SignedPage(View):
    """Says of every address that it is for its reader alone."""

    @override
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        answer = super().dispatch(request, *args, **kwargs)
        answer.headers.setdefault("Cache-Control", "no-store")
        answer.headers["Referrer-Policy"] = "no-referrer"  # the address is the key to the page
        return answer


class UnsubscribePage(SignedPage):
    """`/u/<token>`. GET only shows the question: link scanners fetch it. POST unsubscribes.

    RFC 8058: the mail program posts `List-Unsubscribe=One-Click`; our own form posts the same, and
    `from=everything` where the person chose that.
    """

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        return self._page(request, token, done=False)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        # Some mail programs end the body with a line end, which is part of the value then.
        if request.POST.get("List-Unsubscribe", "").strip() != "One-Click":
            return self._page(request, token, done=False, status=400)
        return self._page(request, token, done=True)

    def _page(
        self, request: HttpRequest, token: str, *, done: bool, status: int = 200
    ) -> HttpResponse:
        try:
            link = links.read_unsubscribe(token)
        except links.BadLink:
            return _unknown(request)
        everything = request.POST.get("from") == "everything"
        if done:
            centre.unsubscribe(link, everything=everything)
        person = centre.reader(link)
        context = {
            "done": done,
            "everything": everything,
            "category": Category.objects.filter(key=link.scope).first(),
            "channel": Channel(link.channel).label,
            "preferences": person and f"/preferences/{links.preferences_token(person.id)}",
        }
        return render(request, "notifications/unsubscribe.html", context, status=status)


class ConfirmPage(SignedPage):
    """`/c/<token>`. GET asks: link scanners fetch it. POST confirms, within seven days."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        return self._page(request, token)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        return self._page(request, token)

    def _page(self, request: HttpRequest, token: str) -> HttpResponse:
        try:
            link = links.read_confirmation(token)
        except links.BadLink:
            return _unknown(request)
        person = Recipient.objects.filter(id=link.recipient_id).first()
        category = Category.objects.filter(id=link.category_id).first()
        if person is None or category is None:
            return _unknown(request)
        is_over = link.until <= clock.now()
        done = request.method == "POST" and not is_over
        if done:
            centre.confirm(person, category, link.channel, Said("confirmation link"))
        context = {
            "is_over": is_over,
            "done": done,
            "category": category,
            "preferences": f"/preferences/{links.preferences_token(person.id)}",
        }
        status = 410 if is_over else 200
        return render(request, "notifications/confirm.html", context, status=status)


class PreferencesPage(SignedPage):
    """`/preferences/<token>`: all that a person can choose, in one form."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        person = self._person(token)
        return self._page(request, person) if person else _unknown(request)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        person = self._person(token)
        if person is None:
            return _unknown(request)
        about = PersonForm(request.POST, person=person)
        periods = cast("Periods", PeriodForms(request.POST, prefix="quiet"))
        is_over = request.POST.get("all") == "off"
        wanted = set() if is_over else _places(request.POST.getlist("on"))
        if not (about.is_valid() & periods.is_valid()):
            return self._page(
                request, person, about=about, periods=periods, wanted=wanted, status=422
            )
        saved = centre.save(
            person,
            wanted,
            _places(request.POST.get("shown", "").split()),
            Said("preference centre"),
        )
        about.save()
        preferences.set_quiet_hours(person.user_id, periods.periods(), None)
        return self._page(request, recipients.get(person.user_id), saved=saved)

    def _person(self, token: str) -> Recipient | None:
        try:
            return Recipient.objects.filter(id=links.read_preferences(token)).first()
        except links.BadLink:
            return None

    def _page(
        self,
        request: HttpRequest,
        person: Recipient,
        *,
        about: PersonForm | None = None,
        periods: Periods | None = None,
        wanted: set[Place] | None = None,
        saved: Saved | None = None,
        status: int = 200,
    ) -> HttpResponse:
        """`wanted`: the switches as they were posted, where that could not be saved."""
        lines = centre.lines(person)
        used = {switch.channel for line in lines for switch in line.switches}
        channels = [channel for channel in Channel if channel in used]
        names = {line.category.key: line.category.name for line in lines}
        context = {
            "sender": settings.SMS_BRAND,
            "channels": channels,
            "lines": [(line, _row(line, channels, wanted)) for line in lines],
            "shown": " ".join(
                f"{line.category.key}:{switch.channel}"
                for line in lines
                if not line.fixed
                for switch in line.switches
            ),
            "blocked": centre.blocked(person),
            "about": about or PersonForm(person=person),
            "periods": periods or PeriodForms(initial=period_initial(person), prefix="quiet"),
            "saved": saved and _told(saved, names),
        }
        return render(request, "notifications/preferences.html", context, status=status)


def _row(
    line: centre.Line, channels: list[Channel], wanted: set[Place] | None
) -> list[centre.Switch | None]:
    switches = line.switches
    if wanted is not None and not line.fixed:
        switches = [replace(one, is_on=line.place(one) in wanted) for one in switches]
    by_channel = {switch.channel: switch for switch in switches}
    return [by_channel.get(channel) for channel in channels]


def _places(texts: list[str]) -> set[Place]:
    """What the form names as `news:email`; what it cannot have named is left out."""
    found = (text.rpartition(":") for text in texts)
    return {(key, Channel(channel)) for key, _, channel in found if channel in Channel.values}


def _told(saved: Saved, names: dict[str, str]) -> dict[str, list[str]]:
    """What was changed, in words."""
    return {
        kind: [f"{names[key]} by {channel.label}" for key, channel in places]
        for kind, places in vars(saved).items()
    }
