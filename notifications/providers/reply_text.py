"""What a person wrote in answer to a mail, without the mail that their program quotes below it.

Careful rather than clever: in doubt the quote stays, as a lost sentence is worse than a long text.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from typing_extensions import override

ATTRIBUTION = re.compile(
    r"(?:on|am|le|el|il|op|em|den|dne|w dniu)\b.{4,300}"
    r"\b(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|skrev|napsal\(a\)|napisał\(a\))"
    r"\b.{0,200}:",
    re.IGNORECASE | re.DOTALL,
)
"""`On Monday Ada <ada@example.org> wrote:`, on up to three lines."""

SEPARATOR = re.compile(
    r"[-_*\s]{2,}(?:original message|ursprüngliche nachricht|message d'origine|mensaje original"
    r"|messaggio originale|oorspronkelijk bericht|mensagem original)[-_*\s]{2,}",
    re.IGNORECASE,
)
RULE = re.compile(r"_{20,}\s*")
HEADER = re.compile(r"\*?(?:from|von|de|da|van|från|fra)\s?:\*?\s", re.IGNORECASE)
MORE_HEADERS = re.compile(
    r"\*?(?:sent|date|to|cc|subject|gesendet|datum|an|betreff|envoyé|à|objet|enviado|fecha|para"
    r"|asunto|inviato|data|a|oggetto|verzonden|aan|onderwerp|assunto)\s?:\*?\s",
    re.IGNORECASE,
)
"""Outlook repeats the headers of the mail it quotes, and marks nothing else."""

QUOTED = re.compile(r"\s?>")


def reply_text(text: str) -> str:
    """The text above the quote; all of it where nothing is above, or answers are between its lines."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    end = next((place for place in range(len(lines)) if _quote_starts(lines, place)), len(lines))
    return "\n".join(lines[:end]).strip() or text.strip()


def _quote_starts(lines: list[str], place: int) -> bool:
    line = lines[place]
    if QUOTED.match(line):
        return _all_quoted(lines[place:])
    if SEPARATOR.fullmatch(line):
        return True
    if RULE.fullmatch(line):
        return place + 1 < len(lines) and _repeats_headers(lines[place + 1 :])
    return _repeats_headers(lines[place:]) or _is_attribution(lines, place)


def _is_attribution(lines: list[str], place: int) -> bool:
    for height in (1, 2, 3):
        if ATTRIBUTION.fullmatch(" ".join(lines[place : place + height]).strip()):
            rest = lines[place + height :]
            return any(line.strip() for line in rest) and _all_quoted(rest)
    return False


def _all_quoted(lines: list[str]) -> bool:
    return all(QUOTED.match(line) or not line.strip() for line in lines)


def _repeats_headers(lines: list[str]) -> bool:
    if not HEADER.match(lines[0]):
        return False
    return sum(1 for line in lines[1:6] if MORE_HEADERS.match(line)) >= 2


def html_text(html: str) -> str:
    """The text of an HTML mail, with what it quotes after `>`."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    return parser.text()


class _Text(HTMLParser):
    SILENT = frozenset({"head", "style", "script", "title"})
    BLOCKS = frozenset({"p", "div", "tr", "li", "ul", "ol", "table", "blockquote", "hr", "pre"}) | {
        f"h{level}" for level in range(1, 7)
    }

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[list[str]] = [[]]
        self._quotes: list[int] = [0]
        self._depth = 0
        self._silence = 0

    def text(self) -> str:
        lines: list[str] = []
        for quotes, words in zip(self._quotes, self._lines, strict=True):
            line = " ".join("".join(words).split())
            if line or (lines and lines[-1].strip("> ")):
                lines.append("> " * quotes + line)
        return "\n".join(lines).strip()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.SILENT:
            self._silence += 1
        if tag == "br" or tag in self.BLOCKS:
            self._break(1 if tag == "blockquote" else 0)

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag in self.SILENT:
            self._silence = max(self._silence - 1, 0)
        if tag in self.BLOCKS:
            self._break(-1 if tag == "blockquote" else 0)

    @override
    def handle_data(self, data: str) -> None:
        if not self._silence:
            self._lines[-1].append(data)

    def _break(self, deeper: int) -> None:
        self._depth = max(self._depth + deeper, 0)
        if self._lines[-1] or deeper:
            self._lines.append([])
            self._quotes.append(self._depth)
        self._quotes[-1] = self._depth
