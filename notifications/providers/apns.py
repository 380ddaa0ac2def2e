"""Apple Push Notification service: push to iPhones, iPads, Macs and watches.

One call a device over HTTP/2, with a token that we sign. Facts:
developer.apple.com/documentation/usernotifications (sending-notification-requests-to-apns,
handling-notification-responses-from-apns, generating-a-remote-notification).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from typing_extensions import override

from notifications.providers.account import Check
from notifications.providers.apns_token import ProviderToken, SigningKey
from notifications.providers.common import http, push
from notifications.providers.common.defects import caught
from notifications.providers.common.http import Answer
from notifications.providers.common.http2_loop import LoopHttp2
from notifications.providers.common.push import PushProvider, refuse
from notifications.types import ErrorClass, Outbound, Platform, ProviderError, Sent

REASONS: Mapping[str, ErrorClass] = {
    "BadDeviceToken": ErrorClass.PERMANENT_RECIPIENT,  # also a token of the other environment
    "DeviceTokenNotForTopic": ErrorClass.PERMANENT_RECIPIENT,
    "Unregistered": ErrorClass.PERMANENT_RECIPIENT,  # says since when
    "ExpiredToken": ErrorClass.PERMANENT_RECIPIENT,  # says since when
    "BadCollapseId": ErrorClass.PERMANENT_MESSAGE,
    "BadExpirationDate": ErrorClass.PERMANENT_MESSAGE,
    "BadMessageId": ErrorClass.PERMANENT_MESSAGE,
    "BadPriority": ErrorClass.PERMANENT_MESSAGE,
    "DuplicateHeaders": ErrorClass.PERMANENT_MESSAGE,
    "MissingDeviceToken": ErrorClass.PERMANENT_MESSAGE,
    "PayloadEmpty": ErrorClass.PERMANENT_MESSAGE,
    "PayloadTooLarge": ErrorClass.PERMANENT_MESSAGE,
    "BadTopic": ErrorClass.AUTH_CONFIG,
    "MissingTopic": ErrorClass.AUTH_CONFIG,
    "TopicDisallowed": ErrorClass.AUTH_CONFIG,
    "InvalidPushType": ErrorClass.AUTH_CONFIG,
    "BadCertificate": ErrorClass.AUTH_CONFIG,
    "BadCertificateEnvironment": ErrorClass.AUTH_CONFIG,
    "ExpiredProviderToken": ErrorClass.AUTH_CONFIG,  # a new one too: our clock is wrong
    "InvalidProviderToken": ErrorClass.AUTH_CONFIG,
    "MissingProviderToken": ErrorClass.AUTH_CONFIG,
    "UnrelatedKeyIdInToken": ErrorClass.AUTH_CONFIG,  # the key is for another topic
    "BadEnvironmentKeyIdInToken": ErrorClass.AUTH_CONFIG,  # the key is for the other environment
    "Forbidden": ErrorClass.AUTH_CONFIG,
    "BadPath": ErrorClass.AUTH_CONFIG,
    "MethodNotAllowed": ErrorClass.AUTH_CONFIG,
    "TooManyRequests": ErrorClass.TEMPORARY,  # for this device
    "TooManyProviderTokenUpdates": ErrorClass.THROTTLED,
    "IdleTimeout": ErrorClass.TEMPORARY,
    "ServiceUnavailable": ErrorClass.TEMPORARY,
    "Shutdown": ErrorClass.TEMPORARY,
    "InternalServerError": ErrorClass.AMBIGUOUS,
}
"""`reason` to our class."""

OF_TOPIC = frozenset({"BadTopic", "TopicDisallowed", "UnrelatedKeyIdInToken"})
"""What is wrong with the topic. Where the device itself has named another app than ours it says
nothing against our key: whoever registers one could stop all pushes by it."""

DEVICE_WAIT = 30.0
"""Seconds until a device that has had too many may get the next; Apple says no number."""

TOKEN_WAIT = 60.0
"""Seconds to wait where Apple has seen too many provider tokens of the team; it says no number."""

MAX_PAYLOAD = 4096
READ_BYTES = 2000

NO_DEVICE = "0" * 64

_DEVICE = re.compile(r"[0-9A-Fa-f]{1,200}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,200}")


class APNs(PushProvider):
    """Options: `key`, the text of the .p8 file, `key_id`, `team_id`, `topic`, the bundle id of the app
    that is meant where a device does not say, and `api_url`.
    """

    platform = Platform.APNS

    def __init__(
        self, name: str, *, key: str, key_id: str, team_id: str, topic: str, api_url: str
    ) -> None:
        super().__init__(name)
        self._key, self._key_id, self._team_id = key, key_id, team_id
        self._topic = topic
        self._api_url = api_url
        self._http = LoopHttp2(api_url)

    @override
    def problems(self) -> list[str]:
        found = http.url_problems("APNS_API_URL", self._api_url)
        try:
            self._token  # noqa: B018 - reads the key
        except ValueError:
            found.append(f"{self.name}: APNS_KEY is no private key on P-256 (the text of the .p8).")
        if not _TOPIC.fullmatch(self._topic):
            found.append(f"{self.name}: APNS_TOPIC is no bundle id, such as com.example.app.")
        return found

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        (message,) = messages
        with caught(ErrorClass.PERMANENT_MESSAGE):
            device, headers, body = self._request(message)
        token = await self._provider_token()
        answer = await self._post(device, headers, body, token)
        if reason_of(answer) == "ExpiredProviderToken":  # refused, so not sent
            token = await self._provider_token(spent=token)
            answer = await self._post(device, headers, body, token)
        with caught(ErrorClass.AMBIGUOUS):
            return self.receipt(message, answer)

    @override
    def check(self) -> Iterator[Check]:
        asyncio.run(self._rehearse())
        yield Check("key", f"accepted for {self._topic}")

    async def _rehearse(self) -> None:
        """A push to no device: that is all Apple should find fault with."""
        headers = {"apns-topic": self._topic, "apns-push-type": "alert"}
        try:
            token = await self._provider_token()
            answer = await self._post(NO_DEVICE, headers, b'{"aps":{}}', token)
        finally:
            await self.aclose()
        if reason_of(answer) not in {"BadDeviceToken", "DeviceTokenNotForTopic"}:
            raise refused(answer)

    @override
    async def aclose(self) -> None:
        await super().aclose()
        await self._http.aclose()
        if "_token" in self.__dict__:
            self._token.forget_loop()

    def receipt(self, message: Outbound, answer: Answer) -> Sent:
        """What Apple said. Raises `ProviderError`."""
        if 200 <= answer.status < 300:
            # The id is ours, given back; the status says all.
            return Sent(answer.headers.get("apns-id", str(message.attempt_id))[:255], answer.status)
        error = refused(answer)
        if error.code in OF_TOPIC and message.app not in ("", self._topic):
            error.error_class, error.may_be_ours = ErrorClass.PERMANENT_RECIPIENT, True
        raise error

    def _request(self, message: Outbound) -> tuple[str, dict[str, str], bytes]:
        """To which device what is posted. Raises `ProviderError` where nothing can be made of it."""
        if not _DEVICE.fullmatch(message.to):
            raise ProviderError(
                ErrorClass.PERMANENT_RECIPIENT, "BadDeviceToken", "A device token is hexadecimal."
            )
        topic = message.app or self._topic
        if not _TOPIC.fullmatch(topic):
            refuse("BadTopic", "The device's app is no bundle id.")
        parts = push.content(message)
        body = payload(message, parts)
        headers = {
            "apns-topic": topic,
            "apns-push-type": "alert",
            "apns-id": str(message.attempt_id),
            "apns-priority": push.apple_priority(message),
            "apns-collapse-id": push.apple_collapse_id(message, parts),
            **push.apple_expiration(message),
        }
        return message.to, headers, body

    async def _post(
        self, device: str, headers: Mapping[str, str], body: bytes, token: str
    ) -> Answer:
        return await self._http.post(
            f"/3/device/{device}",
            body,
            headers={"authorization": f"bearer {token}", **headers},
            read=READ_BYTES,
        )

    async def _provider_token(self, spent: str = "") -> str:
        try:
            return await self._token.get(spent=spent)
        except ValueError:
            raise ProviderError(ErrorClass.AUTH_CONFIG, "key", "APNS_KEY cannot be read.") from None

    @cached_property
    def _token(self) -> ProviderToken:
        return ProviderToken(SigningKey.load(self._key, team_id=self._team_id, key_id=self._key_id))


def payload(message: Outbound, parts: Mapping[str, str]) -> bytes:
    """Raises `ProviderError` where it is too long."""
    aps: dict[str, Any] = {"alert": push.alert(parts), "sound": "default"}
    if (badge := push.badge(parts)) is not None:
        aps["badge"] = badge
    told: dict[str, Any] = {"aps": aps, **push.data(message, parts)}
    if "image" in parts:
        told["image"] = parts["image"]
        aps["mutable-content"] = 1  # the app's own extension fetches it
    body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    if len(body) > MAX_PAYLOAD:
        refuse("too_long", f"{len(body)} bytes; a push message has {MAX_PAYLOAD} at most.")
    return body


def reason_of(answer: Answer) -> str:
    """Apple's word for what is wrong, empty where there is none."""
    given = answer.json
    reason = given.get("reason") if isinstance(given, dict) else None
    return reason if isinstance(reason, str) else ""


def refused(answer: Answer) -> ProviderError:
    """The error that an answer other than 2xx stands for."""
    plain = http.status_error(answer.status, answer.headers)
    reason = reason_of(answer)
    if not reason:
        return plain
    known = REASONS.get(reason)
    is_of_device = reason == "TooManyRequests"
    wait = plain.retry_after
    if is_of_device:
        wait = wait or DEVICE_WAIT
    elif known is ErrorClass.THROTTLED:
        wait = wait or TOKEN_WAIT
    return ProviderError(
        known or ErrorClass.TEMPORARY,
        reason if known else f"unmapped:{reason}",
        plain.detail,
        http_status=answer.status,
        retry_after=wait,
        gone_since=_gone_since(answer),
        for_address=is_of_device,
        may_be_ours=reason in {"BadDeviceToken", "DeviceTokenNotForTopic"},
    )


def _gone_since(answer: Answer) -> datetime | None:
    """Of a 410: when Apple last knew that the token was good for nothing, in milliseconds."""
    given = answer.json.get("timestamp") if answer.status == 410 else None
    if not isinstance(given, int | float):
        return None
    try:
        return datetime.fromtimestamp(given / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
