"""What this app tells the apps above it. Everything else others must hear goes by the outbox."""

from __future__ import annotations

from django.dispatch import Signal

status_changed = Signal()
"""Sent after commit with `changes`: a list of `StatusChange`."""

choices_changed = Signal()
"""Sent after commit with `changes`: a list of `preferences.Changed`."""
