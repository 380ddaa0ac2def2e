"""A call that was not answered: the provider is asked what became of it, before it is sent again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest
from django.utils import timezone
from typing_extensions import override

from commsproject.common.models import ApiClient
from notifications.models import Attempt, Delivery, Event, Notification, Suppression, Work
from notifications.providers import registry
from notifications.services import audit
from notifications.services.asked import Submission, Target
from notifications.services.submit import accept
from notifications.signals import reported
from notifications.states import State
from notifications.types import Channel, EventType, Inquiry, Lane, ProviderEvent
from tests.engine import Inline, carry_out, drain, make_everything_due
from tests.integration.test_engine import claim
from tests.scripted import Answer, Scripted, entry, temporary, unanswered
from tracking.models import Bounce

pytestmark = pytest.mark.django_db

T = TypeVar("T")


class Knowing(Scripted):
    """Answers no call, and knows afterwards what `told` says: events, or an error it raises."""

    looks_up = True

    def __init__(
        self, name: str, answer: Answer | None = None, told: Sequence[EventType] | Exception = ()
    ) -> None:
        super().__init__(name, answer or unanswered())
        self.told = told
        self.inquiries: list[Inquiry] = []

    @override
    def status(self, inquiry: Inquiry) -> list[ProviderEvent]:
        self.inquiries.append(inquiry)
        if isinstance(self.told, Exception):
            raise self.told
        return [
            ProviderEvent(
                kind,
                timezone.now(),
                f"{inquiry.attempt_id}-{kind}",
                inquiry.attempt_id,
                provider_ref="SM1",
                permanent=True,
            )
            for kind in self.told
        ]


def knowing() -> Knowing:
    provider = registry.get("a")
    assert isinstance(provider, Knowing)
    return provider


@pytest.fixture
def unknown(agent: ApiClient, settings: Any) -> Delivery:
    """A message whose call was not answered, and whose receipt did not come."""
    settings.PROVIDERS = {"a": entry(Knowing)}
    accept(
        agent,
        [
            Submission(
                to=Target(addresses={Channel.EMAIL: "ada@example.org"}),
                content={"subject": "Hello {{ name }}", "text": "It works."},
                data={"name": "Ada"},
            )
        ],
    )
    drain()
    delivery = Delivery.objects.get()
    assert delivery.state == State.UNKNOWN
    make_everything_due()
    return delivery


def settled(delivery: Delivery) -> tuple[str, int]:
    """Its state after the wait, and how often it was called for."""
    drain()
    delivery.refresh_from_db()
    assert list(audit.findings()) == []
    return delivery.state, len(knowing().asked)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ([EventType.SENT], State.SENT),
        ([EventType.SENT, EventType.DELIVERED], State.DELIVERED),
        ([EventType.BOUNCED], State.BOUNCED),
    ],
)
def test_what_the_provider_knows_settles_it(
    unknown: Delivery, told: list[EventType], state: State
) -> None:
    knowing().told = told
    assert settled(unknown) == (state, 1)
    assert not Work.objects.exists()
    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.provider_ref) == (Attempt.State.ACCEPTED, "SM1")
    assert sorted(Event.objects.values_list("type", flat=True)) == sorted(told)


def test_a_bounce_that_is_looked_up_counts_like_one_that_was_posted(unknown: Delivery) -> None:
    knowing().told = [EventType.BOUNCED]
    assert settled(unknown) == (State.BOUNCED, 1)
    bounce = Bounce.objects.get()
    assert (bounce.delivery_id, bounce.kind, bounce.provider) == (unknown.id, "hard", "a")
    entry = Suppression.objects.get()
    assert (entry.reason, entry.address_hash) == ("bounce", unknown.address_hash)


def test_a_look_up_that_cannot_be_applied_is_no_answer(unknown: Delivery) -> None:
    def fail(**_: object) -> None:
        raise ValueError("a defect")

    knowing().told = [EventType.BOUNCED]
    reported.connect(fail)
    try:
        assert settled(unknown) == (State.UNKNOWN, 2)
    finally:
        reported.disconnect(fail)
    assert not Event.objects.exists()


def test_it_is_told_which_call_is_meant(unknown: Delivery) -> None:
    attempt = Attempt.objects.get()
    drain()
    inquiry, *_ = knowing().inquiries
    assert (inquiry.attempt_id, inquiry.started_at) == (attempt.id, attempt.started_at)
    assert (inquiry.channel, inquiry.to, inquiry.ref) == (Channel.EMAIL, "ada@example.org", "")
    assert inquiry.parts["subject"] == "Hello Ada"


def test_what_it_knows_nothing_of_is_sent_again(unknown: Delivery) -> None:
    assert settled(unknown) == (State.UNKNOWN, 2)
    assert len(knowing().inquiries) == 1


@pytest.mark.parametrize("error", [temporary(), unanswered(), TimeoutError(), KeyError("a defect")])
def test_who_cannot_tell_now_changes_nothing(unknown: Delivery, error: Exception) -> None:
    knowing().told = error
    assert settled(unknown) == (State.UNKNOWN, 2)


class Hung(Inline):
    """The provider's client breaks its time limit."""

    @override
    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        raise TimeoutError


def test_a_look_up_that_hangs_changes_nothing(unknown: Delivery) -> None:
    carry_out(claim(), runner=Hung())
    unknown.refresh_from_db()
    assert (unknown.state, unknown.reason) == (State.QUEUED, "no receipt came; sending again")
    assert settled(unknown) == (State.UNKNOWN, 2)


def test_after_a_receipt_nobody_is_asked(unknown: Delivery) -> None:
    Attempt.objects.update(state=Attempt.State.ACCEPTED)
    Delivery.objects.update(state=State.SENT)
    drain()
    assert knowing().inquiries == []


def test_each_unanswered_call_is_asked_about(unknown: Delivery) -> None:
    drain()  # it is sent once more, and not answered once more
    make_everything_due()
    knowing().told = [EventType.SENT]
    knowing().inquiries.clear()
    assert settled(unknown) == (State.SENT, 2)
    meant = {inquiry.attempt_id for inquiry in knowing().inquiries}
    assert meant == set(Attempt.objects.values_list("id", flat=True))
    assert len(meant) == 2


def test_calls_that_were_answered_are_not_asked_about(unknown: Delivery) -> None:
    drain()
    make_everything_due()
    first, second = Attempt.objects.order_by("number")
    Attempt.objects.filter(id=first.id).update(state=Attempt.State.FAILED, code="503")
    knowing().inquiries.clear()
    drain()
    assert [inquiry.attempt_id for inquiry in knowing().inquiries] == [second.id]


def test_who_cannot_look_up_is_not_asked(
    unknown: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Knowing, "looks_up", False)
    assert settled(unknown) == (State.UNKNOWN, 2)
    assert knowing().inquiries == []


def test_what_can_no_longer_be_rendered_is_settled_all_the_same(unknown: Delivery) -> None:
    """Its data was erased meanwhile."""
    Notification.objects.update(data={})
    state, calls = settled(unknown)
    assert calls == 1
    assert state in {State.FAILED, State.UNCONFIRMED}


def test_bulk_is_asked_about_before_it_ends_unconfirmed(agent: ApiClient, settings: Any) -> None:
    settings.PROVIDERS = {"a": entry(Knowing, told=[EventType.DELIVERED])}
    accept(
        agent,
        [
            Submission(
                to=Target(addresses={Channel.EMAIL: "ada@example.org"}),
                content={"subject": "Hello", "text": "It works."},
                priority=Lane.BULK,
            )
        ],
    )
    drain(Lane.BULK)
    make_everything_due()
    drain(Lane.BULK)
    assert Delivery.objects.get().state == State.DELIVERED
