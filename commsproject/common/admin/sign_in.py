"""Signing in: name and password, then the code of those who have a second factor.

Nobody is signed in between the two: the session only says who has shown a password, for five minutes.
"""

from __future__ import annotations

import time
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import get_user_model, login
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from typing_extensions import override

from commsproject.common.admin.theme import AdminTextInputWidget, AuthenticationForm
from commsproject.common.audit import snapshots, trail
from commsproject.common.models import RecoveryCode
from commsproject.common.staff import factors, sessions, throttle

PENDING = "sign_in"
"""In the session: who has shown a password."""
_SECONDS = 300


class PasswordForm(AuthenticationForm):
    """Counts the try before it looks at it."""

    @override
    def clean(self) -> dict[str, Any]:
        name = self.cleaned_data.get("username")
        if self.request is None or not name or not self.cleaned_data.get("password"):
            return self.cleaned_data
        _count(self.request, throttle.of_password(self.request, name), _of_name(name))
        try:
            return super().clean()
        except ValidationError:
            trail.record(self.request, _of_name(name))
            raise


def _count(request: HttpRequest, tries: list[throttle.Counted], refused: trail.Happened) -> None:
    try:
        throttle.count(tries)
    except throttle.TooManyTries as error:
        trail.record(request, refused)
        raise ValidationError(error.detail, code=error.code) from None


def _of_name(name: str) -> trail.Happened:
    """A name that is nobody's may be somebody's password: only its hash is kept."""
    user = get_user_model().objects.filter(username=name[:150].replace("\0", "")).first()
    if user is None:
        return trail.Happened("sign_in_failed", changes={"name": snapshots.hashed(name)})
    return trail.about("sign_in_failed", user)


class FirstStep(LoginView):
    authentication_form = PasswordForm

    @override
    def form_valid(self, form: Any) -> HttpResponse:
        user = form.get_user()
        if factors.has(user):
            return _on_to_the_code(self.request, user, self.get_success_url())
        throttle.forgive(throttle.of_password(self.request, user.get_username()))
        return super().form_valid(form)

    @override
    def get_default_redirect_url(self) -> str:
        return reverse("admin:index")


def _on_to_the_code(request: HttpRequest, user: Any, after: str) -> HttpResponse:
    request.session.cycle_key()
    request.session[PENDING] = {
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
        "backend": user.backend,
        "until": time.time() + _SECONDS,
        "next": after,
    }
    return HttpResponseRedirect(reverse("admin:login_code"))


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=40,
        label="Code",
        help_text="Of your authenticator app, or one of your recovery codes.",
        widget=AdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}
        ),
    )

    def __init__(self, request: HttpRequest, user: AbstractBaseUser, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._request = request
        self.user = user
        self.used: factors.Used | None = None

    def clean_code(self) -> str:
        typed: str = self.cleaned_data["code"]
        failed = trail.about("code_failed", self.user)
        tries = throttle.of_code(self._request, self.user.pk)
        _count(self._request, tries, failed)
        self.used = factors.check(self.user, typed)
        if self.used is None:
            trail.record(self._request, failed)
            raise ValidationError("Not a code that is good now.", code="wrong")
        throttle.forgive(tries)
        return typed


class SecondStep(LoginView):
    """Of who has shown a password; others begin again."""

    form_class = CodeForm  # type: ignore[assignment]  # no form of a name and a password
    _user: Any = None

    @override
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self._user = _who(request)
        if self._user is None:
            return HttpResponseRedirect(reverse("admin:login"))
        return super().dispatch(request, *args, **kwargs)

    @override
    def get_form_class(self) -> Any:
        return CodeForm

    @override
    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "user": self._user}

    @override
    def form_valid(self, form: Any) -> HttpResponse:
        pending = self.request.session[PENDING]
        throttle.forgive(throttle.of_password(self.request, self._user.get_username()))
        login(self.request, self._user, backend=pending["backend"])
        self.request.session.pop(PENDING, None)
        sessions.verify(self.request)
        if form.used is factors.Used.RECOVERY_CODE:
            left = RecoveryCode.objects.filter(user_id=self._user.pk).count()
            messages.warning(self.request, f"You have {left} recovery codes left.")
        return HttpResponseRedirect(pending["next"])


def _who(request: HttpRequest) -> Any:
    """None where no password was shown, too long ago, or it is another one since."""
    pending = request.session.get(PENDING)
    if pending is None or pending["until"] < time.time():
        return None
    user = get_user_model().objects.filter(pk=pending["user"], is_active=True).first()
    if user is None or not constant_time_compare(user.get_session_auth_hash(), pending["hash"]):
        return None
    return user
