"""Pictures are made anew from their pixels: what else was in the file, EXIF or a second format, is
gone, and what is shown is what we wrote. It is done apart from the web process: `image_process`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from PIL import Image, ImageOps, ImageSequence

MAX_PIXELS = 50_000_000
"""Of all frames together. A telephone's picture has 12 to 50 million."""

MAX_FRAMES = 500
THUMBNAIL = (480, 480)
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP")

# Its own limit warns at half of where it raises. Ours is asked before a pixel is read.
Image.MAX_IMAGE_PIXELS = None


class NotAPicture(Exception):
    """It cannot be read, or is larger than we want to."""


# What its decoders raise for hostile files.
_BROKEN = (
    *(OSError, ValueError, SyntaxError, EOFError, struct.error, LookupError, ArithmeticError),
    *(TypeError, AttributeError, AssertionError, MemoryError),
)


@dataclass(frozen=True)
class Picture:
    """A picture as we keep it, and a small one of its first frame (WebP)."""

    thumbnail: bytes
    media_type: str
    width: int
    height: int


def remake(file: IO[bytes], into: IO[bytes]) -> Picture:
    """Write it anew, `into` a file. Moving ones become WebP, GIFs too. Raises `NotAPicture`."""
    try:
        with Image.open(file, formats=_FORMATS) as image:
            _check_size(image)
            return _picture(image, into)
    except _BROKEN as error:
        raise NotAPicture(type(error).__name__) from None


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    frames: int = getattr(image, "n_frames", 1)
    if frames > MAX_FRAMES or width * height * frames > MAX_PIXELS:
        raise NotAPicture("too many pixels")


def _picture(image: Image.Image, into: IO[bytes]) -> Picture:
    kind = "WEBP" if image.format in {"GIF", "WEBP"} else str(image.format)
    if getattr(image, "is_animated", False):
        frames, pauses = _frames(image)
    else:
        frames, pauses = [_plain(ImageOps.exif_transpose(image))], []
    if pauses:
        frames[0].save(
            into, kind, save_all=True, append_images=frames[1:], duration=pauses, quality=85
        )
    else:
        frames[0].save(into, kind, quality=88)
    width, height = frames[0].size
    media_type = f"image/{kind.lower()}"
    return Picture(_thumbnail(frames[0]), media_type, width, height)


def _frames(image: Image.Image) -> tuple[list[Image.Image], Sequence[int]]:
    frames, pauses = [], []
    for frame in ImageSequence.Iterator(image):
        pauses.append(min(int(frame.info.get("duration") or 100), 10_000))
        frames.append(_plain(frame))
    return frames, pauses


def _plain(image: Image.Image) -> Image.Image:
    """Its pixels and nothing else."""
    has_holes = "A" in image.getbands() or "transparency" in image.info
    plain = image.convert("RGBA" if has_holes else "RGB")
    plain = plain.copy() if plain is image else plain
    plain.info.clear()
    return plain


def _thumbnail(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail(THUMBNAIL)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=78)
    return file.getvalue()
