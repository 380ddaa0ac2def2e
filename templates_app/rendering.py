"""From the parts of a template and a person's data to the parts of a message. No database, no clock."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from templates_app import app_links
from templates_app.compile import MARKUP, ONE_LINE, compile_part
from templates_app.errors import RenderLimit, UnsafeLink
from templates_app.filters import MAX_PRINTED
from templates_app.markup import LINK_START, check_links
from templates_app.types import PLAIN, Manner
from templates_app.values import Admitted, admit

MAX_LINE = 998
"""Characters of a part of one line: the longest line of an e-mail (RFC 5322)."""
MAX_LINK = 2_048
"""Characters of a part that is a link."""
MAX_OUTPUT = MAX_PRINTED
"""Characters of any other part."""
MAX_LINKS = 5_000
"""Links with values in them in one part: ten in each row of the longest table."""

LINKS = frozenset({"link", "image"})
"""Parts that are a link and nothing else."""

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

UNSAFE = "A link must be http, https, mailto, tel, cid or relative."


def render(
    parts: Mapping[str, str],
    data: Mapping[str, object],
    shared: Admitted | None = None,
    manner: Manner = PLAIN,
) -> dict[str, str]:
    """`{"subject": source, "html": source}` and JSON data to `{"subject": text, "html": text}`.

    Values in `html` are escaped and links with values in them checked; null prints nothing, or is
    refused where the manner says so. Raises TemplateSyntaxError, MissingVariable, InvalidValue, UnsafeLink or RenderLimit, all TemplateError.
    Safe in threads; compiled parts are kept.
    """
    programs = [compile_part(source, part, manner.null_is) for part, source in parts.items()]
    values = admit(data, shared)
    return {
        program.part: finished(program.part, program.run(values, manner)) for program in programs
    }


def finished(part: str, printed: str) -> str:
    """What a program printed, as the message has it. Raises UnsafeLink or RenderLimit."""
    printed = printed.replace("\0", "")
    if part in ONE_LINE:
        printed = _one_line(printed)
    limit = MAX_LINK if part in LINKS else MAX_LINE if part in ONE_LINE else MAX_OUTPUT
    links = printed.count(LINK_START) if part in MARKUP else 0
    # Before anything looks at the links, which costs more than to print them.
    if len(printed) - links > limit:
        raise RenderLimit(f"The part is longer than {limit} characters.", part=part)
    if links > MAX_LINKS:
        message = f"The part has more than {MAX_LINKS} links with values in them."
        raise RenderLimit(message, part=part)
    if part in MARKUP:
        checked = check_links(printed)
        if checked is None:
            raise UnsafeLink(UNSAFE, part=part)
        printed = checked
    if part in LINKS:
        _check_link(part, printed)
    return printed


def literal(parts: Mapping[str, str]) -> dict[str, str]:
    """Parts that are no templates, as the message has them. Raises UnsafeLink."""
    for part in LINKS & parts.keys():
        _check_link(part, parts[part])
    return dict(parts)


def _check_link(part: str, link: str) -> None:
    if part == "link" and link and not app_links.is_link(link):
        message = "The link must be https, a path, or of one of the app's own schemes."
        raise UnsafeLink(message, part=part)
    if part == "image" and link and not app_links.is_image(link):
        raise UnsafeLink("The image must be https, http or a path.", part=part)


def _one_line(printed: str) -> str:
    """Whitespace collapsed; control characters and direction overrides, which can hide text, left out."""
    line = " ".join(printed.split())
    if line.isprintable():
        return line
    return "".join(
        char for char in line if unicodedata.category(char) != "Cc" and char not in _BIDI
    )
