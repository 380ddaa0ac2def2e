from __future__ import annotations

import errno
import json
from typing import Any

import psycopg
import pytest
from django.core.exceptions import (
    DisallowedHost,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import InterfaceError, OperationalError, ProgrammingError
from django.http import Http404, HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from commsproject.common.api.problems import answer, handle, translate
from commsproject.common.errors import (
    CommsError,
    Conflict,
    FieldError,
    InvalidInput,
    NotFound,
    ServiceUnavailable,
)


def all_errors(base: type[CommsError] = CommsError) -> list[type[CommsError]]:
    return [base, *(each for child in base.__subclasses__() for each in all_errors(child))]


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.__name__)
def test_every_error_has_the_one_shape(error):
    problem = error().problem()
    assert set(problem) == {"type", "title", "status", "detail", "code"}
    assert problem["type"] == f"urn:comms:problem:{error.code}"
    assert problem["title"] == error.title
    assert problem["detail"]
    assert 400 <= problem["status"] < 600
    assert json.loads(json.dumps(problem)) == problem


def test_an_error_says_what_happened_this_time():
    error = Conflict("It is published already.", retry_after=3)
    assert error.problem()["detail"] == str(error) == "It is published already."
    response = answer(error, {"X-More": "1"})
    assert response.status_code == 409
    assert response.headers["Retry-After"] == "3"
    assert response.headers["X-More"] == "1"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert json.loads(response.content) == error.problem()


def test_an_error_names_its_fields():
    problem = InvalidInput.of("to.email", "bad_address", "No address.").problem()
    assert problem["errors"] == [
        {"field": "to.email", "code": "bad_address", "message": "No address."}
    ]


class Inner(serializers.Serializer[Any]):
    number = serializers.IntegerField()


class Outer(serializers.Serializer[Any]):
    name = serializers.CharField()
    inner = Inner()
    rows = Inner(many=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=1))
    map = serializers.DictField(child=serializers.IntegerField())

    @override
    def validate(self, attrs):
        raise serializers.ValidationError("Not together.", code="together")


def errors_of(data) -> dict[str, str]:
    serializer = Outer(data=data)
    serializer.is_valid()
    error = translate(exceptions.ValidationError(serializer.errors))
    assert isinstance(error, InvalidInput)
    return {each.field: each.code for each in error.errors}


def test_nested_errors_become_dotted_paths():
    assert errors_of(
        {
            "inner": {"number": "x"},
            "rows": [{"number": 1}, {}, "x"],
            "tags": ["a", "bb"],
            "map": {"k": "v"},
        }
    ) == {
        "name": "required",
        "inner.number": "invalid",
        "rows.1.number": "required",
        "rows.2": "invalid",
        "tags.1": "max_length",
        "map.k": "invalid",
    }


def test_errors_of_the_whole_have_the_path_of_the_whole():
    good = {"name": "n", "inner": {"number": 1}, "rows": [], "tags": [], "map": {}}
    assert errors_of(good) == {"": "together"}
    assert errors_of({**good, "inner": []}) == {"inner": "invalid"}
    assert errors_of([]) == {"": "invalid"}
    assert errors_of(None) == {"": "null"}


def test_the_detail_tells_the_first_field_and_its_message():
    error = translate(exceptions.ValidationError({"to": {"email": ["No address."]}}))
    assert error is not None
    assert error.detail == "to.email: No address."


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (NotFound(), 404, "not_found"),
        (Http404("a secret"), 404, "not_found"),
        (PermissionDenied("a secret"), 403, "forbidden"),
        (RequestDataTooBig("a secret"), 413, "too_large"),
        (SuspiciousOperation("a secret"), 400, "invalid"),
        (DisallowedHost("a secret"), 400, "invalid"),
        (OperationalError("a secret"), 503, "unavailable"),
        (InterfaceError("a secret"), 503, "unavailable"),
        (exceptions.ParseError("Malformed."), 400, "invalid"),
        (exceptions.NotAuthenticated(), 401, "unauthenticated"),
        (exceptions.AuthenticationFailed(), 401, "unauthenticated"),
        (exceptions.PermissionDenied(), 403, "forbidden"),
        (exceptions.NotFound("a secret"), 404, "not_found"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.UnsupportedMediaType("text/plain"), 415, "unsupported_media_type"),
        (exceptions.NotAcceptable(), 406, "not_acceptable"),
        (exceptions.Throttled(wait=3), 429, "throttled"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_is_raised_anywhere_is_one_of_our_errors(raised, status, code):
    error = translate(raised)
    assert error is not None
    assert (error.status, error.code) == (status, code)
    assert error.title
    assert "secret" not in json.dumps(error.problem())


def test_two_different_errors_of_the_framework_do_not_share_their_words():
    first = translate(exceptions.MethodNotAllowed("PUT"))
    second = translate(exceptions.UnsupportedMediaType("text/plain"))
    assert first is not None
    assert second is not None
    assert (first.code, first.status) == ("method_not_allowed", 405)
    assert (first.title, second.title) == ("Method not allowed", "Unsupported media type")


@pytest.mark.parametrize("defect", [ValueError("a"), KeyError("a"), ProgrammingError("a")])
def test_a_defect_is_no_error_of_the_caller(defect):
    assert translate(defect) is None
    assert handle(defect, {}) is None


def test_a_database_that_is_away_asks_to_try_again():
    error = translate(OperationalError("connection to 10.0.0.1 failed: password of comms"))
    assert isinstance(error, ServiceUnavailable)
    assert error.retry_after == 1
    assert "10.0.0.1" not in error.detail


# Through the middleware


class Broken(APIView):
    authentication_classes = ()
    permission_classes = ()

    def get(self, request):
        raise ZeroDivisionError("a secret")

    def post(self, request):
        return Response(request.data)


def broken(request):
    raise KeyError("a secret")


def suspicious(request):
    raise SuspiciousOperation("a secret")


def away(request):
    raise OperationalError("a secret") from psycopg.OperationalError("a secret")


def plain(request):
    return HttpResponse("our own words", status=404, content_type="text/plain")


urlpatterns = [
    path("api/view", Broken.as_view()),
    path("api/broken", broken),
    path("api/suspicious", suspicious),
    path("api/away", away),
    path("webhooks/broken", broken),
    path("page/broken", broken),
    path("page/plain", plain),
]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/api/view", 500, "internal"),
        ("/api/broken", 500, "internal"),
        ("/webhooks/broken", 500, "internal"),
        ("/api/suspicious", 400, "invalid"),
        ("/api/away", 503, "unavailable"),
        ("/api/no-such", 404, "not_found"),
        ("/webhooks/no-such", 404, "not_found"),
        ("/api/../api/no-such", 404, "not_found"),
    ],
)
def test_programs_get_a_problem_whatever_happens(client, address, status, code):
    response = client.get(address)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == code
    assert b"secret" not in response.content


@pytest.mark.urls(__name__)
def test_pages_keep_their_own_errors(client):
    assert client.get("/page/plain").content == b"our own words"
    response = client.get("/page/broken")
    assert response.status_code == 500
    assert response.headers["Content-Type"].startswith("text/html")
    assert b"secret" not in response.content


def test_an_error_with_several_fields_keeps_their_order():
    errors = [FieldError("b", "x", "y"), FieldError("a", "x", "y")]
    assert [each["field"] for each in InvalidInput("no", errors=errors).problem()["errors"]] == [
        "b",
        "a",
    ]


class Failing:
    """A middleware above all others that raises what the header `X-Raise` says."""

    def __init__(self, get_response: Any) -> None:
        pass

    def __call__(self, request: HttpRequest) -> HttpResponse:
        raise {"away": OperationalError, "defect": KeyError}[request.headers["X-Raise"]]


@pytest.mark.parametrize(
    ("path_", "kind"), [("/api/v1/whoami", "application/problem+json"), ("/admin/", "text/")]
)
@pytest.mark.parametrize(("what", "status"), [("away", 503), ("defect", 500)])
def test_what_a_middleware_raises_is_told_as_what_a_view_does(
    client, settings, path_, kind, what, status
):
    settings.MIDDLEWARE = [f"{__name__}.Failing"]
    got = client.get(path_, headers={"X-Raise": what})
    assert got.status_code == status
    assert got["Content-Type"].startswith(kind)
    assert (got.get("Retry-After") == "1") is (status == 503)


def test_a_full_disk_is_no_defect() -> None:
    error = translate(OSError(errno.ENOSPC, "No space left on device"))
    assert isinstance(error, ServiceUnavailable)
    assert error.retry_after
    assert translate(OSError(errno.EACCES, "Permission denied")) is None
