"""What is known of one person, told or erased in small steps; and what is too old to be kept."""

from __future__ import annotations
