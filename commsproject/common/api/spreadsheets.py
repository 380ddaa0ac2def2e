"""Cells of CSV that a spreadsheet will open (OWASP: CSV injection)."""

from __future__ import annotations

_FORMULA = frozenset("=+-@\t\r")


def inert(cell: str) -> str:
    """What a spreadsheet would take for a formula, as the text that it is. A telephone number is
    none.
    """
    is_formula = cell[:1] in _FORMULA and not cell[1:].isdigit()
    return f"'{cell}" if is_formula else cell


def as_written(cell: str) -> str:
    """What `inert` made of it, undone."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell
