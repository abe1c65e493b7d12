"""Make a raw DeepFashion2 split of any size for the converter's benchmark.

The annotation files have the proportions of the real data (1.626 items an image, all categories,
1 to 6 polygons, 60 % visible, 24 % occluded, 16 % unlabelled landmarks) and random coordinates.
The images are one-coloured JPEG files of 16 sizes; each size is one file, linked under many names.

    python benchmarks/data/raw_folder.py OUTPUT NUM_IMAGES
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from df2_landmarks.taxonomy import DEEPFASHION2

NUM_SIZES = 16
NUM_TEXTS = 4000  # different annotation files; then they repeat


def main(output: Path, num_images: int) -> None:
    """Write ``num_images`` images and annotation files to ``output``."""
    generator = random.Random(0)
    annos, images = output / "annos", output / "image"
    annos.mkdir(parents=True)
    images.mkdir()
    sizes = [(generator.randint(468, 880), generator.randint(468, 1402)) for _ in range(NUM_SIZES)]
    texts: list[str] = []
    for number in range(num_images):
        width, height = sizes[number % NUM_SIZES]
        if len(texts) < NUM_TEXTS:
            texts.append(json.dumps(annotation(generator, width, height)))
        (annos / f"{number + 1:06d}.json").write_text(texts[number % NUM_TEXTS])
        image = images / f"{number + 1:06d}.jpg"
        if number < NUM_SIZES:
            Image.new("RGB", (width, height), (90, 120, 150)).save(image, quality=85)
        else:
            os.link(images / f"{number % NUM_SIZES + 1:06d}.jpg", image)


def annotation(generator: random.Random, width: int, height: int) -> dict[str, Any]:
    """Return the content of one annotation file."""
    content: dict[str, Any] = {
        "source": generator.choice(("shop", "user")),
        "pair_id": generator.randint(1, 14555),
    }
    num_items = generator.choices((1, 2, 3), (0.45, 0.474, 0.076))[0]
    for number in range(1, num_items + 1):
        content[f"item{number}"] = item(generator, width, height)
    return content


def item(generator: random.Random, width: int, height: int) -> dict[str, Any]:
    """Return one garment."""
    category = generator.choice(DEEPFASHION2.categories)
    x1, y1 = generator.randint(0, width // 3), generator.randint(0, height // 3)
    x2, y2 = generator.randint(width // 2, width), generator.randint(height // 2, height)
    landmarks: list[int] = []
    for _ in range(category.num_landmarks):
        visibility = generator.choices((2, 1, 0), (0.6, 0.24, 0.16))[0]
        x, y = generator.randint(x1, x2), generator.randint(y1, y2)
        landmarks += [x, y, visibility] if visibility else [0, 0, 0]
    num_polygons = generator.choices((1, 2, 3, 4, 5, 6), (17, 1, 27, 3, 2, 5))[0]
    polygons = []
    for _ in range(num_polygons):
        points = [
            round(generator.uniform(low, high), 2)
            for _ in range(generator.randint(8, 30))
            for low, high in ((x1, x2), (y1, y2))
        ]
        polygons.append(points + points[:2])
    return {
        "segmentation": polygons,
        "scale": generator.randint(1, 3),
        "viewpoint": generator.randint(1, 3),
        "zoom_in": generator.randint(1, 3),
        "landmarks": landmarks,
        "style": generator.randint(0, 3),
        "bounding_box": [x1, y1, x2, y2],
        "category_id": category.id,
        "occlusion": generator.randint(1, 3),
        "category_name": category.name,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
