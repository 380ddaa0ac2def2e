"""Which role may look at which page, and act there: every address of the console, none left out."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import connection, transaction
from django.http import Http404, HttpRequest
from django.test import Client, RequestFactory
from django.urls import get_resolver, resolve, reverse

from commsproject.common.admin.site import StaffSite
from commsproject.common.errors import NotFound
from commsproject.common.staff import roles as mechanism
from commsproject.console import roles
from conversations import access
from conversations.models import Conversation, Participant
from conversations.types import Actor, Who
from notifications.models import Category
from templates_app.models import Experiment
from tests.unit.commsproject.test_admin_pages import everything

__all__ = ["everything"]

pytestmark = pytest.mark.django_db

LETTERS = {
    "no role": "-",
    roles.VIEWER: "V",
    roles.SUPPORT: "S",
    roles.EDITOR: "E",
    roles.OPERATOR: "O",
    roles.ADMINISTRATOR: "A",
}

TABLE: dict[str, dict[str, str]] = {
    "": {
        "-VSEOA/-VSEOA": "app_list index login password_change search "
        "security security_codes security_set_up security_turn_off",
        "VSEOA/VSEOA": "analytics analytics-figures overview",
        "-VSEOA/": "jsi18n login_code password_change_done",
        "/-VSEOA": "logout security_end security_end_others",
        "OA/OA": "compose compose-batch",
        "OA/": "compose-example compose-file",
        "SA/": "staff-inbox staff-inbox-file staff-inbox-of staff-inbox-rows staff-inbox-session",
        "/": "autocomplete",
    },
    "auth_group": {
        "A/A": "add change changelist delete history",
    },
    "auth_user": {
        "A/A": "add change changelist delete history password_change",
    },
    "common_alert": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/": "change",
        "OA/OA": "acknowledge",
        "/": "add delete",
    },
    "common_alertrule": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/OA": "change",
        "OA/OA": "add",
        "/": "delete",
    },
    "common_alerttarget": {
        "OA/OA": "add change changelist history try",
        "/": "delete",
    },
    "common_apiclient": {
        "OA/OA": "changelist history",
        "OA/A": "change",
        "A/A": "add issue_key",
        "/": "delete",
    },
    "common_apikey": {
        "OA/OA": "changelist history",
        "A/A": "revoke",
        "OA/": "change",
        "/": "add delete",
    },
    "common_auditevent": {
        "A/A": "changelist history",
        "/A": "export",
        "A/": "change",
        "/": "add delete",
    },
    "common_personaldatajob": {
        "SA/SA": "changelist history",
        "SA/": "change",
        "/": "add delete",
    },
    "common_scheduledjob": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/": "change",
        "/": "add delete",
    },
    "common_staffsession": {
        "A/A": "changelist history",
        "A/": "change",
        "/": "add delete",
    },
    "conversations_conversation": {
        "SA/SA": "change changelist history",
        "SA/": "news person replies thread",
        "/SA": "assign edit note react remove reply status unread upload",
        "/": "add delete",
    },
    "notifications_announcement": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/": "change",
        "OA/OA": "add end publish",
        "/": "delete",
    },
    "notifications_batch": {
        "VSEOA/VSEOA": "changelist history standing",
        "VSEOA/": "change",
        "OA/OA": "approve cancel pause resume",
        "/": "add delete",
    },
    "notifications_category": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/OA": "change",
        "OA/OA": "add",
        "/": "delete",
    },
    "notifications_deadletter": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/OA": "change",
        "OA/OA": "replay",
        "/": "add delete",
    },
    "notifications_device": {
        "VSEOA/VSEOA": "changelist history",
        "SOA/SOA": "remove",
        "VSEOA/": "change",
        "/": "add delete",
    },
    "notifications_inbox": {
        "SA/SA": "changelist history",
        "SA/": "change",
        "/": "add delete",
    },
    "notifications_notification": {
        "VSEOA/VSEOA": "changelist history",
        "SOA/SOA": "cancel",
        "VSEOA/": "change",
        "/": "add delete",
    },
    "notifications_providerstate": {
        "VSEOA/VSEOA": "changelist domain history",
        "VSEOA/OA": "change",
        "/": "add delete",
    },
    "notifications_recipient": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/": "change",
        "SA/SA": "export",
        "A/A": "erase",
        "/": "add delete",
    },
    "notifications_schedule": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/": "change",
        "OA/OA": "delete switch",
        "/": "add",
    },
    "notifications_simulatedmessage": {
        "EOA/EOA": "changelist history",
        "EOA/": "change",
        "/": "add delete",
    },
    "notifications_simulatorrule": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/OA": "change",
        "OA/OA": "add delete",
    },
    "notifications_suppression": {
        "VSEOA/VSEOA": "changelist history",
        "SOA/SOA": "add delete",
        "VSEOA/": "change",
    },
    "notifications_topic": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/OA": "change",
        "OA/OA": "add",
        "/": "delete",
    },
    "notifications_work": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/": "change",
        "/": "add delete",
    },
    "templates_app_experiment": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/": "change",
        "EA/EA": "add decide start stop",
        "/": "delete",
    },
    "templates_app_template": {
        "VSEOA/VSEOA": "changelist compare history versions",
        "VSEOA/": "change",
        "/VSEOA": "pictures preview",
        "EA/EA": "add archive restore unarchive",
        "/EA": "draft import publish test",
        "/": "delete",
    },
    "templates_app_templateversion": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/": "change",
        "/": "add delete",
    },
    "tracking_bounce": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/": "change",
        "/": "add delete",
    },
    "tracking_inboundmessage": {
        "SA/SA": "changelist history",
        "SA/": "change",
        "/": "add delete",
    },
    "tracking_webhookdelivery": {
        "OA/OA": "changelist history replay",
        "OA/": "change",
        "/": "add delete",
    },
    "tracking_webhookendpoint": {
        "OA/OA": "add change changelist delete history rotate secret test",
    },
    "tracking_webhookreceipt": {
        "VSEOA/VSEOA": "changelist history",
        "VSEOA/": "change",
        "/": "add delete",
    },
}
"""By model, for each kind of roles: who may look, who may act; and the pages of that kind. A page
of a row that nobody may add or delete is nobody's."""

ACTIONS = {
    "apikey.revoke_selected": "A",
    "deadletter.replay_selected": "OA",
    "group.delete_selected": "A",
    "notification.cancel_selected": "SOA",
    "notification.resend_unconfirmed": "SOA",
    "schedule.delete_selected": "OA",
    "simulatorrule.delete_selected": "OA",
    "staffsession.end_selected": "A",
    "suppression.delete_selected": "SOA",
    "user.delete_selected": "A",
    "user.reset_second_factor": "A",
    "webhookendpoint.delete_selected": "OA",
    "webhookreceipt.apply_again": "OA",
}
"""Of the boxes in lists, by model."""


@pytest.fixture
def staff() -> dict[str, User]:
    """One of each role, by its letter."""
    made = {}
    for role, letter in LETTERS.items():
        made[letter] = User.objects.create_user(role, password="x", is_staff=True)
        made[letter].groups.set(Group.objects.filter(name=role))
    return made


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without the frame around them, which is half of the time."""
    monkeypatch.setattr(StaffSite, "each_context", lambda *_: {})


def addresses(resolver: Any, start: str = "") -> Iterator[tuple[str, str]]:
    """Name and route of every page below `/admin/`."""
    for one in resolver.url_patterns:
        route = start + str(one.pattern)
        if hasattr(one, "url_patterns"):
            yield from addresses(one, route)
        elif route.startswith("admin/") and one.name:
            yield one.name, route


def path(name: str, route: str) -> str:
    """Of a row that there is."""
    if name == "app_list":
        return "/admin/notifications/"
    row = next(
        (
            model._default_manager.first()
            for model in admin.site._registry
            if route.startswith(f"admin/{model._meta.app_label}/{model._meta.model_name}/")
        ),
        Category.objects.get(),
    )
    values = {
        **dict.fromkeys(("object_id", "pk", "id"), row.pk if row else None),
        "winner": Experiment.objects.get().variants.all()[0].pk,
        "number": 1,
    }
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(values[match[1]]), route)


def parts(name: str) -> tuple[str, str]:
    """The model, or nothing, and the page."""
    for model in admin.site._registry:
        start = f"{model._meta.app_label}_{model._meta.model_name}_"
        if name.startswith(start):
            return start[:-1], name.removeprefix(start)
    return "", name


def asking(user: User, method: str, where: str, data: Any = None) -> HttpRequest:
    request: HttpRequest = getattr(RequestFactory(), method)(where, data)
    request.user = user
    request.session = SessionStore()
    request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    request.resolver_match = resolve(where)
    return request


def outcome(user: User, method: str, where: str, data: Any = None) -> str:
    """`open`, `refused` or `other method`. What is done is undone; what was done is in the trail."""
    request = asking(user, method, where, data)
    match = request.resolver_match
    assert match is not None
    try:
        if method == "get":
            answer = match.func(request, *match.args, **match.kwargs)
        else:
            before = touched()
            with transaction.atomic():
                answer = match.func(request, *match.args, **match.kwargs)
                assert_is_told(before, where)
                transaction.set_rollback(True)
    except PermissionDenied:
        return "refused"
    except Http404:
        return "open"
    if answer.status_code == 405:
        return "other method"
    is_sent_away = answer.status_code == 302 and "/login/" in answer["Location"]
    return "refused" if is_sent_away or answer.status_code == 403 else "open"


def touched() -> dict[str, int]:
    """By table, the rows that this transaction has written so far, by the server's own count."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables"
        )
        return dict(cursor.fetchall())


_NO_CHANGE = {"django_session", "django_admin_log", "common_signintry", "common_staffsession"}


def assert_is_told(before: dict[str, int], where: str) -> None:
    """Whatever was written, there is an event of it."""
    after = touched()
    changed = {table for table in after if after[table] > before.get(table, 0)} - _NO_CHANGE
    assert not changed or "common_auditevent" in changed, f"{where} changed {changed} untold"


@pytest.mark.timeout(900)  # some thousand requests
@pytest.mark.usefixtures("everything", "bare")
def test_every_page_opens_for_its_roles_and_every_change_is_told(staff: dict[str, User]) -> None:
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, route in addresses(get_resolver()):
        where = path(name, route)
        looks = {one: outcome(user, "get", where) for one, user in staff.items()}
        acts = {
            one: "refused" if looks[one] == "refused" else outcome(user, "post", where)
            for one, user in staff.items()
        }
        model, page = parts(name)
        kinds = ("".join(one for one in staff if seen[one] == "open") for seen in (looks, acts))
        found[model]["/".join(kinds)].add(page)
    wanted = {
        model: {kind: set(pages.split()) for kind, pages in kinds.items()}
        for model, kinds in TABLE.items()
    }
    for model in sorted({*found, *wanted}):
        assert found.get(model, {}) == wanted.get(model, {}), model or "pages of no model"


@pytest.mark.usefixtures("everything", "bare")
def test_every_action_of_a_list_is_its_roles_and_is_told(staff: dict[str, User]) -> None:
    found: dict[str, str] = defaultdict(str)
    for model, page in admin.site._registry.items():
        options = model._meta
        where = reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
        row = model._default_manager.last()
        for letter, user in staff.items():
            for action in page.get_actions(asking(user, "get", where)):
                found[f"{options.model_name}.{action}"] += letter
                if letter == "A" and row is not None:
                    chosen = {"action": action, "_selected_action": [row.pk], "post": "yes"}
                    assert outcome(user, "post", where, chosen) == "open", action + where
    assert found == ACTIONS


def test_staff_without_a_role_see_nothing(staff: dict[str, User], client: Client) -> None:
    client.force_login(staff["-"])
    page = client.get(reverse("admin:index")).content.decode()
    assert "You have no role yet" in page
    assert client.get(reverse("admin:security")).status_code == 200
    client.force_login(staff["V"])
    assert "You have no role yet" not in client.get(reverse("admin:index")).content.decode()


def test_roles_are_kept_in_step_and_what_staff_have_made_stays() -> None:
    viewer = Group.objects.get(name=roles.VIEWER)
    extra = Permission.objects.get(codename="add_topic")
    lost = Permission.objects.get(codename="view_batch")
    own = Group.objects.create(name="Night shift")
    own.permissions.add(extra)
    viewer.permissions.add(extra)
    viewer.permissions.remove(lost)
    Group.objects.get(name=roles.EDITOR).delete()
    new = Permission.objects.create(
        codename="view_novelty",
        name="of a model that is new",
        content_type=ContentType.objects.get_for_model(Category),
    )
    call_command("migrate", verbosity=0)
    assert {extra, lost, new} <= set(viewer.permissions.all())
    assert set(own.permissions.all()) == {extra}
    everything_there = Permission.objects.count()
    assert Group.objects.get(name=roles.ADMINISTRATOR).permissions.count() == everything_there
    editor = Group.objects.get(name=roles.EDITOR)
    assert editor.permissions.filter(codename="change_template").exists()
    assert not editor.permissions.filter(codename="delete_template").exists()


def test_every_pattern_of_a_role_means_something() -> None:
    known = mechanism.named()
    for role, patterns in roles.TABLE.items():
        for pattern in patterns:
            assert mechanism.matching([pattern.removeprefix("-")], known), f"{role}: {pattern}"


def test_a_socket_gives_staff_what_their_role_sees(staff: dict[str, User]) -> None:
    """Support conversations to the team; others to nobody of staff."""
    support, private = (Conversation.objects.create(kind=kind) for kind in ("support", "group"))
    for letter, user in staff.items():
        actor = Actor(Who.STAFF, str(user.pk))
        Participant.objects.create(conversation=support, who=actor.who, person_id=actor.id)
        seen = [support] if letter in "SA" else []
        assert list(access.visible(actor)) == seen, letter
        wishes = {(actor, support.pk), (actor, private.pk)}
        assert access.may_read(wishes) == {(actor, one.pk) for one in seen}, letter
        for one in (support, private):
            with contextlib.nullcontext() if one in seen else pytest.raises(NotFound):
                access.fetch(actor, one.pk)


def test_administrators_make_no_superusers(staff: dict[str, User], client: Client) -> None:
    root = User.objects.create_superuser("root", password="x")
    client.force_login(staff["A"])
    of_root = reverse("admin:auth_user_change", args=[root.pk])
    assert client.post(of_root, {"username": "mine"}).status_code == 403
    password = reverse("admin:auth_user_password_change", args=[root.pk])
    assert client.post(password, {"password1": "y", "password2": "y"}).status_code == 403
    assert client.post(reverse("admin:auth_user_delete", args=[root.pk])).status_code == 403
    listed = reverse("admin:auth_user_changelist")
    chosen = {"_selected_action": [root.pk], "post": "yes"}
    for action in ("delete_selected", "reset_second_factor"):
        client.post(listed, {**chosen, "action": action})
    root.refresh_from_db()
    assert (root.username, root.check_password("x")) == ("root", True)
    for name in ("A", "V"):
        page = client.get(reverse("admin:auth_user_change", args=[staff[name].pk]))
        fields = page.context["adminform"].form.fields
        assert {"is_superuser", "user_permissions"}.isdisjoint(fields)
        assert ("groups" in fields) == (name == "V"), "nobody's own roles are theirs to give"
