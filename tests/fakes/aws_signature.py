"""Signature version 4, checked as Amazon does: over what really came in."""

from __future__ import annotations

import re

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.fakes.wire import Request

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)"
    r"/aws4_request, SignedHeaders=(?P<names>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)


def denied(request: Request, access_key: str, secret_key: str) -> str:
    """The code with which Amazon refuses the request; empty where it does not."""
    given = AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if given is None:
        return "MissingAuthenticationToken"
    if given["key"] != access_key:
        return "InvalidClientTokenId"
    expected = signature(request, given, secret_key)
    return "" if given["signature"] == expected else "SignatureDoesNotMatch"


def signature(request: Request, given: re.Match[str], secret_key: str) -> str:
    names = given["names"].split(";")
    again = AWSRequest(
        request.method,
        f"http://{request.headers['host']}{request.target}",
        headers={name: request.headers[name] for name in names if name != "host"},
        data=request.body,
    )
    again.context["timestamp"] = request.headers["x-amz-date"]
    auth = SigV4Auth(Credentials(given["key"], secret_key), given["service"], given["region"])
    text = auth.string_to_sign(again, auth.canonical_request(again))
    return str(auth.signature(text, again))
