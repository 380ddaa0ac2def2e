"""Members of staff: how they sign in, how long that holds, what their roles may do."""

from __future__ import annotations
