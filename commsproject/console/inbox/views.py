"""The page of the staff inbox and what its script asks for. Whoever may not look on is refused; what
is done is in the trail, as on every staff page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from rest_framework.exceptions import ValidationError

from commsproject.common.api import problems, strict_json
from commsproject.common.api.serializers import StrictSerializer
from commsproject.common.errors import CommsError, Conflict, InvalidInput
from commsproject.console.inbox import canned, people, queues, search, shapes, thread
from commsproject.console.inbox.queues import Place, Queue
from commsproject.console.uploads import takes_files
from conversations import access, links, markup, selectors
from conversations.api.attachments import largest_form
from conversations.api.shapes import EntryOfConversation, NoteInput
from conversations.models import Entry
from conversations.services import attachments, entries, notes, replies, support, team
from conversations.types import Medium, Status

MOST_NAMED = 100
"""Conversations that are asked for by their ids at once."""

View = Callable[..., HttpResponseBase]

_may_look = permission_required(access.MAY_SEE, raise_exception=True)
_may_answer = permission_required(access.MAY_ANSWER, raise_exception=True)


def _with_problems(view: View) -> View:
    """What is refused is told as the API tells it."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            with transaction.atomic():
                return view(*args, **kwargs)
        except (CommsError, ValidationError) as error:
            return problems.answer(problems.translate(error) or problems.InternalError())

    return wrapper


def _reads(view: View) -> View:
    return require_GET(_may_look(_with_problems(view)))


def _acts(view: View) -> View:
    return require_POST(_may_look(_may_answer(_with_problems(view))))


def _me(request: HttpRequest) -> User:
    return cast("User", request.user)


def _asked(shape: type[StrictSerializer], request: HttpRequest) -> dict[str, Any]:
    """Raises `InvalidInput` and DRF's `ValidationError`."""
    try:
        given = strict_json.loads(request.body)
    except strict_json.BadJSON as error:
        raise InvalidInput(str(error)) from None
    serializer = shape(data=given)
    serializer.is_valid(raise_exception=True)
    checked: dict[str, Any] = serializer.validated_data
    return checked


# --- Looking -------------------------------------------------------------------------------------


@require_GET
@_may_look
def page(request: HttpRequest, pk: UUID | None = None) -> HttpResponse:
    """The three panes; with a key the conversation is open in them."""
    me = _me(request)
    context = {
        **admin.site.each_context(request),
        "title": "Inbox",
        "is_fullwidth": "1",
        "options": json.dumps(
            {
                "me": people.staff_as_json(me),
                "mayAnswer": me.has_perm(access.MAY_ANSWER),
                "team": people.team(),
                "maxSize": settings.ATTACHMENT_MAX_SIZE,
                "maxFiles": attachments.MOST,
                "maxLength": markup.MAX_LENGTH,
                "base": reverse("staff-inbox"),
            }
        ),
    }
    return render(request, "console/inbox.html", context)


@_reads
def session(request: HttpRequest) -> HttpResponse:
    """Who is signed in, and the token that acts of theirs need: a new sign-in has another."""
    return JsonResponse({"me": people.staff_as_json(_me(request)), "token": get_token(request)})


@_reads
def rows(request: HttpRequest) -> HttpResponse:
    """`ids`, or `q`, or `queue`, these two with `after`: conversations, where the list goes on, and
    the counts.
    """
    me, asked = _me(request), request.GET
    following: Place | str | None = None
    if "ids" in asked:
        results = queues.as_json(me, queues.named(_ids(asked["ids"])))
    elif text := asked.get("q", "").strip():
        results, following = search.page(me, text, asked.get("after", ""))
    else:
        after = Place.read(asked["after"]) if "after" in asked else None
        found, following = queues.page(me, _queue(asked.get("queue", "")), after)
        results = queues.as_json(me, found)
    following = str(following) if following else None
    return JsonResponse({"results": results, "next": following, "counts": queues.counts(me)})


def _queue(name: str) -> Queue:
    try:
        return Queue(name)
    except ValueError:
        message = f"One of {', '.join(Queue)}."
        raise InvalidInput.of("queue", "invalid_choice", message) from None


def _ids(text: str) -> list[UUID]:
    try:
        return [UUID(one) for one in text.split(",")[:MOST_NAMED]]
    except ValueError:
        raise InvalidInput.of("ids", "not_an_id", "Ids, with commas between them.") from None


@_reads
def conversation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """All that the thread begins with: its end, or what is `around` a seq. Of what is `before` a seq,
    or `from` one on, the entries and notes alone.
    """
    me = _me(request)
    found = thread.fetch(me, pk)
    if "before" in request.GET:
        piece = thread.before(me, found, _seq(request, "before"))
        return JsonResponse(thread.as_json(me, found, piece))
    if "from" in request.GET:
        piece = thread.onward(me, found, _seq(request, "from"))
        return JsonResponse(thread.as_json(me, found, piece))
    if "around" in request.GET:
        piece = thread.around(me, found, _seq(request, "around"))
        return JsonResponse(thread.whole(me, found, piece))
    return JsonResponse(thread.whole(me, found, thread.latest(me, found)))


@_reads
def news(request: HttpRequest, pk: UUID) -> HttpResponse:
    me = _me(request)
    return JsonResponse(thread.news(me, thread.fetch(me, pk), _seq(request, "since")))


@_reads
def person(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The pane beside the thread."""
    me = _me(request)
    return JsonResponse(people.pane(me, thread.fetch(me, pk)))


@_reads
def canned_replies(request: HttpRequest, pk: UUID) -> HttpResponse:
    me = _me(request)
    return JsonResponse({"results": canned.replies(me, thread.fetch(me, pk))})


@_reads
def file(request: HttpRequest, pk: UUID) -> HttpResponse:
    """To the file, by a link of five minutes; `small`: to its thumbnail."""
    actor = people.actor(_me(request))
    found = attachments.get(actor, pk)
    is_small = "small" in request.GET and bool(found.thumbnail_key)
    token = links.token(links.FileLink(actor, found.id, is_small))
    return HttpResponseRedirect(reverse("file", args=[token]))


def _seq(request: HttpRequest, name: str) -> int:
    asked = request.GET.get(name, "")
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 15):
        raise InvalidInput.of(name, "not_a_number", "A whole number.")
    return int(asked)


# --- Acting --------------------------------------------------------------------------------------


@_acts
def reply(request: HttpRequest, pk: UUID) -> HttpResponse:
    asked = _asked(shapes.ReplyInput, request)
    medium = Medium(asked.pop("medium"))
    thread.fetch(_me(request), pk)
    entry, _ = replies.send(people.actor(_me(request)), pk, medium=medium, **asked)
    return _entry(entry)


@_acts
def note(request: HttpRequest, pk: UUID) -> HttpResponse:
    made, _ = notes.add(people.actor(_me(request)), pk, **_asked(NoteInput, request))
    return JsonResponse(notes.as_json([made])[0])


@_acts
def assign(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Only where it is with whom one has seen it: nothing is taken from a colleague unawares."""
    me, asked = _me(request), _asked(shapes.AssignInput, request)
    now = support.held_by_team(people.actor(me), pk).conversation.assignee
    if (str(now.pk) if now else None) not in {asked["seen"], asked["assignee"]}:
        name = people.name_of(now) if now else "Nobody"
        raise Conflict(f"It is not assigned by this: {name} has it now.")
    found = support.assign(people.actor(me), pk, asked["assignee"])
    return JsonResponse(queues.as_json(me, [found])[0])


@_acts
def status(request: HttpRequest, pk: UUID) -> HttpResponse:
    me = _me(request)
    wanted = Status(_asked(shapes.StatusInput, request)["status"])
    found = support.set_status(people.actor(me), pk, wanted)
    return JsonResponse(queues.as_json(me, [found])[0])


@_acts
def unread(request: HttpRequest, pk: UUID) -> HttpResponse:
    me = _me(request)
    mark = team.unread if _asked(shapes.UnreadInput, request)["on"] else team.read
    mark(people.actor(me), pk)
    return JsonResponse(queues.as_json(me, [thread.fetch(me, pk)])[0])


@_acts
def edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    asked, actor = _asked(shapes.EditInput, request), people.actor(_me(request))
    thread.fetch(_me(request), pk)
    return _entry(entries.edit(actor, pk, asked["entry"], asked["body"]))


@_acts
def remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    asked, actor = _asked(EntryOfConversation, request), people.actor(_me(request))
    thread.fetch(_me(request), pk)
    return _entry(entries.delete(actor, pk, asked["entry"]))


@_acts
def react(request: HttpRequest, pk: UUID) -> HttpResponse:
    asked, actor = _asked(shapes.ReactInput, request), people.actor(_me(request))
    thread.fetch(_me(request), pk)
    return _entry(entries.react(actor, pk, asked["entry"], asked["emoji"], on=asked["on"]))


def _entry(entry: Entry) -> HttpResponse:
    return JsonResponse(selectors.as_json([entry])[0])


@takes_files(largest_form)
@_acts
def upload(request: HttpRequest, pk: UUID) -> HttpResponse:
    """A form with one `file`, which goes with the next reply that names it."""
    given = request.FILES.getlist("file")
    if len(given) != 1 or given[0].file is None:
        raise InvalidInput.of("file", "required", "A form with one file, in the field `file`.")
    thread.fetch(_me(request), pk)
    made = attachments.upload(people.actor(_me(request)), pk, given[0].name or "", given[0].file)
    return JsonResponse(selectors.attachment_as_json(made))
