"""Dataset dict -> training example: augmentation of image, boxes, polygons and landmarks together.

Shapes: N = garments in the image, K = landmarks of a category, M = the most that a category has.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode, configurable
from detectron2.data import transforms as T
from detectron2.structures import Boxes, BoxMode, Instances, Keypoints
from numpy.typing import NDArray

from df2_landmarks.common import UserError
from df2_landmarks.data.augmentation import (
    OccludingMapper,
    Records,
    build_augmentation,
    cuts_or_turns,
    refitted_box,
)
from df2_landmarks.data.polygon_masks import CheckedPolygonMasks
from df2_landmarks.formats import MAX_PIXELS, TooManyPixelsError, read_picture
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy, taxonomy_of

logger = logging.getLogger(__name__)

Mapper = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Dataset dict -> training example; None where an image is skipped."""

MAX_SKIPPED = 100
"""Bad images that each process of a loader skips, where it may, before it gives up."""
MIN_POLYGON_AREA_PX = 1.0
ROUNDING_PX = 1e-6
"""How far transforms may move a landmark on the border outwards by rounding."""


class LandmarkDatasetMapper:
    """Callable for Detectron2's data loaders.

    In training the result has ``image`` (C, H, W) uint8 and ``instances`` with ``gt_boxes``,
    ``gt_classes``, ``gt_masks`` (polygons; an empty list where a garment has no usable one) and
    ``gt_keypoints`` (N, M, 3): category-local landmarks in continuous coordinates of the
    transformed image, visibility 0 in the padding and outside the image. A garment is dropped only
    if its box leaves the image.
    """

    @configurable
    def __init__(
        self,
        *,
        is_train: bool,
        augmentations: Sequence[T.Augmentation],
        image_format: str,
        use_masks: bool,
        taxonomy: Taxonomy = DEEPFASHION2,
        on_bad_image: str = "stop",
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """
        Args:
            is_train: whether annotations are needed.
            augmentations: applied in order, to the image and its annotations alike.
            image_format: of the model's input, "BGR" or "RGB".
            use_masks: whether the model has a mask head.
            taxonomy: the categories.
            on_bad_image: "stop", or "skip": in training another image takes its place, up to
                `MAX_SKIPPED` times in each process of the loader.
            max_pixels: of an image that is decoded.
        """
        self.is_train = is_train
        self.augmentations = T.AugmentationList(augmentations)
        self.image_format = image_format
        self.use_masks = use_masks
        self.taxonomy = taxonomy
        self.skips_bad_images = is_train and on_bad_image == "skip"
        self.num_skipped = 0
        self.max_pixels = max_pixels

    @classmethod
    def from_config(cls, cfg: CfgNode, is_train: bool = True) -> dict[str, Any]:
        return {
            "is_train": is_train,
            "augmentations": build_augmentation(cfg, is_train),
            "image_format": cfg.INPUT.FORMAT,
            "use_masks": cfg.MODEL.MASK_ON,
            "taxonomy": taxonomy_of(cfg),
            "on_bad_image": cfg.INPUT.ON_BAD_IMAGE,
            "max_pixels": cfg.INPUT.MAX_PIXELS,
        }

    def __call__(self, dataset_dict: dict[str, Any]) -> dict[str, Any] | None:
        dataset_dict = copy.copy(dataset_dict)
        try:
            image = read_image(dataset_dict, self.image_format, self.max_pixels)
        except UserError as error:
            if not self.skips_bad_images:
                raise
            self._note_skipped(error)
            return None
        augmented = T.AugInput(image)
        transforms = self.augmentations(augmented)
        image = augmented.image
        dataset_dict["image"] = torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)))
        annotations = dataset_dict.pop("annotations", [])
        if self.is_train:
            dataset_dict["instances"] = self._instances(annotations, transforms, image.shape[:2])
        return dataset_dict

    def _note_skipped(self, error: UserError) -> None:
        """Count an image that is skipped; Detectron2's loader takes another for it."""
        self.num_skipped += 1
        if self.num_skipped > MAX_SKIPPED:
            raise UserError(f"more than {MAX_SKIPPED} bad images were skipped; the last: {error}")
        logger.warning(f"skipped (number {self.num_skipped} of this process): {error}")

    def _instances(
        self, annotations: list[dict], transforms: T.TransformList, image_size: tuple[int, int]
    ) -> Instances:
        annotations = [a for a in annotations if not a.get("iscrowd", 0)]
        boxes = [BoxMode.convert(a["bbox"], a["bbox_mode"], BoxMode.XYXY_ABS) for a in annotations]
        boxes_xyxy = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        if cuts_or_turns(transforms):
            for box_xyxy, annotation in zip(boxes_xyxy, annotations, strict=True):
                polygons = whole_polygons(annotation.get("segmentation", []))
                box_xyxy[:] = refitted_box(box_xyxy, polygons, transforms, image_size)
        else:
            boxes_xyxy = transforms.apply_box(boxes_xyxy)
        instances = Instances(image_size)
        instances.gt_boxes = Boxes(torch.as_tensor(boxes_xyxy, dtype=torch.float32))
        instances.gt_boxes.clip(image_size)
        instances.gt_classes = torch.tensor(
            [a["category_id"] for a in annotations], dtype=torch.int64
        )
        max_landmarks = self.taxonomy.max_landmarks
        landmarks = np.zeros((len(annotations), max_landmarks, 3), dtype=np.float32)
        for row, annotation in zip(landmarks, annotations, strict=True):
            own_landmarks = transform_landmarks(
                annotation["keypoints"],
                self.taxonomy.flip_indices[annotation["category_id"]],
                transforms,
                image_size,
            )
            row[: len(own_landmarks)] = own_landmarks
        instances.gt_keypoints = Keypoints(torch.from_numpy(landmarks))
        if self.use_masks:
            instances.gt_masks = CheckedPolygonMasks(
                [usable_polygons(a.get("segmentation", []), transforms) for a in annotations]
            )
        return instances[instances.gt_boxes.nonempty()]


def training_mapper(cfg: CfgNode, records: Records) -> Mapper:
    """Return the mapper of a training, with all augmentations of the configuration.

    Args:
        cfg: configuration.
        records: dataset dicts of the training, whose garments are pasted (`INPUT.COPY_PASTE`).

    Example:
        >>> from df2_landmarks.engine import setup_config
        >>> cfg = setup_config(opts=["INPUT.COPY_PASTE", "0.5"], on_cpu=True)
        >>> type(training_mapper(cfg, records=[])).__name__
        'OccludingMapper'
    """
    mapper = LandmarkDatasetMapper(cfg, is_train=True)
    copy_paste, cut_out = cfg.INPUT.COPY_PASTE, cfg.INPUT.AUGMENT.CUT_OUT
    if not copy_paste and not cut_out:
        return mapper
    return OccludingMapper(mapper, records, copy_paste=copy_paste, cut_out=cut_out)


def read_image(
    dataset_dict: dict[str, Any], image_format: str, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Read the (H, W, 3) image of a dataset dict, as a person would see it (`read_picture`).

    Args:
        dataset_dict: with ``file_name``, ``width`` and ``height``.
        image_format: order of the channels, "RGB" or "BGR".
        max_pixels: of an image that is decoded.

    Raises:
        UserError: there is no such file, it is not a readable image, or it does not have the size
            that the annotations say.
    """
    path = dataset_dict["file_name"]
    if not Path(path).exists():
        raise UserError(f"{path}: the annotations name this image, but it is missing")
    width, height = expected = dataset_dict["width"], dataset_dict["height"]
    try:
        image = read_picture(path, max_pixels=min(max_pixels, width * height))
        got = image.shape[1], image.shape[0]
    except TooManyPixelsError as error:
        if width * height > max_pixels or error.size is None:
            raise
        got = error.size
    if expected != got:
        raise UserError(
            f"{path}: the annotations say width x height {expected}, but the image has {got}. "
            "Make the annotations again from these images (of raw DeepFashion2: `make convert`)"
        )
    return image if image_format == "RGB" else image[:, :, ::-1]


def transform_landmarks(
    keypoints: NDArray[np.float32],
    flip_indices: NDArray[np.int64],
    transforms: T.TransformList,
    image_size: tuple[int, int],
) -> NDArray[np.float32]:
    """Move the landmarks of one garment with its image.

    Args:
        keypoints: 3*K numbers x, y, v in continuous coordinates of the original image.
        flip_indices: (M,) of its category: `Taxonomy.flip_indices`.
        transforms: what was done to the image.
        image_size: (height, width) of the transformed image.

    Returns:
        (K, 3). A landmark outside the transformed image is unlabelled (zeros); one on its border
        is inside.
    """
    landmarks = np.asarray(keypoints, dtype=np.float64).reshape(-1, 3)
    visibility = landmarks[:, 2].copy()
    xy = transforms.apply_coords(landmarks[:, :2].copy())
    in_image = np.minimum(np.maximum(xy, 0), image_size[::-1])
    visibility[(np.abs(xy - in_image) > ROUNDING_PX).any(axis=1)] = 0
    moved = np.column_stack((in_image, visibility)).astype(np.float32)
    moved[visibility == 0] = 0
    if is_mirrored(transforms):
        moved = moved[flip_indices[: len(moved)]]
    return moved


def is_mirrored(transforms: T.TransformList) -> bool:
    """Return whether a list of transforms flips an odd number of times, in either direction.

    A vertical flip is a horizontal one turned upside down: it exchanges left and right as well.
    """
    flips = (T.HFlipTransform, T.VFlipTransform)
    return sum(isinstance(t, flips) for t in transforms.transforms) % 2 == 1


def usable_polygons(
    segmentation: Sequence[Sequence[float]], transforms: T.TransformList
) -> list[NDArray[np.float64]]:
    """Return the transformed polygons that enclose an area; leave out the others.

    Files have polygons of fewer than three points and of one line. Detectron2's loader drops the
    whole garment for them; here it keeps its box and its landmarks and only teaches no mask.
    """
    # Points alone: a polygon that leaves the image is cut when it is rasterized inside its box.
    moved = [transforms.apply_coords(polygon) for polygon in whole_polygons(segmentation)]
    return [p.reshape(-1) for p in moved if _area_px(p) >= MIN_POLYGON_AREA_PX]


def whole_polygons(segmentation: Sequence[Sequence[float]]) -> list[NDArray[np.float64]]:
    """Return the polygons (n, 2) of at least three points, copied."""
    return [
        np.array(polygon, dtype=np.float64).reshape(-1, 2)
        for polygon in segmentation
        if len(polygon) >= 6 and len(polygon) % 2 == 0
    ]


def _area_px(polygon: NDArray[np.float64]) -> float:
    """Return the area by the shoelace formula: an approximation if the polygon crosses itself."""
    x, y = polygon[:, 0], polygon[:, 1]
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
