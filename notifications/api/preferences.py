"""What a person has chosen: seen and changed by agents, and by the person with their own token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.api.serializers import StrictSerializer, validated
from commsproject.common.identity.principals import EndUser, principal
from commsproject.common.identity.scopes import Scope
from notifications.api.categories import KindField
from notifications.api.input import Line, ZoneField
from notifications.api.people import permitted
from notifications.models import Category, Preference, QuietHours, Recipient
from notifications.services import centre, preferences, recipients
from notifications.services.preferences import Period, Said, Wish
from notifications.types import Channel

SCOPES: Mapping[str, Scope | None] = {"GET": Scope.AUDIENCE_READ, "PUT": Scope.AUDIENCE_WRITE}

# --- Preferences ---------------------------------------------------------------------------------


class ChoiceInput(StrictSerializer):
    category = serializers.SlugField(
        max_length=64, default="", allow_blank=True, help_text="Empty: about all categories."
    )
    channel = serializers.ChoiceField(
        Channel.choices, default="", allow_blank=True, help_text="Empty: about all channels."
    )
    is_on = serializers.BooleanField(
        allow_null=True, help_text="Null takes an earlier choice back."
    )

    @override
    def validate(self, attrs: Any) -> Wish:
        return Wish(attrs["category"], attrs["channel"], attrs["is_on"])


class PreferencesInput(StrictSerializer):
    """`PUT /recipients/{user_id}/preferences`: each choice is written, others stay."""

    preferences = serializers.ListField(child=ChoiceInput(), min_length=1, max_length=200)
    proof = serializers.DictField(
        child=Line(max_length=500, allow_blank=True),
        required=False,
        help_text="What shows that the person said so, kept with the consent record: the wording "
        "they saw, the form, their IP address.",
    )


class ChoiceOutput(serializers.ModelSerializer[Preference]):
    category = serializers.SerializerMethodField()
    channel = serializers.CharField()

    class Meta:
        model = Preference
        fields = ["category", "channel", "is_on", "changed_at"]

    def get_category(self, row: Preference) -> str:
        return row.category.key if row.category else ""


class OfferedOutput(serializers.ModelSerializer[Category]):
    """A category that a person can get."""

    kind = KindField()
    is_optional = serializers.SerializerMethodField()

    class Meta:
        model = Category
        fields = ["key", "name", "kind", "is_optional", "is_opt_in"]

    def get_is_optional(self, row: Category) -> bool:
        return preferences.may_turn_off(row)


class UnsubscribedOutput(serializers.Serializer[Any]):
    """Where a person has unsubscribed."""

    category = serializers.CharField(help_text="Empty: from everything.")
    channel = serializers.ChoiceField(Channel.choices)


class PreferencesOutput(serializers.Serializer[Any]):
    """A person's choices, and the categories that there are to choose from."""

    preferences = ChoiceOutput(many=True)
    unsubscribed = UnsubscribedOutput(
        many=True, help_text="By a link or a word: it holds, whatever `preferences` say."
    )
    categories = OfferedOutput(many=True)
    paused_until = serializers.DateTimeField(allow_null=True)


_ANSWER = {
    "preferences": [
        {
            "category": "news",
            "channel": "email",
            "is_on": False,
            "changed_at": "2026-11-22T09:00:00Z",
        }
    ],
    "unsubscribed": [],
    "categories": [
        {
            "key": "news",
            "name": "News",
            "kind": "marketing",
            "is_optional": True,
            "is_opt_in": False,
        }
    ],
    "paused_until": None,
}


class Preferences(APIView):
    """What a person wants to get, by category and channel."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = SCOPES
    allow_end_users = True

    @extend_schema(
        operation_id="preferences_get",
        summary="A person's choices and what there is to choose from",
        description="The closest choice counts: one for a category and channel before one for "
        "either, and that before one for everything; of two as close, the no.",
        responses=PreferencesOutput,
        examples=[OpenApiExample("No news by email", value=_ANSWER, response_only=True)],
    )
    def get(self, request: Request, user_id: str) -> Response:
        return self._answer(permitted(request, user_id))

    @extend_schema(
        operation_id="preferences_put",
        summary="Write choices of a person",
        description="All or none. A yes or no goes into the consent record with its proof. A yes "
        "to a category that asks for confirmation holds once the person has followed the link. A "
        "yes of the person, or of an agent with `proof`, takes back an earlier unsubscribing, never "
        "a complaint or a bounce; without proof it does not: see `unsubscribed`.",
        request=PreferencesInput,
        responses=PreferencesOutput,
        examples=[
            OpenApiExample(
                "No news by email, nothing at all by SMS",
                value={
                    "preferences": [
                        {"category": "news", "channel": "email", "is_on": False},
                        {"channel": "sms", "is_on": False},
                    ]
                },
                request_only=True,
            )
        ],
    )
    def put(self, request: Request, user_id: str) -> Response:
        asked = validated(PreferencesInput, request)
        is_person = isinstance(principal(request), EndUser)
        said = Said("person" if is_person else "api", asked.get("proof", {}))
        write = centre.choose if is_person or any(said.proof.values()) else preferences.put
        wishes = asked["preferences"]
        write(permitted(request, user_id), wishes, said)
        if any(wish.is_on is False for wish in wishes):
            centre.settle(recipients.get(user_id))
        return self._answer(user_id)

    def _answer(self, user_id: str) -> Response:
        chosen = Preference.objects.filter(recipient__user_id=user_id).select_related("category")
        person = Recipient.objects.filter(user_id=user_id).first()
        found = {
            "preferences": chosen,
            "unsubscribed": [
                {"category": category, "channel": channel}
                for category, channel in (centre.unsubscribed(person) if person else ())
            ],
            "categories": Category.objects.all(),
            "paused_until": person.paused_until if person else None,
        }
        return Response(PreferencesOutput(found).data)


# --- Quiet hours ---------------------------------------------------------------------------------


class PeriodInput(StrictSerializer):
    start = serializers.TimeField(help_text="Local time, 22:00.")
    end = serializers.TimeField(help_text="On the next day where it is not after the start.")
    days = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6),
        default=list,
        max_length=7,
        help_text="On which it starts, Monday is 0. Empty: every day.",
    )

    @override
    def validate(self, attrs: Any) -> Period:
        return Period(attrs["start"], attrs["end"], attrs["days"])


class QuietHoursInput(StrictSerializer):
    """`PUT /recipients/{user_id}/quiet-hours`: in place of those there were."""

    periods = serializers.ListField(child=PeriodInput(), max_length=preferences.MAX_PERIODS)
    time_zone = ZoneField(required=False, help_text="The person's; stays as it is where left out.")


class PeriodOutput(serializers.ModelSerializer[QuietHours]):
    class Meta:
        model = QuietHours
        fields = ["start", "end", "days"]


class QuietHoursOutput(serializers.Serializer[Any]):
    periods = PeriodOutput(many=True)
    time_zone = serializers.CharField(help_text="Empty: UTC.")


class QuietHoursOfPerson(APIView):
    """When a person is left alone by what can wait."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = SCOPES
    allow_end_users = True

    @extend_schema(
        operation_id="quiet_hours_get",
        summary="A person's quiet hours",
        responses=QuietHoursOutput,
    )
    def get(self, request: Request, user_id: str) -> Response:
        return self._answer(permitted(request, user_id))

    @extend_schema(
        operation_id="quiet_hours_put",
        summary="Set a person's quiet hours",
        description="What a category says decides whether its messages wait, are left out or are "
        "sent all the same. Marketing by SMS always waits from 21:00 to 08:00 where the number is.",
        request=QuietHoursInput,
        responses=QuietHoursOutput,
        examples=[
            OpenApiExample(
                "At night, in Berlin",
                value={
                    "periods": [{"start": "22:00", "end": "07:00"}],
                    "time_zone": "Europe/Berlin",
                },
                request_only=True,
            )
        ],
    )
    def put(self, request: Request, user_id: str) -> Response:
        asked = validated(QuietHoursInput, request)
        preferences.set_quiet_hours(
            permitted(request, user_id), asked["periods"], asked.get("time_zone")
        )
        return self._answer(user_id)

    def _answer(self, user_id: str) -> Response:
        person = Recipient.objects.filter(user_id=user_id).first()
        found = {
            "periods": person.quiet_hours.all() if person else [],
            "time_zone": person.time_zone if person else "",
        }
        return Response(QuietHoursOutput(found).data)
