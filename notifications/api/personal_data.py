"""One person's data: all of it to an agent, or away for good. Both take a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.api.streaming import download
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import PersonalDataJob
from commsproject.common.personal_data import work
from notifications.api.people import permitted

NDJSON = "application/x-ndjson"


class PersonalDataOutput(serializers.ModelSerializer[PersonalDataJob]):
    """How far an export or an erasure has come; once it is done, the receipt."""

    kind = serializers.ChoiceField(PersonalDataJob.Kind.choices, help_text="What was asked for.")
    state = serializers.ChoiceField(PersonalDataJob.State.choices)
    progress = serializers.SerializerMethodField(help_text="Percent.")
    part = serializers.CharField(help_text="What it is at.")
    counts = serializers.DictField(
        child=serializers.IntegerField(), help_text="Rows by what they are, or were."
    )

    class Meta:
        model = PersonalDataJob
        fields = [
            *("id", "kind", "state", "progress", "part", "counts"),
            *("created_at", "finished_at", "expires_at"),
        ]

    def get_progress(self, job: PersonalDataJob) -> int:
        return work.progress(job)


_RUNNING: dict[str, Any] = {
    "id": "019a0000-0000-7000-8000-000000000031",
    "kind": "erasure",
    "state": "running",
    "progress": 38,
    "part": "messages",
    "counts": {"entries": 12, "webhooks": 3},
    "created_at": "2026-11-22T09:00:00Z",
    "finished_at": None,
    "expires_at": None,
}
_RECEIPT = {
    **_RUNNING,
    "state": "done",
    "progress": 100,
    "part": "",
    "counts": {"entries": 12, "webhooks": 3, "messages": 84, "person": 9},
    "finished_at": "2026-11-22T09:02:04Z",
}


def started(job: PersonalDataJob) -> Response:
    """202 while it runs, 200 once it is done."""
    is_done = job.state == PersonalDataJob.State.DONE
    status = http.HTTP_200_OK if is_done else http.HTTP_202_ACCEPTED
    headers = {} if is_done else {"Retry-After": "2"}
    return Response(PersonalDataOutput(job).data, status=status, headers=headers)


erase_schema = extend_schema(
    operation_id="recipients_erase",
    summary="Erase a person, everywhere and for good",
    description=(
        "What waits for them is not sent. What stays are ids, times, states and keyed hashes of "
        "addresses: for statistics and the suppression list. Safe to repeat. Where it is done and "
        "nobody knows the person any longer, the answer is the receipt."
    ),
    request=None,
    responses={202: PersonalDataOutput, 200: PersonalDataOutput},
    examples=[
        OpenApiExample("Begun", value=_RUNNING, response_only=True, status_codes=["202"]),
        OpenApiExample("Receipt", value=_RECEIPT, response_only=True, status_codes=["200"]),
    ],
)


class PersonExport(APIView):
    """All that is known of a person."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.AUDIENCE_READ}

    @extend_schema(
        operation_id="recipients_export",
        summary="All that is known of a person",
        description=(
            "The first call begins the work: 202. Once it is done, the same call answers with the "
            "document, for seven days and to this agent alone: a line of JSON for each thing known, "
            "the first one about the document."
        ),
        responses={
            202: PersonalDataOutput,
            (200, NDJSON): OpenApiResponse(OpenApiTypes.STR, "The document."),
        },
        examples=[
            OpenApiExample(
                "Begun",
                value={**_RUNNING, "kind": "export", "counts": {"person": 1, "message": 100}},
                response_only=True,
                status_codes=["202"],
            )
        ],
    )
    def get(self, request: Request, user_id: str) -> HttpResponseBase:
        job = work.ask_export(permitted(request, user_id), client=agent(request).client)
        if job.state != PersonalDataJob.State.DONE:
            return started(job)
        response = download(
            request._request,  # noqa: SLF001 - DRF has no other way to Django's own
            work.document(job),
            content_type=NDJSON,
            filename=f"person-{job.id}.ndjson",
        )
        response.headers["Cache-Control"] = "no-store"
        return response


class PersonErasure(APIView):
    """What became of a person's erasure."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.AUDIENCE_READ}

    @extend_schema(
        operation_id="recipients_erasure",
        summary="The receipt of a person's erasure, or how far it has come",
        responses={202: PersonalDataOutput, 200: PersonalDataOutput},
        examples=[
            OpenApiExample("Receipt", value=_RECEIPT, response_only=True, status_codes=["200"])
        ],
    )
    def get(self, request: Request, user_id: str) -> Response:
        return started(work.erasure(permitted(request, user_id)))
