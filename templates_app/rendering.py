"""From the parts of a template and a person's data to the parts of a message. No database, no clock."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from django.conf import settings

from templates_app.compile import MARKUP, ONE_LINE, compile_part
from templates_app.errors import RenderLimit, UnsafeLink
from templates_app.filters import MAX_PRINTED
from templates_app.markup import LINK_START, check_links, is_safe_link, scheme
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

_UNSAFE = "A link must be http, https, mailto, tel, cid or relative."


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
            raise UnsafeLink(_UNSAFE, part=part)
        printed = checked
    if part == "link" and not is_app_link(printed):
        raise UnsafeLink("The link must be https, or of one of the app's own schemes.", part=part)
    if part == "image" and not is_safe_link(printed):
        raise UnsafeLink(_UNSAFE, part=part)
    return printed


def is_app_link(link: str) -> bool:
    """Whether a push or an in-app message may lead there: by https, to an app of ours that has
    registered the scheme (APP_LINK_SCHEMES), or to a path of the app that shows the message.
    """
    return scheme(link) in {"", "https", *settings.APP_LINK_SCHEMES}


def _one_line(printed: str) -> str:
    """Whitespace collapsed; control characters and direction overrides, which can hide text, left out."""
    line = " ".join(printed.split())
    if line.isprintable():
        return line
    return "".join(
        char for char in line if unicodedata.category(char) != "Cc" and char not in _BIDI
    )
