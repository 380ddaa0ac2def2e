"""What this app tells the apps above it. Everything else others must hear goes by the outbox.

All but the last are sent inside the transaction: what a receiver writes is there exactly if the change is, and no
crash can lose it. What must not be seen before that waits for `transaction.on_commit`. Rows of the
queue and of deliveries are locked meanwhile: receivers write rows of their own, and no more.
"""

from __future__ import annotations

from django.dispatch import Signal

status_changed = Signal()
"""With `changes`: a list of `StatusChange`; and `outcomes`, those of the window that made them, where
one did: also where no state changed.
"""

accepted = Signal()
"""With `planned`: a list of `Planned`, which have just been stored. Before any change of theirs."""

reported = Signal()
"""With `provider` and `applied`: a list of `Applied`, the events that were new."""

opted = Signal()
"""With `entries`: the `Suppression`s of people's own wish that came on the list (`out`), or went."""

choices_changed = Signal()
"""Sent after commit with `changes`: a list of `preferences.Changed`."""
