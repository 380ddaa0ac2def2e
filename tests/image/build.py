"""Does what a Dockerfile says in a folder that stands for the image's root.

Paths of the image are those of the folder. What changes the base image itself (`apt-get`, `useradd`,
`pip uninstall`) is left out: the base is this machine.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from tests.image import dockerfile
from tests.image.dockerfile import Instruction, Stage

_OF_THE_BASE = ("apt-get ", "python3 -m pip uninstall ")
_INSIDE = re.compile(r"(?<![\w./-])/(?=(?:opt|app)\b)")
"""Begins a path of the image."""

_INHERITED = re.compile(r"PATH|HOME|LANG|(?:https?|no)_proxy|PIP_\w+|SSL_\w+", re.IGNORECASE)


class Build:
    """The stages of one Dockerfile, each in a folder of `where`; the context is `root`."""

    def __init__(self, root: Path, where: Path, say: Callable[[str], None]) -> None:
        self._root = root
        self._where = where
        self._say = say
        self._ignored = ignored(root / ".dockerignore")

    def folder(self, stage: str) -> Path:
        """That stands for the root of the stage's file system; the last stage has no name."""
        return self._where / (stage or "image")

    def environment(self, stage: Stage) -> dict[str, str]:
        """That of a process of the stage, with paths of this machine."""
        inherited = {name: v for name, v in os.environ.items() if _INHERITED.fullmatch(name)}
        return stage.environment(inherited, lambda value: self._here(stage, value))

    def do(self, stage: Stage) -> None:
        """Raises CalledProcessError for a step that fails."""
        for one in stage.instructions:
            if one.name == "COPY":
                self._copy(stage, one)
            elif one.name == "RUN" and not one.rest.startswith(_OF_THE_BASE):
                self._say(f"RUN {one.rest[:70]} ...")
                command = self._here(stage, one.rest)
                where, env = self.workdir(stage), self.environment(stage)
                subprocess.run(["sh", "-ec", command], cwd=where, env=env, check=True)

    def workdir(self, stage: Stage) -> Path:
        made = self.folder(stage.name) / stage.last("WORKDIR").rest.lstrip("/")
        made.mkdir(parents=True, exist_ok=True)
        return made

    def _here(self, stage: Stage, text: str) -> str:
        """Paths in text, also those of a PATH."""
        return _INSIDE.sub(f"{self.folder(stage.name)}/", text)

    def _copy(self, stage: Stage, one: Instruction) -> None:
        words = dockerfile.expand(one.rest, self.environment(stage)).split()
        origin = self._root
        if words[0].startswith("--from="):
            origin = self.folder(words.pop(0).removeprefix("--from="))
        source, target = origin / words[0].lstrip("/"), self._target(stage, words)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignore = self._not_sent if origin == self._root else None
            shutil.copytree(source, target, symlinks=True, ignore=ignore)
        else:
            shutil.copy2(source, target)

    def _target(self, stage: Stage, words: list[str]) -> Path:
        source, target = words
        folder = self.folder(stage.name)
        base = folder / target.lstrip("/") if target[0] == "/" else self.workdir(stage) / target
        return base / Path(source).name if target.endswith("/") else base

    def _not_sent(self, folder: str, names: list[str]) -> set[str]:
        inside = PurePosixPath(folder).relative_to(self._root)
        return {name for name in names if self._ignored(inside / name)}


def ignored(path: Path) -> Callable[[PurePosixPath], bool]:
    """Whether a path of the context is left out, by the last pattern that it or a folder of it matches."""
    patterns = [line for line in path.read_text().splitlines() if line and line[0] != "#"]

    def is_ignored(file: PurePosixPath) -> bool:
        verdict = False
        for pattern in patterns:
            body = pattern.removeprefix("!")
            if any(_matches(part, body) for part in (file, *file.parents)):
                verdict = not pattern.startswith("!")
        return verdict

    return is_ignored


def _matches(path: PurePosixPath, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatchcase(path.name, pattern[3:])
    same_depth = len(path.parts) == pattern.count("/") + 1
    return same_depth and fnmatch.fnmatchcase(str(path), pattern)


def files(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Path, size in bytes and time of change of each file."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() or path.is_symlink():
            status = path.lstat()
            yield str(path.relative_to(folder)), status.st_size, status.st_mtime_ns
