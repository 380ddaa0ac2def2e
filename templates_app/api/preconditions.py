"""Changes that only go through where nobody else has changed the template (RFC 9110, 13.1.1)."""

from __future__ import annotations

from collections.abc import Collection

from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from commsproject.common.errors import InvalidInput
from templates_app import services
from templates_app.models import Template, TemplateVersion

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of what you have read: 412 where it has been changed since.",
)


def etag(template: Template, latest: TemplateVersion) -> dict[str, str]:
    """As headers of an answer."""
    return {"ETag": f'"{services.stamp(template, latest)}"'}


def expected(request: Request) -> Collection[str]:
    """The stamps of which the template must have one; none where any will do.

    A weak tag is none that a template has. Raises `InvalidInput`.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return ()
    tags = parse_etags(header)
    if not tags:
        raise InvalidInput.of("If-Match", "invalid", 'An ETag in quotes: "5f2c...", or *.')
    return [tag.removeprefix('"').removesuffix('"') for tag in tags]
