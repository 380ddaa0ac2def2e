"""What people write, as HTML: a small part of Markdown, and no HTML of their own.

Bold, italics, strikethrough, code, quotes, lists and links. No headings, images or tables: a
message is not a page. Links lead to the web or a mailbox, in a new tab that knows nothing of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

MAX_LENGTH = 10_000
"""Characters of one entry."""

_SCHEMES = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("zero", {"html": False, "breaks": True})
    parser.enable(
        [
            *("emphasis", "strikethrough", "backticks", "link", "autolink", "escape", "newline"),
            *("blockquote", "list", "fence", "entity"),
        ]
    )
    parser.validateLink = lambda url: _SCHEMES.match(url.strip()) is not None  # type: ignore[method-assign]
    parser.add_render_rule("link_open", _link_open)
    return parser


def _link_open(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    token = tokens[index]
    token.attrSet("rel", "noopener noreferrer nofollow")
    token.attrSet("target", "_blank")
    return self.renderToken(tokens, index, options, env)


def html(body: str) -> str:
    """Safe to put into a page."""
    return str(_parser().render(body)).strip()


@dataclass(frozen=True)
class Run:
    """Text of one look. `style`: the innermost of strong, em, s and code; none is empty."""

    text: str
    style: str = ""
    link: str = ""
    ends_line: bool = False


@dataclass(frozen=True)
class Block:
    """A paragraph, an item of a list, or some code; `marker` stands before an item."""

    runs: list[Run]
    marker: str = ""
    is_quote: bool = False


def blocks(body: str) -> list[Block]:
    """What `html` shows, for what is no page of ours. Lists and quotes within others are flat."""
    found: list[Block] = []
    marker, quotes = "", 0
    lists: list[Iterator[str]] = []
    for token in _parser().parse(body):
        kind = token.type
        if kind in {"bullet_list_open", "ordered_list_open"}:
            lists.append(_markers(token))
        elif kind in {"bullet_list_close", "ordered_list_close"}:
            lists.pop()
        elif kind == "list_item_open":
            marker = next(lists[-1])
        elif kind in {"blockquote_open", "blockquote_close"}:
            quotes += token.nesting
        elif kind in {"inline", "fence"}:
            runs = list(_runs(token.children or [])) if kind == "inline" else _code(token.content)
            found.append(Block(runs, marker, is_quote=quotes > 0))
            marker = ""
    return found


def _markers(token: Token) -> Iterator[str]:
    if token.type == "bullet_list_open":
        while True:
            yield "-"
    number = int(token.attrGet("start") or 1)
    while True:
        yield f"{number}."
        number += 1


_STYLES = {"strong_open": "strong", "em_open": "em", "s_open": "s"}


def _runs(tokens: Sequence[Token]) -> Iterator[Run]:
    """A run is given with what follows it known: whether a line ends."""
    looks = [Run("")]
    for token in tokens:
        if token.type == "link_open":
            looks.append(replace(looks[-1], link=str(token.attrGet("href") or "")))
        elif token.nesting > 0:
            looks.append(replace(looks[-1], style=_STYLES[token.type]))
        elif token.nesting < 0:
            looks.pop()
        elif token.type in {"softbreak", "hardbreak"}:
            yield Run("", ends_line=True)
        elif token.content:
            style = "code" if token.type == "code_inline" else looks[-1].style
            yield replace(looks[-1], text=token.content, style=style)


def _code(content: str) -> list[Run]:
    return [Run(line, "code", ends_line=True) for line in content.splitlines()]


def text(body: str) -> str:
    """For where nothing has looks: marks gone, links behind their words, lists and quotes still to be
    seen.
    """
    written = ""
    before: Block | None = None
    for block in blocks(body):
        if before is not None:
            written += "\n" if before.marker and block.marker else "\n\n"
        written += _with_marks(block)
        before = block
    return written


def _with_marks(block: Block) -> str:
    first, *others = "".join(_worded(run) for run in block.runs).rstrip("\n").split("\n")
    quote = "> " if block.is_quote else ""
    marker = f"{block.marker} " if block.marker else ""
    lines = [marker + first, *(" " * len(marker) + one for one in others)]
    return "\n".join(quote + line for line in lines)


def _worded(run: Run) -> str:
    address = run.link.removeprefix("mailto:")
    shown = (
        f"{run.text} ({address})"
        if address not in {"", run.text.removeprefix("mailto:")}
        else run.text
    )
    return shown + "\n" if run.ends_line else shown


def excerpt(body: str, length: int = 140) -> str:
    """The beginning of its words, on one line."""
    words = (
        run.text or " " for block in blocks(body[: 10 * length]) for run in (*block.runs, Run(" "))
    )
    line = " ".join("".join(words).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
