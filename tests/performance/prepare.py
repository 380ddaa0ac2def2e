"""What has to be stored before anything can be sent. Prints an API key.

python -m tests.performance.prepare
"""

from __future__ import annotations

import sys

import django

from tests.performance import content

SUPPRESSED = 10_000
"""Entries of the suppression list, so that looking somebody up costs what it costs."""

CLIENT = "bench"
CATEGORY = "bench"


def main() -> None:
    django.setup()
    from commsproject.common.identity import keys
    from commsproject.common.identity.scopes import Scope
    from commsproject.common.models import ApiClient
    from notifications import addresses
    from notifications.models import Category, Suppression
    from notifications.types import Channel, SuppressionReason
    from templates_app import services

    for key, parts in content.TEMPLATES.items():
        template = services.create(
            key=key, name=key, channels={"email": parts}, locale="en", author="bench"
        )
        services.publish(template)
    Category.objects.create(key=CATEGORY, name="Orders", kind=Category.Kind.TRANSACTIONAL)
    Suppression.objects.bulk_create(
        Suppression(
            channel=Channel.EMAIL,
            address_hash=addresses.digest(Channel.EMAIL, f"gone-{number}@example.org"),
            reason=SuppressionReason.BOUNCE,
        )
        for number in range(SUPPRESSED)
    )
    _, raw = keys.issue(ApiClient.objects.create(name=CLIENT), Scope.values, None)
    sys.stdout.write(raw)


if __name__ == "__main__":
    main()
