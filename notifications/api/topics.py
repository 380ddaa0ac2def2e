from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commsproject.common.api.openapi import BODY_AS_POST, UnsupportedMediaType, can_fail
from commsproject.common.api.pages import page, page_of
from commsproject.common.api.problems import TooLarge
from commsproject.common.api.serializers import StrictSerializer, validated
from commsproject.common.errors import Conflict
from commsproject.common.identity.scopes import Scope
from notifications.api.input import Line
from notifications.models import Topic, TopicMember
from notifications.services import topics


class TopicChange(StrictSerializer):
    name = Line(max_length=100)


class TopicInput(TopicChange):
    key = serializers.SlugField(max_length=64)


class TopicOutput(serializers.ModelSerializer[Topic]):
    """A named group of people."""

    class Meta:
        model = Topic
        fields = ["key", "name", "created_at"]


class MembersInput(StrictSerializer):
    user_ids = serializers.ListField(
        child=Line(max_length=200), min_length=1, max_length=topics.MAX_AT_ONCE
    )


class MemberOutput(serializers.ModelSerializer[TopicMember]):
    user_id = serializers.CharField(source="recipient.user_id")

    class Meta:
        model = TopicMember
        fields = ["user_id", "joined_at"]


class MembersChangedOutput(serializers.Serializer[Any]):
    changed = serializers.IntegerField(help_text="People who were not, or were, in it before.")


_TOPIC = {"key": "release-notes", "name": "Release notes", "created_at": "2026-11-22T09:00:00Z"}
_PAGING = [
    OpenApiParameter("cursor", str),
    OpenApiParameter("limit", int, description="1 to 200, 50 unless told."),
]


class Topics(APIView):
    """Groups of people to send to."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.AUDIENCE_READ,
        "POST": Scope.AUDIENCE_WRITE,
    }

    @extend_schema(
        operation_id="topics_list",
        summary="List topics, newest first",
        parameters=_PAGING,
        responses=page_of(TopicOutput),
    )
    def get(self, request: Request) -> Response:
        return page(Topic.objects.all(), TopicOutput, request)

    @extend_schema(
        operation_id="topics_make",
        summary="Make a topic",
        request=TopicInput,
        responses={201: TopicOutput},
        examples=[
            OpenApiExample(
                "Release notes",
                value={"key": "release-notes", "name": "Release notes"},
                request_only=True,
            ),
            OpenApiExample("Made", value=_TOPIC, response_only=True, status_codes=["201"]),
        ],
    )
    @can_fail(Conflict)
    def post(self, request: Request) -> Response:
        topic = topics.make(**validated(TopicInput, request))
        return Response(TopicOutput(topic).data, status=http.HTTP_201_CREATED)


class TopicByKey(APIView):
    """One of them."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.AUDIENCE_READ,
        "PATCH": Scope.AUDIENCE_WRITE,
        "DELETE": Scope.AUDIENCE_WRITE,
    }

    @extend_schema(operation_id="topics_get", summary="A topic", responses=TopicOutput)
    def get(self, request: Request, key: str) -> Response:
        return Response(TopicOutput(topics.get(key)).data)

    @extend_schema(
        operation_id="topics_change",
        summary="Give a topic another name",
        request=TopicChange,
        responses=TopicOutput,
    )
    def patch(self, request: Request, key: str) -> Response:
        topic = topics.get(key)
        topic.name = validated(TopicChange, request)["name"]
        topic.save(update_fields=["name"])
        return Response(TopicOutput(topic).data)

    @extend_schema(
        operation_id="topics_delete",
        summary="Delete a topic; its people stay",
        responses={204: None},
    )
    def delete(self, request: Request, key: str) -> Response:
        topics.get(key).delete()
        return Response(status=http.HTTP_204_NO_CONTENT)


class Members(APIView):
    """Who belongs to a topic."""

    required_scopes: ClassVar[Mapping[str, Scope | None]] = {
        "GET": Scope.AUDIENCE_READ,
        "POST": Scope.AUDIENCE_WRITE,
        "DELETE": Scope.AUDIENCE_WRITE,
    }

    @extend_schema(
        operation_id="topics_members",
        summary="List the people of a topic, the latest first",
        parameters=_PAGING,
        responses=page_of(MemberOutput),
    )
    def get(self, request: Request, key: str) -> Response:
        return page(topics.members(topics.get(key)), MemberOutput, request)

    @extend_schema(
        operation_id="topics_add",
        summary="Add people to a topic",
        description=f"At most {topics.MAX_AT_ONCE}; they may be new. Safe to repeat.",
        request=MembersInput,
        responses=MembersChangedOutput,
        examples=[
            OpenApiExample("Two people", value={"user_ids": ["u-42", "u-43"]}, request_only=True)
        ],
    )
    def post(self, request: Request, key: str) -> Response:
        user_ids = validated(MembersInput, request)["user_ids"]
        return Response({"changed": topics.add(topics.get(key), user_ids)})

    @extend_schema(
        operation_id="topics_remove",
        summary="Take people out of a topic",
        request=MembersInput,
        extensions=BODY_AS_POST,
        responses={200: MembersChangedOutput},
    )
    @can_fail(TooLarge, UnsupportedMediaType)
    def delete(self, request: Request, key: str) -> Response:
        user_ids = validated(MembersInput, request)["user_ids"]
        return Response({"changed": topics.remove(topics.get(key), user_ids)})
