"""What an upload may cost before it is known what it is."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile

import pytest

from conversations.files import sniffing

WORD = ("[Content_Types].xml", "word/document.xml")


def listing(parts: int, *, is_zip64: bool) -> bytes:
    """An archive that is a directory and nothing else, which says that it has three parts."""
    entry = b"PK\x01\x02" + struct.pack("<6H3L5H2L", *(20, 20), *[0] * 7, 3, *[0] * 6)
    directory = b"".join(entry + b"%03x" % (number % 4096) for number in range(parts))
    start = b"PK\x03\x04" + bytes(26)
    size, place, more = len(directory), len(start), b""
    if is_zip64:
        numbers = struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, 3, 3, size, place)
        more = b"PK\x06\x06" + numbers + b"PK\x06\x07" + struct.pack("<LQL", 0, place + size, 1)
        size = place = 0xFFFFFFFF
    return (
        start + directory + more + b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 3, 3, size, place, 0)
    )


@pytest.mark.parametrize("is_zip64", [False, True])
def test_an_archives_directory_is_not_read_where_it_is_too_large(is_zip64: bool) -> None:
    """Half a million parts took 200 MB and many seconds before they were counted."""
    file = io.BytesIO(listing(500_000, is_zip64=is_zip64))
    assert file.seek(0, io.SEEK_END) < 25_000_000, "as large as an upload may be"
    tracemalloc.start()
    try:
        assert sniffing.media_type(file) is None
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4_000_000
    few = listing(20, is_zip64=is_zip64)
    assert len(zipfile.ZipFile(io.BytesIO(few)).infolist()) == 20, "the form is a right one"


def test_a_document_of_many_parts_is_one() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in (*WORD, *(f"word/media/image{number:06}.png" for number in range(4_900))):
            archive.writestr(name, b"")
        archive.comment = b"x" * 65_535  # its end is looked for in front of it
    assert sniffing.media_type(file) == sniffing._DOCUMENTS["word/document.xml"]
