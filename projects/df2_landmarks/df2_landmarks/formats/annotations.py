"""Ground truth of a split from its COCO file, for our score and for pycocotools."""

from __future__ import annotations

import hashlib
from array import array
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError, open_input
from df2_landmarks.formats.coco import CocoAnnotation, CocoItem, CocoReader
from df2_landmarks.formats.ground_truth import (
    ATTRIBUTES,
    SOURCES,
    ClassTruth,
    GroundTruth,
    find_images,
)
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy


def read_ground_truth(
    path: str | Path, *, needs_annotations: bool = False, taxonomy: Taxonomy = DEEPFASHION2
) -> GroundTruth:
    """Read the ground truth of a score: our COCO JSON, or an official one (plain, gzip or zip).

    Args:
        path: the file.
        needs_annotations: refuse the file of a test split, which lists its images only.
        taxonomy: the categories.

    Raises:
        UserError: the file does not exist or is not such a file; the message names record and
            field.
    """
    if not Path(path).exists():
        raise UserError(
            f"{path}: there is no such ground truth; `make convert` writes it into the annotations "
            "folder of the data, and --gt (GT= or DATA= of make) names another one"
        )
    image_ids = array("q")
    columns = [_Columns() for _ in taxonomy.counts]
    reader = CocoReader(path, taxonomy=taxonomy)
    for images, items in reader.blocks():
        image_ids.extend(image.id for image in images)
        for item in items:
            columns[item.class_index].add(item)
    sorted_ids = np.sort(np.asarray(image_ids))
    classes = tuple(
        part.class_truth(sorted_ids, count)
        for part, count in zip(columns, taxonomy.counts, strict=True)
    )
    has_annotations = any(len(truth) for truth in classes)
    if needs_annotations and not has_annotations:
        raise UserError(f"{path}: has no annotations; give the training or validation split")
    return GroundTruth(
        Path(path).name,
        sorted_ids,
        classes,
        has_annotations,
        remarks=tuple(reader.report.remarks()),
        taxonomy=taxonomy,
        category_ids=reader.ids.every_id,
        sha256=_sha256(path),
    )


def _sha256(path: str | Path) -> str:
    digest = hashlib.sha256()
    with open_input(path) as (stream, _):
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_boxes_and_masks(path: str | Path, taxonomy: Taxonomy = DEEPFASHION2) -> dict[str, Any]:
    """Read a COCO JSON without its keypoints, for ``pycocotools.coco.COCO``.

    Category ids are those of the taxonomy, whatever the file's are.

    Args:
        path: the file.
        taxonomy: the categories.

    Returns:
        A complete data set with ``images``, ``annotations`` and ``categories``, for
        ``COCO().dataset``.

    Raises:
        UserError: as `CocoReader`.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for some_images, items in CocoReader(path, taxonomy=taxonomy).blocks():
        images += [msgspec.structs.asdict(image) for image in some_images]
        annotations += [
            # pycocotools takes lists only
            {name: getattr(annotation, name) for name in _BOX_AND_MASK_FIELDS}
            | {"bbox": list(annotation.bbox), "category_id": class_index + 1}
            for annotation, class_index, _ in items
        ]
    categories = [{"id": c.id, "name": c.official_name} for c in taxonomy.categories]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


_BOX_AND_MASK_FIELDS = ("id", "image_id", "area", "iscrowd", "segmentation")


class _Columns:
    """Items of one class, column by column, while a file is read."""

    def __init__(self) -> None:
        self.integers = array("q")  # id, image id, iscrowd, num_keypoints
        self.scalars = array("d")  # area, box
        self.attributes = array("b")
        self.landmarks = array("d")

    def add(self, item: CocoItem) -> None:
        annotation, _, landmarks = item
        num_keypoints = annotation.num_keypoints
        if num_keypoints is None:
            num_keypoints = int(np.count_nonzero(landmarks[:, 2]))
        self.integers.extend(
            (annotation.id, annotation.image_id, annotation.iscrowd, num_keypoints)
        )
        self.scalars.extend((annotation.area, *annotation.bbox))
        self.attributes.extend(_attributes(annotation))
        self.landmarks.frombytes(landmarks.tobytes())

    def class_truth(self, image_ids: NDArray[np.int64], num_landmarks: int) -> ClassTruth:
        integers = np.asarray(self.integers).reshape(-1, 4)
        image_index = find_images(image_ids, integers[:, 1])
        order = np.argsort(image_index, kind="stable")
        ids, _, iscrowd, num_keypoints = integers[order].T.copy()
        scalars = np.asarray(self.scalars).reshape(-1, 5)[order]
        landmarks = np.asarray(self.landmarks).reshape(-1, num_landmarks, 3)[order]
        return ClassTruth(
            ids=ids,
            image_index=image_index[order],
            landmarks_xy=landmarks[:, :, :2].copy(),
            visibility=landmarks[:, :, 2].astype(np.int8),
            boxes_xywh=scalars[:, 1:],
            areas=scalars[:, 0],
            crowd=iscrowd != 0,
            num_labelled=num_keypoints,
            attributes=np.asarray(self.attributes).reshape(-1, len(ATTRIBUTES))[order],
        )


def _attributes(annotation: CocoAnnotation) -> tuple[int, ...]:
    value = _ATTRIBUTE_VALUES.get
    return (
        value(annotation.scale, 0),
        value(annotation.occlusion, 0),
        value(annotation.zoom_in, 0),
        value(annotation.viewpoint, 0),
        _SOURCE_VALUES.get(annotation.source, 0),
    )


_ATTRIBUTE_VALUES: dict[int | None, int] = {1: 1, 2: 2, 3: 3}
_SOURCE_VALUES: dict[str | None, int] = {source: i for i, source in enumerate(SOURCES, 1)}
