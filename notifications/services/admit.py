"""What may be sent now, of deliveries that are locked. This answer of the policy is the binding one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from commsproject.common import clock
from notifications import policy
from notifications.models import Category
from notifications.policy import Delay, Refusal
from notifications.services import fallback, people
from notifications.services.frequency import Caps
from notifications.services.items import Item
from notifications.services.people import Person
from notifications.types import Channel

Answer = Refusal | Delay | None


class Admission:
    """The decisions of one window, which belong together: a cap counts what has just passed."""

    def __init__(self, found: Sequence[Item]) -> None:
        self._now = clock.now()
        self._suppressed = people.suppressed((i.channel.value, i.address_hash) for i in found)
        # By the number: each item has an object of its own, whose hash costs more than the policy.
        kinds = {item.category_id.int: item.category_id for item in found if item.category_id}
        categories = Category.objects.in_bulk(kinds.values()) if kinds else {}
        self._rules = {id_.int: people.rules(category) for id_, category in categories.items()}
        is_capped = any(rules.daily_cap for rules in self._rules.values())
        stepped = {id_.int for id_, category in categories.items() if category.fallback}
        self._people = people.by_id(i.recipient_id for i in found if i.recipient_id)
        self._watching = people.watching(
            person for item in found if (person := self._watcher(item)) is not None
        )
        self._caps = Caps(
            (
                (item.recipient_id, item.category_id)
                for item in (found if is_capped else ())
                if item.recipient_id and item.category_id and self._of(item).daily_cap
            ),
            self._now,
        )
        self._steps: Mapping[UUID, Refusal | Delay] = {}
        if stepped:
            later = [i.id for i in found if i.category_id and i.category_id.int in stepped]
            self._steps = fallback.due(later, self._now)

    def decide(self, item: Item) -> Answer:
        """Asked once of each delivery: what passes counts."""
        if self._steps and (answer := self._steps.get(item.id)):
            return answer
        rules = self._of(item)
        person = self._people.get(item.recipient_id) if item.recipient_id else None
        entries = self._suppressed.get((item.channel, item.address_hash), ())
        if not (person or entries or item.expires_at) and policy.asks_nothing(rules, item.channel):
            return None
        answer = policy.decide(self._facts(item, rules, person, entries))
        if answer is None and person is not None and rules.daily_cap:
            self._caps.count(item)
        return answer

    def close(self) -> None:
        self._caps.write()

    def _of(self, item: Item) -> policy.Rules:
        return self._rules[item.category_id.int] if item.category_id else policy.NO_RULES

    def _watcher(self, item: Item) -> Person | None:
        if item.recipient_id is None or not self._of(item).spares_watchers:
            return None
        return self._people.get(item.recipient_id)

    def _facts(
        self,
        item: Item,
        rules: policy.Rules,
        person: Person | None,
        entries: Sequence[policy.Suppressed],
    ) -> policy.Facts:
        return people.facts(
            now=self._now,
            channel=item.channel,
            country=item.part if item.channel is Channel.SMS else None,
            address=item.address,
            rules=rules,
            expires_at=item.expires_at,
            suppressed=entries,
            person=person,
            is_watching=person is not None and person.user_id in self._watching,
            taken=self._caps.taken(item) if person is not None and rules.daily_cap else 0,
        )


def passing(found: Sequence[Item]) -> set[UUID]:
    """Those that may be sent, as far as was decided some time ago that they may. A message counts for
    a cap once.
    """
    admission = Admission(found)
    return {item.id for item in found if admission.decide(item) is None}
