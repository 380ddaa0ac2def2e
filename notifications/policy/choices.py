"""What a person has chosen to get, by category and channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ANY = ""


@dataclass(frozen=True)
class Choice:
    """One preference. `category` and `channel` are `""` where it is about all of them."""

    category: str
    channel: str
    is_on: bool


def chosen(choices: Sequence[Choice], category: str, channel: str) -> Choice | None:
    """The choice that counts: the closest one. A category is closer than a channel, since people
    think in what a message is about; so "news: on" wins against "nothing by SMS" only together
    with the channel, and an off for the channel alone is overruled by no on for all categories.
    """
    fitting = [
        choice
        for choice in choices
        if choice.category in (category, ANY) and choice.channel in (channel, ANY)
    ]
    return max(fitting, key=_closeness, default=None)


def _closeness(choice: Choice) -> tuple[bool, bool, bool]:
    named = (choice.category != ANY, choice.channel != ANY)
    # Both named; then either. Of one for the category and one for the channel, the off wins.
    return (all(named), any(named), not choice.is_on)
