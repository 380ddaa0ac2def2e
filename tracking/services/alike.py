"""The outcomes of a window that are alike for whoever counts them: found once, for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from commsproject.common import clock
from notifications.services.complete import Outcome
from notifications.types import ProviderError
from tracking.services import histogram


class Alike(NamedTuple):
    """`number` outcomes that differ from `sample` in the message alone. `bucket`: see `histogram`,
    of the seconds since they were due.
    """

    sample: Outcome
    bucket: int
    number: int


def grouped(outcomes: Sequence[Outcome]) -> list[Alike]:
    """By claim, provider, country, category, version, variant, state before and now, and answer.

    One pass with cheap marks: the hash of a UUID costs as much as all the rest (measured).
    """
    now = clock.now().timestamp()
    counts: dict[tuple[object, ...], int] = {}
    samples: dict[tuple[object, ...], tuple[Outcome, int]] = {}
    for one in outcomes:
        item, answer = one.item, one.answer
        bucket = histogram.bucket(now - item.due_epoch)
        mark = (
            item.lease,
            one.provider,
            item.part,
            item.category_id.int if item.category_id else 0,
            item.version_id.int if item.version_id else 0,
            item.variant_id.int if item.variant_id else 0,
            one.was,
            one.now,
            one.attempt is None,
            answer.error_class if isinstance(answer, ProviderError) else answer is None,
            bucket,
        )
        if mark in counts:
            counts[mark] += 1
        else:
            counts[mark] = 1
            samples[mark] = one, bucket
    return [Alike(*samples[mark], count) for mark, count in counts.items()]
