"""The Detectron2 evaluator of landmarks: official OKS AP under both protocols.

N = detections of an image, M = 39 = the most landmarks of a category.
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager
from numpy.typing import NDArray

from df2_landmarks.evaluation import (
    TITLES,
    Score,
    category_table,
    counts_line,
    overall_table,
    score,
)
from df2_landmarks.formats import (
    VISIBLE,
    VISIBLE_AND_OCCLUDED,
    Detections,
    GroundTruth,
    concatenate_class,
    detections_from_predictions,
    read_ground_truth,
    write_results_file,
    write_submission,
)
from df2_landmarks.taxonomy import LAYOUT

logger = logging.getLogger(__name__)

TASKS = {VISIBLE_AND_OCCLUDED: "landmarks", VISIBLE: "landmarks_visible"}
"""Protocol -> key in the returned dict."""

RESULTS_FILE = "landmark_results.json"


@dataclass(frozen=True, eq=False)
class _Found:
    """Predictions of one class on one image, in continuous coordinates."""

    class_index: int
    image_id: int
    place: NDArray[np.int64]  # (n,) among the image's predictions
    scores: NDArray[np.float32]
    landmarks_xy: NDArray[np.float32]  # (n, K, 2), own landmarks only
    boxes_xyxy: NDArray[np.float32]


class LandmarkEvaluator(DatasetEvaluator):
    """Scores predicted landmarks as the DeepFashion2 challenge does.

    Args:
        dataset_name: a registered data set; its metadata has ``json_file``, the COCO JSON with all
            landmarks (the *visible* protocol is derived from it).
        output_dir: where the results JSON and the challenge zip go; nothing is written if None.
        distributed: gather the predictions of all processes; else each scores its own.
    """

    def __init__(
        self, dataset_name: str, *, output_dir: str | None = None, distributed: bool = True
    ) -> None:
        self._dataset_name = dataset_name
        self._json_file = MetadataCatalog.get(dataset_name).json_file
        self._output_dir = output_dir
        self._distributed = distributed
        self._ground_truth: GroundTruth | None = None
        self._found: list[_Found] = []
        self._num_dropped = 0

    def reset(self) -> None:
        """Forgets all predictions."""
        self._found = []
        self._num_dropped = 0

    def process(
        self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]
    ) -> None:
        """Keeps what a batch predicted.

        Args:
            inputs: dicts with ``image_id``.
            outputs: dicts with ``instances``: ``pred_boxes``, ``scores``, ``pred_classes`` and
                ``pred_keypoints`` (N, M, 3), category-local, continuous. They stay as they are.
        """
        for one_input, output in zip(inputs, outputs, strict=True):
            instances = output["instances"]
            if len(instances):
                self._keep(int(one_input["image_id"]), instances)

    def _keep(self, image_id: int, instances: Any) -> None:
        scores = instances.scores.detach().cpu().numpy()
        classes = instances.pred_classes.detach().cpu().numpy()
        boxes_xyxy = instances.pred_boxes.tensor.detach().float().cpu().numpy()
        landmarks = instances.pred_keypoints.detach().float().cpu().numpy()
        if landmarks.shape[1:] != (LAYOUT.max_landmarks, 3):
            raise ValueError(
                f"pred_keypoints must have shape (N, {LAYOUT.max_landmarks}, 3), category-local, "
                f"but got {landmarks.shape}"
            )
        finite = (
            np.isfinite(landmarks[:, :, :2]).all(axis=(1, 2))
            & np.isfinite(boxes_xyxy).all(axis=1)
            & np.isfinite(scores)
        )
        self._num_dropped += int(np.count_nonzero(~finite))
        for class_index in np.unique(classes[finite]).tolist():
            rows = np.flatnonzero((classes == class_index) & finite)
            # Indexing with an array copies: the predictions are neither changed nor kept alive.
            self._found.append(
                _Found(
                    class_index,
                    image_id,
                    rows,
                    scores[rows].astype(np.float32),
                    landmarks[rows, : LAYOUT.counts[class_index], :2],
                    boxes_xyxy[rows],
                )
            )

    def evaluate(self) -> OrderedDict[str, dict[str, float]]:
        """Scores everything on the main process.

        Returns:
            ``{"landmarks": {...}, "landmarks_visible": {...}}`` in percent, as Detectron2's own
            evaluators: ``AP``, ``AP50``... and ``AP-<category>``, NaN where there is no ground
            truth. Empty on other processes and for a split without annotations.
        """
        found, dropped = self._found, self._num_dropped
        if self._distributed:
            comm.synchronize()
            gathered = comm.gather((found, dropped), dst=0)
            if not comm.is_main_process():
                return OrderedDict()
            found = [one for part, _ in gathered for one in part]
            dropped = sum(count for _, count in gathered)
        if dropped:
            logger.warning(f"Left out {dropped} detections that are not finite.")
        ground_truth = self._read_ground_truth()
        detections = _detections(self._dataset_name, found).of_images(ground_truth.image_ids)
        self._write(detections, ground_truth)
        if not ground_truth.has_annotations:
            logger.info(f"{self._dataset_name} has no annotations: nothing is scored.")
            return OrderedDict()
        scores = [score(ground_truth, detections, protocol) for protocol in TASKS]
        self._log(ground_truth, scores, len(detections))
        return OrderedDict((TASKS[one.protocol], _percent(one)) for one in scores)

    def _read_ground_truth(self) -> GroundTruth:
        if self._ground_truth is None:
            self._ground_truth = read_ground_truth(PathManager.get_local_path(self._json_file))
        return self._ground_truth

    def _write(self, detections: Detections, ground_truth: GroundTruth) -> None:
        if self._output_dir is None:
            return
        folder = Path(self._output_dir)
        split = "val" if ground_truth.has_annotations else "test"
        write_results_file(folder / RESULTS_FILE, detections, with_boxes=True)
        archive = folder / f"{split}_keypoints.zip"
        write_submission(archive, detections, split=split)
        logger.info(f"Wrote {folder / RESULTS_FILE} and the challenge zip {archive}")

    def _log(self, ground_truth: GroundTruth, scores: list[Score], num_detections: int) -> None:
        summaries = {TITLES[one.protocol]: one.curves.summary() for one in scores}
        logger.info(
            f"Landmarks on {self._dataset_name}: "
            f"{counts_line(ground_truth, scores, num_detections)}\n"
            f"{overall_table(summaries)}\n\n{category_table(ground_truth, scores)}"
        )


def _detections(name: str, found: Sequence[_Found]) -> Detections:
    """Join the predictions of all images; order of images as they came, then of predictions."""
    images = {image_id: i for i, image_id in enumerate(dict.fromkeys(f.image_id for f in found))}
    image_ids = np.asarray(sorted(images), dtype=np.int64)
    stride = max((int(f.place.max()) + 1 for f in found), default=1)
    classes = []
    for class_index in range(LAYOUT.num_categories):
        some = [f for f in found if f.class_index == class_index]
        if not some:
            classes.append(concatenate_class(class_index, []))
            continue
        counts = [len(f.scores) for f in some]
        image_order = np.repeat([images[f.image_id] for f in some], counts)
        classes.append(
            detections_from_predictions(
                image_ids=image_ids,
                records=image_order * stride + np.concatenate([f.place for f in some]),
                class_index=class_index,
                prediction_image_ids=np.repeat([f.image_id for f in some], counts),
                scores=np.concatenate([f.scores for f in some]),
                landmarks_xy=np.concatenate([f.landmarks_xy for f in some]),
                boxes_xyxy=np.concatenate([f.boxes_xyxy for f in some]),
            )
        )
    return Detections(name, image_ids, tuple(classes))


def _percent(one: Score) -> dict[str, float]:
    names = [f"AP-{category.official_name}" for category in LAYOUT.categories]
    per_category = zip(names, one.curves.per_category(), strict=True)
    values = {**one.curves.summary(), **dict(per_category)}
    return {name: math.nan if v is None else 100 * v for name, v in values.items()}
