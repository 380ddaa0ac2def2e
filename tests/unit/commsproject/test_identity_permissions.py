"""`HasScope` and the system checks, on views of every kind. Callers are made up; no database."""

from __future__ import annotations

from typing import ClassVar

import pytest
from django.core.checks import Error, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, URLResolver, include, path
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from commsproject.common.identity.checks import (
    every_view_declares_its_scopes,
    identity_is_sound,
    undeclared,
)
from commsproject.common.identity.principals import Agent, EndUser
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient


class Letters(APIView):
    required_scopes: ClassVar = {"GET": Scope.NOTIFICATIONS_READ, "POST": Scope.NOTIFICATIONS_WRITE}

    def get(self, request):
        return Response({})

    def post(self, request):
        return Response({})


class Inbox(APIView):
    allow_end_users = True

    def get(self, request):
        return Response({})


class Forgotten(APIView):
    required_scopes: ClassVar = {"GET": Scope.NOTIFICATIONS_READ}

    def get(self, request):
        return Response({})

    def delete(self, request):
        return Response({})


class Public(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    def get(self, request):
        return Response({})


class Batches(ViewSet):
    required_scopes: ClassVar = {"GET": Scope.NOTIFICATIONS_READ}

    def list(self, request):
        return Response({})

    @action(detail=False, methods=["post"])
    def stop(self, request):
        return Response({})


router = SimpleRouter(trailing_slash=False)
router.register("batches", Batches, basename="batches")

urlpatterns: list[URLPattern | URLResolver] = [
    path("letters", Letters.as_view()),
    path("inbox", Inbox.as_view()),
    path("public", Public.as_view()),
    path("opened", Forgotten.as_view(permission_classes=[AllowAny])),
    path("v1/", include([path("forgotten", Forgotten.as_view()), *router.urls])),
]


def agent(*scopes: Scope) -> Agent:
    return Agent(ApiClient(name="billing"), frozenset(scope.value for scope in scopes))


def call(view: type[APIView], method: str, caller: Agent | EndUser | None = None) -> Response:
    request = getattr(APIRequestFactory(), method)("/")
    if caller is not None:
        force_authenticate(request, caller)  # type: ignore[arg-type]
    response = view.as_view()(request)
    assert isinstance(response, Response)
    return response


def test_each_method_asks_for_its_own_scope():
    reader = agent(Scope.NOTIFICATIONS_READ)
    assert call(Letters, "get", reader).status_code == 200
    assert call(Letters, "head", reader).status_code == 200
    refusal = call(Letters, "post", reader)
    assert refusal.status_code == 403
    assert refusal.content_type == "application/problem+json"
    assert refusal.data["code"] == "forbidden"
    assert "notifications:write" in refusal.data["detail"]


def test_a_scope_is_not_part_of_another():
    assert call(Letters, "get", agent(Scope.NOTIFICATIONS_WRITE)).status_code == 403


def test_a_method_that_the_view_does_not_answer_is_405_whatever_the_scopes():
    assert call(Letters, "delete", agent()).status_code == 405


def test_an_invented_method_is_405_even_if_it_names_an_attribute():
    request = APIRequestFactory().generic("ARGS", "/")
    force_authenticate(request, agent())  # type: ignore[arg-type]
    assert Letters.as_view()(request).status_code == 405


def test_options_describe_a_view_to_those_it_is_for():
    assert call(Letters, "options", agent()).status_code == 200
    assert call(Letters, "options", EndUser("u-1")).status_code == 403
    assert call(Letters, "options").status_code == 401


def test_an_end_user_is_let_in_only_where_the_view_says_so():
    assert call(Inbox, "get", EndUser("u-1")).status_code == 200
    refusal = call(Letters, "get", EndUser("u-1"))
    assert refusal.status_code == 403
    assert "API key" in refusal.data["detail"]


def test_an_agent_is_refused_where_only_end_users_belong():
    refusal = call(Inbox, "get", agent(*Scope))
    assert refusal.status_code == 403
    assert "user's token" in refusal.data["detail"]


@pytest.mark.parametrize("view", [Letters, Inbox, Forgotten])
def test_nobody_in_particular_is_let_in_nowhere(view):
    answer = call(view, "get")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_a_forgotten_declaration_refuses_even_every_scope():
    with pytest.raises(ImproperlyConfigured, match="Forgotten declares no scope for DELETE"):
        call(Forgotten, "delete", agent(*Scope))


def test_the_check_finds_each_method_without_a_scope():
    assert list(undeclared(urlpatterns)) == [
        ("v1/forgotten", Forgotten, ["DELETE"]),
        ("v1/^batches/stop$", Batches, ["POST"]),
    ]


@pytest.mark.urls(__name__)
def test_the_check_runs_with_all_others():
    errors = every_view_declares_its_scopes(None)
    assert [error.id for error in errors] == ["common.E001", "common.E001"]
    assert all(isinstance(error, Error) for error in errors)
    assert errors[0] in run_checks()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, ["common.E002", "common.W001"]),
        ({"IDENTITY_DEVELOPMENT_ISSUER": False}, ["common.W001"]),
        (
            {"IDENTITY_DEVELOPMENT_ISSUER": False, "IDENTITY_JWKS_URL": "https://id.example/keys"},
            ["common.W003", "common.W003"],
        ),
        (
            {
                "IDENTITY_DEVELOPMENT_ISSUER": False,
                "IDENTITY_JWKS_URL": "https://id.example/keys",
                "IDENTITY_VALIDATE_URL": "https://id.example/validate",
                "IDENTITY_ISSUER": "https://id.example",
                "IDENTITY_AUDIENCE": "comms",
            },
            ["common.W002"],
        ),
    ],
    ids=["development", "none", "open", "both"],
)
def test_the_deployment_check_knows_an_unsound_set_up(settings, changes, found):
    for name, value in changes.items():
        setattr(settings, name, value)
    assert [message.id for message in identity_is_sound(None)] == found
