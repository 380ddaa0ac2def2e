"""A/B tests from outside: people are dealt out, what comes of it is counted once, a winner is taken."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications.models import Attempt, GoalReached, Notification, SimulatedMessage
from notifications.services import bulk, goals, status
from notifications.types import EventType, Lane, ProviderEvent
from templates_app import experiments, services
from templates_app.models import Experiment, Template, TemplateVersion, Variant, VariantDelta
from tests.engine import drain
from tests.factories import (
    DeliveryFactory,
    RecipientFactory,
    TemplateFactory,
    TemplateVersionFactory,
)
from tests.inboxes import person
from tests.integration.test_api_templates import fields_of, ok, problem_of

pytestmark = pytest.mark.django_db

URL = "/api/v1/templates/news/experiments"
SEND = "/api/v1/notifications"


def said(subject: str) -> dict[str, Any]:
    return {"email": {"subject": f"{subject} {{{{ name }}}}", "text": "Read it."}}


@pytest.fixture
def template(db: None) -> Template:
    """With three published versions, of which the last is in use."""
    template = TemplateFactory.create(key="news")
    for number, subject in enumerate(("Long", "Short", "Newest"), start=1):
        TemplateVersionFactory(template=template, number=number, channels=said(subject))
    return template


def body(**changes: Any) -> dict[str, Any]:
    variants = [{"name": "long", "version": 1}, {"name": "short", "version": 2}]
    return {"name": "Subjects", "goal": "opened", "variants": variants, **changes}


def make(api: APIClient, *, start: bool = True, **changes: Any) -> str:
    answer = api.post(URL, body(**changes), format="json")
    assert answer.status_code == 201, answer.content
    made = str(answer.json()["id"])
    if start:
        ok(api.post(f"{URL}/{made}/start"))
    return made


def send(api: APIClient, **fields: Any) -> dict[str, Any]:
    asked = {"to": {"user_id": "u-1", "email": "p1@example.com"}, "template": "news"}
    answer = api.post(SEND, {**asked, "data": {"name": "Ada"}, **fields}, format="json")
    assert answer.status_code in (200, 202), answer.content
    found: dict[str, Any] = answer.json()
    return found


def send_batch(api: APIClient, people: int, **fields: Any) -> dict[str, Any]:
    rows = [
        {"to": {"user_id": f"u-{n}", "email": f"p{n}@example.com"}, "data": {"name": f"P{n}"}}
        for n in range(1, people + 1)
    ]
    answer = api.post(
        "/api/v1/batches", {"template": "news", "data": {}, "rows": rows, **fields}, format="json"
    )
    assert answer.status_code == 202, answer.content
    drain(Lane.BULK)
    found: dict[str, Any] = answer.json()
    return found


def results(api: APIClient, experiment: str) -> dict[str, Any]:
    found: dict[str, Any] = ok(api.get(f"{URL}/{experiment}/results"))
    return found


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {arm["name"]: arm for arm in found["variants"]}


def subjects() -> dict[str, str]:
    """Address to the subject that was sent there."""
    return {
        to: parts["subject"].split()[0]
        for to, parts in SimulatedMessage.objects.values_list("address", "parts")
    }


def report(notification: Notification, *kinds: EventType) -> None:
    (delivery,) = notification.deliveries.all()
    attempt = Attempt.objects.get(delivery=delivery)
    status.apply(
        "simulator",
        [ProviderEvent(kind, timezone.now(), f"{attempt.id}-{kind}", attempt.id) for kind in kinds],
    )


# --- Who gets what -----------------------------------------------------------------------------


def test_a_person_gets_the_same_variant_alone_and_in_every_batch(api, template):
    make(api)
    batch = send_batch(api, 40)
    first = subjects()
    assert set(first.values()) == {"Long", "Short"}
    SimulatedMessage.objects.all().delete()
    send_batch(api, 40)
    assert subjects() == first
    SimulatedMessage.objects.all().delete()
    for n in range(1, 11):
        send(api, to={"user_id": f"u-{n}", "email": f"p{n}@example.com"})
    drain()
    assert subjects() == {to: first[to] for to in (f"p{n}@example.com" for n in range(1, 11))}
    variants = Notification.objects.filter(batch=batch["id"]).values_list(
        "variant__name", "template_version__number"
    )
    assert set(variants) == {("long", 1), ("short", 2)}


def test_a_message_says_which_variant_it_is(api, template):
    experiment = make(api)
    made = send(api)
    shown = ok(api.get(f"{SEND}/{made['id']}"))
    row = Variant.objects.get(name=shown["variant"])
    assert (shown["experiment"], shown["template_version"]) == (experiment, row.version.number)
    ok(api.post(f"{URL}/{experiment}/stop"))
    shown = ok(api.get(f"{SEND}/{send(api)['id']}"))
    assert (shown["experiment"], shown["variant"], shown["template_version"]) == (None, "", 3)


def test_an_address_without_a_user_is_a_person_too(api, template):
    make(api)
    sent = [send(api, to={"email": "lone@example.com"}) for _ in range(5)]
    rows = Notification.objects.filter(id__in=[one["id"] for one in sent])
    assert len(set(rows.values_list("variant", flat=True))) == 1


def test_changed_weights_begin_a_round_and_move_nobody_from_what_gained(api, template):
    experiment = make(api)
    send_batch(api, 40)
    before = subjects()
    variants = [
        {"name": "long", "version": 1, "weight": 1},
        {"name": "short", "version": 2, "weight": 9},
    ]
    changed = api.patch(f"{URL}/{experiment}", {"variants": variants}, format="json")
    assert [one["weight"] for one in ok(changed)["variants"]] == [1, 9]
    SimulatedMessage.objects.all().delete()
    send_batch(api, 40)
    after = subjects()
    assert {after[to] for to, subject in before.items() if subject == "Short"} == {"Short"}
    assert before != after
    arms = by_name(results(api, experiment))
    assert sum(arm["assigned"] for arm in arms.values()) == 80
    assert Counter(before.values()) + Counter(after.values()) == {
        name.title(): arm["assigned"] for name, arm in arms.items()
    }


# --- What is counted ---------------------------------------------------------------------------


def test_each_goal_counts_once_a_message_and_in_whatever_order_it_is_reported(api, template):
    experiment = make(api)
    sent = [send(api) for _ in range(3)]
    drain()
    rows = [Notification.objects.get(id=one["id"]) for one in sent]
    assert rows[0].variant is not None
    name = rows[0].variant.name
    report(rows[0], EventType.OPENED)
    report(rows[0], EventType.DELIVERED, EventType.OPENED, EventType.CLICKED)
    report(rows[1], EventType.DELIVERED)
    report(rows[1], EventType.DELIVERED, EventType.OPENED)
    report(rows[2], EventType.BOUNCED)
    report(rows[2], EventType.DELIVERED)
    for _ in range(2):
        arm = by_name(results(api, experiment))[name]
        assert {goal: arm[goal] for goal in ("assigned", "delivered", "opened", "clicked")} == {
            "assigned": 3,
            "delivered": 2,
            "opened": 2,
            "clicked": 1,
        }
        assert arm["people"] == 1  # the same one, twice
        assert arm["rate"] == pytest.approx(2 / 3)
        experiments.fold_counts()
        assert not VariantDelta.objects.exists()
    other = next(one for one in results(api, experiment)["variants"] if one["name"] != name)
    assert (other["assigned"], other["rate"], other["low"], other["high"]) == (0, 0, 0, 1)


def test_what_has_nobody_behind_it_is_delivered_at_once(api, template):
    TemplateVersion.objects.update(channels={"inapp": {"title": "News", "body": "Read it."}})
    experiment = make(api, goal="delivered")
    send(api, to={"user_id": "u-1"}, channels=["inapp"])
    drain()
    ok(person("u-1").post("/api/v1/inbox/read", {"all": True}, format="json"))
    (arm,) = [one for one in results(api, experiment)["variants"] if one["assigned"]]
    assert (arm["delivered"], arm["opened"], arm["people"]) == (1, 1, 1)


def test_a_conversion_counts_once_with_its_value(api, template):
    experiment = make(api, goal="converted")
    made = send(api)
    url = f"{SEND}/{made['id']}/convert"
    first = ok(api.post(url, {"value": "19.90"}, format="json"))
    assert (first["id"], first["value"], first["experiment"]) == (made["id"], "19.9000", experiment)
    again = ok(api.post(url, {"value": "5"}, format="json"))
    assert again == first
    (arm,) = [one for one in results(api, experiment)["variants"] if one["converted"]]
    assert (arm["name"], arm["converted"], arm["value"]) == (first["variant"], 1, "19.9000")


def test_every_message_can_convert_but_only_its_sender_says_so(api, template):
    made = send(api)
    url = f"{SEND}/{made['id']}/convert"
    _, secret = keys.issue(ApiClient.objects.create(name="other"), list(Scope))
    stranger = APIClient()
    stranger.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    problem_of(stranger.post(url), 404)
    assert not GoalReached.objects.exists()
    worth: list[Any] = ["-1", "1e30", "NaN", "x", None, [], {"a": 1}]
    for wrong in worth:
        assert fields_of(problem_of(api.post(url, {"value": wrong}, format="json"), 400)) == {
            "value"
        }
    shown = ok(api.post(url))
    assert (shown["value"], shown["experiment"], shown["variant"]) == (None, None, "")
    assert GoalReached.objects.count() == 1


def test_a_dry_run_and_a_repeated_request_are_not_counted(api, template):
    experiment = make(api)
    send(api, dry_run=True)
    for _ in range(2):
        answer = api.post(
            SEND,
            {"to": {"email": "p@example.com"}, "template": "news", "data": {"name": "Ada"}},
            format="json",
            headers={"Idempotency-Key": "k"},
        )
        assert answer.status_code == 202
    assert sum(arm["assigned"] for arm in results(api, experiment)["variants"]) == 1


def test_an_upload_that_broke_off_is_not_counted(api, template, monkeypatch):
    experiment = make(api)
    monkeypatch.setattr(bulk, "_close", _breaks_off)
    with pytest.raises(RuntimeError):
        send_batch(api, 7)
    assert Notification.objects.count() == 0
    assert VariantDelta.objects.exists()
    experiments.fold_counts()
    assert [arm["assigned"] for arm in results(api, experiment)["variants"]] == [0, 0]


def _breaks_off(*_: object) -> None:
    raise RuntimeError("the line is dead")


# --- Its life ----------------------------------------------------------------------------------


def count(experiment: str, **of: tuple[int, int]) -> None:
    """Let variants have been assigned so many, of whom so many opened."""
    for name, (assigned, opened) in of.items():
        variant = Variant.objects.get(experiment__id=experiment, name=name)
        experiments.note(
            {variant.id: {"assigned": assigned, "opened": opened, "opened_people": opened}}
        )


def test_the_winner_is_taken_by_hand_and_everybody_gets_it(api, template):
    experiment = make(api)
    services.revise(template, name=None, channels=said("Draft"), locale=None, author="an editor")
    count(experiment, long=(1000, 300), short=(1000, 200))
    shown = results(api, experiment)
    assert (shown["best"], shown["certain"], shown["winner"]) == ("long", True, "")
    (against,) = shown["comparisons"]
    assert against["difference"] == pytest.approx(0.1)
    assert against["low"] < 0.1 < against["high"]
    assert 1 < against["ratio_low"] < 1.5 < against["ratio_high"]
    assert against["chance"] < 0.05
    experiments.judge()  # it was not told to
    decided = ok(api.post(f"{URL}/{experiment}/decide", {"winner": "long"}, format="json"))
    assert (decided["state"], decided["winner"], decided["decided_by"]) == (
        "decided",
        "long",
        "billing",
    )
    send_batch(api, 5)
    assert set(subjects().values()) == {"Long"}
    numbers = template.versions.values_list("number", "published_at", "channels")
    assert [(n, at is not None, c["email"]["subject"].split()[0]) for n, at, c in numbers] == [
        (5, False, "Draft"),
        (4, True, "Long"),
        (3, True, "Newest"),
        (2, True, "Short"),
        (1, True, "Long"),
    ]
    problem = problem_of(api.post(f"{URL}/{experiment}/start"), 409)
    assert problem["code"] == "experiment_state"


def test_it_decides_by_itself_where_it_may_once_it_is_certain(api, template):
    experiment = make(
        api,
        automatic=True,
        variants=[{"name": "long", "version": 1}, {"name": "newest", "version": 3}],
    )
    count(experiment, long=(1000, 200), newest=(1000, 220))
    experiments.judge()
    assert Experiment.objects.get().state == "running"
    count(experiment, newest=(1000, 300), long=(1000, 200))
    experiments.judge()
    experiments.judge()
    row = Experiment.objects.get()
    assert (row.state, row.winner, row.decided_by) == ("decided", "newest", "")
    assert template.versions.count() == 3  # it was in use already
    assert ok(api.get(f"{SEND}/{send(api)['id']}"))["template_version"] == 3


def test_one_at_a_time_and_only_from_the_right_state(api, template):
    first, second = make(api), make(api, start=False)
    assert problem_of(api.post(f"{URL}/{second}/start"), 409)["code"] == "experiment_running"
    for experiment, action, fields in (
        (first, "start", None),
        (second, "stop", None),
        (second, "decide", {"winner": "long"}),
    ):
        answer = api.post(f"{URL}/{experiment}/{action}", fields, format="json")
        assert problem_of(answer, 409)["code"] in ("experiment_state", "experiment_running")
    problem_of(api.delete(f"{URL}/{first}"), 409)
    assert api.delete(f"{URL}/{second}").status_code == 204
    problem_of(api.get(f"{URL}/{second}"), 404)
    unknown = api.post(f"{URL}/{first}/decide", {"winner": "none"}, format="json")
    assert fields_of(problem_of(unknown, 400)) == {"winner"}
    ok(api.post(f"{URL}/{first}/stop"))
    assert ok(api.post(f"{URL}/{first}/start"))["state"] == "running"
    assert [one["id"] for one in ok(api.get(URL))["results"]] == [first]


def test_once_it_has_begun_only_weights_change(api, template):
    experiment = make(api, start=False)
    variants = [{"name": "a", "version": 2}, {"name": "b", "version": 2, "weight": 3}]
    changed = ok(
        api.patch(
            f"{URL}/{experiment}",
            {"name": "A/A", "goal": "clicked", "variants": variants, "automatic": True},
            format="json",
        )
    )
    assert (changed["name"], changed["goal"], changed["automatic"]) == ("A/A", "clicked", True)
    assert [(one["name"], one["version"], one["weight"]) for one in changed["variants"]] == [
        ("a", 2, 1),
        ("b", 2, 3),
    ]
    ok(api.post(f"{URL}/{experiment}/start"))
    others = [{"name": "a", "version": 1}, {"name": "b", "version": 2}]
    for wrong in ({"variants": others}, {"goal": "opened"}):
        answer = api.patch(f"{URL}/{experiment}", wrong, format="json")
        assert problem_of(answer, 409)["code"] == "experiment_state"
    ok(api.patch(f"{URL}/{experiment}", {"variants": variants, "automatic": False}, format="json"))
    assert Variant.objects.filter(experiment__id=experiment).count() == 2  # no new round


def test_what_is_wrong_with_an_experiment_is_said_by_field(api, template):
    TemplateVersionFactory(
        template=template, number=4, channels={"sms": {"text": "Hi"}}, published_at=None
    )
    one = {"name": "a", "version": 1}
    for changes, field in (
        ({"goal": "sold"}, "goal"),
        ({"variants": [one]}, "variants"),
        ({"variants": [one, one]}, "variants"),
        ({"variants": [one, {"name": "b", "version": 4}]}, "variants.1.version"),
        ({"variants": [one, {"name": "b", "version": 9}]}, "variants.1.version"),
        ({"variants": [one, {"name": "b", "version": 2, "weight": 0}]}, "variants.1.weight"),
        ({"variants": [one, {"name": "b", "version": 2, "wait": 0}]}, "variants.1.wait"),
        ({"name": ""}, "name"),
        ({"automatic": "yes"}, "automatic"),
    ):
        answer = api.post(URL, body(**changes), format="json")
        assert fields_of(problem_of(answer, 400)) == {field}, changes
    template.versions.filter(number=4).update(published_at=timezone.now())
    answer = api.post(URL, body(variants=[one, {"name": "b", "version": 4}]), format="json")
    assert problem_of(answer, 400)["errors"][0]["code"] == "other_channels"
    TemplateFactory(key="frame", kind="layout")
    problem_of(api.post("/api/v1/templates/frame/experiments", body(), format="json"), 400)
    problem_of(api.get(f"{URL}/{new_id()}"), 404)
    assert not Experiment.objects.exists()


def test_reading_and_changing_ask_for_their_scopes(api, agent, template):
    experiment = make(api, start=False)
    _, secret = keys.issue(agent, [Scope.TEMPLATES_READ])
    reader = APIClient()
    reader.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    ok(reader.get(f"{URL}/{experiment}/results"))
    for answer in (
        reader.post(URL, body(), format="json"),
        reader.patch(f"{URL}/{experiment}", {}, format="json"),
        reader.post(f"{URL}/{experiment}/start"),
        reader.post(f"{URL}/{experiment}/decide", {"winner": "long"}, format="json"),
        reader.delete(f"{URL}/{experiment}"),
    ):
        problem_of(answer, 403)


def test_staff_see_which_variant_a_message_is(admin_client, api, template):
    make(api)
    made = send(api)
    page = admin_client.get(f"/admin/notifications/notification/{made['id']}/change/")
    (name,) = Notification.objects.filter(id=made["id"]).values_list("variant__name", flat=True)
    assert f"Subjects</a>: {name}" in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_reports_at_the_same_moment_count_once(api, template):
    """Four processes, each with the reports of all messages, each in another order."""
    experiment = make(api)
    variant = Variant.objects.get(name="long")
    people = RecipientFactory.create_batch(20)
    deliveries = [
        DeliveryFactory.create(notification__variant=variant, notification__recipient=person).id
        for person in people
        for _ in range(2)
    ]
    together = Barrier(4)

    def tell(turn: int) -> None:
        facts = [(delivery, goal) for delivery in deliveries for goal in goals.BY_EVENT.values()]
        Random(turn).shuffle(facts)
        connection.ensure_connection()
        together.wait(timeout=10)
        try:
            with transaction.atomic():
                goals.reached(facts)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(tell, range(4)))
    arm = by_name(results(api, experiment))["long"]
    assert (arm["delivered"], arm["opened"], arm["clicked"], arm["people"]) == (40, 40, 40, 20)
