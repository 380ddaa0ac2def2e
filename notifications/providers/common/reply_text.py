"""What a person wrote in answer to a mail, without the mail that their program quotes below it.

Careful rather than clever: in doubt the quote stays, as a lost sentence is worse than a long text.
Anybody can send us mail: whatever it is, this takes time in proportion to its length.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterator
from contextlib import suppress

ATTRIBUTION = re.compile(
    r"(?:on|am|le|el|il|op|em|den|dne|w dniu)\b.{4,300}"
    r"\b(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|skrev|napsal\(a\)|napisał\(a\)|napisał|napisała"
    r"|pisze)(?!\w).{0,200}:",
    re.IGNORECASE | re.DOTALL,
)
"""`On Monday Ada <ada@example.org> wrote:`, on up to three lines."""

NAMED = re.compile(r"[^<>]{0,200}<[^<>\s@]{1,100}@[^<>\s]{1,200}>[^<>]{0,40}:")
"""`2026年11月2日 Ada <ada@example.org>:`, in any language, where the quote follows at once."""

ATTRIBUTION_LINES = 5
"""Empty ones included."""

SEPARATOR = re.compile(
    r"[-_*\s]{2,}(?:original message|ursprüngliche nachricht|message d'origine|mensaje original"
    r"|messaggio originale|oorspronkelijk bericht|mensagem original)[-_*\s]{2,}",
    re.IGNORECASE,
)
RULE = re.compile(r"_{20,}\s*")
HEADER = re.compile(r"\*?(?:from|von|de|da|van|från|fra|od)\s?:\*?\s", re.IGNORECASE)
MORE_HEADERS = re.compile(
    r"\*?(?:sent|date|to|cc|subject|gesendet|datum|an|betreff|envoyé|à|objet|enviado|fecha|para"
    r"|asunto|inviato|data|a|oggetto|verzonden|aan|onderwerp|assunto|wysłano|do|temat)\s?:\*?\s",
    re.IGNORECASE,
)
"""Outlook repeats the headers of the mail it quotes, and marks nothing else."""

QUOTED = re.compile(r"\s?>")


def reply_text(text: str) -> str:
    """The text above the quote; all of it where nothing is above, or answers are between its lines."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    quote = _quote(lines)
    end = next((at for at in range(quote) if _starts_quote(lines, at, quote)), quote)
    return "\n".join(lines[:end]).strip() or text.strip()


def _quote(lines: list[str]) -> int:
    """Where the quoted lines start that are the end of the text and the only ones of it; behind the
    last line where there are none such.
    """
    start = len(lines)
    while start and (QUOTED.match(lines[start - 1]) or not lines[start - 1].strip()):
        start -= 1
    is_below, is_above = (any(map(QUOTED.match, some)) for some in (lines[start:], lines[:start]))
    return start if is_below and not is_above else len(lines)


def _starts_quote(lines: list[str], at: int, quote: int) -> bool:
    if SEPARATOR.fullmatch(lines[at]):
        return True
    if RULE.fullmatch(lines[at]):
        return _repeats_headers(lines, at + 1)
    return _repeats_headers(lines, at) or _is_attribution(lines, at, quote)


def _is_attribution(lines: list[str], at: int, quote: int) -> bool:
    """Whether the lines from here to the quote say whose words it has. A program that marks nothing
    (Yahoo's) says it on one line, with an address.
    """
    if quote == len(lines):
        line = lines[at].strip()
        return bool(NAMED.fullmatch(line) and ATTRIBUTION.fullmatch(line))
    if quote - at > ATTRIBUTION_LINES:
        return False
    said = " ".join(lines[at:quote]).strip()
    is_one_line = said == lines[at].strip()
    return bool(ATTRIBUTION.fullmatch(said) or (is_one_line and NAMED.fullmatch(said)))


def _repeats_headers(lines: list[str], at: int) -> bool:
    if at >= len(lines) or not HEADER.match(lines[at]):
        return False
    return sum(1 for line in lines[at + 1 : at + 6] if MORE_HEADERS.match(line)) >= 2


TAG = re.compile(r"<(/?)([a-z][a-z0-9]*+)[^<>]*+>|<[!?/][^<>]*+>|([^<]++|<)", re.IGNORECASE)
"""The pieces of an HTML text; the last group has what is no markup."""

SILENT = frozenset({"style", "script", "title"})
BLOCKS = frozenset(
    {"p", "div", "tr", "li", "ul", "ol", "table", "blockquote", "hr", "pre", "br"}
) | {f"h{level}" for level in range(1, 7)}
DEEPEST = 5
"""The quote in a quote in a quote ... is marked no further."""


def html_text(html: str) -> str:
    """The text of an HTML mail, with what it quotes after `>`."""
    lines: list[str] = []
    depth, words, silence = 0, [""], ""
    for closes, name, text in _pieces(html):
        if silence:
            silence = "" if closes and name == silence else silence
        elif text:
            words.append(text)
        elif name in SILENT and not closes:
            silence = name
        elif name in BLOCKS:
            lines.append(_line(words, depth))
            words = []
            depth += (name == "blockquote") * (-1 if closes else 1)
            depth = max(depth, 0)
    lines.append(_line(words, depth))
    return "\n".join(line for line in lines if line.strip("> "))


def _pieces(html: str) -> Iterator[tuple[bool, str, str]]:
    """Whether it closes, the name in lower case and the text of each; one of the two is empty."""
    for comment, end in _comments(html):
        for found in TAG.finditer(html, comment, end):
            yield found[1] == "/", (found[2] or "").lower(), found[3] or ""


def _comments(html: str) -> Iterator[tuple[int, int]]:
    """Start and end of what is between the comments. One that does not end is the rest."""
    at = 0
    while (start := html.find("<!--", at)) >= 0:
        yield at, start
        end = html.find("-->", start)
        if end < 0:
            return
        at = end + 3
    yield at, len(html)


def _line(words: list[str], depth: int) -> str:
    text = "".join(words)
    with suppress(ValueError):  # a number of thousands of digits
        text = entities.unescape(text)
    return "> " * min(depth, DEEPEST) + " ".join(text.split())
