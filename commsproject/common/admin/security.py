"""A person's own sign-in: the second factor, the recovery codes, where they are signed in."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import segno
from cryptography.fernet import InvalidToken
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from commsproject.common import audit
from commsproject.common.admin.sign_in import CodeForm
from commsproject.common.models import RecoveryCode, StaffSession
from commsproject.common.staff import factors, sessions, throttle, totp

_SECRET = "second_factor"  # noqa: S105 - where the session keeps it, sealed, until it is confirmed


class SetUpForm(forms.Form):
    code = CodeForm.base_fields["code"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].help_text = "The six digits that the app shows now."


class Pages:
    """Everybody has these pages, and only for themselves."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site

    def all(self) -> Iterator[tuple[str, str, Any]]:
        """Name, address below `security/` and view of each."""
        yield "security", "", self.overview
        yield "security_set_up", "second-factor/", self.set_up
        yield "security_codes", "recovery-codes/", self.codes
        yield "security_turn_off", "turn-off/", self.turn_off
        yield "security_end_others", "sessions/end-others/", self.end_others
        yield "security_end", "sessions/<uuid:pk>/end/", self.end

    def overview(self, request: HttpRequest) -> HttpResponse:
        return self._page(
            request,
            "security.html",
            "Security",
            has_factor=factors.has(_me(request)),
            is_demanded=settings.STAFF_TWO_FACTOR,
            codes_left=RecoveryCode.objects.filter(user_id=_me(request).pk).count(),
            sessions=sessions.of(_me(request)),
            own=request.session.get(sessions.KEY),
        )

    # --- The second factor -------------------------------------------------------------------

    def set_up(self, request: HttpRequest) -> HttpResponse:
        """The secret waits in the session until a code of it was typed."""
        if factors.has(_me(request)):
            return HttpResponseRedirect(reverse("admin:security"))
        secret = _secret(request)
        form = SetUpForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            throttle_error = _throttled(request)
            codes = (
                None
                if throttle_error
                else factors.set_up(_me(request), secret, form.cleaned_data["code"])
            )
            if codes is not None:
                return self._is_set_up(request, codes)
            form.add_error(
                "code",
                throttle_error or "Not the code of this key. Is the telephone's clock right?",
            )
        name = _me(request).get_username()
        address = totp.address(secret, name=name, issuer=_issuer())
        return self._page(
            request,
            "second_factor.html",
            "Set up a second factor",
            form=form,
            picture=_picture(address),
            key=totp.typed_key(secret),
        )

    def _is_set_up(self, request: HttpRequest, codes: list[str]) -> HttpResponse:
        del request.session[_SECRET]
        sessions.verify(request)
        sessions.end(sessions.others(request))
        audit.touched(_me(request))
        return self._codes_page(request, codes)

    def codes(self, request: HttpRequest) -> HttpResponse:
        """New recovery codes, for a code."""
        answer = self._for_a_code(request, "New recovery codes", "The ones you have stop working.")
        if answer is None:
            audit.touched(_me(request))
            return self._codes_page(request, factors.renew_codes(_me(request)))
        return answer

    def turn_off(self, request: HttpRequest) -> HttpResponse:
        """For a new telephone. Where a second factor is demanded, the next page sets one up."""
        text = "Signing in takes your password alone until you set it up again."
        answer = self._for_a_code(request, "Turn the second factor off", text)
        if answer is None:
            factors.turn_off(_me(request))
            StaffSession.objects.filter(user_id=_me(request).pk).update(is_verified=False)
            audit.touched(_me(request))
            messages.success(request, "It is off.")
            return HttpResponseRedirect(reverse("admin:security"))
        return answer

    def _for_a_code(self, request: HttpRequest, title: str, text: str) -> HttpResponse | None:
        """The page that asks for one; None once it was given."""
        if not factors.has(_me(request)):
            return HttpResponseRedirect(reverse("admin:security"))
        form = CodeForm(request, _me(request), request.POST if request.method == "POST" else None)
        if form.is_valid():
            return None
        return self._page(request, "with_code.html", title, form=form, text=text)

    def _codes_page(self, request: HttpRequest, codes: list[str]) -> HttpResponse:
        return self._page(request, "recovery_codes.html", "Recovery codes", codes=codes)

    # --- Where they are signed in ------------------------------------------------------------

    def end_others(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        sessions.end(sessions.others(request))
        audit.touched(_me(request))
        messages.success(request, "You are signed in here alone.")
        return HttpResponseRedirect(reverse("admin:security"))

    def end(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row = get_object_or_404(StaffSession, pk=pk, user_id=_me(request).pk)
        audit.touched(row)
        sessions.end(StaffSession.objects.filter(pk=row.pk))
        messages.success(request, "It has ended.")
        return HttpResponseRedirect(reverse("admin:security"))

    def _page(self, request: HttpRequest, template: str, title: str, **more: Any) -> HttpResponse:
        context = {**self._site.each_context(request), "title": title, **more}
        response = TemplateResponse(request, f"common/admin/{template}", context)
        add_never_cache_headers(response)
        return response


def _me(request: HttpRequest) -> User:
    """The site lets nobody else in."""
    return cast("User", request.user)


def _throttled(request: HttpRequest) -> str:
    try:
        throttle.count(throttle.of_code(request, _me(request).pk))
    except throttle.TooManyTries as error:
        return error.detail
    return ""


def _secret(request: HttpRequest) -> bytes:
    """Of this session, until it is confirmed; sealed, as sessions are rows too."""
    seal = factors.sealer()
    try:
        return base64.b64decode(seal.decrypt(request.session.get(_SECRET, "")))
    except InvalidToken:
        secret = totp.new_secret()
        request.session[_SECRET] = seal.encrypt(base64.b64encode(secret)).decode()
        return secret


def _issuer() -> str:
    return str(settings.UNFOLD["SITE_TITLE"])


@dataclass(frozen=True)
class Picture:
    """A QR code made here, so that nobody else learns the secret: its black squares as an SVG path."""

    size: int
    path: str


def _picture(address: str) -> Picture:
    rows = list(segno.make(address, error="m", micro=False).matrix_iter(border=4))
    black = [(x, y) for y, row in enumerate(rows) for x, is_black in enumerate(row) if is_black]
    return Picture(len(rows), "".join(f"M{x} {y}h1v1h-1z" for x, y in black))
