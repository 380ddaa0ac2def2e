"""What the providers of Amazon share: clients, what their errors mean, subscriptions to topics.

Vendor's facts: botocore's endpoint and parsers, docs.aws.amazon.com (common errors of each API).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore import exceptions as boto
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.parsers import ResponseParserError
from django.conf import settings

from notifications.providers.common import http
from notifications.providers.common.defects import unexpected
from notifications.providers.common.http import Answer
from notifications.types import ErrorClass, ProviderError

CREDENTIALS: Mapping[str, ErrorClass] = dict.fromkeys(
    (
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",  # a wrong secret, or a clock that is minutes wrong
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",  # our clock is a quarter of an hour wrong
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ),
    ErrorClass.AUTH_CONFIG,
)
"""The codes with which every API of Amazon refuses a key or a signature; some with 400, as if the
message were at fault (the page "Common Errors" of each API; aws/aws-sdk-js issue 254).
"""

TRANSPORT: tuple[tuple[type[Exception], ErrorClass, str], ...] = (
    (boto.ConnectTimeoutError, ErrorClass.TEMPORARY, "connect_timeout"),
    (boto.EndpointConnectionError, ErrorClass.TEMPORARY, "connect_failed"),
    (boto.ProxyConnectionError, ErrorClass.AUTH_CONFIG, "proxy"),
    (boto.ReadTimeoutError, ErrorClass.AMBIGUOUS, "read_timeout"),
    (boto.ConnectionClosedError, ErrorClass.AMBIGUOUS, "connection_lost"),
    (boto.HTTPClientError, ErrorClass.AMBIGUOUS, "connection_lost"),
    (ResponseParserError, ErrorClass.AMBIGUOUS, "malformed_answer"),
    (boto.ParamValidationError, ErrorClass.PERMANENT_MESSAGE, "invalid_parameters"),
    (boto.NoCredentialsError, ErrorClass.AUTH_CONFIG, "credentials"),
)
"""What botocore raises where there is no answer, or none it understands."""

REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")

ANSWERS = (b"{", b"<?xml", b"<ErrorResponse")
"""How the errors of an API begin. Anything else is a page of somebody in between."""

WORD = re.compile(r"[A-Z][A-Za-z.]{2,79}")
"""What a code looks like."""


def region_problems(variable: str, region: str) -> list[str]:
    """What is wrong with a region: nothing, or a sentence that names the variable."""
    known = REGION.fullmatch(region)
    return [] if known else [f"{variable} is no region, such as eu-central-1."]


@dataclass(frozen=True, repr=False)
class Account:
    """A key pair, and where its calls go: `""` for Amazon's own endpoints."""

    access_key_id: str
    secret_access_key: str
    endpoint_url: str

    def problems(self) -> list[str]:
        """What is wrong with the keys, and with where its calls go."""
        found = http.key_problems("AWS_ACCESS_KEY_ID", self.access_key_id)
        found += http.key_problems("AWS_SECRET_ACCESS_KEY", self.secret_access_key)
        if self.endpoint_url:
            found += http.url_problems("AWS_ENDPOINT_URL", self.endpoint_url)
        return found

    def client(self, service: str, region: str) -> Any:
        """A client of boto3 for one thread, with our time limits and without retries.

        `SendEmail` has no idempotency token; botocore would send up to three times.
        """
        with _LOCK:
            client = _session().client(
                service,
                region_name=region,
                endpoint_url=self.endpoint_url or None,
                aws_access_key_id=self.access_key_id,
                aws_secret_access_key=self.secret_access_key,
                config=Config(
                    connect_timeout=settings.PROVIDER_CONNECT_TIMEOUT,
                    read_timeout=settings.PROVIDER_READ_TIMEOUT,
                    retries={"total_max_attempts": 1},
                ),
            )
        client.meta.events.register("before-parse", _refuse_pages)
        return client

    def endpoint(self, service: str, region: str) -> str:
        """The URL of an API, by the prefix of its host: `sns`, `sms-voice`."""
        china = ".cn" if region.startswith("cn-") else ""
        return self.endpoint_url or f"https://{service}.{region}.amazonaws.com{china}"

    def signed(
        self, service: str, region: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> dict[str, str]:
        """The headers of a POST, with what shows that it is from us, now. Raises `ProviderError`."""
        request = AWSRequest("POST", url, headers=headers, data=body)
        key = Credentials(self.access_key_id, self.secret_access_key)
        try:
            SigV4Auth(key, service, region).add_auth(request)
        except (ValueError, AttributeError):  # it takes the host out of the URL
            raise http.unanswered(ErrorClass.AUTH_CONFIG, "bad_url") from None
        return dict(request.headers)

    def call(
        self,
        service: str,
        *,
        region: str,
        operation: str,
        codes: Mapping[str, ErrorClass],
        **parameters: Any,
    ) -> Mapping[str, Any]:
        """The answer of one call that sends nothing. Raises `ProviderError`, by `codes`."""
        try:
            client = self.client(service, region)
        except (boto.BotoCoreError, ValueError):  # no region, no URL
            raise ProviderError(ErrorClass.AUTH_CONFIG, "configuration") from None
        try:
            answer: Mapping[str, Any] = getattr(client, operation)(**parameters)
        except ProviderError:
            raise
        except Exception as error:  # noqa: BLE001 - its parsers stumble over answers of another shape
            raise failure(error, codes) from None
        finally:
            client.close()
        return answer

    def confirm(self, topic: str, token: str) -> None:
        """Confirm our subscription to an SNS topic. Raises `ProviderError`."""
        self.call(
            "sns",
            region=topic.split(":")[3],
            operation="confirm_subscription",
            codes=CREDENTIALS,
            TopicArn=topic,
            Token=token,
            # With authentication, nobody who gets hold of an old message can unsubscribe us.
            AuthenticateOnUnsubscribe="true",
        )


_LOCK = threading.Lock()
"""Neither making a session nor making a client is thread-safe; using a client is."""


@cache
def _session() -> Any:
    """The session of this process: a new one takes 40 ms of CPU, a client of this one 2."""
    return boto3.session.Session()


def _refuse_pages(response_dict: Mapping[str, Any], **_kwargs: object) -> None:
    """botocore's parsers do not tell the status of an answer that they cannot read."""
    status: int = response_dict["status_code"]
    if status >= 300 and not bytes(response_dict["body"] or b"").lstrip().startswith(ANSWERS):
        raise ProviderError(
            http.status_class(status),
            str(status),
            f"The provider answered HTTP {status}.",
            http_status=status,
        )


def failure(error: Exception, codes: Mapping[str, ErrorClass]) -> ProviderError:
    """The error of a call of boto3: what was answered, by `codes`, or what went wrong on the way."""
    if isinstance(error, boto.ClientError):
        return answered(error.response, codes)
    return unanswered(error) or unexpected(error)


def answered(response: Mapping[str, Any], codes: Mapping[str, ErrorClass]) -> ProviderError:
    """The error of an answer: `{"Error": {"Code", "Message"}, "ResponseMetadata": ...}`.

    Without a code it counts by its HTTP status.
    """
    code = str(response["Error"].get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return classified(code, http.status_error(status, {}), codes)


def told(answer: Answer) -> tuple[str, str]:
    """Code and text of an error in JSON, empty where there is none, as botocore reads them: the code
    is in a header, or in the body.
    """
    body = answer.json if isinstance(answer.json, dict) else {}
    code = answer.headers.get("x-amzn-ErrorType") or str(body.get("__type") or body.get("code", ""))
    text = body.get("message") or body.get("Message")
    return code.partition(":")[0].rpartition("#")[2], str(text or "")


def classified(code: str, error: ProviderError, codes: Mapping[str, ErrorClass]) -> ProviderError:
    """The error of an answer with `code`, by `codes`. `error` is that of its status."""
    if code not in codes:
        return unmapped(code, error)
    error.error_class, error.code = codes[code], code
    return error


def unmapped(code: str, error: ProviderError) -> ProviderError:
    """The error of an answer whose `code` is in no table of ours. `error` is that of its status.

    A code that we do not know may be about anything: to try again later is the least wrong.
    """
    if not WORD.fullmatch(code):
        return error
    if error.error_class is ErrorClass.PERMANENT_MESSAGE:
        error.error_class = ErrorClass.TEMPORARY
    error.code = f"unmapped:{code}"
    return error


def unanswered(error: Exception) -> ProviderError | None:
    """The error of a call without an answer; None if `error` is none of botocore's."""
    if isinstance(error, boto.SSLError):  # keeps the cause neither in args nor in __cause__
        return http.transport_error(error.kwargs.get("error") or error)
    for kind, error_class, code in TRANSPORT:
        if isinstance(error, kind):
            return ProviderError(error_class, code, f"The call failed: {code}.")
    return None
