"""What is wrong with the service: for programs of whoever runs it. Alerts belong to no agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common import alerts
from commsproject.common.alerts import AlreadyAcknowledged
from commsproject.common.api.openapi import can_fail
from commsproject.common.api.pages import page, page_of
from commsproject.common.api.serializers import StrictSerializer, validated
from commsproject.common.errors import NotFound
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import Alert, Severity

_PAGE = ("cursor", "limit")

_EXAMPLE = {
    "id": "0199c0de-7a11-7c40-b5d8-1f2e3d4c5b6a",
    "key": "rule.provider-shut:ses",
    "severity": "critical",
    "title": "ses is not asked any more",
    "detail": "5 failures in a row",
    "raised_at": "2026-11-22T08:12:38Z",
    "seen_at": "2026-11-22T08:14:03Z",
    "resolved_at": None,
    "acknowledged_at": "2026-11-22T08:13:20Z",
    "acknowledged_by": "agent pager",
    "note": "The vendor's status page says so too.",
}


class AlertQuery(StrictSerializer):
    """`GET /alerts`."""

    state = serializers.ChoiceField(
        ["standing", "resolved"], required=False, help_text="Without it: both."
    )
    severity = serializers.ChoiceField(Severity.choices, required=False)
    acknowledged = serializers.ChoiceField(["true", "false"], required=False)


class AcknowledgeInput(StrictSerializer):
    """`POST /alerts/{id}/acknowledge`."""

    note = serializers.CharField(
        required=False, allow_blank=True, max_length=1000, help_text="For the others on call."
    )


class AlertOutput(serializers.ModelSerializer[Alert]):
    """Something that is wrong, or was until `resolved_at`."""

    severity = serializers.ChoiceField(Severity.choices)
    acknowledged_by = serializers.CharField(
        help_text="`staff` or `agent`, and the name. Empty: nobody has."
    )

    class Meta:
        model = Alert
        fields = list(_EXAMPLE)


def _name(request: Request) -> str:
    return f"agent {agent(request).client.name}"


def _get(alert_id: UUID) -> Alert:
    found = Alert.objects.filter(id=alert_id).first()
    if found is None:
        raise NotFound("There is no such alert.")
    return found


class Alerts(APIView):
    """What is wrong, and what was."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.ALERTS_READ}

    @extend_schema(
        operation_id="alerts_list",
        summary="List alerts, newest first",
        description="Those of the whole service: they belong to no agent.",
        parameters=[
            AlertQuery,
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
        ],
        responses=page_of(AlertOutput),
    )
    def get(self, request: Request) -> Response:
        agent(request)
        asked = {name: value for name, value in request.query_params.items() if name not in _PAGE}
        query = AlertQuery(data=asked)
        query.is_valid(raise_exception=True)
        return page(Alert.objects.filter(**_conditions(query.validated_data)), AlertOutput, request)


def _conditions(asked: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if state := asked.get("state"):
        found["resolved_at__isnull"] = state == "standing"
    if severity := asked.get("severity"):
        found["severity"] = severity
    if acknowledged := asked.get("acknowledged"):
        found["acknowledged_at__isnull"] = acknowledged == "false"
    return found


class AlertById(APIView):
    """One alert."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"GET": Scope.ALERTS_READ}

    @extend_schema(operation_id="alerts_get", summary="One alert", responses=AlertOutput)
    def get(self, request: Request, alert_id: UUID) -> Response:
        agent(request)
        return Response(AlertOutput(_get(alert_id)).data)


class AcknowledgeAlert(APIView):
    """Say that somebody looks after it."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.ALERTS_WRITE}

    @extend_schema(
        operation_id="alerts_acknowledge",
        summary="Say that you look after an alert",
        description=(
            "It stands until it is well again all the same. Said again it has the new note; where "
            "somebody else has said so it is 409."
        ),
        request=AcknowledgeInput,
        responses=AlertOutput,
        examples=[
            OpenApiExample(
                "It is known",
                value={"note": "The vendor's status page says so too."},
                request_only=True,
            ),
            OpenApiExample("Acknowledged", value=_EXAMPLE, response_only=True),
        ],
    )
    @can_fail(AlreadyAcknowledged)
    def post(self, request: Request, alert_id: UUID) -> Response:
        note = validated(AcknowledgeInput, request).get("note", "")
        alert = alerts.acknowledge(_get(alert_id), by=_name(request), note=note)
        return Response(AlertOutput(alert).data)
