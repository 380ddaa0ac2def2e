"""What conversations do by themselves."""

from __future__ import annotations

from datetime import timedelta

from commsproject.common.scheduler import job
from conversations.services import answers, attachments, reminders


@job("remove nobody's files", every=timedelta(minutes=10))
def remove_nobodys_files() -> None:
    """Of deleted entries, and uploads that no entry was written with."""
    while attachments.remove_nobodys():
        pass


@job("tell away people", every=timedelta(seconds=10))
def tell_away_people() -> None:
    """Of what they have not read."""
    while reminders.tell():
        pass


@job("take answers", every=timedelta(minutes=5))
def take_answers() -> None:
    """That a process died with, on their way to a conversation."""
    answers.take_recent()


@job("forget notices", every=timedelta(days=1))
def forget_notices() -> None:
    """So old that nobody answers them any more."""
    reminders.forget_old_notices()
