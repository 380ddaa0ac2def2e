"""Makes the pictures of the docs from the screenshots of the last `make e2e`: `make pictures`."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

SCREENSHOTS = Path(__file__).parent / "screenshots"
PICTURES = SCREENSHOTS.parents[2] / "docs" / "images"
NAMES = ("home", "home-dark", "compose", "batch-review", "message", "analytics", "written")


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    for name in NAMES:
        with Image.open(SCREENSHOTS / f"{name}.png") as picture:
            # 256 colours, the rare ones too: red is little on a page, and what one looks for.
            small = picture.convert("RGB").quantize(method=Image.Quantize.MAXCOVERAGE)
            small.save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
