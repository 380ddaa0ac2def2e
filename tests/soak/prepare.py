"""What has to be stored before anything can be sent. Prints what the load needs, as JSON.

python -m tests.soak.prepare
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import django

PEOPLE = 200
"""Who have an inbox: person-0 and so on."""

FOLLOWERS = 40
"""Of them, who have a socket."""

ROOM_SIZE = 4
"""Followers who share a conversation."""

AGENT, STAFF, PASSWORD = "soak", "soak", "only for the soak"
ORDERS, NEWS = "soak-orders", "soak-news"

TEMPLATE = {
    "subject": "Order {{ number }}",
    "text": "Hello {{ name }}, order {{ number }} is on its way.",
    "html": "<h1>Hello {{ name }}</h1>{% for it in rows %}<p>{{ it }}</p>{% endfor %}"
    '<p><a href="{{ unsubscribe_url }}">No more of these</a></p>',
}


def main() -> None:
    django.setup()
    from django.contrib.auth.models import User

    from commsproject.common.identity import issuer, keys
    from commsproject.common.identity.scopes import Scope
    from commsproject.common.models import ApiClient
    from conversations.services import start
    from conversations.types import Actor, Kind, Who
    from notifications.models import Category, Recipient
    from templates_app import services
    from tests.faults import invariants

    invariants.record_moves()
    for key in (ORDERS, NEWS):
        template = services.create(
            key=key, name=key, channels={"email": TEMPLATE}, locale="en", author=AGENT
        )
        services.publish(template)
    Category.objects.create(key=ORDERS, name="Orders", kind=Category.Kind.ESSENTIAL)
    Category.objects.create(key=NEWS, name="News", kind=Category.Kind.TRANSACTIONAL)
    people = [f"person-{number}" for number in range(PEOPLE)]
    Recipient.objects.bulk_create(Recipient(user_id=user_id) for user_id in people)
    rooms = []
    for first in range(0, FOLLOWERS, ROOM_SIZE):
        members = people[first : first + ROOM_SIZE]
        room, _ = start.start(Actor(Who.USER, members[0]), Kind.GROUP, members)
        rooms.append(str(room.id))
    User.objects.create_superuser(STAFF, password=PASSWORD)
    _, key = keys.issue(ApiClient.objects.create(name=AGENT), Scope.values, None)
    tokens = [issuer.issue(user_id, timedelta(days=7)) for user_id in people]
    sys.stdout.write(json.dumps({"key": key, "tokens": tokens, "rooms": rooms}))


if __name__ == "__main__":
    main()
