"""Cut the small pictures of the lesson map out of the lessons' own figures: docs/pictures/lessons/01.png and so on.

    python docs/draw_lesson_map.py

Run it when a figure that it takes has changed. A figure is found by the beginning of its alt text, in the executed
lessons; `tests/test_docs.py` asks that each is still there.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SOLUTIONS = ROOT / "lessons" / "solutions"
PICTURES = ROOT / "docs" / "pictures" / "lessons"
SIZE = (240, 150)


@dataclass(frozen=True)
class Cut:
    """A figure, by the beginning of its alt text, and the part of it to show: left, top, right, bottom, from 0 to 1."""

    alt: str
    part: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


CUTS = {
    1: Cut("A drawn face in grey", (0.02, 0.06, 0.62, 1.0)),
    2: Cut("Error of a measured slope against the step"),
    3: Cut("Maps of the plane while the network learns", (0.365, 0.05, 0.905, 1.0)),
    4: Cut("Mean loss against a common logit"),
    5: Cut("Six paths", (0.0, 0.0, 0.66, 1.0)),
    6: Cut("Two maps of D with arrows", (0.0, 0.05, 0.455, 1.0)),
    7: Cut("A drawn anime face; beside it the answers", (0.0, 0.05, 0.5, 1.0)),
    8: Cut("Top row: three gradients dy", (0.0, 0.0, 0.5, 1.0)),
    9: Cut("Upper row: maps of 4 by 4, 8 by 8", (0.0, 0.0, 1.0, 1.0)),
    10: Cut("Histograms of three channels before and after", (0.0, 0.0, 0.68, 1.0)),
    11: Cut("A film strip: at step 0", (0.1, 0.1, 0.68, 1.0)),
    12: Cut("Four rows of faces, one for each noise", (0.0, 0.08, 1.0, 0.9)),
    13: Cut("Two pairs of strips of seven faces", (0.0, 0.1, 1.0, 0.85)),
    14: Cut("Nine pairs of small grids", (0.0, 0.06, 0.66, 1.0)),
}


def figures(lesson: int) -> list[tuple[str, bytes]]:
    """Alt text and PNG of every figure of an executed lesson, in order."""
    (path,) = SOLUTIONS.glob(f"{lesson:02}_*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    return [
        (str(output["metadata"].get("image/png", {}).get("alt", "")), base64.b64decode(output["data"]["image/png"]))
        for output in outputs
    ]


def main() -> int:
    """Write all pictures; returns 0."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for lesson, cut in CUTS.items():
        (data,) = [data for alt, data in figures(lesson) if alt.startswith(cut.alt)]
        image = Image.open(io.BytesIO(data)).convert("RGB")
        left, top, right, bottom = cut.part
        width, height = image.size
        image = image.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))
        image.thumbnail(SIZE, Image.Resampling.LANCZOS)
        sheet = Image.new("RGB", SIZE, "white")
        sheet.paste(image, ((SIZE[0] - image.width) // 2, (SIZE[1] - image.height) // 2))
        sheet.quantize(128).save(PICTURES / f"{lesson:02}.png", optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
