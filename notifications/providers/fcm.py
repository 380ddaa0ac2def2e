"""Firebase Cloud Messaging: push to Android, and to whatever else an app has registered with Firebase.

One call a device, by the HTTP v1 API. Facts: firebase.google.com/docs/reference/fcm/rest/v1
(projects.messages, ErrorCode, FcmError), firebase.google.com/docs/cloud-messaging/throttling-and-quotas
and /collapsible-message-types.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

from typing_extensions import override

from notifications.providers.account import Check
from notifications.providers.common import http, push
from notifications.providers.common.defects import caught
from notifications.providers.common.http import Answer
from notifications.providers.common.http_loop import LoopHttp
from notifications.providers.common.push import PushProvider, refuse
from notifications.providers.fcm_token import AccessToken, ServiceAccount
from notifications.types import ErrorClass, Lane, Outbound, Platform, ProviderError, Sent

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"

CODES: Mapping[str, ErrorClass] = {
    "UNREGISTERED": ErrorClass.PERMANENT_RECIPIENT,  # the app is gone, or the token too old
    "INVALID_TOKEN": ErrorClass.PERMANENT_RECIPIENT,  # our word: INVALID_ARGUMENT for the token
    "SENDER_ID_MISMATCH": ErrorClass.PERMANENT_RECIPIENT,  # registered with another project
    "INVALID_ARGUMENT": ErrorClass.PERMANENT_MESSAGE,
    "QUOTA_EXCEEDED": ErrorClass.THROTTLED,
    "RESOURCE_EXHAUSTED": ErrorClass.THROTTLED,
    "UNAVAILABLE": ErrorClass.TEMPORARY,
    "INTERNAL": ErrorClass.AMBIGUOUS,
    "THIRD_PARTY_AUTH_ERROR": ErrorClass.AUTH_CONFIG,  # the project's key for APNs or Web Push
    "APNS_AUTH_ERROR": ErrorClass.AUTH_CONFIG,  # its older name
    "UNAUTHENTICATED": ErrorClass.AUTH_CONFIG,
    "PERMISSION_DENIED": ErrorClass.AUTH_CONFIG,
    "NOT_FOUND": ErrorClass.AUTH_CONFIG,  # the project
}
"""`errorCode` of an FcmError, else the error's `status`, to our class."""

BEHIND_GOOGLE = frozenset({"THIRD_PARTY_AUTH_ERROR", "APNS_AUTH_ERROR"})
"""What is wrong for iPhones or browsers alone, which their tokens do not tell: Android is well."""

QUOTA_WAIT = 60.0
"""Seconds to wait after a refusal for quota that does not say: the quota is one of a minute."""

MAX_PAYLOAD = 4096
"""Bytes of what is shown and of the app's data."""

MAX_TTL = 28 * 24 * 3600
READ_BYTES = 8000
"""Of an answer's body: an error tells which fields are wrong, in a sentence each."""

FID_LENGTH = 22
"""Of a Firebase installation id, which takes the place of registration tokens from 2026 on. These
have a colon, and are longer."""


class FCM(PushProvider):
    """Options: `service_account`, the JSON of its key, and `api_url`, Google's own usually."""

    platform = Platform.FCM

    def __init__(self, name: str, *, service_account: str, api_url: str) -> None:
        super().__init__(name)
        self._service_account = service_account
        self._api_url = api_url
        self._http = LoopHttp(api_url, {"Content-Type": "application/json"})

    @override
    def problems(self) -> list[str]:
        found = http.url_problems("FCM_API_URL", self._api_url)
        try:
            self._account  # noqa: B018 - reads it
        except ValueError:
            found.append(f"{self.name}: FCM_SERVICE_ACCOUNT is no service account's key in JSON.")
        return found

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        (message,) = messages
        with caught(ErrorClass.PERMANENT_MESSAGE):
            body = request(message)
        token = await self._access().get()
        answer = await self._post(body, token)
        if code_of(answer) == "UNAUTHENTICATED":
            # Refused, so not sent: the token may have been revoked before its time.
            answer = await self._post(body, await self._access().get(spent=token))
        with caught(ErrorClass.AMBIGUOUS):
            return self.receipt(answer)

    @override
    def check(self) -> Iterator[Check]:
        asyncio.run(self._rehearse())
        yield Check("service account", "accepted, may send")

    async def _rehearse(self) -> None:
        """A call that FCM only looks at, to no device: that is all it should find fault with."""
        body = _json({"validate_only": True, "message": {"token": "none"}})
        try:
            answer = await self._post(body, await self._access().get())
        finally:
            await self.aclose()
        if (error := refused(answer)).code != "INVALID_TOKEN":
            raise error

    @override
    async def aclose(self) -> None:
        await super().aclose()
        await self._http.aclose()
        if "_token" in self.__dict__:
            await self._token.aclose()

    def receipt(self, answer: Answer) -> Sent:
        """What FCM said. Raises `ProviderError`."""
        if 200 <= answer.status < 300:
            return Sent(_reference(answer), answer.status)
        raise refused(answer)

    async def _post(self, body: bytes, token: str) -> Answer:
        project = quote(self._account.project_id, safe="")
        return await self._http.post(
            body,
            url=f"{self._api_url.rstrip('/')}/v1/projects/{project}/messages:send",
            headers={"Authorization": f"Bearer {token}"},
            read=READ_BYTES,
        )

    def _access(self) -> AccessToken:
        try:
            return self._token
        except ValueError:
            raise ProviderError(
                ErrorClass.AUTH_CONFIG, "service_account", "FCM_SERVICE_ACCOUNT cannot be read."
            ) from None

    @cached_property
    def _token(self) -> AccessToken:
        return AccessToken(self._account, SCOPE)

    @cached_property
    def _account(self) -> ServiceAccount:
        return ServiceAccount.load(self._service_account)


def request(message: Outbound) -> bytes:
    """The call's body. Raises `ProviderError` where nothing that could be sent can be made of it."""
    parts = push.content(message)
    shown = push.alert(parts)
    if "image" in parts:
        shown["image"] = parts["image"]
    known = {"notification": shown, "data": push.data(message, parts)}
    if (size := len(_json(known))) > MAX_PAYLOAD:
        refuse("too_long", f"{size} bytes; a push message has {MAX_PAYLOAD} at most.")
    left = push.seconds_left(message, MAX_TTL)
    return _json(
        {
            "message": {
                "fid" if _is_fid(message.to) else "token": message.to,
                **known,
                "android": _android(message, parts, left),
                "apns": _apns(message, parts),
                "webpush": _webpush(message, parts, left),
            }
        }
    )


def _is_fid(to: str) -> bool:
    return len(to) == FID_LENGTH and ":" not in to


def _android(message: Outbound, parts: Mapping[str, str], left: int | None) -> dict[str, Any]:
    """`tag` replaces what an earlier attempt has shown. `collapse_key` would do so on Google's side,
    but of those a device has four at a time: with one for each message, the fifth that waits for a
    device drives out another.
    """
    shown: dict[str, Any] = {"tag": _tag(message, parts)}
    if (badge := push.badge(parts)) is not None:
        shown["notification_count"] = badge
    found: dict[str, Any] = {
        "priority": "HIGH" if message.lane is Lane.URGENT else "NORMAL",
        "notification": shown,
    }
    if "collapse_id" in parts:
        found["collapse_key"] = parts["collapse_id"]
    if left is not None:
        found["ttl"] = f"{left}s"
    return found


def _apns(message: Outbound, parts: Mapping[str, str]) -> dict[str, Any]:
    headers = {
        "apns-priority": push.apple_priority(message),
        "apns-collapse-id": push.apple_collapse_id(message, parts),
        **push.apple_expiration(message),
    }
    aps: dict[str, Any] = {"sound": "default"}
    if (badge := push.badge(parts)) is not None:
        aps["badge"] = badge
    return {"headers": headers, "payload": {"aps": aps}}


def _webpush(message: Outbound, parts: Mapping[str, str], left: int | None) -> dict[str, Any]:
    headers = {"Urgency": push.URGENCY[message.lane]}
    if left is not None:
        headers["TTL"] = str(left)
    found: dict[str, Any] = {
        "headers": headers,
        "notification": {"tag": _tag(message, parts)},
    }
    if parts.get("link", "").startswith("https://"):  # any other is refused with the message
        found["fcm_options"] = {"link": parts["link"]}
    return found


def _tag(message: Outbound, parts: Mapping[str, str]) -> str:
    return parts.get("collapse_id") or str(message.delivery_id)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _reference(answer: Answer) -> str:
    """The last part of `projects/x/messages/0:17`. Raises `ProviderError` where there is none."""
    given = answer.json
    name = given.get("name") if isinstance(given, dict) else None
    if not isinstance(name, str) or not name:
        raise http.unanswered(ErrorClass.AMBIGUOUS, "malformed_answer")
    return name.rpartition("/")[2][:255]


def code_of(answer: Answer) -> str:
    """The vendor's word for what is wrong, empty where there is none."""
    error = _error(answer)
    for detail in _details(error):
        if isinstance(code := detail.get("errorCode"), str):
            return code
    status = error.get("status")
    return status if isinstance(status, str) else ""


def refused(answer: Answer) -> ProviderError:
    """The error that an answer other than 2xx stands for."""
    plain = http.status_error(answer.status, answer.headers)
    code = code_of(answer)
    if not code:
        return plain
    if code == "INVALID_ARGUMENT" and _is_about_the_token(_error(answer)):
        code = "INVALID_TOKEN"
    known = CODES.get(code)
    wait = plain.retry_after
    if known is ErrorClass.THROTTLED and wait is None:
        wait = QUOTA_WAIT
    return ProviderError(
        known or ErrorClass.TEMPORARY,
        code if known else f"unmapped:{code}",
        plain.detail,
        http_status=answer.status,
        retry_after=wait,
        for_address=code in BEHIND_GOOGLE,
        may_be_ours=code == "SENDER_ID_MISMATCH",
    )


def _is_about_the_token(error: Mapping[str, Any]) -> bool:
    """By the field that is named, else by Google's sentence: "The registration token is not a valid
    FCM registration token".
    """
    violations = [row for detail in _details(error) for row in _rows(detail, "fieldViolations")]
    if violations:
        return all(row.get("field") in {"message.token", "message.fid"} for row in violations)
    return "registration token" in str(error.get("message", ""))


def _error(answer: Answer) -> Mapping[str, Any]:
    given = answer.json
    error = given.get("error") if isinstance(given, dict) else None
    return error if isinstance(error, dict) else {}


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _rows(error, "details")


def _rows(given: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = given.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
