"""No message of a suppressed address ever reaches a provider, whatever happens in whatever order.

Every history is of one address; a hundred go on side by side, so that they share the engine's windows.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from commsproject.common.models import ApiClient
from notifications import addresses
from notifications.models import Attempt, Category, Delivery, Suppression
from notifications.services import status, submit, suppress
from notifications.services.asked import Submission, Target
from notifications.services.suppress import Lift
from notifications.types import Channel, EventType, ProviderEvent, SuppressionReason
from templates_app import links
from tests.engine import drain
from tests.factories import CategoryFactory
from tests.faults.conftest import Size

SIDE_BY_SIDE = 100
STEPS = 10
KINDS: Mapping[str, Category.Kind] = {
    "codes": Category.Kind.ESSENTIAL,
    "orders": Category.Kind.TRANSACTIONAL,
    "news": Category.Kind.MARKETING,
}
WISHES = {SuppressionReason.COMPLAINT, SuppressionReason.UNSUBSCRIBE}


@dataclass
class Story:
    """One address, and what a plain reading of the rules says of it."""

    address: str
    draw: random.Random
    listed: set[tuple[str, SuppressionReason]] = field(default_factory=set)
    waiting: list[str] = field(default_factory=list)
    """The categories of messages that were accepted and not yet tried."""
    told: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return addresses.digest(Channel.EMAIL, self.address)

    def may_get(self, category: str) -> bool:
        return not any(
            scope in ("*", category) and not (category == "codes" and reason in WISHES)
            for scope, reason in self.listed
        )

    def scope(self) -> str:
        return self.draw.choice(["*", *KINDS])


class World:
    def __init__(self) -> None:
        self.agent = ApiClient.objects.create(name="histories")
        self.browser = Client()
        self._asked: list[tuple[Story, str]] = []
        self.refused = 0
        for key, kind in KINDS.items():
            CategoryFactory.create(key=key, kind=kind)

    def send(self, story: Story) -> None:
        self._asked.append((story, story.draw.choice(list(KINDS))))

    def accept(self) -> None:
        """What was asked for in this step, together."""
        submissions = [
            Submission(
                to=Target(addresses={Channel.EMAIL: story.address}),
                content={"subject": "Hello", "text": "It works."},
                category=category,
            )
            for story, category in self._asked
        ]
        results = submit.accept(self.agent, submissions)
        for (story, category), result in zip(self._asked, results, strict=True):
            assert isinstance(result, submit.Accepted), result
            is_taken = result.response["deliveries"][0]["status"] == "queued"
            assert is_taken is story.may_get(category), (story.address, story.listed)
            if is_taken:
                story.waiting.append(category)
            else:
                self.refused += 1
        self._asked.clear()

    def list(self, story: Story) -> None:
        entry = (story.scope(), story.draw.choice(list(SuppressionReason)))
        suppress.add(channel="email", address_hash=story.digest, scope=entry[0], reason=entry[1])
        story.listed.add(entry)

    def lift(self, story: Story) -> None:
        if not story.listed:
            return
        scope, reason = entry = story.draw.choice(sorted(story.listed))
        found = Suppression.objects.get(address_hash=story.digest, scope=scope, reason=reason)
        suppress.lift([found.id], Lift("staff", "a mistake"))
        story.listed.remove(entry)

    def unsubscribe(self, story: Story) -> None:
        sent = self._one(story)
        if sent is None or (category := sent.notification.category) is None:
            return
        token = links.unsubscribe_token(
            channel="email",
            address_hash=story.digest,
            scope=category.key,
            delivery_id=sent.id,
        )
        everything = story.draw.random() < 0.5
        body = {"List-Unsubscribe": "One-Click", "from": "everything" if everything else ""}
        assert self.browser.post(f"/u/{token}", body).status_code == 200
        scope = "*" if everything else category.key
        story.listed.add((scope, SuppressionReason.UNSUBSCRIBE))

    def opt_in(self, story: Story) -> None:
        suppress.opt_in("email", [story.digest], Lift("the person", "START"))
        story.listed.discard(("*", SuppressionReason.UNSUBSCRIBE))

    def report(self, story: Story) -> None:
        """Of the same message perhaps more than once."""
        sent = self._one(story)
        if sent is None:
            return
        kind, code, permanent, reason = story.draw.choice(
            [
                (EventType.BOUNCED, "5.1.1", True, SuppressionReason.BOUNCE),
                (EventType.BOUNCED, "5.7.1", True, None),
                (EventType.BOUNCED, "4.2.2", False, None),
                (EventType.COMPLAINED, "", False, SuppressionReason.COMPLAINT),
                (EventType.DELIVERED, "", False, None),
            ]
        )
        attempt = Attempt.objects.filter(delivery=sent).latest("id")
        dedupe = f"{attempt.id}-{kind}-{code}"
        is_new = dedupe not in story.told
        event = ProviderEvent(
            kind, timezone.now(), dedupe, attempt.id, code=code, permanent=permanent
        )
        status.apply(attempt.provider, [event])
        if is_new and reason:
            story.listed.add(("*", reason))
        story.told.append(dedupe)

    def _one(self, story: Story) -> Delivery | None:
        sent = Delivery.objects.filter(address=story.address, attempts_made__gt=0)
        found = list(sent.select_related("notification__category").order_by("id"))
        return story.draw.choice(found) if found else None


@pytest.mark.timeout(1200)  # the full form is 90 s of one core
@pytest.mark.django_db
def test_no_message_reaches_a_suppressed_address(size: Size) -> None:
    total = int(size["histories"])
    for first in range(0, total, SIDE_BY_SIDE):
        with transaction.atomic():
            _live(range(first, min(first + SIDE_BY_SIDE, total)))
            transaction.set_rollback(True)


def _live(numbers: range) -> None:
    world, draw = World(), random.Random(numbers.start)
    moves: list[Callable[[Story], None]] = [
        *[world.send] * 6,
        *(world.list, world.lift, world.unsubscribe, world.opt_in, world.report),
    ]
    stories = {
        f"history-{number}@simulator.test": Story(
            f"history-{number}@simulator.test", random.Random(number)
        )
        for number in numbers
    }
    tried = 0
    for _ in range(STEPS):
        for story in stories.values():
            story.draw.choice(moves)(story)
        world.accept()
        if draw.random() < 0.5:
            tried += _drain(world, stories)
    tried += _drain(world, stories)
    assert tried > len(stories)
    assert world.refused > len(stories) / 5  # the lists had something to do


def _drain(world: World, stories: Mapping[str, Story]) -> int:
    """What was tried is, message by message, what the rules say; how many."""
    before = dict(Attempt.objects.values_list("id", "delivery"))
    seen = set(before.values())
    drain()
    reached: dict[str, list[str]] = defaultdict(list)
    calls = Attempt.objects.exclude(id__in=before).values_list(
        "delivery", "delivery__address", "delivery__notification__category__key"
    )
    for delivery, address, category in calls:
        assert stories[address].may_get(category), (address, stories[address].listed)
        if delivery not in seen:  # a slow machine tries some again
            seen.add(delivery)
            reached[address].append(category)
    for story in stories.values():
        expected = [category for category in story.waiting if story.may_get(category)]
        world.refused += len(story.waiting) - len(expected)
        assert sorted(reached[story.address]) == sorted(expected), (story.address, story.listed)
        story.waiting.clear()
    return len(calls)
