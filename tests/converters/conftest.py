"""A factory of small raw DeepFashion2 folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from df2_landmarks.taxonomy import DEEPFASHION2

WIDTH, HEIGHT = 120, 160

Item = dict[str, Any]


def make_item(category_id: int = 1, **changes: Any) -> Item:
    """A valid item: landmark j at (j + 1, 2 j + 1), visibility 2, 1, 0, 2, 1, 0..."""
    landmarks: list[int] = []
    for j in range(DEEPFASHION2.counts[category_id - 1]):
        visibility = (2, 1, 0)[j % 3]
        landmarks += [j + 1, 2 * j + 1, visibility] if visibility else [0, 0, 0]
    return {
        "category_id": category_id,
        "category_name": DEEPFASHION2.categories[category_id - 1].name,
        "style": 1,
        "bounding_box": [10, 20, 110, 150],
        "landmarks": landmarks,
        "segmentation": [[10, 20.5, 110, 20, 110, 150, 10, 20.5]],
        "scale": 2,
        "occlusion": 1,
        "zoom_in": 3,
        "viewpoint": 2,
        **changes,
    }


class RawFolder:
    """Writes images and annotation files into ``annos/`` and ``image/`` of a folder."""

    def __init__(self, root: Path) -> None:
        self.annos, self.images = root / "annos", root / "image"
        self.annos.mkdir(parents=True)
        self.images.mkdir()

    def add(self, image_id: int, *items: Item, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
        content: dict[str, Any] = {f"item{i}": item for i, item in enumerate(items, start=1)}
        self.add_text(image_id, json.dumps({"source": "shop", "pair_id": 7, **content}), size)

    def add_text(self, image_id: int, text: str, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
        (self.annos / f"{image_id:06d}.json").write_text(text)
        Image.new("RGB", size).save(self.images / f"{image_id:06d}.jpg")


@pytest.fixture(scope="session")
def raw_item() -> Callable[..., Item]:
    return make_item


@pytest.fixture(scope="session")
def make_raw_folder() -> type[RawFolder]:
    return RawFolder


@pytest.fixture
def raw_folder(tmp_path: Path) -> Callable[[str], RawFolder]:
    """Makes ``tmp_path / name`` with the two folders of a split in it."""
    return lambda name="train": RawFolder(tmp_path / name)
