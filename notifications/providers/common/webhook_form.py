"""The form that a webhook posts, without its Content-Type: no header of a webhook is kept.

Facts: RFC 7578 (multipart/form-data), RFC 2046 5.1.1 (delimiters), the URL Standard (urlencoded).
"""

from __future__ import annotations

import re
from email.parser import BytesHeaderParser
from urllib.parse import parse_qsl

MAX_FIELDS = 1000

_HEADERS = BytesHeaderParser()


class Form(dict[str, bytes]):
    """Field to value; `files` is how many files there are besides, which are not kept."""

    files = 0

    def text(self, name: str) -> str:
        return self.get(name, b"").decode(errors="replace")


def read_form(body: bytes) -> Form:
    """Raises `ValueError` where it is none, or not all of it."""
    if body.startswith(b"--"):
        return _multipart(body)
    pairs = parse_qsl(
        body.decode("ascii"),
        keep_blank_values=True,
        strict_parsing=True,
        encoding="latin-1",  # the bytes as they are: a mail has charsets of its own
        max_num_fields=MAX_FIELDS,
    )
    if not pairs:
        raise ValueError("an empty form")
    return Form({name: value.encode("latin-1") for name, value in pairs})


def _multipart(body: bytes) -> Form:
    delimiter = body.partition(b"\r\n")[0]
    parts = re.split(rb"\r\n" + re.escape(delimiter) + rb"(?=\r\n|--)", b"\r\n" + body)
    if not 2 < len(parts) <= MAX_FIELDS + 2 or not parts[-1].startswith(b"--"):
        raise ValueError("a form without its end")
    form = Form()
    for part in parts[1:-1]:
        head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = _HEADERS.parsebytes(head)
        if headers.get_filename() is not None:
            form.files += 1
        elif isinstance(name := headers.get_param("name", header="content-disposition"), str):
            form[name] = value
    return form
