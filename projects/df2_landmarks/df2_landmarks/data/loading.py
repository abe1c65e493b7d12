"""COCO JSON with 294 landmark slots -> Detectron2 dataset dicts with own landmarks only."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from detectron2.structures import BoxMode
from numpy.typing import NDArray

from df2_landmarks.taxonomy import LAYOUT

logger = logging.getLogger(__name__)

ATTRIBUTES = ("pair_id", "style", "source", "scale", "occlusion", "zoom_in", "viewpoint")
"""Extra annotation keys that are carried along where a file has them."""


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int


class _CocoFile(msgspec.Struct):
    images: list[_Image]
    # Decoded one at a time: 882 Python numbers per garment would take gigabytes together.
    annotations: list[msgspec.Raw] = []


class _Annotation(msgspec.Struct):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    keypoints: list[float]
    segmentation: list[list[float]] = []
    iscrowd: int = 0
    pair_id: int | None = None
    style: int | None = None
    source: str | None = None
    scale: int | None = None
    occlusion: int | None = None
    zoom_in: int | None = None
    viewpoint: int | None = None


def load_landmark_json(json_file: str | Path, image_root: str | Path) -> list[dict[str, Any]]:
    """Load a DeepFashion2 COCO JSON in Detectron2's format.

    Args:
        json_file: output of ``converters.deepfashion2_to_coco`` or of the official converter.
        image_root: folder that ``file_name`` is relative to.

    Returns:
        One dict per image, in order of image id: ``file_name``, ``image_id``, ``height``,
        ``width``, ``annotations``. Each annotation has ``bbox`` (XYWH_ABS), ``category_id`` (the
        class, 0..C-1), ``segmentation`` (polygons as in the file), ``iscrowd``, the attributes that
        the file has, and ``keypoints``: a float32 array of 3*K numbers x, y, v for the K landmarks
        of its own category. x and y are continuous image coordinates inside the image; the file's
        are pixel indices, so 0.5 is added here (`evaluation/results.py` takes it off).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not such a JSON.
    """
    content = _decode(Path(json_file))
    records: dict[int, dict[str, Any]] = {}
    for image in sorted(content.images, key=lambda image: image.id):
        records[image.id] = {
            "file_name": str(Path(image_root, image.file_name)),
            "image_id": image.id,
            "height": image.height,
            "width": image.width,
            "annotations": [],
        }
    decoder = msgspec.json.Decoder(_Annotation)
    for index, raw in enumerate(content.annotations):
        where = f"{json_file}, annotations[{index}]"
        try:
            annotation = decoder.decode(raw)
        except msgspec.ValidationError as error:
            raise ValueError(f"{where}: {error}") from None
        record = records.get(annotation.image_id)
        if record is None:
            raise ValueError(f"{where}: image_id {annotation.image_id} is not among the images")
        record["annotations"].append(_to_detectron2(annotation, record, where))
    logger.info("Loaded %d images from %s", len(records), json_file)
    return list(records.values())


def _decode(path: Path) -> _CocoFile:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} does not exist. Put the raw data in place and run `make convert`, or point "
            "DETECTRON2_DATASETS to the folder that holds it (see datasets/README.md)"
        ) from None
    try:
        return msgspec.json.decode(data, type=_CocoFile)
    except msgspec.DecodeError as error:
        raise ValueError(
            f"{path}: expected a COCO JSON (`make convert` writes one), but: {error}"
        ) from None


def _to_detectron2(annotation: _Annotation, image: dict[str, Any], where: str) -> dict[str, Any]:
    if not 1 <= annotation.category_id <= LAYOUT.num_categories:
        raise ValueError(
            f"{where}: category_id must be 1..{LAYOUT.num_categories}, "
            f"but got {annotation.category_id}"
        )
    class_index = annotation.category_id - 1
    if len(annotation.keypoints) != 3 * LAYOUT.num_slots:
        raise ValueError(
            f"{where}: keypoints must hold {3 * LAYOUT.num_slots} numbers "
            f"({LAYOUT.num_slots} slots x 3), but got {len(annotation.keypoints)}"
        )
    slots = LAYOUT.slots(class_index)
    own = annotation.keypoints[3 * slots.start : 3 * slots.stop]
    record = {
        "bbox": list(annotation.bbox),
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": class_index,
        "segmentation": annotation.segmentation,
        "iscrowd": annotation.iscrowd,
        "keypoints": _continuous(own, width=image["width"], height=image["height"]),
    }
    for name in ATTRIBUTES:
        value = getattr(annotation, name)
        if value is not None:
            record[name] = value
    return record


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
