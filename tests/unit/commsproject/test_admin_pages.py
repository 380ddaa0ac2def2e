"""Every page of the staff console, over data that means harm."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from commsproject.common.identity import keys
from commsproject.common.models import (
    Alert,
    AlertRule,
    AlertTarget,
    ApiClient,
    AuditEvent,
    IdempotencyKey,
    PersonalDataJob,
    ScheduledJob,
    StaffSession,
)
from commsproject.common.scheduler import run_due
from conversations.models import Conversation, Participant
from conversations.services import entries as conversations
from conversations.types import Actor, Kind, Status, Who
from notifications.models import (
    Announcement,
    Attempt,
    Batch,
    Category,
    DeadLetter,
    Delivery,
    Device,
    Inbox,
    Notification,
    ProviderChange,
    ProviderState,
    Recipient,
    Schedule,
    SimulatedMessage,
    SimulatorRule,
    Suppression,
    Topic,
    Work,
)
from notifications.services import status, submit, suppress
from notifications.services.asked import Submission, Target
from notifications.types import (
    Channel,
    ErrorClass,
    EventType,
    ProviderEvent,
    SuppressionReason,
)
from templates_app import services as templates
from templates_app.models import Experiment, Template
from tests.engine import drain
from tests.walk import each
from tracking.models import InboundMessage, WebhookDelivery, WebhookEndpoint, WebhookReceipt

EVIL = "<script>alert(1)</script>"

SHOWN = sorted(
    (model for model in admin.site._registry),
    key=lambda model: model._meta.label,
)


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


@pytest.fixture
def everything(agent: ApiClient) -> None:
    """One row or more of everything that has a page, with a script in each text there is."""
    agent.name = f"billing {EVIL}"
    agent.save()
    Group.objects.create(name=EVIL)
    Category.objects.create(key="evil", name=EVIL)
    Topic.objects.create(key="evil", name=EVIL)
    _announce(agent)
    _hook(agent)
    PersonalDataJob.objects.create(
        kind="export", subject="x", user_id=EVIL, part=EVIL, client=agent
    )
    keys.issue(agent, ["notifications:read"])
    template = templates.create(
        key="evil",
        name=EVIL,
        channels={"email": {"subject": f"{EVIL} {{{{ x }}}}", "html": f"{EVIL}{{{{ x }}}}"}},
        locale="",
        author=EVIL,
    )
    templates.publish(template)
    _experiment(template)
    to = Target(f"user {EVIL}", {Channel.EMAIL: "bounce@simulator.test"})
    common: dict[str, Any] = {
        "reference": EVIL,
        "tags": (EVIL,),
        "metadata": {EVIL: EVIL},
        "agent_id": EVIL,
        "idempotency_key": EVIL,
        "attachments": ({"filename": EVIL, "content": ""},),
    }
    content = {"subject": f"Hi {EVIL}", "text": EVIL, "html": EVIL}
    common_inline = {**common, "idempotency_key": "other"}
    submissions = [
        Submission(to=to, template="evil", data={"x": EVIL}, category="evil", **common),
        Submission(to=to, content=content, **common_inline),
        Submission(
            to=Target(addresses={Channel.SMS: "+14155550132"}),
            content={"text": EVIL},
            send_at=timezone.now() + timedelta(days=1),
        ),
    ]
    for result in submit.accept(agent, submissions):
        assert isinstance(result, submit.Accepted), result
    drain()
    _report()
    first = Delivery.objects.get(notification__template_version__isnull=False)
    DeadLetter.objects.create(
        delivery=first,
        error_class=ErrorClass.TEMPORARY,
        code=EVIL,
        reason=EVIL,
        providers=[EVIL],
    )
    provider, _ = ProviderState.objects.get_or_create(name="simulator")
    provider.reason = provider.quota_trouble = EVIL
    provider.quota_per_second = provider.quota_sent = 14.0
    provider.quota_at = timezone.now()
    provider.save()
    ProviderChange.objects.create(provider=provider, was=EVIL[:20], now="open", reason=EVIL)
    suppress.add(channel="sms", address_hash="0" * 64, reason=SuppressionReason.MANUAL, source=EVIL)
    WebhookReceipt.objects.create(provider=EVIL, dedupe="1", body=EVIL.encode(), error=EVIL)
    InboundMessage.objects.create(
        provider=EVIL,
        dedupe="1",
        channel="email",
        sender=EVIL,
        sender_hash="0" * 64,
        to=EVIL,
        subject=EVIL,
        text=EVIL,
        notification_id=first.notification_id,
        wish="stop",
        at=timezone.now(),
    )
    Batch.objects.create(
        client=agent, content={"email": {"subject": EVIL, "text": EVIL}}, reason=EVIL
    )
    Schedule.objects.create(
        client=agent,
        name=EVIL,
        cron="0 9 * * *",
        kind=Schedule.Kind.NOTIFICATION,
        request={EVIL: EVIL},
        last_error={"run": EVIL, "code": EVIL, "message": EVIL},
    )
    Device.objects.create(
        recipient=Recipient.objects.latest("created_at"), platform="fcm", name=EVIL, reason=EVIL
    )
    SimulatorRule.objects.create(address=EVIL)
    Alert.objects.create(key=EVIL, severity="warning", title=EVIL, detail=EVIL)
    AlertRule.objects.create(
        key="evil", name=EVIL, only=EVIL, measure="queue_age", bound=1, recovery=0
    )
    AlertTarget.objects.create(name=EVIL, place=EVIL, sealed=b"")
    StaffSession.objects.create(user=User.objects.create_user("eve"), browser=EVIL)
    AuditEvent.objects.create(
        action=EVIL, actor=EVIL, model=EVIL, object_id=EVIL, changes={EVIL: [EVIL, EVIL]}
    )
    talk = Conversation.objects.create(kind=Kind.SUPPORT, title=EVIL, status=Status.OPEN)
    Participant.objects.create(conversation=talk, person_id=EVIL)
    conversations.post(Actor(Who.USER, EVIL), talk.id, EVIL)
    ScheduledJob.objects.create(name=EVIL, last_run_at=timezone.now(), last_error=EVIL)


def _experiment(template: Template) -> None:
    row = Experiment.objects.create(
        template=template, name=EVIL, winner=EVIL, decided_by=EVIL, created_by=EVIL
    )
    for name in (EVIL, "b"):
        row.variants.create(name=name, version=template.versions.get())


def _announce(agent: ApiClient) -> None:
    """In all states: a draft has a form, the others are only shown."""
    now = timezone.now()
    for state in Announcement.State:
        Announcement.objects.create(
            client=agent,
            state=state,
            audience="list",
            user_ids=[EVIL],
            title=EVIL,
            body=EVIL,
            link=EVIL,
            image=EVIL,
            tags=[EVIL],
            actions=[{"key": "a", "label": EVIL, "link": EVIL}],
            data={EVIL: EVIL},
            starts_at=now,
            ends_at=now + timedelta(days=1),
        )
    Inbox.objects.create(recipient=Recipient.objects.create(user_id=EVIL), unread=1)


def _hook(agent: ApiClient) -> None:
    endpoint = WebhookEndpoint.objects.create(
        client=agent, url=EVIL, description=EVIL, events=[EVIL], disabled_reason=EVIL
    )
    WebhookDelivery.objects.create(
        endpoint=endpoint, event_id=EVIL, type=EVIL, subject=EVIL, body=EVIL, error=EVIL
    )


def _report() -> None:
    attempts = Attempt.objects.filter(state=Attempt.State.ACCEPTED)
    events = [
        ProviderEvent(
            type=kind,
            at=timezone.now(),
            dedupe=f"{attempt.id}-{kind}",
            attempt_id=attempt.id,
            permanent=True,
            code=EVIL,
            detail=EVIL,
        )
        for attempt in attempts
        for kind in (EventType.BOUNCED, EventType.COMPLAINED, EventType.OPENED)
    ]
    status.apply("simulator", events)


def page(model: type[Model], name: str, *args: object) -> str:
    options = model._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_{name}", args=args)


def pages(model: type[Model]) -> list[str]:
    """The list, and the details of some rows."""
    rows = list(model._default_manager.all()[:3])
    assert rows, f"the fixture makes no {model._meta.label}"
    return [page(model, "changelist")] + [page(model, "change", row.pk) for row in rows]


@pytest.mark.usefixtures("everything")
def test_lists_and_details_are_shown_to_staff_and_show_nothing_as_markup(staff):
    for url in [url for model in SHOWN for url in pages(model)]:
        answer = staff.get(url, follow=True)
        assert answer.status_code == 200, url
        assert EVIL not in answer.content.decode(), url


_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7")


@pytest.mark.usefixtures("everything")
def test_the_head_of_a_page_names_its_row_and_says_no_id(staff):
    heads_of_their_own = {Conversation, Template}
    for model in [one for one in SHOWN if one not in heads_of_their_own]:
        row = admin.site.get_model_admin(model).get_queryset(HttpRequest()).first()
        assert row, f"the fixture makes no {model._meta.label}"
        url = page(model, "change", row.pk)
        shown = staff.get(url).content.decode()
        (crumb,) = re.findall(
            f'<a href="{re.escape(url)}" class="align-middle[^>]*>(.*?)</a>', shown
        )
        title, *_ = re.findall("<title>(.*?)</title>", shown, re.DOTALL)  # pictures have one, too
        for text in (crumb, title):
            assert text.strip(), url
            assert not _ID.search(text), f"{url} {text}"


@pytest.mark.usefixtures("everything")
def test_nobody_else_sees_anything(client):
    User.objects.create_user("somebody", password="x")
    urls = [url for model in SHOWN for url in [*pages(model), page(model, "add")]]
    for url in urls:
        assert client.get(url).status_code == 302
    client.force_login(User.objects.create_user("user", password="x"))
    for url in urls:
        assert client.get(url).status_code == 302
    client.force_login(User.objects.create_user("newcomer", password="x", is_staff=True))
    for url in urls:
        assert client.get(url).status_code == 403


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("common.ApiClient", 200),
        ("notifications.Category", 200),
        ("notifications.Suppression", 200),
        ("templates_app.Template", 200),
        ("auth.User", 200),
        ("auth.Group", 200),
        ("notifications.Notification", 403),
        ("notifications.Work", 403),
        ("notifications.Device", 403),
        ("notifications.ProviderState", 403),
        ("common.ApiKey", 403),
        ("tracking.Bounce", 403),
    ],
)
def test_only_what_staff_write_can_be_added(staff, label, expected):
    model = next(model for model in SHOWN if model._meta.label == label)
    assert staff.get(page(model, "add")).status_code == expected


def test_idempotency_keys_have_no_page():
    assert not admin.site.is_registered(IdempotencyKey)


@pytest.mark.usefixtures("everything")
@each(
    ("model", "query"),
    [
        (Notification, "channel=email"),
        (Notification, "state=complained"),
        (Notification, "state=sending"),
        (Notification, "state=nonsense&channel=nonsense&age=nonsense"),
        (Notification, "age=hour"),
        (Notification, "age=month&priority__exact=normal"),
        (DeadLetter, "age=day&delivery__channel__exact=email"),
        (Work, "lane__exact=normal"),
        (SimulatedMessage, "channel__exact=email"),
        (WebhookReceipt, "state=set_aside"),
        (Device, "registered=no&platform__exact=fcm"),
    ],
)
def test_filters_work(staff, model, query):
    answer = staff.get(f"{page(model, 'changelist')}?{query}", follow=True)
    assert answer.status_code == 200
    assert not query.endswith("hour") or len(answer.context["cl"].result_list) == 3


@pytest.mark.usefixtures("everything")
def test_a_list_does_not_ask_for_each_row(staff, agent, django_assert_max_num_queries):
    submit.accept(
        agent,
        [
            Submission(
                to=Target(addresses={Channel.EMAIL: f"p{number}@simulator.test"}),
                content={"subject": "Hi", "text": "Hi"},
            )
            for number in range(40)
        ],
    )
    with django_assert_max_num_queries(15):
        staff.get(page(Notification, "changelist"))


@pytest.mark.usefixtures("everything")
def test_the_content_of_a_message_is_shown_in_a_sandbox_only(staff):
    row = Notification.objects.get(template_version__isnull=False)
    shown = staff.get(page(Notification, "change", row.pk)).content.decode()
    assert 'sandbox=""' in shown
    assert "&lt;script&gt;" in shown
    assert "default-src &#x27;none&#x27;" in shown


@pytest.mark.usefixtures("everything")
def test_a_message_whose_content_is_gone_has_a_page_all_the_same(staff):
    row = Notification.objects.get(send_at__isnull=False)
    Notification.objects.filter(pk=row.pk).update(content=None)
    shown = staff.get(page(Notification, "change", row.pk)).content.decode()
    assert "no longer kept" in shown


@pytest.mark.usefixtures("everything")
def test_a_simulated_message_leads_to_its_notification(staff):
    row = SimulatedMessage.objects.first()
    assert row is not None
    shown = staff.get(page(SimulatedMessage, "change", row.pk)).content.decode()
    target = UUID(row.metadata["message_id"])
    assert page(Notification, "change", target) in shown


@pytest.mark.usefixtures("everything")
def test_the_list_of_webhooks_holds_no_address_and_no_body(staff):
    WebhookReceipt.objects.create(provider="ses", dedupe="2", body=b"ada@example.com")
    for url in [page(WebhookReceipt, "changelist")]:
        assert "ada@example.com" not in staff.get(url).content.decode()


def test_an_unknown_row_leads_back(staff):
    assert staff.get(page(Suppression, "change", UUID(int=1))).status_code == 302
    assert staff.get(page(Notification, "change", UUID(int=1))).status_code == 302
    assert staff.get(page(SimulatedMessage, "change", "nonsense")).status_code == 302


# --- The dashboard ---------------------------------------------------------------------------


def test_the_dashboard_of_an_empty_installation_says_so(staff):
    shown = staff.get(reverse("admin:index")).content.decode()
    assert "Nothing was accepted in the last 24 hours." in shown
    assert "Nothing failed" in shown


@pytest.mark.usefixtures("everything")
def test_the_dashboard_counts_what_is_there(staff):
    ProviderState.objects.filter(name="simulator").update(breaker=ProviderState.Breaker.OPEN)
    answer = staff.get(reverse("admin:index"))
    normal = next(depth for depth in answer.context["lanes"] if depth.lane == "normal")
    assert (normal.due, normal.later) == (0, 1)
    assert answer.context["dead_letter_count"] == 1
    assert [row.name for row in answer.context["blocked"]] == ["simulator"]
    assert answer.context["recent"].by_state == {"scheduled": 1, "complained": 2}
    assert len(answer.context["failures"]) == 2
    assert EVIL not in answer.content.decode()


def test_jobs_that_ran_well_are_said_to_have(staff):
    run_due()
    assert staff.get(page(ScheduledJob, "changelist")).status_code == 200
