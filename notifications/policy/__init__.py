"""May this message go to this address now? Pure: all inputs are passed in, the answer has a reason.

Asked twice: at acceptance, to inform the caller, and when the window is opened, which is binding.
"""

from __future__ import annotations

from notifications.policy.choices import Choice, chosen
from notifications.policy.facts import ALL, NO_RULES, Facts, Rules, Suppressed
from notifications.policy.quiet import LEGAL, Quiet
from notifications.policy.rules import Delay, Finding, Refusal, asks_nothing, decide, explain
from notifications.policy.steps import step

__all__ = [
    "ALL",
    "LEGAL",
    "NO_RULES",
    "Choice",
    "Delay",
    "Facts",
    "Finding",
    "Quiet",
    "Refusal",
    "Rules",
    "Suppressed",
    "asks_nothing",
    "chosen",
    "decide",
    "explain",
    "step",
]
