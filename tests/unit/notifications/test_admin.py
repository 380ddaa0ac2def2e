from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from commsproject.common.admin import base
from commsproject.common.models import AuditEvent
from notifications import addresses, limits
from notifications.models import (
    Category,
    Notification,
    ProviderChange,
    ProviderState,
    Suppression,
)
from notifications.services import route, submit, suppress
from notifications.services.asked import Submission, Target
from notifications.types import Channel, SuppressionReason
from tests.walk import each

LIST = "admin:notifications_{}_changelist"


@pytest.fixture
def staff(client, db):
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def send(agent, **fields):
    given = {
        "to": Target("u-1", {Channel.EMAIL: "Ada@simulator.test"}),
        "content": {"subject": "Hi", "text": "Hi"},
        **fields,
    }
    (result,) = submit.accept(agent, [Submission(**given)])
    assert isinstance(result, submit.Accepted), result
    return Notification.objects.get(id=result.response["id"])


def found(staff, model, term):
    return list(staff.get(reverse(LIST.format(model)), {"q": term}).context["cl"].result_list)


def test_a_message_is_found_by_what_names_it_exactly(staff, agent):
    other = Target("u-2", {Channel.SMS: "+14155550132"})
    mine = send(agent, reference="order-7")
    theirs = send(agent, to=other, reference="order-8")
    terms = [
        mine.id,
        mine.id.hex,
        mine.deliveries.get().id,
        "order-7",
        "u-1",
        " ada@SIMULATOR.test ",
    ]
    for term in terms:
        assert found(staff, "notification", term) == [mine], term
    assert found(staff, "notification", "+1 415 555 0132") == [theirs]
    for term in ("order-", "u-", "ada", "simulator.test", "%"):
        assert found(staff, "notification", term) == []


def test_many_messages_are_cancelled_after_a_question(staff, agent):
    waiting, sent = send(agent, reference="a"), send(agent, reference="b")
    sent.deliveries.update(state="delivered")
    where = reverse(LIST.format("notification"))
    data = {"action": "cancel_selected", "_selected_action": [waiting.pk, sent.pk]}
    assert "Cancel 2 messages?" in staff.post(where, data).content.decode()
    assert waiting.deliveries.get().state == "queued"
    answer = staff.post(where, {**data, "post": "yes"}, follow=True)
    assert "1 cancelled, 1 too late." in answer.content.decode()
    assert [one.deliveries.get().state for one in (waiting, sent)] == ["cancelled", "delivered"]
    assert AuditEvent.objects.get(object_id=str(waiting.pk)).action == "cancel_selected"


def test_a_person_is_found_by_the_exact_id_and_leads_to_the_messages(staff, agent):
    mine = send(agent, to=Target("a b&c", {Channel.EMAIL: "ada@simulator.test"}))
    (person,) = found(staff, "recipient", "a b&c")
    shown = staff.get(reverse("admin:notifications_recipient_change", args=[person.pk]))
    assert "q=a+b%26c" in shown.content.decode()
    assert found(staff, "notification", "a b&c") == [mine]


def test_no_list_counts_beyond_its_cap(staff, agent, monkeypatch):
    monkeypatch.setattr(base, "COUNT_CAP", 2)
    for _ in range(4):
        send(agent)
    answer = staff.get(reverse(LIST.format("notification")))
    assert answer.context["cl"].result_count == 2
    assert "2+" in answer.content.decode()


# --- Suppressions ----------------------------------------------------------------------------


def block(staff, **fields):
    given = {"channel": "email", "address": "Ada@Example.COM", "scope": "*", **fields}
    return staff.post(reverse("admin:notifications_suppression_add"), given)


def test_an_address_that_is_typed_is_normalised_hashed_and_blocks(staff, agent):
    block(staff, address=" Ada@SIMULATOR.test")
    row = Suppression.objects.get()
    assert row.address_hash == addresses.digest(Channel.EMAIL, "ada@simulator.test")
    assert (row.reason, row.source, row.scope) == ("manual", "staff: root", "*")
    assert send(agent).deliveries.get().state == "suppressed"
    assert found(staff, "suppression", "ada@simulator.test") == [row]
    assert found(staff, "suppression", "bob@simulator.test") == []


def test_an_address_that_is_none_is_refused_at_its_field(staff):
    for given in ({"address": "nobody"}, {"channel": "sms", "address": "ada@example.com"}):
        assert "address" in block(staff, **given).context["adminform"].form.errors
    assert "scope" in block(staff, scope="no-such").context["adminform"].form.errors
    assert not Suppression.objects.exists()


def test_what_is_on_the_list_stays_as_it_is(staff):
    digest = addresses.digest(Channel.EMAIL, "ada@example.com")
    suppress.add(channel="email", address_hash=digest, reason=SuppressionReason.BOUNCE)
    block(staff)
    block(staff)
    assert set(Suppression.objects.values_list("reason", flat=True)) == {"bounce", "manual"}
    assert Suppression.objects.count() == 2


def test_an_address_can_be_blocked_for_one_category(staff):
    Category.objects.create(key="news", name="News", kind="marketing")
    block(staff, scope="news")
    assert Suppression.objects.get().scope == "news"


def test_a_suppression_is_lifted_after_a_question(staff):
    block(staff)
    row = Suppression.objects.get()
    url = reverse("admin:notifications_suppression_delete", args=[row.pk])
    assert "Lift this suppression?" in staff.get(url).content.decode()
    assert Suppression.objects.exists()
    staff.post(url, {"post": "yes"})
    assert not Suppression.objects.exists()


def test_many_suppressions_are_lifted_after_a_question(staff):
    block(staff)
    block(staff, address="bob@example.com")
    ids = [row.pk for row in Suppression.objects.all()]
    data = {"action": "delete_selected", "_selected_action": ids}
    staff.post(reverse(LIST.format("suppression")), data)
    assert Suppression.objects.count() == 2
    staff.post(reverse(LIST.format("suppression")), {**data, "post": "yes"})
    assert not Suppression.objects.exists()


# --- Providers -------------------------------------------------------------------------------


def test_every_configured_provider_is_listed_from_the_first_look_on(staff, settings):
    staff.get(reverse(LIST.format("providerstate")))
    names = set(ProviderState.objects.values_list("name", flat=True))
    assert names == set(settings.PROVIDERS)


def test_the_switch_keeps_messages_from_a_provider_and_is_remembered(staff):
    staff.get(reverse(LIST.format("providerstate")))
    url = reverse("admin:notifications_providerstate_change", args=["simulator"])
    ProviderState.objects.filter(name="simulator").update(failures=3)
    inline = {"changes-TOTAL_FORMS": 0, "changes-INITIAL_FORMS": 0}
    staff.post(url, inline)
    row = ProviderState.objects.get(name="simulator")
    assert (row.enabled, row.failures) == (False, 3)
    assert isinstance(route.Routes(Channel.EMAIL).choose(()), route.Stranded)
    change = ProviderChange.objects.get()
    assert (change.was, change.now, change.reason) == ("on", "off", "switched by root")
    staff.post(url, {"enabled": "on", **inline})
    row.refresh_from_db()
    assert row.enabled
    route.switch("simulator", on=True, by="root")
    assert ProviderChange.objects.count() == 2


LIMITED = {"enabled": "on", "limit_count": "50", "limit_seconds": "10"}


@pytest.fixture
def ses_page(staff) -> str:
    staff.get(reverse(LIST.format("providerstate")))
    return reverse("admin:notifications_providerstate_change", args=["ses"])


def save(staff, page: str, fields: dict[str, str]) -> None:
    staff.post(page, {**fields, "changes-TOTAL_FORMS": 0, "changes-INITIAL_FORMS": 0})


def test_staff_set_a_limit_and_it_is_remembered(staff, ses_page):
    save(staff, ses_page, LIMITED)
    row = ProviderState.objects.get(name="ses")
    assert (row.limit_count, row.limit_seconds) == (50, 10)
    save(staff, ses_page, LIMITED)
    save(staff, ses_page, {"enabled": "on"})
    changes = [(change.was, change.now, change.reason) for change in row.changes.order_by("id")]
    assert changes == [
        ("limit of settings", "50/10", "limit set by root"),
        ("50/10", "limit of settings", "limit set by root"),
    ]


@each(
    "wrong",
    [
        {"limit_count": "0"},
        {"limit_count": "-1"},
        {"limit_count": ""},
        {"limit_count": "many"},
        {"limit_count": "99999999999"},
        {"limit_seconds": "0"},
        {"limit_seconds": ""},
        {"limit_seconds": "nan"},
        {"limit_seconds": "1e9"},
    ],
)
def test_a_limit_that_means_nothing_is_refused(staff, ses_page, wrong):
    save(staff, ses_page, {**LIMITED, **wrong})
    row = ProviderState.objects.get(name="ses")
    assert (row.limit_count, row.limit_seconds) == (None, None)
    assert not row.changes.exists()


def test_the_state_of_a_limit_is_shown(staff, ses_page):
    save(staff, ses_page, LIMITED)
    row = ProviderState.objects.get(name="ses")
    limits.lease(provider="ses", channel="email", lane="normal", wanted=8, state=row)
    assert "42 of 50 left, for 10 s" in staff.get(ses_page).content.decode()
    limits.lease(provider="ses", channel="email", lane="normal", wanted=500, state=row)
    listed = staff.get(reverse(LIST.format("providerstate"))).content.decode()
    assert "0 of 50 left, for 10 s; turns promised for 1" in listed


# --- Categories ------------------------------------------------------------------------------


def test_the_key_of_a_category_is_set_once(staff):
    fields = {
        "key": "news",
        "name": "News",
        "kind": "marketing",
        "on_unknown": "hold",
        "long_text": "split",
        "inbox_days": "30",
        "content_days": "90",
        "quiet": "ignore",
        "fallback": "[]",
    }
    staff.post(reverse("admin:notifications_category_add"), fields)
    row = Category.objects.get()
    url = reverse("admin:notifications_category_change", args=[row.pk])
    staff.post(url, {**fields, "key": "other", "name": "Our news"})
    row.refresh_from_db()
    assert (row.key, row.name, row.inbox_days) == ("news", "Our news", 30)
