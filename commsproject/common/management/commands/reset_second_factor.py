from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from typing_extensions import override

from commsproject.common.audit import trail
from commsproject.common.commands import DatabaseCommand
from commsproject.common.models import StaffSession
from commsproject.common.staff import factors, sessions


class Command(DatabaseCommand):
    help = "Let NAME sign in by password alone, to set a second factor up anew. Ends all sessions."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        user = get_user_model().objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(f"There is no member of staff called {options['name']}.")
        with transaction.atomic():
            factors.turn_off(user)
            sessions.end(StaffSession.objects.filter(user=user))
            trail.record(None, trail.about("reset_second_factor", user))
        self.stderr.write(f"{user.get_username()} signs in by password and sets it up anew.")
