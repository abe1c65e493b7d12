"""One garment for people: from the annotations or from the model, without padding or tensors.

K = landmarks of the garment's category. All coordinates are continuous, in pixels of the photo.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats.mask import Mask
from df2_landmarks.taxonomy import (
    DEEPFASHION2,
    LOW_CONFIDENCE,
    Category,
    MeasuredLength,
    Measurement,
    Taxonomy,
    measure,
)

NOT_LABELLED, OCCLUDED, VISIBLE_LANDMARK = 0, 1, 2
MIN_SCORE = 0.4
"""Default score threshold: docs/how-to/predict.md has precision and recall over thresholds."""
SEEN = 0.5
"""From this probability on a predicted landmark counts as visible."""


@dataclass(frozen=True)
class Landmark:
    """One landmark of a garment.

    Attributes:
        name: in its category.
        number: in its category, from 1, as in the data set's figure.
        x, y: position.
        confidence: 0..1, the expected OKS; None for ground truth.
        visibility: 0 not labelled, 1 occluded, 2 visible.
        visible: probability 0..1 that it is visible; None if the model does not say.
        covariance: variances of x and y and their covariance, in square pixels; None if the model
            does not say.
    """

    name: str
    number: int
    x: float
    y: float
    confidence: float | None
    visibility: int
    visible: float | None
    covariance: tuple[float, float, float] | None = None

    @property
    def xy(self) -> tuple[float, float]:
        """Position."""
        return self.x, self.y


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The landmarks of one garment: by name, by number (from 1), in order, or as arrays.

    Attributes:
        names: (K,) in the order of the category.
        xy: (K, 2).
        visibility: (K,) 0 not labelled, 1 occluded, 2 visible. Of a detection: 2, or 1 where the
            model says that the landmark is more likely occluded.
        confidence: (K,) 0..1 of a detection, None for ground truth.
        visible: (K,) probability that the landmark is visible; None if the model does not say.
        covariance: (K, 3) variances of x and y and their covariance; None if the model does not
            say.

    Example:
        >>> import numpy as np
        >>> from df2_landmarks.formats import Landmarks
        >>> points = Landmarks(("left", "right"), np.array([[1.0, 2], [5, 2]]), np.array([2, 1]))
        >>> points["right"].xy, points[1].name, [p.number for p in points]
        ((5.0, 2.0), 'left', [1, 2])
    """

    names: tuple[str, ...]
    xy: NDArray[np.float64]
    visibility: NDArray[np.int64]
    confidence: NDArray[np.float64] | None = None
    visible: NDArray[np.float64] | None = None
    covariance: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Landmark]:
        return (self[number] for number in range(1, len(self) + 1))

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, key: str | int) -> Landmark:
        """Return a landmark by its name or its number.

        Raises:
            KeyError: there is none.
        """
        index = self._index(key)
        x, y = self.xy[index].tolist()
        return Landmark(
            name=self.names[index],
            number=index + 1,
            x=x,
            y=y,
            confidence=None if self.confidence is None else float(self.confidence[index]),
            visibility=int(self.visibility[index]),
            visible=None if self.visible is None else float(self.visible[index]),
            covariance=None if self.covariance is None else tuple(self.covariance[index].tolist()),
        )

    def _index(self, key: str | int) -> int:
        if isinstance(key, str):
            if key in self.names:
                return self.names.index(key)
            close = difflib.get_close_matches(key, self.names, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(self.names)}"
            raise KeyError(f"no landmark {key!r}. {hint}")
        if not 1 <= key <= len(self):
            raise KeyError(f"landmark numbers must be 1..{len(self)}, but got {key}")
        return int(key) - 1


@dataclass(frozen=True, eq=False)
class Garment:
    """One garment in a photo.

    Attributes:
        definition: its category's row of the taxonomy: names, pairs, outlines, colour.
        box_xyxy: (4,).
        landmarks: its own landmarks, K of them.
        mask: None where nothing is known of it.
        score: confidence 0..1 of a detection, None for ground truth.
    """

    definition: Category
    box_xyxy: NDArray[np.float64]
    landmarks: Landmarks
    mask: Mask | None = None
    score: float | None = None

    @property
    def category(self) -> str:
        """Name of the category, such as "long sleeve top"."""
        return self.definition.name

    @property
    def category_id(self) -> int:
        """Number of the category in files, from 1."""
        return self.definition.id

    def measurements(
        self,
        measurements: Mapping[int, Sequence[Measurement]] | None = None,
        *,
        pixels_per_cm: float | None = None,
        min_confidence: float = LOW_CONFIDENCE,
    ) -> list[MeasuredLength]:
        """Return lengths along the landmarks: body length, chest width, inseam... (`measure`).

        Args:
            measurements: of `read_measurements`; by default the project's own.
            pixels_per_cm: scale of the picture at the garment.
            min_confidence: a landmark below it is not used: what runs through it has no length.

        Raises:
            UserError: one of the numbers is out of range.
        """
        return measure(
            self.definition,
            self.landmarks.xy,
            confidence=self.landmarks.confidence,
            known=self.landmarks.visibility != NOT_LABELLED,
            measurements=measurements,
            pixels_per_cm=pixels_per_cm,
            min_confidence=min_confidence,
        )

    def to_dict(self, *, with_mask: bool = True) -> dict[str, Any]:
        """Return plain data for JSON: what `df2 predict` writes for a garment.

        Coordinates are continuous and rounded to .01 px; ``mask`` is COCO's run-length encoding. A
        landmark that is not labelled is left out.
        """
        record: dict[str, Any] = {"category": self.category, "category_id": self.category_id}
        if self.score is not None:
            record["score"] = round(self.score, 4)
        record["box_xyxy"] = [round(value, 2) for value in self.box_xyxy.tolist()]
        record["landmarks"] = {
            p.name: _landmark_record(p) for p in self.landmarks if p.visibility != NOT_LABELLED
        }
        if with_mask and self.mask is not None:
            record["mask"] = self.mask.rle
        return record

    def __repr__(self) -> str:
        score = "" if self.score is None else f", score {self.score:.2f}"
        box = ", ".join(f"{value:.0f}" for value in self.box_xyxy)
        return f"<Garment {self.category}{score}, box {box}, {len(self.landmarks)} landmarks>"


def _landmark_record(landmark: Landmark) -> dict[str, Any]:
    record: dict[str, Any] = {
        "number": landmark.number,
        "x": round(landmark.x, 2),
        "y": round(landmark.y, 2),
    }
    if landmark.confidence is None:
        record["visibility"] = landmark.visibility
    else:
        record["confidence"] = round(landmark.confidence, 3)
    if landmark.visible is not None:
        record["visible"] = round(landmark.visible, 3)
    if landmark.covariance is not None:
        record["covariance"] = [round(value, 2) for value in landmark.covariance]
    return record


def garments_of_record(
    record: Mapping[str, Any], taxonomy: Taxonomy = DEEPFASHION2
) -> list[Garment]:
    """Return the garments of a dataset dict (`load_landmark_json`).

    Args:
        record: ``height`` and ``width`` of the photo, and ``annotations``, each with ``bbox`` (x,
            y, width, height), ``category_id`` (the class, 0..C-1), ``keypoints`` (3 * K numbers x,
            y, v, continuous) and, if any, ``segmentation`` (polygons).
        taxonomy: the categories.
    """
    garments = []
    for annotation in record["annotations"]:
        x, y, width, height = annotation["bbox"]
        category = taxonomy.categories[annotation["category_id"]]
        keypoints = np.asarray(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
        polygons = [np.reshape(p, (-1, 2)) for p in annotation.get("segmentation", [])]
        mask = Mask.from_polygons(polygons, record["height"], record["width"])
        garments.append(
            Garment(
                definition=category,
                box_xyxy=np.array([x, y, x + width, y + height]),
                landmarks=Landmarks(
                    category.landmark_names, keypoints[:, :2], keypoints[:, 2].astype(np.int64)
                ),
                mask=mask if polygons else None,
            )
        )
    return garments


def detected_garments(
    *,
    taxonomy: Taxonomy,
    classes: NDArray[np.int64],
    scores: NDArray,
    boxes_xyxy: NDArray,
    landmarks: NDArray,
    visible: NDArray | None = None,
    masks: Sequence[Mask] | None = None,
    covariance: NDArray | None = None,
) -> list[Garment]:
    """Return the garments of a model's output for one photo, without the padding.

    Args:
        taxonomy: the categories.
        classes: (N,) 0..C-1.
        scores: (N,) 0..1.
        boxes_xyxy: (N, 4).
        landmarks: (N, M, 3) x, y, confidence; padded behind the K of the category.
        visible: (N, M) probabilities that the landmarks are visible.
        masks: (N,).
        covariance: (N, M, 3) variances of x and y and their covariance, in square pixels.
    """
    garments = []
    for index, class_index in enumerate(classes.tolist()):
        category = taxonomy.categories[class_index]
        own_landmarks = landmarks[index, : category.num_landmarks].astype(np.float64)
        probability, visibility = None, np.full(len(own_landmarks), VISIBLE_LANDMARK)
        if visible is not None:
            probability = visible[index, : category.num_landmarks].astype(np.float64)
            visibility[probability < SEEN] = OCCLUDED
        spread = None
        if covariance is not None:
            spread = covariance[index, : category.num_landmarks].astype(np.float64)
        garments.append(
            Garment(
                definition=category,
                box_xyxy=boxes_xyxy[index].astype(np.float64),
                landmarks=Landmarks(
                    category.landmark_names,
                    own_landmarks[:, :2],
                    visibility,
                    own_landmarks[:, 2],
                    probability,
                    spread,
                ),
                mask=None if masks is None else masks[index],
                score=float(scores[index]),
            )
        )
    return garments


def garments_of_instances(
    instances: Any, min_score: float, taxonomy: Taxonomy = DEEPFASHION2
) -> list[Garment]:
    """Return the detections of one image with at least a score.

    Args:
        instances: Detectron2's `Instances` on the CPU: ``pred_boxes``, ``scores``,
            ``pred_classes``, ``pred_keypoints`` (N, M, 3) and, if any, ``pred_visibility`` (N, M)
            and ``pred_masks`` (N, H, W).
        min_score: 0..1.
        taxonomy: the categories.
    """
    kept = instances[instances.scores >= min_score]
    masks = None
    if kept.has("pred_masks"):
        masks = [Mask.from_array(mask.numpy()) for mask in kept.pred_masks]
    return detected_garments(
        taxonomy=taxonomy,
        classes=kept.pred_classes.numpy(),
        scores=kept.scores.numpy(),
        boxes_xyxy=kept.pred_boxes.tensor.numpy(),
        landmarks=kept.pred_keypoints.numpy(),
        visible=kept.pred_visibility.numpy() if kept.has("pred_visibility") else None,
        masks=masks,
    )


def garments_of_targets(instances: Any, taxonomy: Taxonomy = DEEPFASHION2) -> list[Garment]:
    """Return the garments of a training example, as the model gets them.

    Args:
        instances: Detectron2's `Instances` of `LandmarkDatasetMapper`: ``gt_boxes``,
            ``gt_classes``, ``gt_keypoints`` (N, M, 3) and, if any, ``gt_masks`` (`polygons` and
            `covers`).
        taxonomy: the categories.
    """
    height, width = instances.image_size
    garments = []
    for index, class_index in enumerate(instances.gt_classes.tolist()):
        category = taxonomy.categories[class_index]
        landmarks = instances.gt_keypoints.tensor[index, : category.num_landmarks].numpy()
        mask = None
        if instances.has("gt_masks"):
            masks = instances.gt_masks
            polygons = [np.reshape(p, (-1, 2)) for p in masks.polygons[index]]
            mask = Mask.from_polygons(polygons, height, width, masks.covers[index])
        garments.append(
            Garment(
                definition=category,
                box_xyxy=instances.gt_boxes.tensor[index].numpy().astype(np.float64),
                landmarks=Landmarks(
                    category.landmark_names,
                    landmarks[:, :2].astype(np.float64),
                    landmarks[:, 2].astype(np.int64),
                ),
                mask=mask,
            )
        )
    return garments
