from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection, connections

from notifications.models import InboxItem, Recipient
from notifications.providers import registry
from notifications.providers.inapp import MOST_BYTES, PARTS, InApp
from notifications.types import Attachment, Channel, ErrorClass, Outbound, Wanted
from tests.factories import RecipientFactory
from tests.fakes.proxy import TcpProxy
from tests.providers.contract import CONTENT, failure, tell

MESSAGE = Outbound(
    attempt_id=UUID("019a0000-0000-7000-8000-000000000001"),
    delivery_id=UUID("019a0000-0000-7000-8000-000000000002"),
    notification_id=UUID("019a0000-0000-7000-8000-000000000003"),
    channel=Channel.INAPP,
    to="ada",
    parts={
        "title": "Grüße ✓",
        "body": CONTENT,
        "link": "https://example.org/17",
        "image": "https://example.org/17.png",
    },
)


@pytest.fixture
def provider() -> InApp:
    return InApp("inapp")


@pytest.fixture
def ada(db: None) -> Recipient:
    return RecipientFactory.create(user_id="ada")


def test_a_message_is_in_the_inbox_and_has_arrived(provider: InApp, ada: Recipient) -> None:
    sent = provider.send(MESSAGE)
    (item,) = InboxItem.objects.all()
    assert sent.is_delivered
    assert (item.recipient, item.id, item.seq) == (ada, MESSAGE.delivery_id, 1)
    assert {name: getattr(item, name) for name in PARTS} == MESSAGE.parts


def test_another_attempt_is_the_same_item(provider: InApp, ada: Recipient) -> None:
    first = provider.send(MESSAGE)
    again = provider.send(replace(MESSAGE, attempt_id=UUID(int=9), number=2))
    assert first == again
    assert InboxItem.objects.count() == 1


@pytest.mark.parametrize("parts", [{"title": "Hi"}, {"body": "Hi"}])
def test_one_part_is_enough(provider: InApp, ada: Recipient, parts: dict[str, str]) -> None:
    provider.send(replace(MESSAGE, parts=parts))
    (item,) = InboxItem.objects.all()
    assert (item.title, item.body) == (parts.get("title", ""), parts.get("body", ""))


@pytest.mark.parametrize(
    ("change", "error_class", "code"),
    [
        ({"to": "nobody"}, ErrorClass.PERMANENT_RECIPIENT, "unknown_user"),
        ({"to": ""}, ErrorClass.PERMANENT_RECIPIENT, "unknown_user"),
        ({"parts": {"link": "https://example.org"}}, ErrorClass.PERMANENT_MESSAGE, "no_content"),
        ({"parts": {"title": "x" * 999}}, ErrorClass.PERMANENT_MESSAGE, "not_storable"),
        (
            {"parts": {"title": "Hi", "link": "/" + "x" * 2000}},
            ErrorClass.PERMANENT_MESSAGE,
            "not_storable",
        ),
        ({"parts": {"title": "a\0b"}}, ErrorClass.PERMANENT_MESSAGE, "not_storable"),
        ({"parts": {"title": "\ud800"}}, ErrorClass.PERMANENT_MESSAGE, "not_storable"),
        ({"parts": {"body": "x" * MOST_BYTES}}, ErrorClass.PERMANENT_MESSAGE, "too_large"),
        (
            {"parts": {"title": "Hi", "link": "javascript:alert(1)"}},
            ErrorClass.PERMANENT_MESSAGE,
            "bad_link",
        ),
        (
            {"parts": {"title": "Hi", "image": "data:image/png;base64,AA"}},
            ErrorClass.PERMANENT_MESSAGE,
            "bad_link",
        ),
        (
            {"attachments": (Attachment("a.txt", b"", "text/plain"),)},
            ErrorClass.PERMANENT_MESSAGE,
            "attachments",
        ),
    ],
)
def test_what_cannot_be_stored_is_refused(
    provider: InApp, ada: Recipient, change: Any, error_class: ErrorClass, code: str
) -> None:
    error = failure(provider, replace(MESSAGE, **change))
    assert (error.error_class, error.code) == (error_class, code)
    assert not InboxItem.objects.exists()
    provider.send(MESSAGE)  # the connection is as good as before


@pytest.fixture
def line(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[TcpProxy]:
    """The database, by a line that can break."""
    RecipientFactory.create(user_id="ada")
    real = connection.settings_dict
    _hang_up()
    with TcpProxy(int(real["PORT"] or 5432), real["HOST"]) as proxy, monkeypatch.context() as patch:
        patch.setitem(real, "HOST", proxy.host)
        patch.setitem(real, "PORT", str(proxy.port))
        yield proxy
        _hang_up()


def _hang_up() -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL has pools


def test_without_the_database_it_is_tried_again_later(provider: InApp, line: TcpProxy) -> None:
    provider.send(MESSAGE)
    line.refuse()
    error = failure(provider, MESSAGE)
    assert (error.error_class, error.code) == (ErrorClass.TEMPORARY, "database")
    assert CONTENT not in tell(error)


@pytest.mark.django_db(transaction=True)
def test_attempts_at_once_leave_one_item(provider: InApp) -> None:
    RecipientFactory.create(user_id="ada")

    def one(_number: int) -> str:
        try:
            return str(provider.send(MESSAGE).is_delivered)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(one, range(12))) == {"True"}
    assert InboxItem.objects.get().id == MESSAGE.delivery_id


@pytest.mark.django_db(transaction=True)
def test_a_person_erased_meanwhile_is_unknown(provider: InApp) -> None:
    RecipientFactory.create(user_id="ada")

    def erase_before_storing(execute: Any, sql: str, *args: Any) -> Any:
        if "INSERT" in sql:
            with ThreadPoolExecutor(1) as elsewhere:
                elsewhere.submit(_erase).result()
        return execute(sql, *args)

    with connection.execute_wrapper(erase_before_storing):
        error = failure(provider, MESSAGE)
    assert (error.error_class, error.code) == (ErrorClass.PERMANENT_RECIPIENT, "unknown_user")
    assert not InboxItem.objects.exists()


def _erase() -> None:
    Recipient.objects.all().delete()
    connections.close_all()


def test_it_is_always_on_and_the_only_one() -> None:
    assert settings.PROVIDERS["inapp"]["ENABLED"]
    assert [provider.name for provider in registry.for_channel(Channel.INAPP)] == ["inapp"]


def test_it_carries_no_files(provider: InApp) -> None:
    assert provider.lacks(Wanted(Channel.INAPP, "ada")) == ""
    assert provider.lacks(Wanted(Channel.INAPP, "ada", has_attachments=True)) == "attachments"


def test_it_is_not_asked_and_reports_nothing(provider: InApp) -> None:
    assert not provider.looks_up
    assert provider.problems() == []
    assert provider.receipts_need == ""
    assert repr(provider) == "<InApp>"
