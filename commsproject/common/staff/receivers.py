"""What happens at every sign-in and out and at every new password, whoever asked for it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models.signals import post_save
from django.http import HttpRequest

from commsproject.common.audit import trail
from commsproject.common.models import StaffSession
from commsproject.common.staff import sessions


def connect() -> None:
    user_logged_in.connect(_signed_in, dispatch_uid="staff session")
    user_logged_out.connect(_signed_out, dispatch_uid="staff session")
    post_save.connect(_saved, sender=get_user_model(), dispatch_uid="staff session")


def _signed_in(request: HttpRequest, user: AbstractBaseUser, **_: Any) -> None:
    sessions.begin(request, user)
    trail.record(request, trail.about("sign_in", user), actor=user)


def _signed_out(request: HttpRequest, user: AbstractBaseUser | None, **_: Any) -> None:
    if user is not None and (key := request.session.get(sessions.KEY)):
        sessions.end(StaffSession.objects.filter(id=key))
        trail.record(request, trail.about("sign_out", user), actor=user)


def _saved(instance: User, created: bool, **_: Any) -> None:
    """Django keeps a new password in `_password` until the user is saved."""
    if getattr(instance, "_password", None) is not None and not created:
        sessions.end(StaffSession.objects.filter(user_id=instance.pk))
