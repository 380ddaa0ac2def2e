"""Reads a Dockerfile: stages with their instructions. Of the format only what ours uses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Instruction:
    """`RUN` and what follows it, as one line."""

    name: str
    rest: str

    def words(self) -> list[str]:
        """Those of the JSON form, or what blanks separate."""
        if self.rest.startswith("["):
            words: list[str] = json.loads(self.rest)
            return words
        return self.rest.split()


@dataclass
class Stage:
    """From one `FROM` to the next."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, name: str) -> Instruction:
        """The one that counts; raises IndexError where there is none."""
        return [one for one in self.instructions if one.name == name][-1]

    def environment(self, before: dict[str, str], here: Callable[[str], str]) -> dict[str, str]:
        """What `ARG` and `ENV` add to `before`; `here` tells where paths of the image are."""
        found = dict(before)
        for one in self.instructions:
            if one.name in ("ARG", "ENV"):
                found |= {
                    name: expand(here(value), found)
                    for name, _, value in (word.partition("=") for word in one.rest.split())
                }
        return found


def expand(text: str, values: dict[str, str]) -> str:
    """`$NAME` and `${NAME}`; raises KeyError for a name that has no value."""
    return _VARIABLE.sub(lambda match: values[match[1] or match[2]], text)


def stages(path: Path) -> list[Stage]:
    """In the order of the file."""
    found: list[Stage] = []
    arguments: dict[str, str] = {}
    for one in _instructions(path.read_text()):
        if one.name == "FROM":
            base, _, name = expand(one.rest, arguments).partition(" AS ")
            found.append(Stage(base, name))
        elif one.name == "ARG" and not found:
            name, _, value = one.rest.partition("=")
            arguments[name] = value
        else:
            found[-1].instructions.append(one)
    return found


def _instructions(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    split = (re.sub(r"\s+", " ", line).strip().partition(" ") for line in whole.splitlines())
    return [Instruction(name, rest) for name, _, rest in split]
