from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.problems import TooLarge
from commsproject.common.bodies import bounded
from commsproject.common.errors import InvalidInput
from conversations import access, links, selectors
from conversations.api import shapes
from conversations.api.actors import actor
from conversations.api.views import View
from conversations.errors import TypeNotAllowed
from conversations.services import attachments
from conversations.types import Actor

_ROOM = 64 * 1024
"""Bytes of a form beside the file itself."""

_EXAMPLE = {
    "id": "019a0000-0000-7000-8000-000000000023",
    "name": "oslo.jpg",
    "media_type": "image/jpeg",
    "size": 218_000,
    "width": 1600,
    "height": 1200,
    "has_thumbnail": True,
}


def largest_form(**_route: object) -> int:
    return int(settings.ATTACHMENT_MAX_SIZE) + _ROOM


class FormParser(MultiPartParser):
    """A form with one file, which goes to disk piece by piece."""

    @override
    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request: HttpRequest = (parser_context or {})["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > largest_form():
            raise TooLarge(f"A file may have at most {settings.ATTACHMENT_MAX_SIZE} bytes.")
        return super().parse(stream, media_type, parser_context)


class UploadInput(serializers.Serializer[Any]):
    file = serializers.FileField()


@bounded(largest_form)
class Attachments(View):
    """Files that go with what is written."""

    parser_classes = (FormParser,)

    @extend_schema(
        operation_id="attachments_upload",
        summary="Upload a file",
        description=(
            "As a form (`multipart/form-data`) with one `file`. Then write an entry that names it in "
            "`attachments`; until then only you see it, and after a day it is removed. What it is is "
            "told by its content: pictures, PDF, sound, video, office documents without macros, "
            "plain text. Pictures are made anew from their pixels, without EXIF."
        ),
        request={"multipart/form-data": UploadInput},
        responses={201: shapes.AttachmentOutput},
        examples=[
            OpenApiExample("A picture", value=_EXAMPLE, response_only=True, status_codes=["201"])
        ],
    )
    @can_fail(TypeNotAllowed)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        who = actor(request)
        access.fetch(who, conversation_id)  # before anything is read of a stranger
        form: Any = request.data
        given = form.getlist("file")
        if len(given) != 1 or isinstance(given[0], str) or len(form) != 1:
            raise InvalidInput.of("file", "required", "A form with one file, in the field `file`.")
        made = attachments.upload(who, conversation_id, given[0].name or "", given[0].file)
        return Response(selectors.attachment_as_json(made), status=http.HTTP_201_CREATED)


class AttachmentById(View):
    """One of them."""

    @extend_schema(
        operation_id="attachments_get",
        summary="A file, with links to it",
        description="The links are yours: they end after five minutes, and when you leave.",
        responses=shapes.LinksOutput,
        examples=[
            OpenApiExample(
                "A picture",
                value={
                    **_EXAMPLE,
                    "url": "https://comms.example.com/files/WyIwMTlh...",
                    "thumbnail_url": "https://comms.example.com/files/WyIwMTlh...",
                    "expires_at": "2026-11-22T09:05:00Z",
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, conversation_id: UUID, attachment_id: UUID) -> Response:
        who = actor(request)
        found = attachments.get(who, attachment_id, conversation_id)
        small = _url(request, who, attachment_id, small=True) if found.thumbnail_key else None
        return Response(
            {
                **selectors.attachment_as_json(found),
                "url": _url(request, who, attachment_id),
                "thumbnail_url": small,
                "expires_at": selectors.moment(timezone.now() + links.LIFETIME),
            }
        )


def _url(request: Request, who: Actor, attachment_id: UUID, *, small: bool = False) -> str:
    token = links.token(links.FileLink(who, attachment_id, small))
    return request.build_absolute_uri(reverse("file", args=[token]))
