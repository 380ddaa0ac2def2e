"""The second factor of a member of staff: an authenticator app, and codes for when it is lost."""

from __future__ import annotations

import hashlib
import secrets
import time
from enum import Enum

from cryptography.fernet import InvalidToken, MultiFernet
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from commsproject.common.models import RecoveryCode, SecondFactor
from commsproject.common.sealing import seal
from commsproject.common.staff import totp

RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without letters that look like others."""
_LETTERS = 16
"""79 bits: a hash without a key keeps them."""


class Used(Enum):
    """By what somebody has shown who they are."""

    APP = "app"
    RECOVERY_CODE = "recovery code"


def sealer() -> MultiFernet:
    return seal("second factor")


def has(user: AbstractBaseUser) -> bool:
    return SecondFactor.objects.filter(user_id=user.pk).exists()


@transaction.atomic
def set_up(user: AbstractBaseUser, secret: bytes, typed: str) -> list[str] | None:
    """The recovery codes, told this once; None: not the code of this secret."""
    step = totp.matching_step(secret, _plain(typed), time.time())
    if step is None:
        return None
    SecondFactor.objects.update_or_create(
        user_id=user.pk, defaults={"sealed": sealer().encrypt(secret), "last_step": step}
    )
    return renew_codes(user)


@transaction.atomic
def renew_codes(user: AbstractBaseUser) -> list[str]:
    """New recovery codes; those of before are good no more."""
    made = [
        "".join(secrets.choice(_ALPHABET) for _ in range(_LETTERS)) for _ in range(RECOVERY_CODES)
    ]
    RecoveryCode.objects.filter(user_id=user.pk).delete()
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user_id=user.pk, digest=_digest(one)) for one in made
    )
    return ["-".join(one[i : i + 4] for i in range(0, _LETTERS, 4)) for one in made]


@transaction.atomic
def turn_off(user: AbstractBaseUser) -> None:
    SecondFactor.objects.filter(user_id=user.pk).delete()
    RecoveryCode.objects.filter(user_id=user.pk).delete()


def check(user: AbstractBaseUser, typed: str) -> Used | None:
    """What was typed is used up: of two requests with the same code one is refused."""
    plain = _plain(typed)
    if _is_of_app(user, plain):
        return Used.APP
    used, _ = RecoveryCode.objects.filter(user_id=user.pk, digest=_digest(plain)).delete()
    return Used.RECOVERY_CODE if used else None


def _is_of_app(user: AbstractBaseUser, plain: str) -> bool:
    factor = SecondFactor.objects.filter(user_id=user.pk).first()
    if factor is None:
        return False
    try:
        secret = sealer().decrypt(bytes(factor.sealed))
    except InvalidToken:  # sealed with a SECRET_KEY that is gone: recovery codes still work
        return False
    step = totp.matching_step(secret, plain, time.time())
    if step is None:
        return False
    sealed = sealer().rotate(bytes(factor.sealed))  # so that an earlier SECRET_KEY can go
    unused = SecondFactor.objects.filter(user_id=user.pk, last_step__lt=step)
    return bool(unused.update(last_step=step, sealed=sealed))


def _plain(typed: str) -> str:
    return "".join(typed.split()).replace("-", "").lower()


def _digest(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()
