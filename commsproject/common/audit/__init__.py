"""The trail of what staff do: who, when, what, before and after, in the transaction of the change.

`snapshots` says what of a row may be told, `watch` sees what a request of the staff pages changes,
`trail` writes it down, `purge` lets go what is older than AUDIT_DAYS.
"""

from __future__ import annotations

from commsproject.common.audit.snapshots import tell
from commsproject.common.audit.trail import record
from commsproject.common.audit.watch import made, own_transactions, touched, watched

__all__ = ["made", "own_transactions", "record", "tell", "touched", "watched"]
