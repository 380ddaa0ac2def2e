from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from commsproject.common.identity import keys, tokens
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient, ApiKey


def run(*args: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command(*args, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.mark.django_db
def test_create_api_key_prints_the_key_alone_and_explains_on_stderr():
    out, err = run("create_api_key", "billing")
    key = keys.authenticate(out.removesuffix("\n"))
    assert key.client.name == "billing"
    assert key.scopes == Scope.values
    assert key.expires_at is None
    assert "New agent billing" in err
    assert out.strip() not in err


@pytest.mark.django_db
def test_create_api_key_takes_scopes_and_an_end_and_keeps_the_agent():
    client = ApiClient.objects.create(name="billing")
    out, _ = run(
        "create_api_key", "billing", "--scope", "templates:read", "--scope", "audience:read",
        "--expires-in-days", "7",
    )  # fmt: skip
    key = keys.authenticate(out.strip())
    assert key.client == client
    assert key.scopes == ["templates:read", "audience:read"]
    assert key.expires_at is not None
    assert abs(key.expires_at - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--scope", "everything"], "everything.*notifications:write"),
        (["--expires-in-days", "0"], "future"),
        (["--expires-in-days", "-1"], "future"),
        (["--expires-in-days", "9999999"], "days"),
    ],
)
def test_create_api_key_leaves_nothing_behind_when_it_refuses(args, says):
    with pytest.raises(CommandError, match=says):
        run("create_api_key", "new", *args)
    assert not ApiClient.objects.exists()
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["", "x" * 101])
def test_create_api_key_refuses_a_name_that_is_none(name):
    with pytest.raises(CommandError):
        run("create_api_key", name)


@pytest.mark.django_db
def test_create_api_key_warns_of_an_inactive_agent():
    ApiClient.objects.create(name="old", is_active=False)
    _, err = run("create_api_key", "old")
    assert "inactive" in err


def test_create_user_token_prints_a_token_that_holds_as_long_as_asked():
    out, _ = run("create_user_token", "u-7", "--minutes", "5")
    identity = tokens.validate(out.strip())
    assert identity.user_id == "u-7"
    assert identity.expires_at is not None
    assert timedelta(minutes=4) < identity.expires_at - timezone.now() <= timedelta(minutes=5)


def test_create_user_token_is_refused_in_production(settings):
    settings.IDENTITY_DEVELOPMENT_ISSUER = False
    with pytest.raises(CommandError, match="development issuer is off"):
        run("create_user_token", "u-7")


@pytest.mark.parametrize("args", [["u-7", "--minutes", "0"], [""], ["a\nb"]])
def test_create_user_token_refuses_what_makes_no_token(args):
    with pytest.raises(CommandError):
        run("create_user_token", *args)
