from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from typing_extensions import override

from commsproject.common.commands import DatabaseCommand
from commsproject.common.env import Env
from commsproject.common.errors import CommsError, FieldError, InvalidInput
from templates_app import as_code
from templates_app.as_code import Document
from templates_app.bundle import Change
from templates_app.errors import SourceError
from templates_app.html_import import MAX_PAGE
from templates_app.management import folders
from templates_app.management.folders import Folder
from templates_app.management.installations import Here, Installation, There

DIFFERENT, WRONG = 1, 2
"""What it ends with where the two sides differ, and where something is wrong: as diff does."""


class Command(DatabaseCommand):
    help = "Templates as files: pull them, push them, or say what differs. Ends with 2 on errors."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        pull = actions.add_parser("pull", help="Write the templates to DIR.")
        pull.add_argument("--prune", action="store_true", help="Remove folders of no template.")
        push = actions.add_parser("push", help="Make the templates what DIR says, all or none.")
        push.add_argument("--publish", action="store_true", help="Not only drafts.")
        push.add_argument("--prune", action="store_true", help="Archive what is not in DIR.")
        push.add_argument("--yes", action="store_true", help="Do not ask before archiving.")
        push.add_argument(
            "--dry-run", action="store_true", help="Check all, show the difference, keep nothing."
        )
        diff = actions.add_parser("diff", help="What push would change; 1 if that is anything.")
        diff.add_argument("--prune", action="store_true", help="Also what DIR does not have.")
        for each in (pull, push, diff):
            each.add_argument("dir", type=Path)
            each.add_argument("keys", nargs="*", metavar="KEY", help="Only these.")
        page = actions.add_parser("import-html", help="An email from a plain HTML file.")
        page.add_argument("file", type=Path)
        page.add_argument("key")
        page.add_argument("--name", default="", help="The key, unless told.")
        page.add_argument("--subject", default="", help="The title of the page, unless told.")
        page.add_argument("--publish", action="store_true")
        for each in (pull, push, diff, page):
            _add_installation(each)

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        actions: Mapping[str, Callable[[Installation, dict[str, Any]], None]] = {
            "pull": self._pull,
            "push": self._push,
            "diff": self._diff,
            "import-html": self._import_html,
        }
        try:
            actions[options["action"]](_installation(options), options)
        except CommsError as error:
            for each in error.errors:
                self.stderr.write(f"{each.field}: {each.message}")
            raise CommandError(error.detail, returncode=WRONG) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.", returncode=WRONG) from None

    def _pull(self, there: Installation, options: dict[str, Any]) -> None:
        root: Path = options["dir"]
        root.mkdir(parents=True, exist_ok=True)
        documents = there.export(options["keys"])
        _refuse_unknown(options["keys"], documents)
        for document in documents:
            try:
                has_changed = folders.write(root, document)
            except ValueError as error:
                raise CommandError(f"It has {error}.", returncode=WRONG) from None
            if has_changed:
                self.stdout.write(f"written    {document['key']}")
        if not options["keys"]:
            self._leave(root, documents, prune=options["prune"])
        self.stdout.write(f"{len(documents)} templates.")

    def _leave(self, root: Path, documents: Sequence[Document], *, prune: bool) -> None:
        known = {document["key"] for document in documents}
        for key in sorted(Folder.read(root).keys() - known):
            if prune:
                folders.remove(root, key)
            self.stdout.write(f"{'removed' if prune else 'only here':<10} {key}")

    def _push(self, there: Installation, options: dict[str, Any]) -> None:
        found = self._read(options)
        prune = options["prune"]
        if prune and options["keys"]:
            message = "--prune archives what is not in DIR: it does not go with keys."
            raise CommandError(message, returncode=WRONG)
        terms = {"publish": options["publish"], "prune": prune}
        if options["dry_run"]:
            self._load(there, found, **terms, dry_run=True)
            self._diff(there, options)
            return
        if prune and not options["yes"]:
            self._ask(there, found)
        changes = self._load(there, found, **terms, dry_run=False)
        for change in changes:
            if change.action != "unchanged" or change.published is not None:
                version = f" (published as v{change.published})" if change.published else ""
                self.stdout.write(f"{change.action:<10} {change.key}{version}")
        counts = Counter(change.action for change in changes)
        told = ", ".join(f"{n} {action}" for action, n in sorted(counts.items()))
        self.stdout.write(f"{len(changes)} templates: {told or 'nothing'}.")

    def _ask(self, there: Installation, found: Folder) -> None:
        gone = sorted({document["key"] for document in there.export([])} - found.keys())
        if not gone:
            return
        self.stdout.write(f"To be archived: {', '.join(gone)}")
        if not sys.stdin.isatty():
            raise CommandError("Nobody is there to ask: say --yes.", returncode=WRONG)
        if input("Archive them? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was changed.", returncode=WRONG)

    def _diff(self, there: Installation, options: dict[str, Any]) -> None:
        found = self._read(options)
        here = {document["key"]: document for document in found.documents}
        now = {
            document["key"]: document
            for document in there.export(options["keys"])
            if options["prune"] or document["key"] in here
        }
        lines: list[str] = []
        for key in sorted(now.keys() | here.keys()):
            lines += as_code.changes(now.get(key), here.get(key))
        for line in lines:
            self.stdout.write(line)
        if lines:
            raise CommandError("They differ.", returncode=DIFFERENT)

    def _import_html(self, there: Installation, options: dict[str, Any]) -> None:
        key, page = options["key"], _page(options["file"])
        terms = {name: options[name] for name in ("name", "subject", "publish")}
        action, notices = there.load_page(key, page, **terms)
        for notice in notices:
            self.stdout.write(notice)
        self.stdout.write(f"{action:<10} {key}")

    def _read(self, options: dict[str, Any]) -> Folder:
        found = Folder.read(options["dir"], options["keys"])
        if found.flaws:
            raise self._flawed([str(flaw) for flaw in found.flaws])
        return found

    def _load(self, there: Installation, found: Folder, **terms: bool) -> Sequence[Change]:
        try:
            return there.load(found.documents, **terms)
        except InvalidInput as error:
            raise self._flawed([_told(each, found) for each in error.errors]) from None

    def _flawed(self, lines: Sequence[str]) -> CommandError:
        for line in lines:
            self.stderr.write(line)
        number = "1 error" if len(lines) == 1 else f"{len(lines)} errors"
        return CommandError(f"{number}: nothing was changed.", returncode=WRONG)


def _page(file: Path) -> str:
    try:
        content = file.read_bytes()
        if len(content) > MAX_PAGE:  # characters, which are no more
            raise CommandError("The page is larger than 1 MB.", returncode=WRONG)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{file} is not UTF-8 (byte {error.start + 1}): save it as UTF-8 first."
        raise CommandError(message, returncode=WRONG) from None


def _add_installation(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--url", help="Of another installation, https://comms.example.com; else TEMPLATES_URL."
    )
    parser.add_argument(
        "--key",
        dest="api_key",
        help="Its API key; better in TEMPLATES_API_KEY, where no process list shows it.",
    )


def _installation(options: dict[str, Any]) -> Installation:
    env = Env()
    url = options["url"] or env.str("TEMPLATES_URL", default="")
    key = options["api_key"] or env.secret("TEMPLATES_API_KEY")
    return There(url, key) if url else Here()


def _refuse_unknown(keys: Sequence[str], documents: Sequence[Document]) -> None:
    known = {document["key"] for document in documents}
    if unknown := [key for key in keys if key not in known]:
        raise CommandError(f"There is no template {', '.join(unknown)}.", returncode=WRONG)


def _told(error: FieldError, found: Folder) -> str:
    """`welcome/email.html:3:5: message`."""
    head, _, rest = error.field.partition(".")
    index, _, field = rest.partition(".")
    if head != "templates" or not index.isdecimal():
        return f"{error.field}: {error.message}"
    places = found.places[found.documents[int(index)]["key"]]
    at = (error.line, error.column) if isinstance(error, SourceError) else ()
    return str(places.flaw(field, error.message, *at))
