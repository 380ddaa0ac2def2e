from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.api.openapi import can_fail
from commsproject.common.api.serializers import JsonObject, StrictSerializer, validated
from commsproject.common.errors import CommsError
from commsproject.common.identity.principals import agent
from commsproject.common.identity.scopes import Scope
from notifications.api.input import LocaleField, TargetInput
from notifications.api.notifications import KEY, idempotency_key, replayed
from notifications.api.output import AcceptedOutput
from notifications.errors import OF_A_KEY, REFUSED
from notifications.services import proofs
from notifications.services.keys import Once, fingerprint
from notifications.types import Channel
from templates_app import selectors as templates


class ProofInput(StrictSerializer):
    """`POST /templates/{key}/test-send`."""

    to = TargetInput()
    data = JsonObject(required=False)  # type: ignore[assignment]  # as DRF has it
    sample = serializers.CharField(
        max_length=100, required=False, help_text="The name of one; `data` lies over its data."
    )
    locale = LocaleField(required=False)
    channels = serializers.ListField(
        child=serializers.ChoiceField(Channel.choices),
        required=False,
        min_length=1,
        max_length=len(Channel),
    )
    version = serializers.IntegerField(
        min_value=1, required=False, help_text="Without it the newest, which may be the draft."
    )

    @override
    def validate(self, attrs: Any) -> Any:
        attrs["channels"] = [Channel(name) for name in attrs.get("channels", [])]
        return attrs


class TestSend(APIView):
    """A message to look at."""

    __test__ = False
    required_scopes: ClassVar[Mapping[str, Scope | None]] = {"POST": Scope.NOTIFICATIONS_WRITE}

    @extend_schema(
        operation_id="templates_test_send",
        summary="Send a version of a template, also a draft, to somebody to look at",
        description=(
            "It goes the way of any message, tagged `test-send`. With an `Idempotency-Key`, repeating "
            "the request gives the first answer again, marked `Idempotent-Replayed: true`."
        ),
        parameters=[KEY],
        request=ProofInput,
        responses={202: AcceptedOutput},
    )
    @can_fail(*OF_A_KEY, *REFUSED)
    def post(self, request: Request, key: str) -> Response:
        fields = validated(ProofInput, request)
        template = templates.get(key)
        number = fields.get("version")
        version = templates.version(template, number) if number else templates.latest(template)
        sample = templates.sample(template, fields["sample"]) if "sample" in fields else {}
        result = proofs.send(
            agent(request).client,
            version,
            fields["to"],
            {**sample.get("data", {}), **fields.get("data", {})},
            locale=fields.get("locale") or sample.get("locale", ""),
            channels=fields["channels"],
            once=Once(idempotency_key(request), fingerprint(request.data, f"test-send {key} ")),
        )
        if isinstance(result, CommsError):
            raise result
        return Response(
            result.response, status=http.HTTP_202_ACCEPTED, headers=replayed(result.replayed)
        )
