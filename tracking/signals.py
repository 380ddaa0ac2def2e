"""What this app tells the apps above it."""

from __future__ import annotations

from django.dispatch import Signal

inbound_received = Signal()
"""Sent after commit with `ids`: of the `InboundMessage`s that came in."""
