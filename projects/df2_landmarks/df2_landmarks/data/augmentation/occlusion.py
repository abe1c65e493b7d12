"""Garments that something hides in part: other garments, pasted from other pictures, or a cut-out.

What is hidden of a garment is no part of its mask, its box is drawn in, and a hidden landmark is
occluded (v = 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from detectron2.structures import Boxes, Instances, Keypoints
from numpy.typing import NDArray
from torch.utils.data import ConcatDataset

from df2_landmarks.data.augmentation.outlines import clipped, extent
from df2_landmarks.data.polygon_masks import CheckedPolygonMasks, Polygons
from df2_landmarks.formats import Mask

Example = dict[str, Any]
"""With ``image`` (3, H, W) uint8 and ``instances``, as `LandmarkDatasetMapper` gives it."""

Records = Sequence[dict[str, Any]] | ConcatDataset
"""Dataset dicts."""

MIN_VISIBLE_SHARE = 0.1
"""A garment of which less is left is no longer annotated."""
SHARE_PASTED = 0.5
"""Of the garments of a picture that others are pasted from."""
GREY = 128
"""A cut-out; as Detectron2 pads pictures."""
OCCLUDED, VISIBLE = 1, 2


class OccludingMapper:
    """A mapper for trainings whose examples get pasted garments and cut-outs."""

    def __init__(
        self,
        mapper: Callable[[dict[str, Any]], Example | None],
        records: Records,
        *,
        copy_paste: float,
        cut_out: float,
    ) -> None:
        """
        Args:
            mapper: dataset dict -> example; None where an image is skipped.
            records: dataset dicts of the pictures whose garments are pasted.
            copy_paste: probability that an example gets garments of another picture, 0..1.
            cut_out: largest share of an example's width and height that a rectangle hides, 0..1.
        """
        self._mapper = mapper
        self._records = records
        self._copy_paste = copy_paste
        self._cut_out = cut_out

    def __call__(self, dataset_dict: dict[str, Any]) -> Example | None:
        example = self._mapper(dataset_dict)
        if example is None:
            return None
        if np.random.rand() < self._copy_paste:
            source = self._mapper(self._records[np.random.randint(len(self._records))])
            example = example if source is None else _paste_at_random(example, source)
        if self._cut_out:
            example = cut_out(example, _random_rectangle(example, self._cut_out))
        return example


def paste(example: Example, source: Example, rows: Sequence[int], offset: Sequence[int]) -> Example:
    """Return an example with garments of another one in front of its own.

    Args:
        example: stays as it is.
        source: stays as it is.
        rows: of the source's garments, all with polygons and not hidden in part.
        offset: (x, y) where the corner of the source's picture comes to lie, in pixels.
    """
    image_size = example["instances"].image_size
    pasted = _moved(source["instances"][list(rows)], image_size, offset)
    covers = [polygon for polygons in pasted.gt_masks.polygons for polygon in polygons]
    if not covers:
        return example
    image, inside = example["image"].clone(), torch.from_numpy(_filled(covers, image_size))
    # The part of both pictures that overlaps, in pixels of either.
    (left, top), (height, width) = offset, image_size
    source_height, source_width = source["image"].shape[1:]
    y, x = slice(max(top, 0), top + source_height), slice(max(left, 0), left + source_width)
    source_y, source_x = slice(max(-top, 0), height - top), slice(max(-left, 0), width - left)
    pixels = source["image"][:, source_y, source_x]
    image[:, y, x] = torch.where(inside[y, x], pixels, image[:, y, x])
    hidden = hide(example["instances"], covers)
    return {**example, "image": image, "instances": _joined(hidden, pasted)}


def cut_out(example: Example, box_xyxy: Sequence[int]) -> Example:
    """Return an example with a grey rectangle in front of its garments.

    Args:
        example: stays as it is.
        box_xyxy: the rectangle, in pixels: whole numbers inside the picture.
    """
    left, top, right, bottom = box_xyxy
    image = example["image"].clone()
    image[:, top:bottom, left:right] = GREY
    covers = [_rectangle(np.asarray(box_xyxy, dtype=np.float64))]
    return {**example, "image": image, "instances": hide(example["instances"], covers)}


def hide(instances: Instances, covers: Polygons) -> Instances:
    """Return the garments of a picture that are not hidden (almost) completely.

    Of those that are hidden in part, hidden landmarks become occluded, the mask loses its hidden
    part, and each side of the box moves as far as that side of the visible part does. A garment
    without polygons counts as a rectangle.

    Args:
        instances: as `LandmarkDatasetMapper` gives them; they stay as they are.
        covers: flat polygons of what hides, in continuous coordinates of the picture.
    """
    hidden = _filled(covers, instances.image_size)
    instances = instances[torch.arange(len(instances))]  # a copy
    landmarks, boxes = instances.gt_keypoints.tensor, instances.gt_boxes.tensor
    height, width = instances.image_size
    columns = landmarks[..., 0].long().clamp(max=width - 1)
    rows = landmarks[..., 1].long().clamp(max=height - 1)
    is_hidden = torch.from_numpy(hidden)[rows, columns] & (landmarks[..., 2] == VISIBLE)
    landmarks[..., 2][is_hidden] = OCCLUDED
    masks = instances.gt_masks if instances.has("gt_masks") else None
    kept = torch.ones(len(instances), dtype=torch.bool)
    for row in range(len(instances)):
        polygons = masks.polygons[row] if masks else []
        earlier = masks.covers[row] if masks else []
        polygons = polygons or [_rectangle(boxes[row].double().numpy())]
        before = _filled(polygons, instances.image_size, earlier)
        after = before & ~hidden
        area, area_before = np.count_nonzero(after), np.count_nonzero(before)
        if area == area_before:
            continue
        kept[row] = bool(area >= MIN_VISIBLE_SHARE * area_before)
        if kept[row]:
            boxes[row] += torch.from_numpy(_pixel_box(after) - _pixel_box(before))
            if masks and masks.polygons[row]:
                masks.covers[row] = [*earlier, *covers]
    # A box that was smaller than its mask can have nothing left.
    return instances[kept & instances.gt_boxes.nonempty()]


def _paste_at_random(example: Example, source: Example) -> Example:
    """Paste some garments of a picture, in one piece, at a random place of another one.

    Where they are larger than the picture, it shows a part of them.
    """
    masks = source["instances"].gt_masks
    candidates = masks.nonempty().nonzero()[:, 0].numpy()
    if not len(candidates):
        return example
    rows = candidates[np.random.rand(len(candidates)) < SHARE_PASTED]
    if not len(rows):
        rows = candidates[np.random.randint(len(candidates), size=1)]
    polygons = [polygon.reshape(-1, 2) for row in rows for polygon in masks.polygons[row]]
    seen = [clipped(polygon, source["instances"].image_size) for polygon in polygons]
    seen = [polygon for polygon in seen if len(polygon)]
    if not seen:
        return example
    corners = extent(seen).reshape(2, 2)
    corner = np.floor(corners[0]).astype(int)
    free = np.subtract(example["instances"].image_size[::-1], np.ceil(corners[1] - corners[0]))
    place = np.random.randint(np.minimum(free, 0), np.maximum(free, 0) + 1)
    return paste(example, source, rows.tolist(), (place - corner).tolist())


def _random_rectangle(example: Example, max_share: float) -> list[int]:
    """Return x1, y1, x2, y2 of a rectangle at a random place, anywhere inside the picture."""
    sides = np.asarray(example["image"].shape[:0:-1])
    size = np.round(np.random.uniform(0, max_share, 2) * sides).astype(int)
    corner = np.random.randint(sides - size + 1)
    return [*corner.tolist(), *(corner + size).tolist()]


def _moved(instances: Instances, image_size: tuple[int, int], offset: Sequence[int]) -> Instances:
    """Return garments at another place, cut to their picture and to the other one.

    A garment that is outside of the other picture has no polygons there, and is left out.
    """
    left, top = (float(value) for value in offset)
    shift = np.array((left, top))
    moved = Instances(image_size)
    boxes = instances.gt_boxes.tensor + torch.tensor((left, top, left, top))
    polygons_of_row: list[Polygons] = []
    for row, polygons in enumerate(instances.gt_masks.polygons):
        seen = [clipped(polygon.reshape(-1, 2), instances.image_size) for polygon in polygons]
        seen = [polygon + shift for polygon in seen if len(polygon)]
        inside = [polygon for p in seen if len(polygon := clipped(p, image_size))]
        polygons_of_row.append([polygon.reshape(-1) for polygon in inside])
        if inside:
            boxes[row] += torch.from_numpy(extent(inside) - extent(seen))
    landmarks = instances.gt_keypoints.tensor.clone()
    landmarks[..., 0] += left
    landmarks[..., 1] += top
    is_outside = (landmarks[..., :2] < 0).any(-1)
    is_outside |= (landmarks[..., 0] > image_size[1]) | (landmarks[..., 1] > image_size[0])
    landmarks[is_outside | (landmarks[..., 2] == 0)] = 0
    moved.gt_boxes = Boxes(boxes)
    moved.gt_boxes.clip(image_size)
    moved.gt_classes = instances.gt_classes
    moved.gt_keypoints = Keypoints(landmarks)
    moved.gt_masks = CheckedPolygonMasks(polygons_of_row)
    return moved[moved.gt_masks.nonempty() & moved.gt_boxes.nonempty()]


def _joined(first: Instances, second: Instances) -> Instances:
    joined = Instances(first.image_size)
    joined.gt_boxes = Boxes.cat([first.gt_boxes, second.gt_boxes])
    joined.gt_classes = torch.cat([first.gt_classes, second.gt_classes])
    landmarks = torch.cat([first.gt_keypoints.tensor, second.gt_keypoints.tensor])
    joined.gt_keypoints = Keypoints(landmarks)
    masks = first.gt_masks, second.gt_masks
    joined.gt_masks = CheckedPolygonMasks(
        [polygons for m in masks for polygons in m.polygons],
        [covers for m in masks for covers in m.covers],
    )
    return joined


def _filled(
    polygons: Polygons, image_size: tuple[int, int], covers: Polygons | None = None
) -> NDArray[np.bool_]:
    """Return the (H, W) pixels in any of some flat polygons, and in none of the covers."""
    return Mask.from_polygons(polygons, *image_size, covers or ()).array


def _rectangle(box_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    return box_xyxy[[0, 1, 2, 1, 2, 3, 0, 3]]


def _pixel_box(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the (4,) box around the pixels of a mask that has any."""
    columns, rows = (np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1))
    return np.array((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), dtype=np.float64)
