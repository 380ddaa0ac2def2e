"""Where templates are pulled from and pushed to: this installation's database, or another's API."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from typing_extensions import override

from commsproject.common.errors import CommsError, FieldError, InvalidInput
from templates_app import bundle, pages
from templates_app.as_code import Document
from templates_app.bundle import Change
from templates_app.errors import SourceError

AUTHOR = "manage.py"
TIMEOUT_SECONDS = 60
MAX_BYTES = 64 * 1024 * 1024


class Unreachable(CommsError):
    """The other installation does not answer, or not as one of ours."""

    code = "unreachable"
    title = "The installation cannot be used"


class Loaded(NamedTuple):
    """What became of a page."""

    action: str
    notices: Sequence[str]


class Installation(Protocol):
    def export(self, keys: Collection[str]) -> Sequence[Document]: ...

    def load_page(self, key: str, page: str, **terms: Any) -> Loaded:
        """As `pages.load` has it; `terms` are its `name`, `subject` and `publish`."""

    def load(
        self, documents: Sequence[Document], *, publish: bool, prune: bool, dry_run: bool
    ) -> Sequence[Change]: ...


class Here:
    def export(self, keys: Collection[str]) -> Sequence[Document]:
        return bundle.export(keys)

    def load_page(self, key: str, page: str, **terms: Any) -> Loaded:
        found = pages.load(key, page, author=AUTHOR, **terms)
        return Loaded(found.action, found.notices)

    def load(
        self, documents: Sequence[Document], *, publish: bool, prune: bool, dry_run: bool
    ) -> Sequence[Change]:
        return bundle.load(documents, author=AUTHOR, publish=publish, prune=prune, dry_run=dry_run)


class There:
    """By `/api/v1/templates`; the key is sent nowhere else."""

    def __init__(self, url: str, key: str) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise Unreachable("The address of an installation begins with https://.")
        if not key:
            raise Unreachable("An API key is needed: --key, or TEMPLATES_API_KEY.")
        self._base = f"{url.rstrip('/')}/api/v1/templates"
        self._key = key
        self._opener = build_opener(_NoRedirect)

    def export(self, keys: Collection[str]) -> Sequence[Document]:
        query = urlencode([("key", key) for key in keys])
        found: Sequence[Document]
        (found,) = self._call(f"/export?{query}", ("templates",))
        return found

    def load_page(self, key: str, page: str, **terms: Any) -> Loaded:
        address = f"/{quote(key, safe='')}/import-html"
        body = {"html": page, **{name: value for name, value in terms.items() if value}}
        return Loaded(*self._call(address, ("action", "notices"), body))

    def load(
        self, documents: Sequence[Document], *, publish: bool, prune: bool, dry_run: bool
    ) -> Sequence[Change]:
        body = {
            "templates": documents,
            "publish": publish,
            "prune": prune,
            "dry_run": dry_run,
        }
        (changes,) = self._call("/import", ("changes",), body)
        return [Change(**change) for change in changes]

    def _call(self, name: str, wanted: Sequence[str], body: Any = None) -> Sequence[Any]:
        """What the answer has under the names that are `wanted`."""
        request = Request(  # noqa: S310 - the scheme is checked
            f"{self._base}{name}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                found = json.loads(answer.read(MAX_BYTES))
                return [found[each] for each in wanted]
        except HTTPError as error:
            raise _problem(error.code, error.read(MAX_BYTES)) from None
        except (URLError, OSError) as error:
            reason = type(getattr(error, "reason", error)).__name__
            raise Unreachable(f"It does not answer ({reason}).") from None
        except (KeyError, TypeError, ValueError):
            raise Unreachable("It answers, but not as this service does.") from None


class _NoRedirect(HTTPRedirectHandler):
    """Urllib would take the key along to wherever it is sent."""

    @override
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _problem(status: int, body: bytes) -> CommsError:
    """What went wrong there, as if it had gone wrong here."""
    try:
        problem = json.loads(body)
        detail = str(problem["detail"])
        errors = [_field_error(each) for each in problem.get("errors", [])]
    except (KeyError, TypeError, ValueError):
        return Unreachable(f"It answers {status}, and not as this service does.")
    return InvalidInput(detail, errors=errors) if errors else Unreachable(f"{status}: {detail}")


def _field_error(error: dict[str, Any]) -> FieldError:
    said = (str(error["field"]), str(error["code"]), str(error["message"]))
    if "line" in error:
        return SourceError(*said, int(error["line"]), int(error["column"]))
    return FieldError(*said)
