"""The Detectron2 evaluators: box and mask AP, and the official landmark AP under both protocols.

N = detections of an image, M = 39 = the most landmarks of a category.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import tempfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import MetadataCatalog
from detectron2.evaluation import COCOEvaluator, DatasetEvaluator
from detectron2.structures import Instances
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager
from numpy.typing import NDArray
from pycocotools.coco import COCO

from df2_landmarks.common import atomic_write
from df2_landmarks.engine.evaluation.scores_file import ScoresFile, fractions, scores_come_first
from df2_landmarks.evaluation import (
    TITLES,
    Score,
    category_table,
    counts_line,
    overall_table,
    provenance_line,
    score,
    score_as_dict,
    score_visibility,
    taxonomy_notes,
)
from df2_landmarks.evaluation.diagnosis import error_shares
from df2_landmarks.formats import (
    VISIBLE,
    VISIBLE_AND_OCCLUDED,
    Detections,
    GroundTruth,
    concatenate_present,
    detections_from_predictions,
    empty_class,
    read_boxes_and_masks,
    read_ground_truth,
    write_results_file,
    write_submission,
)
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

logger = logging.getLogger(__name__)

TASKS = {VISIBLE_AND_OCCLUDED: "landmarks", VISIBLE: "landmarks_visible"}
"""Protocol -> key in the returned dict."""

VISIBILITY_TASK = "visibility"
"""Key in the returned dict of the average precision of predicted visibility."""

ERRORS_TASK = "errors"
"""Key in the returned dict of the shares of the error types, visible and occluded landmarks."""

RESULTS_FILE = "landmark_results.json"
BOXES_FILE = "coco_instances_results.json"
"""The name that Detectron2 gives it."""

EMPTY_COCO: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": []}


class BoxMaskEvaluator(COCOEvaluator):
    """Detectron2's `COCOEvaluator` for boxes and masks of a landmark data set.

    It differs from the stock evaluator:

    * Only the main process reads the ground truth, when all predictions are there, and without the
      landmarks, whose slots are most of the file.
    * Predictions are copied without landmarks: the stock evaluator shifts landmarks on the CPU by
      half a pixel in place, and would write all of them as COCO keypoints.
    * A garment without a usable polygon has its box as its ground-truth mask, since pycocotools
      cannot draw an empty one.
    * Its file is written after the score, whole or not at all: a full disk costs no score.
    """

    def __init__(
        self,
        dataset_name: str,
        *,
        tasks: tuple[str, ...],
        output_dir: str,
        scores_file: ScoresFile | None = None,
    ) -> None:
        """
        Args:
            dataset_name: a registered data set; its metadata has ``json_file``.
            tasks: "bbox", "segm" or both.
            output_dir: folder of the files with predictions.
            scores_file: gets the scores as well.
        """
        # The stock constructor reads the ground truth. It gets an empty one, under a name of its
        # own, so that all its other settings are those of the Detectron2 version.
        with tempfile.TemporaryDirectory() as folder:
            empty = Path(folder, "empty.json")
            empty.write_text(json.dumps(EMPTY_COCO))
            name = f"{dataset_name} without ground truth"
            MetadataCatalog.get(name).json_file = str(empty)
            try:
                super().__init__(name, tasks=tasks, use_fast_impl=False)
            finally:
                MetadataCatalog.remove(name)
        self._metadata = MetadataCatalog.get(dataset_name)
        self._dataset_name = dataset_name
        self._folder = Path(output_dir)
        self._scores_file = scores_file

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Keep the boxes and masks of a batch."""
        super().process(
            inputs, [{"instances": _without_landmarks(o["instances"])} for o in outputs]
        )

    def _eval_predictions(
        self, predictions: list[dict[str, Any]], *args: Any, **kwargs: Any
    ) -> None:
        """Score the gathered predictions; called in the main process only."""
        taxonomy = self._metadata.get("taxonomy", DEEPFASHION2)
        truth = read_boxes_and_masks(PathManager.get_local_path(self._metadata.json_file), taxonomy)
        for annotation in truth["annotations"]:
            if isinstance(annotation["segmentation"], dict):  # run-length encoded
                continue
            polygons = [p for p in annotation["segmentation"] if len(p) >= 6]
            x, y, w, h = annotation["bbox"]
            annotation["segmentation"] = polygons or [[x, y, x + w, y, x + w, y + h, x, y + h]]
        self._coco_api = COCO()
        self._coco_api.dataset = truth
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
            self._coco_api.createIndex()
        self._do_evaluation = bool(truth["annotations"])
        super()._eval_predictions(predictions, *args, **kwargs)
        self._coco_api = COCO()  # frees the memory for the evaluators that follow
        if self._scores_file is not None:
            scores = {task: fractions(values) for task, values in self._results.items()}
            self._scores_file.add(self._dataset_name, **scores)
        results = [record for prediction in predictions for record in prediction["instances"]]
        with scores_come_first(), atomic_write(self._folder / BOXES_FILE) as file:
            file.write(json.dumps(results).encode())


def _without_landmarks(instances: Instances) -> Instances:
    fields = {k: v for k, v in instances.get_fields().items() if k != "pred_keypoints"}
    return Instances(instances.image_size, **fields)


@dataclass(frozen=True, eq=False)
class _Predictions:
    """Predictions of one class on one image, in continuous coordinates."""

    class_index: int
    image_id: int
    place: NDArray[np.int64]  # (n,) among the image's predictions
    scores: NDArray[np.float32]
    landmarks_xy: NDArray[np.float32]  # (n, K, 2), own landmarks only
    landmark_scores: NDArray[np.float32]  # (n, K), own landmarks only
    boxes_xyxy: NDArray[np.float32]
    visible_probability: NDArray[np.float32] | None  # (n, K), own landmarks only


class LandmarkEvaluator(DatasetEvaluator):
    """An evaluator that scores predicted landmarks as the DeepFashion2 challenge does."""

    def __init__(
        self,
        dataset_name: str,
        *,
        output_dir: str | None = None,
        distributed: bool = True,
        scores_file: ScoresFile | None = None,
    ) -> None:
        """
        Args:
            dataset_name: a registered data set; its metadata has ``json_file``, the COCO JSON with
                all landmarks (the *visible* protocol is derived from it).
            output_dir: folder of the results JSON and the challenge zip; None: write nothing.
            distributed: gather the predictions of all processes; else each scores its own.
            scores_file: gets the scores as well.
        """
        self._dataset_name = dataset_name
        metadata = MetadataCatalog.get(dataset_name)
        self._json_file = metadata.json_file
        self._taxonomy: Taxonomy = metadata.get("taxonomy", DEEPFASHION2)
        self._output_dir = output_dir
        self._distributed = distributed
        self._scores_file = scores_file
        self._ground_truth: GroundTruth | None = None
        self._predictions: list[_Predictions] = []
        self._num_dropped = 0

    def reset(self) -> None:
        """Forget all predictions."""
        self._predictions = []
        self._num_dropped = 0

    def process(
        self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]
    ) -> None:
        """Keep the predictions of a batch.

        Args:
            inputs: dicts with ``image_id``.
            outputs: dicts with ``instances``: ``pred_boxes``, ``scores``, ``pred_classes`` and
                ``pred_keypoints`` (N, M, 3), category-local, continuous, and, if predicted,
                ``pred_visibility`` (N, M). They stay as they are.
        """
        for image_input, output in zip(inputs, outputs, strict=True):
            instances = output["instances"]
            if len(instances):
                self._keep(int(image_input["image_id"]), instances)

    def _keep(self, image_id: int, instances: Any) -> None:
        scores = instances.scores.detach().cpu().numpy()
        classes = instances.pred_classes.detach().cpu().numpy()
        boxes_xyxy = instances.pred_boxes.tensor.detach().float().cpu().numpy()
        landmarks = instances.pred_keypoints.detach().float().cpu().numpy()
        assert landmarks.shape[1:] == (self._taxonomy.max_landmarks, 3), landmarks.shape
        visibility = None
        if instances.has("pred_visibility"):
            visibility = instances.pred_visibility.detach().float().cpu().numpy()
        finite = (
            np.isfinite(landmarks).all(axis=(1, 2))
            & np.isfinite(boxes_xyxy).all(axis=1)
            & np.isfinite(scores)
        )
        self._num_dropped += int(np.count_nonzero(~finite))
        for class_index in np.unique(classes[finite]).tolist():
            rows = np.flatnonzero((classes == class_index) & finite)
            count = self._taxonomy.counts[class_index]
            # Indexing with an array copies: the predictions are neither changed nor kept alive.
            self._predictions.append(
                _Predictions(
                    class_index,
                    image_id,
                    rows,
                    scores[rows].astype(np.float32),
                    landmarks[rows, :count, :2],
                    landmarks[rows, :count, 2],
                    boxes_xyxy[rows],
                    None if visibility is None else visibility[rows, :count],
                )
            )

    def evaluate(self) -> OrderedDict[str, dict[str, float]]:
        """Score all predictions in the main process.

        Returns:
            ``{"landmarks": {...}, "landmarks_visible": {...}}`` in percent, as Detectron2's own
            evaluators: ``AP``, ``AP50``... and ``AP-<category>``, NaN where there is no ground
            truth. Where visibility was predicted also ``"visibility"``: ``AP-visible``,
            ``AP-occluded`` and the ``share-`` of both. Last ``"errors"``: the `error_shares`. Empty
            in other processes and for a split without annotations.

        Raises:
            UserError: the ground truth cannot be read, or a predicted image is not in it.
        """
        predictions, num_dropped = self._predictions, self._num_dropped
        if self._distributed:
            comm.synchronize()
            gathered = comm.gather((predictions, num_dropped), dst=0)
            if not comm.is_main_process():
                return OrderedDict()
            predictions = [prediction for part, _ in gathered for prediction in part]
            num_dropped = sum(count for _, count in gathered)
        if num_dropped:
            logger.warning(f"Left out {num_dropped} detections that are not finite.")
        ground_truth = self._read_ground_truth()
        detections = _detections(self._dataset_name, predictions, self._taxonomy)
        detections = detections.of_images(ground_truth.image_ids)
        with scores_come_first():
            self._write(detections, ground_truth)
        if not ground_truth.has_annotations:
            logger.info(f"{self._dataset_name} has no annotations: nothing is scored.")
            return OrderedDict()
        scores = [score(ground_truth, detections, protocol) for protocol in TASKS]
        self._log(ground_truth, scores, len(detections))
        results = OrderedDict((TASKS[result.protocol], _percent(result)) for result in scores)
        visibility = score_visibility(ground_truth, scores[0])
        if visibility is not None:
            logger.info(visibility.text())
            results[VISIBILITY_TASK] = _in_percent(visibility.as_dict())
        errors = error_shares(ground_truth, scores[0])
        results[ERRORS_TASK] = _in_percent(errors)
        if self._scores_file is not None:
            self._scores_file.add(
                self._dataset_name,
                landmarks={s.protocol: score_as_dict(ground_truth, s, {}) for s in scores},
                visibility=None if visibility is None else visibility.as_dict(),
                errors=errors,
            )
        return results

    def _read_ground_truth(self) -> GroundTruth:
        if self._ground_truth is None:
            self._ground_truth = read_ground_truth(
                PathManager.get_local_path(self._json_file), taxonomy=self._taxonomy
            )
        return self._ground_truth

    def _write(self, detections: Detections, ground_truth: GroundTruth) -> None:
        if self._output_dir is None:
            return
        folder = Path(self._output_dir)
        split = "val" if ground_truth.has_annotations else "test"
        write_results_file(
            folder / RESULTS_FILE,
            detections,
            with_extras=True,
            own_landmarks=self._taxonomy != DEEPFASHION2,
            class_of_id=ground_truth.class_of_id,
        )
        if self._taxonomy != DEEPFASHION2:
            logger.info(f"Wrote {folder / RESULTS_FILE}")
            return
        archive = folder / f"{split}_keypoints.zip"
        write_submission(archive, detections, split=split)
        logger.info(f"Wrote {folder / RESULTS_FILE} and the challenge zip {archive}")

    def _log(self, ground_truth: GroundTruth, scores: list[Score], num_detections: int) -> None:
        summaries = {TITLES[result.protocol]: result.curves.summary() for result in scores}
        logger.info(
            f"Landmarks on {self._dataset_name}: "
            f"{counts_line(ground_truth, scores, num_detections)}\n"
            f"{provenance_line(ground_truth)}\n"
            f"{overall_table(summaries)}\n\n{category_table(ground_truth, scores)}"
        )
        for note in taxonomy_notes(ground_truth):
            logger.info(note)


def _detections(name: str, predictions: Sequence[_Predictions], taxonomy: Taxonomy) -> Detections:
    """Join the predictions of all images; order of images as they came, then of predictions."""
    order_of_image = {
        image_id: place
        for place, image_id in enumerate(dict.fromkeys(p.image_id for p in predictions))
    }
    image_ids = np.asarray(sorted(order_of_image), dtype=np.int64)
    stride = max((int(p.place.max()) + 1 for p in predictions), default=1)
    classes = []
    for class_index in range(taxonomy.num_categories):
        of_class = [p for p in predictions if p.class_index == class_index]
        if not of_class:
            classes.append(empty_class(taxonomy, class_index))
            continue
        counts = [len(p.scores) for p in of_class]
        image_order = np.repeat([order_of_image[p.image_id] for p in of_class], counts)
        classes.append(
            detections_from_predictions(
                taxonomy=taxonomy,
                image_ids=image_ids,
                records=image_order * stride + np.concatenate([p.place for p in of_class]),
                class_index=class_index,
                prediction_image_ids=np.repeat([p.image_id for p in of_class], counts),
                scores=np.concatenate([p.scores for p in of_class]),
                landmarks_xy=np.concatenate([p.landmarks_xy for p in of_class]),
                boxes_xyxy=np.concatenate([p.boxes_xyxy for p in of_class]),
                landmark_scores=np.concatenate([p.landmark_scores for p in of_class]),
                visible_probability=concatenate_present([p.visible_probability for p in of_class]),
            )
        )
    return Detections(name, image_ids, tuple(classes), taxonomy)


def _percent(result: Score) -> dict[str, float]:
    names = [f"AP-{category.official_name}" for category in result.pairs.taxonomy.categories]
    per_category = zip(names, result.curves.per_category(), strict=True)
    return _in_percent({**result.curves.summary(), **dict(per_category)})


def _in_percent(fractions: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if v is None else 100 * v for name, v in fractions.items()}
