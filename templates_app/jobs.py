"""The periodic jobs of templates."""

from __future__ import annotations

from datetime import timedelta

from commsproject.common.scheduler import job
from templates_app import experiments


@job("fold variant counts", every=timedelta(seconds=2))
def fold_variant_counts() -> None:
    """What came of each variant's messages since."""
    experiments.fold_counts()


@job("judge experiments", every=timedelta(seconds=10))
def judge_experiments() -> None:
    """Those that decide by themselves, and have a winner."""
    experiments.judge()
