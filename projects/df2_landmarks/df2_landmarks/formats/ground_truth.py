"""Ground truth of a split as one small set of arrays per category, and its two protocols.

N = items of a class, K = landmarks of the class, I = images. Coordinates are those of the file:
pixel indices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

VISIBLE = "visible"
VISIBLE_AND_OCCLUDED = "visible_and_occluded"
PROTOCOLS = (VISIBLE_AND_OCCLUDED, VISIBLE)

SOURCES = ("user", "shop")
ATTRIBUTES = ("scale", "occlusion", "zoom_in", "viewpoint", "source")
"""Attributes of an item; values 1..3, ``source`` 1 (user) or 2 (shop), 0 where unknown."""


@dataclass(frozen=True, eq=False)
class ClassTruth:
    """Items of one class, ordered by image, then by place in the file.

    Attributes:
        ids: (N,) annotation ids, >= 1.
        image_index: (N,) index into ``GroundTruth.image_ids``.
        landmarks_xy: (N, K, 2).
        visibility: (N, K) 0 not labelled, 1 occluded, 2 visible.
        boxes_xywh: (N, 4).
        areas: (N,) box areas as the file says.
        crowd: (N,) ``iscrowd``.
        num_labelled: (N,) ``num_keypoints`` as the file says.
        attributes: (N, 5) values of ``ATTRIBUTES``.
    """

    ids: NDArray[np.int64]
    image_index: NDArray[np.int64]
    landmarks_xy: NDArray[np.float64]
    visibility: NDArray[np.int8]
    boxes_xywh: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    num_labelled: NDArray[np.int64]
    attributes: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.ids)

    def labelled(self, protocol: str) -> NDArray[np.bool_]:
        """Return (N, K), True for landmarks that the protocol scores."""
        return self.visibility == 2 if protocol == VISIBLE else self.visibility > 0

    def ignored(self, protocol: str) -> NDArray[np.bool_]:
        """Return (N,), True for items that do not count: crowds, and nothing labelled."""
        if protocol == VISIBLE:
            return self.crowd | ~self.labelled(VISIBLE).any(axis=1)
        return self.crowd | (self.num_labelled == 0)


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Ground truth of a split.

    Attributes:
        name: name of the file.
        image_ids: (I,) ascending.
        classes: one ClassTruth per category, in the order of the taxonomy.
        has_annotations: False for a test split that lists its images only.
        remarks: lines for the user about what is suspicious in the file, and how it was understood.
        taxonomy: the categories.
        category_ids: id of each category in the file, and in results for it; by default that of
            the taxonomy.
        sha256: of the file's content, unpacked: 64 hexadecimal digits, as ``sha256sum`` prints them
            for the plain file; "" if it comes from no file.
    """

    name: str
    image_ids: NDArray[np.int64]
    classes: tuple[ClassTruth, ...]
    has_annotations: bool = True
    remarks: tuple[str, ...] = ()
    taxonomy: Taxonomy = DEEPFASHION2
    category_ids: tuple[int, ...] = ()
    sha256: str = ""

    @property
    def class_of_id(self) -> dict[int, int]:
        """Return category id of the file -> class (0-based)."""
        ids = self.category_ids or [category.id for category in self.taxonomy.categories]
        return {category_id: class_index for class_index, category_id in enumerate(ids)}

    @property
    def num_items(self) -> int:
        return sum(len(truth) for truth in self.classes)

    @property
    def has_occluded(self) -> bool:
        """False for the official ``keypoints_val_vis.json``, where v == 1 does not occur."""
        return any((truth.visibility == 1).any() for truth in self.classes)

    def unlabelled_images(self, class_index: int) -> NDArray[np.bool_]:
        """Return (I,), True for images where the score looks at the foreign slots of detections.

        They have an item of the class without a labelled landmark in one of the protocols.
        """
        truth = self.classes[class_index]
        result = np.zeros(len(self.image_ids), dtype=bool)
        result[truth.image_index[~truth.labelled(VISIBLE).any(axis=1)]] = True
        return result


def find_images(image_ids: NDArray[np.int64], wanted_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index of each of ``wanted_ids`` in the ascending ``image_ids``, -1 if missing."""
    index = np.searchsorted(image_ids, wanted_ids)
    index[index == len(image_ids)] = 0
    return np.where(image_ids[index] == wanted_ids, index, -1)
