"""Draw ``docs/assets/synthetic_contact_sheet.jpg``: every category with and without its landmarks.

    python benchmarks/synthetic/contact_sheet.py [--output FILE]

Below the categories: whole pictures of the benchmark data set with boxes, outlines and landmarks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic import PRESETS, Recipe, draw_picture, plan_picture
from df2_landmarks.taxonomy import DEEPFASHION2

ROOT = Path(__file__).resolve().parents[2]
Image = NDArray[np.uint8]
CELL, COLUMNS = (232, 248), 8
"""Width and height of a cell in px; cells in a row."""
COLOURS = {1: (0, 200, 255), 2: (40, 40, 255)}
"""Of covered and of visible landmarks, BGR."""
SCENES = (0, 3, 57, 58, 20, 21, 24, 29, 33, 38, 40, 43, 48, 54)
"""Pictures of the validation split of the benchmark data set that are shown whole."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs/assets/synthetic_contact_sheet.jpg"
    )
    args = parser.parse_args(argv)
    cells = [cell for c in range(len(DEEPFASHION2.categories)) for cell in _category_cells(c)]
    recipe = PRESETS["benchmark"].recipe
    cells += [_scene_cell(recipe, index) for index in SCENES]
    rows = [np.hstack(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)]
    cv2.imwrite(str(args.output), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 80])
    print(f"{args.output}: {args.output.stat().st_size / 1000:.0f} kB")
    return 0


def _category_cells(class_index: int) -> tuple[Image, Image]:
    """The first picture that shows one whole garment of the class, bare and annotated."""
    recipe = PRESETS["small"].recipe
    index = next(i for i in range(2000) if _shows_one(recipe, i, class_index + 1))
    drawn = draw_picture(recipe, "train", index)
    item = drawn.annotation["item1"]
    bare, marked = (_crop(drawn.image, item, marks) for marks in (False, True))
    _write(bare, DEEPFASHION2.categories[class_index].name)
    return bare, marked


def _shows_one(recipe: Recipe, index: int, category_id: int) -> bool:
    annotation = plan_picture(recipe, "train", index).annotation
    item = annotation["item1"]
    alone = "item2" not in annotation and item["category_id"] == category_id
    return alone and item["landmarks"][2::3].count(2) >= len(item["landmarks"]) // 3 - 1


def _crop(image: Image, item: dict[str, Any], marks: bool) -> Image:
    """The garment and a margin around it, as a cell."""
    x1, y1, x2, y2 = item["bounding_box"]
    scale = min(CELL[0] / (x2 - x1), CELL[1] / (y2 - y1)) * 0.86
    middle = np.array([x1 + x2, y1 + y2]) / 2
    offset = np.array(CELL) / 2 - scale * middle
    matrix = np.column_stack([np.eye(2) * scale, offset])
    cell = cv2.warpAffine(
        image, matrix, CELL, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    if marks:
        for number, (x, y, v) in enumerate(np.reshape(item["landmarks"], (-1, 3)), start=1):
            if v:
                _mark(cell, scale * np.array([x, y]) + offset, v, str(number))
    return cell


def _scene_cell(recipe: Recipe, index: int) -> Image:
    """A whole picture with everything that is annotated."""
    drawn = draw_picture(recipe, "validation", index)
    scale = min(CELL[0] / drawn.image.shape[1], CELL[1] / drawn.image.shape[0])
    small = cv2.resize(drawn.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for key in sorted(drawn.annotation):
        if key.startswith("item"):
            _annotate(small, drawn.annotation[key], scale)
    cell = np.full((CELL[1], CELL[0], 3), 255, np.uint8)
    cell[: small.shape[0], : small.shape[1]] = small[: CELL[1], : CELL[0]]
    return cell


def _annotate(image: Image, item: dict[str, Any], scale: float) -> None:
    red, green, blue = DEEPFASHION2.categories[item["category_id"] - 1].rgb
    for flat in item["segmentation"]:
        outline = np.round(np.reshape(flat, (-1, 1, 2)) * scale).astype(np.int32)
        cv2.polylines(image, [outline], True, (blue, green, red), 1, cv2.LINE_AA)
    x1, y1, x2, y2 = (round(v * scale) for v in item["bounding_box"])
    cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), (blue, green, red), 1)
    for x, y, v in np.reshape(item["landmarks"], (-1, 3)):
        if v:
            _mark(image, scale * np.array([x, y]), v, "")


def _mark(image: Image, xy: NDArray[np.float64], visibility: int, text: str) -> None:
    x, y = (round(float(value)) for value in xy)
    cv2.circle(image, (x, y), 2, COLOURS[visibility], -1, cv2.LINE_AA)
    place = (x + 3, y + 3)
    for colour, thickness in (((255, 255, 255), 3), ((0, 0, 0), 1)):
        cv2.putText(
            image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.32, colour, thickness, cv2.LINE_AA
        )


def _write(cell: Image, name: str) -> None:
    cv2.rectangle(cell, (0, 0), (CELL[0], 15), (255, 255, 255), -1)
    cv2.putText(cell, name, (4, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)


if __name__ == "__main__":
    sys.exit(main())
