"""What vendors say of our accounts: limits, alerts, and `manage.py check_providers`."""

from __future__ import annotations

