"""Makes the pictures of the docs from the screenshots of the last `make e2e`: `make pictures`."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

SCREENSHOTS = Path(__file__).parent / "screenshots"
PICTURES = SCREENSHOTS.parents[2] / "docs" / "images"
NAMES = ("home", "home-dark", "compose", "batch-review", "message", "analytics", "written")
COLOURS = 128


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    for name in NAMES:
        with Image.open(SCREENSHOTS / f"{name}.png") as picture:
            small = picture.convert("RGB").quantize(COLOURS)
            small.save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
