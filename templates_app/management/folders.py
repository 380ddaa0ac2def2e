"""Templates on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from templates_app import as_code
from templates_app.as_code import Document, Flaw, Flawed, Places


@dataclass
class Folder:
    """A directory with one folder a template. Beside them, and in them, a README and what begins
    with a dot may be; nothing else, so that no misspelt part is left out.
    """

    root: Path
    documents: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, Places] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)

    @classmethod
    def read(cls, root: Path, keys: Collection[str] = ()) -> Folder:
        """All of it, or those with `keys`: one that is not there is a flaw."""
        found = cls(root)
        names = sorted(path.name for path in root.iterdir() if _is_template(path))
        for key in keys or names:
            try:
                document, places = as_code.from_files(key, _files(root / key))
            except Flawed as error:
                found.flaws += error.flaws
            else:
                found.documents.append(document)
                found.places[key] = places
        return found

    def keys(self) -> set[str]:
        return {document["key"] for document in self.documents}


def write(root: Path, document: Document) -> bool:
    """Make the template's folder say what `document` says; a file that says so already stays as it
    is, with its comments. Whether anything has changed.
    """
    folder = root / document["key"]
    wanted = as_code.to_files(document)
    said = _said(document["key"], _files(folder))
    changed = {name for name, content in wanted.items() if said.get(name) != content}
    for name in changed:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wanted[name])
    gone = {name for name in _files(folder) if as_code.is_ours(name)} - wanted.keys()
    for name in gone:
        (folder / name).unlink()
    return bool(changed or gone)


def remove(root: Path, key: str) -> None:
    """Take a template's files away, and its folder if nothing else is in it."""
    folder = root / key
    for name in filter(as_code.is_ours, _files(folder)):
        (folder / name).unlink()
    for path in sorted((folder, *folder.rglob("*")), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _said(key: str, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The files as we would have written what they say."""
    try:
        return as_code.to_files(as_code.from_files(key, files)[0])
    except Flawed:
        return {}


def _is_template(path: Path) -> bool:
    return not path.name.startswith(".") and any(_names(path))


def _files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in _names(folder)}


def _names(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            is_hidden = any(part.startswith(".") for part in name.parts)
            if path.is_file() and not is_hidden and not name.name.startswith("README"):
                yield name.as_posix()
