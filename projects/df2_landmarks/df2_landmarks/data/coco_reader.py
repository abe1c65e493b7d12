"""COCO JSON with 294 landmark slots -> one packed record per image, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.data.packing import PackedGarment, PackedImage
from df2_landmarks.taxonomy import LAYOUT

ATTRIBUTES = ("pair_id", "style", "source", "scale", "occlusion", "zoom_in", "viewpoint")
"""Extra annotation keys that are carried along where a file has them."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what a record can hold


class _Image(msgspec.Struct):
    id: Integer
    file_name: str
    width: Integer
    height: Integer


class _CocoFile(msgspec.Struct):
    images: list[_Image]
    # Decoded one at a time: 882 Python numbers per garment would take gigabytes together.
    annotations: list[msgspec.Raw] = []


class _Annotation(msgspec.Struct):
    image_id: Integer
    category_id: Integer
    bbox: tuple[float, float, float, float]
    keypoints: list[float]
    segmentation: list[list[float]] = []
    iscrowd: Integer = 0
    pair_id: Integer | None = None
    style: Integer | None = None
    source: str | None = None
    scale: Integer | None = None
    occlusion: Integer | None = None
    zoom_in: Integer | None = None
    viewpoint: Integer | None = None


def read_coco(json_file: Path, content: bytes) -> Iterator[PackedImage]:
    """Images in order of their ids, each with its garments in the order of the file.

    Args:
        json_file: where the content comes from, for messages.
        content: the whole file.

    Raises:
        ValueError: the content is not such a JSON.
    """
    try:
        coco = msgspec.json.decode(content, type=_CocoFile)
    except _UNREADABLE as error:
        raise ValueError(
            f"{json_file}: expected a COCO JSON (`make convert` writes one), but: {error}"
        ) from None
    images = {image.id: image for image in coco.images}
    if len(images) < len(coco.images):
        ((image_id, count),) = Counter(image.id for image in coco.images).most_common(1)
        raise ValueError(
            f"{json_file}: image ids must differ, but {count} images have the id {image_id} "
            "(files of two splits cannot be merged: they number their images alike)"
        )
    garments: dict[int, list[PackedGarment]] = {image_id: [] for image_id in images}
    decoder = msgspec.json.Decoder(_Annotation)
    for index, raw in enumerate(coco.annotations):
        where = f"{json_file}, annotations[{index}]"
        try:
            annotation = decoder.decode(raw)
        except _UNREADABLE as error:
            raise ValueError(f"{where}: {error}") from None
        image = images.get(annotation.image_id)
        if image is None:
            raise ValueError(f"{where}: image_id {annotation.image_id} is not among the images")
        garments[image.id].append(_pack(annotation, image, where))
    for image_id in sorted(images):
        image = images[image_id]
        yield PackedImage(
            image.file_name, image_id, image.height, image.width, garments.pop(image_id)
        )


def _pack(annotation: _Annotation, image: _Image, where: str) -> PackedGarment:
    if not 1 <= annotation.category_id <= LAYOUT.num_categories:
        raise ValueError(
            f"{where}: category_id must be 1..{LAYOUT.num_categories}, "
            f"but got {annotation.category_id}"
        )
    if len(annotation.keypoints) != 3 * LAYOUT.num_slots:
        raise ValueError(
            f"{where}: keypoints must hold {3 * LAYOUT.num_slots} numbers "
            f"({LAYOUT.num_slots} slots x 3), but got {len(annotation.keypoints)}"
        )
    class_index = annotation.category_id - 1
    slots = LAYOUT.slots(class_index)
    own = annotation.keypoints[3 * slots.start : 3 * slots.stop]
    return PackedGarment(
        class_index,
        annotation.bbox,
        annotation.iscrowd,
        _continuous(own, width=image.width, height=image.height).tobytes(),
        [np.asarray(polygon, dtype=np.float32).tobytes() for polygon in annotation.segmentation],
        {n: v for n in ATTRIBUTES if (v := getattr(annotation, n)) is not None},
    )


def _continuous(own: list[float], *, width: int, height: int) -> NDArray[np.float32]:
    """Pixel indices -> continuous coordinates in [0, width] x [0, height]; unlabelled -> zeros.

    Some files have landmarks at y == height, half a pixel outside after the shift: they are moved
    onto the border, else every augmentation would take them for landmarks that left the image.
    """
    landmarks = np.asarray(own, dtype=np.float32).reshape(-1, 3)
    landmarks[:, :2] += 0.5  # pixel index -> continuous; taken off in evaluation/results.py
    landmarks[:, 0] = landmarks[:, 0].clip(0, width)
    landmarks[:, 1] = landmarks[:, 1].clip(0, height)
    landmarks[landmarks[:, 2] == 0] = 0
    return landmarks.reshape(-1)
