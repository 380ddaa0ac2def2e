"""Sees what a request of the staff pages changes, whatever view serves it.

A row that the address or the boxes of a list name is looked at before and after. Where nothing of
these rows changed but something was written all the same (a message was cancelled: its deliveries
changed), there is an event without before and after. A request that wrote nothing leaves none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from commsproject.common.audit import snapshots
from commsproject.common.audit.trail import Happened, about, record

View = Callable[..., HttpResponseBase]
V = TypeVar("V", bound=Callable[..., Any])

MOST = 500
"""Rows of a list that are looked at one by one."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_WRITES = re.compile(
    r'(?<!FOR )(?<!DO )(?<!KEY )\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)', re.IGNORECASE
)
_NOT_COUNTED = frozenset(
    {
        *("django_session", "django_admin_log"),
        *("common_auditevent", "common_staffsession", "common_signintry"),
    }
)
_watching: ContextVar[Watch | None] = ContextVar("audit_watch", default=None)


def own_transactions(view: V) -> V:
    """For a view that commits in steps: it is not put into one transaction."""
    view.commits_itself = True  # type: ignore[attr-defined]  # a mark on a function
    return view


def made(row: Model) -> None:
    """A view says that it has made this row."""
    _note(row, snapshots.difference({}, snapshots.of(row)))


def touched(row: Model) -> None:
    """A view says that it did something with this row, be it without changing it."""
    _note(row, {})


def _note(row: Model, changes: Mapping[str, Any]) -> None:
    if (watch := _watching.get()) is not None:
        watch.noted.append(about(watch.action, row, **changes))


def watched(view: View, registered: Callable[[], Mapping[type[Model], Any]]) -> View:
    """The view, with its trail. `registered`: the models that have pages."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method in _SAFE:
            return view(request, *args, **kwargs)
        watch = Watch(request, registered(), kwargs)
        if _commits_itself(view):
            with watch.looks():
                response = view(request, *args, **kwargs)
            watch.write()
            return response
        with transaction.atomic():
            with watch.looks():
                response = view(request, *args, **kwargs)
            if response.status_code >= 400:
                transaction.set_rollback(True)
            else:
                watch.write()
        return response

    return wrapper


def _commits_itself(view: View) -> bool:
    return getattr(view, "commits_itself", False)


class Watch:
    """One request. Rows are named by model and key."""

    def __init__(
        self, request: HttpRequest, models: Mapping[type[Model], Any], kwargs: Mapping[str, Any]
    ) -> None:
        match = request.resolver_match
        name = (match.url_name if match else None) or ""
        self.request = request
        self.actor = request.user
        self.noted: list[Happened] = []
        self._has_written = False
        self._model = next((one for one in models if name.startswith(_start(one))), None)
        self.action = _action(
            request, name.removeprefix(_start(self._model)) if self._model else name
        )
        self._keys = _keys(self._model, request, kwargs) if self._model else []

    @contextmanager
    def looks(self) -> Iterator[None]:
        self._before = self._snapshots()
        token = _watching.set(self)
        try:
            with connection.execute_wrapper(self._sees):
                yield
        finally:
            _watching.reset(token)

    def write(self) -> None:
        """What was seen; nothing where nothing was written."""
        if self._has_written or self.noted:
            happened = self._changed() or [self._something()]
            record(self.request, *happened, actor=self.actor)

    def _snapshots(self) -> dict[str, snapshots.Snapshot]:
        return snapshots.take(self._model, self._keys) if self._model and self._keys else {}

    def _changed(self) -> list[Happened]:
        after = self._snapshots()
        found = [
            Happened(self.action, self._label, self._name(before, key), changes)
            for key, before in self._before.items()
            if (changes := snapshots.difference(before, after.get(key, {})))
        ]
        known = {(one.model, one.object_id) for one in found}
        return [*found, *(one for one in self.noted if (one.model, one.object_id) not in known)]

    def _something(self) -> Happened:
        """Of one row its name; of more, or none, how many were chosen."""
        if len(self._before) == 1:
            ((key, before),) = self._before.items()
            return Happened(self.action, self._label, self._name(before, key))
        names = [self._name(before, key) for key, before in self._before.items()]
        return Happened(self.action, self._label, changes={"chosen": names} if names else {})

    def _name(self, before: snapshots.Snapshot, key: str) -> str:
        """As `snapshots.key_of` names the row, also when it is gone."""
        pk = self._model._meta.pk if self._model else None  # noqa: SLF001 - documented API
        return str(before[pk.name]) if pk is not None else key

    @property
    def _label(self) -> str:
        return self._model._meta.label_lower if self._model else ""  # noqa: SLF001

    def _sees(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        self._has_written = self._has_written or bool(set(_WRITES.findall(str(sql))) - _NOT_COUNTED)
        return execute(sql, params, many, context)


def _start(model: type[Model] | None) -> str:
    """How the names of a model's addresses begin."""
    if model is None:
        return ""
    options = model._meta  # noqa: SLF001 - documented API
    return f"{options.app_label}_{options.model_name}_"


def _action(request: HttpRequest, name: str) -> str:
    if name == "changelist":
        return request.POST.get("action") or "change"
    return name or "post"


def _keys(model: type[Model], request: HttpRequest, kwargs: Mapping[str, Any]) -> list[Any]:
    """The rows that the address names, else those whose boxes are ticked."""
    named = [kwargs[name] for name in ("object_id", "pk", "id") if name in kwargs]
    chosen = named[:1] or request.POST.getlist("_selected_action")[:MOST]
    key = model._meta.pk  # noqa: SLF001 - documented API
    found = []
    for one in chosen:
        try:
            found.append(key.to_python(unquote(str(one))))
        except ValidationError:
            continue
    return found
