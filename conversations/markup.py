"""What people write, as HTML: a small part of Markdown, and no HTML of their own.

Bold, italics, strikethrough, code, quotes, lists and links. No headings, images or tables: a
message is not a page. Links lead to the web or a mailbox, in a new tab that knows nothing of ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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


def excerpt(body: str, length: int = 140) -> str:
    """The beginning of it on one line."""
    line = " ".join(body.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
