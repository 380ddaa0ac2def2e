"""API keys: `comm_live_<prefix>_<secret>`, shown once, stored as prefix and SHA-256.

The secret has 256 bits, so a fast hash is enough: there is nothing to guess. Only letters and
digits, so that a double click selects it whole and the log's redaction matches it whole.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.utils import timezone

from commsproject.common.errors import InvalidInput
from commsproject.common.identity.errors import InvalidCredentials
from commsproject.common.identity.scopes import parse
from commsproject.common.models import ApiClient, ApiKey

MARK = "comm_"
"""How every key starts; no JWT does."""

REFUSED = "The API key is unknown, expired or revoked. Ask the staff of this service for a new one."
USE_NOTED_EVERY = timedelta(minutes=1)

_ALPHABET = string.ascii_letters + string.digits
_FORMAT = re.compile(r"comm_live_(?P<prefix>[A-Za-z0-9]{8})_[A-Za-z0-9]{43}")
_NO_PREFIX = "-"  # in no key: the look-up of a malformed one finds nothing, at the same cost
_NO_DIGEST = "0" * 64

log = structlog.get_logger(__name__)


def issue(
    client: ApiClient, scopes: Iterable[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Make a key of `client`. Returns its row and the key itself, which nothing can show again.

    Raises InvalidInput for an unknown scope or an `expires_at` in the past.
    """
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidInput.of("expires_at", "past", "A new key has to expire in the future.")
    prefix = _random(8)
    raw = f"{MARK}live_{prefix}_{_random(43)}"
    key = ApiKey.objects.create(
        client=client,
        prefix=prefix,
        digest=_digest(raw),
        scopes=[scope.value for scope in parse(scopes)],
        expires_at=expires_at,
    )
    return key, raw


def authenticate(raw: str) -> ApiKey:
    """The key that `raw` is, with its client: one indexed query, honouring a revocation at once.

    Raises InvalidCredentials, the same and after the same work, for whatever is wrong with it:
    malformed, unknown, another secret, expired, revoked, of an inactive agent.
    """
    now = timezone.now()
    match = _FORMAT.fullmatch(raw)
    key = _find(match["prefix"] if match else _NO_PREFIX)
    same = hmac.compare_digest(_digest(raw), key.digest if key else _NO_DIGEST)
    if key is None or not same or not _is_usable(key, now):
        raise InvalidCredentials(REFUSED)
    _note_use(key, now)
    return key


def usable(raws: Collection[str]) -> Mapping[str, ApiKey]:
    """Those of `raws` that `authenticate` would let in, in one query. Nothing is noted of the others."""
    now = timezone.now()
    prefixes = {raw: match["prefix"] for raw in raws if (match := _FORMAT.fullmatch(raw))}
    rows = ApiKey.objects.select_related("client").filter(prefix__in=set(prefixes.values()))
    known = {key.prefix: key for key in rows}
    found = {}
    for raw, prefix in prefixes.items():
        key = known.get(prefix)
        if key and hmac.compare_digest(_digest(raw), key.digest) and _is_usable(key, now):
            found[raw] = key
            _note_use(key, now)
    return found


def revoke(key: ApiKey) -> None:
    """Refuse `key` from now on. Revoking it again changes nothing, its first time stays."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    key.refresh_from_db(fields=["revoked_at"])


def _find(prefix: str) -> ApiKey | None:
    try:
        return ApiKey.objects.select_related("client").get(prefix=prefix)
    except ApiKey.DoesNotExist:
        return None


def _is_usable(key: ApiKey, now: datetime) -> bool:
    expired = key.expires_at is not None and key.expires_at <= now
    return key.client.is_active and key.revoked_at is None and not expired


def _note_use(key: ApiKey, now: datetime) -> None:
    """Once a minute per key. A row that someone else holds is left alone rather than waited for."""
    due = now - USE_NOTED_EVERY
    if key.last_used_at is not None and key.last_used_at > due:
        return
    stale = ApiKey.objects.filter(Q(last_used_at=None) | Q(last_used_at__lte=due), pk=key.pk)
    try:
        with transaction.atomic():
            free = stale.order_by().select_for_update(skip_locked=True)
            ApiKey.objects.filter(pk__in=free.values("pk")).update(last_used_at=now)
    except DatabaseError as error:
        log.warning("use of a key not noted", key=str(key.pk), error=type(error).__name__)


def _digest(raw: str) -> str:
    return hashlib.sha256(raw.encode(errors="replace")).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
