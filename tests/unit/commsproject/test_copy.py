"""COPY against `save()`: whatever a model can hold comes out of both the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commsproject.common.copy import copy_rows
from commsproject.common.ids import new_id
from commsproject.common.models import IdempotencyKey, ScheduledJob
from notifications.models import DeadLetter, Notification, Work
from tests.factories import (
    ApiClientFactory,
    AttemptFactory,
    CategoryFactory,
    DeliveryFactory,
    NotificationFactory,
    RecipientFactory,
    TemplateVersionFactory,
    WorkFactory,
)

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
TEXTS = ["", " ", "Grüße 世界 ✓", "a\tb\nc\\N\\.", "\"quoted\", 'both'", "\u2028", "NULL", "{}"]
JSONS: list[Any] = [{}, [], "", 0, False, {"a": None, "b": [None, 1.5, "x\\y", {"ü": True}]}]


def stored(model: type[models.Model], pk: object) -> dict[str, Any]:
    return model._default_manager.filter(pk=pk).values().get()


def assert_copied_as_saved(make: Callable[[], models.Model]) -> None:
    """A row written by COPY equals the same row written by `save()`, key aside."""
    saved, copied = make(), make()
    saved.save()
    copy_rows(type(copied), [copied])
    pk = type(copied)._meta.pk
    assert pk is not None
    by_save, by_copy = stored(type(saved), saved.pk), stored(type(copied), copied.pk)
    assert by_save.pop(pk.attname) != by_copy.pop(pk.attname)
    assert by_save == by_copy


@pytest.mark.parametrize("text", TEXTS)
def test_text_and_arrays_of_text(text):
    client = ApiClientFactory.create()
    assert_copied_as_saved(
        lambda: NotificationFactory.build(
            client=client, reference=text, tags=[text, "b"], created_at=MOMENT
        )
    )


@pytest.mark.parametrize("value", [None, *JSONS], ids=repr)
def test_json(value):
    client = ApiClientFactory.create()
    assert_copied_as_saved(
        lambda: NotificationFactory.build(
            client=client, content=value, data=value, created_at=MOMENT
        )
    )


def test_none_is_null_and_null_inside_json_stays_json():
    row = NotificationFactory.build(
        client=ApiClientFactory.create(), content=None, data={"a": None}
    )
    copy_rows(Notification, [row])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT content IS NULL, data -> 'a' = 'null'::jsonb FROM notifications_notification"
        )
        assert cursor.fetchone() == (True, True)


def test_foreign_keys_and_times_set_and_null():
    client = ApiClientFactory.create()
    full = {
        "recipient": RecipientFactory.create(),
        "category": CategoryFactory.create(),
        "template_version": TemplateVersionFactory.create(),
        "send_at": MOMENT,
        "expires_at": datetime.max.replace(tzinfo=UTC),
    }
    for fields in (full, dict.fromkeys(full)):
        assert_copied_as_saved(
            partial(NotificationFactory.build, client=client, created_at=MOMENT, **fields)
        )


@pytest.mark.parametrize("body", [b"", b"\x00\x01\xff" * 10, bytes(32)])
def test_bytes(body):
    client = ApiClientFactory.create()
    keys = iter(["a", "b"])
    rows = [
        IdempotencyKey(client=client, key=key, fingerprint=body, created_at=MOMENT) for key in keys
    ]
    rows[0].save()
    copy_rows(IdempotencyKey, rows[1:])
    assert [bytes(row.fingerprint) for row in IdempotencyKey.objects.all()] == [body, body]


@pytest.mark.parametrize("count", [0, 1, 500])
@pytest.mark.parametrize("token", [0, 2**63 - 1])
def test_arrays_of_keys_and_large_numbers_and_booleans(count, token):
    client = ApiClientFactory.create()
    ids = [new_id() for _ in range(count)]
    assert_copied_as_saved(
        lambda: Work(
            lane="normal",
            channel="email",
            client=client,
            flow=client.id,
            ids=ids,
            due_at=MOMENT,
            held=bool(count),
            token=token,
            claims=32767,
        )
    )


def test_small_numbers_set_and_null():
    delivery = DeliveryFactory.create()
    work_id = new_id()
    for http_status in (None, 599):
        assert_copied_as_saved(
            partial(
                AttemptFactory.build,
                delivery=delivery,
                work_id=work_id,
                http_status=http_status,
                started_at=MOMENT,
            )
        )


@pytest.mark.parametrize("took", [None, 0, 2**31 - 1])
def test_integers_and_a_text_as_key(took):
    names = iter(["a", "b"])
    assert_copied_as_saved(
        lambda: ScheduledJob(name=next(names), next_run_at=MOMENT, last_duration_ms=took)
    )


@pytest.mark.parametrize("providers", [[], ["a", "b c", ""]])
def test_arrays_of_text_with_a_length(providers):
    deliveries = iter([DeliveryFactory.create(), DeliveryFactory.create()])
    letters = [
        DeadLetter(delivery=d, reason="r", providers=providers, created_at=MOMENT)
        for d in deliveries
    ]
    letters[0].save()
    copy_rows(DeadLetter, letters[1:])
    assert [row.providers for row in DeadLetter.objects.all()] == [providers, providers]


def test_no_rows_ask_the_database_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        copy_rows(Work, [])
        copy_rows(Work, iter(()))


def test_many_rows_of_a_generator_are_one_statement(django_assert_num_queries):
    client = ApiClientFactory.create()
    with django_assert_num_queries(1):
        copy_rows(Work, (WorkFactory.build(client=client) for _ in range(1000)))
    assert Work.objects.count() == 1000


def test_a_key_that_exists_is_an_integrity_error_and_nothing_is_stored():
    work = WorkFactory.create()
    other = WorkFactory.build(client=work.client)
    with pytest.raises(IntegrityError), transaction.atomic():
        copy_rows(Work, [other, work])
    assert list(Work.objects.all()) == [work]


def test_a_row_goes_with_the_transaction_of_its_caller():
    client = ApiClientFactory.create()
    with transaction.atomic():
        copy_rows(Work, [WorkFactory.build(client=client)])
        transaction.set_rollback(True)
    assert not Work.objects.exists()


storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | storable,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(storable, inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(json, storable, st.lists(storable, max_size=3))
def test_any_json_and_text_come_back_as_they_were(data, reference, tags):
    row = NotificationFactory.create(data=data, reference=reference, tags=tags)
    copied = Notification(client=row.client, data=data, reference=reference, tags=tags)
    copy_rows(Notification, [copied])
    found = Notification.objects.get(id=copied.id)
    assert (found.data, found.reference, found.tags) == (data, reference, tags)
