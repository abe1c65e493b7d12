"""Generated ground truth and results in COCO form, and pycocotools' score of them."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from df2_landmarks.formats import Detections, GroundTruth, empty_class, zero_padded_areas
from df2_landmarks.taxonomy import DEEPFASHION2

Json = dict[str, Any]


def make_ground_truth(
    rng: np.random.Generator,
    *,
    num_images: int = 12,
    max_items: int = 3,
    classes: tuple[int, ...] = tuple(c % DEEPFASHION2.num_categories for c in (0, 2, 6, 8)),
    crowd: float = 0.1,
    unlabelled: float = 0.1,
    occluded_only: float = 0.1,
) -> Json:
    """A COCO ground truth with every oddity: crowds, unlabelled items, images with nothing."""
    image_ids = (rng.permutation(3 * num_images)[:num_images] + 1).tolist()
    annotations: list[Json] = []
    for image_id in image_ids:
        for _ in range(rng.integers(0, max_items + 1)):
            class_index = int(rng.choice(classes))
            kind = rng.random()
            visibility = rng.choice([0, 1, 2], DEEPFASHION2.counts[class_index], p=[0.2, 0.3, 0.5])
            if kind < unlabelled:
                visibility[:] = 0
            elif kind < unlabelled + occluded_only:
                visibility[:] = np.minimum(visibility, 1)
            annotations.append(
                annotation(
                    rng,
                    id=len(annotations) + 1,
                    image_id=image_id,
                    class_index=class_index,
                    visibility=visibility,
                    iscrowd=int(rng.random() < crowd),
                )
            )
    categories = [{"id": c.id, "name": c.official_name} for c in DEEPFASHION2.categories]
    images = [{"id": i, "width": 400, "height": 600} for i in image_ids]
    return {"images": images, "annotations": annotations, "categories": categories}


def annotation(
    rng: np.random.Generator,
    *,
    id: int,
    image_id: int,
    class_index: int,
    visibility: np.ndarray,
    iscrowd: int = 0,
) -> Json:
    """One item with a box of a random size and landmarks in it."""
    x, y = rng.integers(0, 100, 2).tolist()
    w, h = rng.integers(5, 300, 2).tolist()
    own = np.zeros((DEEPFASHION2.counts[class_index], 3))
    own[:, 0] = x + np.round(rng.random(len(own)) * w)
    own[:, 1] = y + np.round(rng.random(len(own)) * h)
    own[:, 2] = visibility
    own[visibility == 0] = 0
    slots = np.zeros((DEEPFASHION2.num_slots, 3))
    slots[DEEPFASHION2.slots(class_index)] = own
    values = rng.integers(0, 4, 4).tolist()
    return {
        "id": id,
        "image_id": image_id,
        "category_id": class_index + 1,
        "keypoints": slots.ravel().tolist(),
        "num_keypoints": int((visibility > 0).sum()),
        "bbox": [x, y, w, h],
        "area": w * h,
        "iscrowd": iscrowd,
        "segmentation": [[x, y, x + w, y, x + w, y + h]],
        **dict(zip(("scale", "occlusion", "zoom_in", "viewpoint"), values, strict=True)),
        "source": ["user", "shop"][image_id % 2],
    }


def make_results(
    rng: np.random.Generator,
    ground_truth: Json,
    *,
    per_item: int = 3,
    noise: float = 4.0,
    filled: bool = False,
    bbox: bool = False,
    ties: bool = False,
) -> list[Json]:
    """Results near the items, with wrong categories, wild guesses and images without anything."""
    records = []
    image_ids = [image["id"] for image in ground_truth["images"]]
    for item in ground_truth["annotations"]:
        for _ in range(rng.integers(0, per_item + 1)):
            class_index = item["category_id"] - 1
            slots = np.asarray(item["keypoints"]).reshape(-1, 3)
            own_xy = slots[DEEPFASHION2.slots(class_index), :2]
            if rng.random() < 0.1:
                class_index = int(rng.integers(0, DEEPFASHION2.num_categories))
                own_xy = rng.random((DEEPFASHION2.counts[class_index], 2)) * 300
            spread = noise * rng.choice([0, 0.5, 1, 4])
            records.append(
                _record(rng, item["image_id"], class_index, own_xy, spread, filled, bbox, ties)
            )
    for _ in range(len(image_ids) // 3):
        class_index = int(rng.integers(0, DEEPFASHION2.num_categories))
        own_xy = rng.random((DEEPFASHION2.counts[class_index], 2)) * 300
        image_id = int(rng.choice(image_ids))
        records.append(_record(rng, image_id, class_index, own_xy, 1, filled, bbox, ties))
    return [records[i] for i in rng.permutation(len(records))]


def _record(
    rng: np.random.Generator,
    image_id: int,
    class_index: int,
    own_xy: np.ndarray,
    spread: float,
    filled: bool,
    bbox: bool,
    ties: bool,
) -> Json:
    slots = np.zeros((DEEPFASHION2.num_slots, 3))
    if filled:
        slots[:, :2] = rng.random((DEEPFASHION2.num_slots, 2)) * 400
        slots[:, 2] = 1
    slots[DEEPFASHION2.slots(class_index), :2] = own_xy + rng.normal(size=own_xy.shape) * spread
    slots[DEEPFASHION2.slots(class_index), 2] = 1
    score = float(rng.random())
    record: Json = {
        "image_id": image_id,
        "category_id": class_index + 1,
        "keypoints": slots.ravel().tolist(),
        "score": round(score, 1) if ties else score,
    }
    if bbox:
        record["bbox"] = (rng.random(4) * 150).tolist()
    return record


def visible_only(ground_truth: Json) -> Json:
    """What the official ``keypoints_val_vis.json`` is to the file with all landmarks."""
    result = copy.deepcopy(ground_truth)
    for item in result["annotations"]:
        slots = np.asarray(item["keypoints"]).reshape(-1, 3)
        slots[slots[:, 2] == 1] = 0
        item["keypoints"] = slots.ravel().tolist()
        item["num_keypoints"] = int((slots[:, 2] > 0).sum())
    return result


def pycocotools_score(
    ground_truth: Json,
    results: list[Json],
    image_ids: list[int] | None = None,
    *,
    sigmas: np.ndarray | None = DEEPFASHION2.slot_sigmas,
) -> COCOeval:
    """The oracle: stock pycocotools with the 294 sigmas, or others; None: its own 17."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(ground_truth)
        truth.createIndex()
        oracle = COCOeval(truth, truth.loadRes(copy.deepcopy(results)), "keypoints")
        if sigmas is not None:
            oracle.params.kpt_oks_sigmas = sigmas
        if image_ids is not None:
            oracle.params.imgIds = image_ids
        oracle.evaluate()
        oracle.accumulate()
        oracle.summarize()
    return oracle


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def truth_as_detections(ground_truth: GroundTruth) -> Detections:
    """Return the items with at least one labelled landmark as perfect detections of score 1."""
    classes, start = [], 0
    for class_index, truth in enumerate(ground_truth.classes):
        labelled = (truth.visibility > 0).any(axis=1)
        count = int(np.count_nonzero(labelled))
        classes.append(
            replace(
                empty_class(DEEPFASHION2, class_index),
                record=start + np.arange(count),
                image_index=truth.image_index[labelled],
                scores=np.ones(count),
                landmarks_xy=truth.landmarks_xy[labelled],
                areas=zero_padded_areas(DEEPFASHION2, truth.landmarks_xy[labelled]),
                boxes_xywh=truth.boxes_xywh[labelled],
                full_row=np.full(count, -1),
            )
        )
        start += count
    return Detections("ground truth", ground_truth.image_ids, tuple(classes))
