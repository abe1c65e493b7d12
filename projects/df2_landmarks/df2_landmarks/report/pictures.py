"""Pictures of a report: a small JPEG, and over it what is true and what was predicted, as SVG."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from df2_landmarks.common import UserError
from df2_landmarks.evaluation import VALUES, Score
from df2_landmarks.evaluation.diagnosis import LANDMARK_TYPES, Cases, GarmentCase, ImageCase
from df2_landmarks.formats import (
    ATTRIBUTES,
    NOT_LABELLED,
    OCCLUDED,
    ClassDetections,
    CocoImage,
    Garment,
    GroundTruth,
    read_picture,
)
from df2_landmarks.report.charts import sigma_step
from df2_landmarks.taxonomy import Category, Taxonomy

LONGER_SIDE = 360
"""Pixels of a picture in the report; 200 pictures stay below 15 MB."""
JPEG_QUALITY = 72


@dataclass(frozen=True)
class Picture:
    """A picture with what is right and wrong in it.

    Attributes:
        title: its file name, or its number.
        loss: what it costs (`evaluation.diagnosis.Cases`).
        source: of the ``img`` element, "" where there is no picture.
        width, height: of the photo in pixels.
        overlay: SVG elements in pixels of the photo.
        lines: a line about each garment.
        tags: what the page can filter by: kind of tag -> values.
    """

    title: str
    loss: float
    source: str
    width: int
    height: int
    overlay: str
    lines: tuple[str, ...]
    tags: dict[str, list[str]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The tags as one text for a data attribute."""
        return "|".join(f"{key}={value}" for key in self.tags for value in self.tags[key])


def picture_of_garments(
    title: str,
    image: NDArray[np.uint8],
    garments: Sequence[Garment],
    *,
    lines: Sequence[str] = (),
    tags: Mapping[str, Sequence[str]] | None = None,
) -> Picture:
    """Return a picture of annotated garments.

    Args:
        title: its file name.
        image: (H, W, 3) RGB.
        garments: in pixels of the image.
        lines: what is said below it; by default the categories.
        tags: what the page can filter by: kind of tag -> values.
    """
    height, width = image.shape[:2]
    overlay = []
    for garment in garments:
        x1, y1, x2, y2 = garment.box_xyxy.tolist()
        category, landmarks = garment.definition, garment.landmarks
        shown = landmarks.visibility != NOT_LABELLED
        overlay.append(
            '<g class="truth">'
            + _mask(garment, max(width, height) / LONGER_SIDE)
            + _box(np.array([x1, y1, x2 - x1, y2 - y1]), category.name)
            + _paths(category, landmarks.xy, shown)
            + _points(category, landmarks.xy, shown, said=_seen(landmarks.visibility))
            + "</g>"
        )
    return Picture(
        title=title,
        loss=0.0,
        source=_jpeg(Image.fromarray(image)),
        width=width,
        height=height,
        overlay="".join(overlay),
        lines=tuple(lines or (garment.category for garment in garments)),
        tags={key: sorted(set(values)) for key, values in (tags or {}).items()},
    )


def scored_pictures(
    ground_truth: GroundTruth,
    score: Score,
    image_ids: Sequence[int],
    records: Mapping[int, CocoImage],
    folder: Path,
) -> list[Picture]:
    """Return pictures with predictions over ground truth, as in a report.

    Args:
        ground_truth: the items.
        score: of the detections.
        image_ids: the pictures, in their order.
        records: image id -> its record in the file.
        folder: of the photos.
    """
    cases = Cases(ground_truth, score)
    gallery = Gallery(ground_truth, score, records, folder)
    indices = np.searchsorted(ground_truth.image_ids, image_ids).tolist()
    return [gallery.picture(cases.of_image(index)) for index in indices]


def attribute_tags(values: Sequence[int]) -> dict[str, str]:
    """Return attribute -> name of its value, of an item's values of `ATTRIBUTES`."""
    return {
        name: VALUES[name][value - 1]
        for name, value in zip(ATTRIBUTES, values, strict=True)
        if 1 <= value <= len(VALUES[name])
    }


class Gallery:
    """Makes pictures of the images of a score."""

    def __init__(
        self,
        ground_truth: GroundTruth,
        score: Score,
        records: Mapping[int, CocoImage],
        folder: Path | None,
    ) -> None:
        """
        Args:
            ground_truth: the items.
            score: of the detections.
            records: image id -> its record in the file.
            folder: of the photos; None: overlays without photos.
        """
        self._ground_truth = ground_truth
        self._score = score
        self._records = records
        self._folder = folder

    def picture(self, case: ImageCase) -> Picture:
        """Return a picture of an image."""
        image_id = int(self._ground_truth.image_ids[case.image_index])
        record = self._records.get(image_id) or CocoImage(image_id)
        source, size = _thumbnail(self._folder, record)
        extent = self._extent(case)
        width, height = (one or other for one, other in zip(size, extent, strict=True))
        tags: dict[str, list[str]] = {"category": [], "error": []}
        lines, overlay = [], []
        for garment in case.garments:
            overlay.append(self._overlay(garment))
            lines.append(line_about(garment, self._ground_truth.taxonomy))
            self._add_tags(garment, tags)
        title = record.file_name or f"image {image_id}"
        return Picture(
            title,
            case.loss,
            source,
            width,
            height,
            "".join(overlay),
            tuple(lines),
            {key: sorted(set(values)) for key, values in tags.items()},
        )

    def _extent(self, case: ImageCase) -> tuple[int, int]:
        """Return a width and a height that hold all garments, for an image of unknown size."""
        corners = [np.ones(2)]
        for garment in case.garments:
            if garment.item is not None:
                c, row = garment.item
                x, y, w, h = self._ground_truth.classes[c].boxes_xywh[row]
                corners.append(np.asarray([x + w, y + h]))
        width, height = np.ceil(np.max(corners, axis=0)).astype(int).tolist()
        return width, height

    def _category(self, garment: GarmentCase, of: str) -> Category | None:
        place: tuple[int, int] | None = getattr(garment, of)
        return None if place is None else self._ground_truth.taxonomy.categories[place[0]]

    def _overlay(self, garment: GarmentCase) -> str:
        parts = []
        if garment.item is not None:
            c, row = garment.item
            truth, category = (
                self._ground_truth.classes[c],
                self._ground_truth.taxonomy.categories[c],
            )
            shown = truth.visibility[row] > 0
            parts.append(
                '<g class="truth">'
                + _box(truth.boxes_xywh[row], f"{category.name}, {garment.kind}")
                + _paths(category, truth.landmarks_xy[row], shown)
                + _points(
                    category, truth.landmarks_xy[row], shown, said=_seen(truth.visibility[row])
                )
                + "</g>"
            )
        if garment.detection is not None:
            c, row = garment.detection
            part, category = self._score.pairs.ranked[c], self._ground_truth.taxonomy.categories[c]
            title = f"{category.name}, score {garment.score:.2f}, {garment.kind}"
            xy = part.landmarks_xy[row]
            everything = np.ones(len(xy), dtype=bool)
            errors = self._error_lines(garment, xy)
            parts.append(
                '<g class="predicted">'
                + (
                    _box(part.boxes_xywh[row], title)
                    if np.isfinite(part.boxes_xywh[row]).all()
                    else ""
                )
                + _paths(category, xy, everything)
                + errors
                + _points(category, xy, everything, garment, _said(part, row))
                + "</g>"
            )
        return "".join(parts)

    def _error_lines(self, garment: GarmentCase, xy: NDArray[np.float64]) -> str:
        if garment.landmark_types is None or garment.item is None:
            return ""
        c, row = garment.item
        true_xy = self._ground_truth.classes[c].landmarks_xy[row]
        return "".join(
            f'<path class="error" d="M{x:.0f} {y:.0f}L{true_x:.0f} {true_y:.0f}"/>'
            for (x, y), (true_x, true_y), kind in zip(
                xy, true_xy, garment.landmark_types, strict=True
            )
            if kind > 0
        )

    def _add_tags(self, garment: GarmentCase, tags: dict[str, list[str]]) -> None:
        for of in ("item", "detection"):
            category = self._category(garment, of)
            if category is not None:
                tags["category"].append(category.official_name)
        if garment.kind != "correct":
            tags["error"].append(garment.kind)
        if garment.landmark_types is not None:
            kinds = np.unique(garment.landmark_types[garment.landmark_types > 0]).tolist()
            tags["error"] += [LANDMARK_TYPES[kind] for kind in kinds]
        if garment.item is not None:
            c, row = garment.item
            values = self._ground_truth.classes[c].attributes[row].tolist()
            for name, value in attribute_tags(values).items():
                tags.setdefault(name, []).append(value)


def line_about(garment: GarmentCase, taxonomy: Taxonomy) -> str:
    """Return what is right and wrong about a garment, such as ``missed item, skirt``."""
    truth, predicted = (
        None if place is None else taxonomy.categories[place[0]]
        for place in (garment.item, garment.detection)
    )
    words = [garment.kind]
    if truth is not None:
        words.append(truth.name)
    if predicted is not None and predicted != truth:
        words.append(f"predicted {predicted.name}")
    if garment.score is not None:
        words.append(f"score {garment.score:.2f}")
    if garment.oks is not None:
        words.append(f"OKS {garment.oks:.2f}")
    if garment.landmark_types is not None:
        wrong = garment.landmark_types[garment.landmark_types > 0]
        counts = np.bincount(wrong, minlength=len(LANDMARK_TYPES)).tolist()
        named = zip(LANDMARK_TYPES, counts, strict=True)
        words += [f"{count} {name}" for name, count in named if count]
    return ", ".join(words)


def _thumbnail(folder: Path | None, record: CocoImage) -> tuple[str, tuple[int, int]]:
    """Return a small JPEG as a data address, "" where there is none, and the size of the photo."""
    if folder is None or not record.file_name:
        return "", (record.width, record.height)
    try:
        pixels = read_picture(folder / record.file_name)
    except UserError:
        return "", (record.width, record.height)
    image = Image.fromarray(pixels)
    return _jpeg(image), image.size


def _jpeg(image: Image.Image) -> str:
    """Return a small JPEG of an image as a data address."""
    small = image.copy()
    small.thumbnail((LONGER_SIDE, LONGER_SIDE))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _mask(garment: Garment, tolerance_px: float) -> str:
    """Return the outlines of a garment's mask, simplified; "" where it has none."""
    if garment.mask is None:
        return ""
    drawn = ""
    for polygon in garment.mask.polygons:
        points = cv2.approxPolyDP(polygon.astype(np.float32), tolerance_px, closed=True)
        drawn += "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in points.reshape(-1, 2)) + "Z"
    return f'<path class="mask" d="{drawn}"/>' if drawn else ""


def _box(box_xywh: NDArray[np.float64], title: str) -> str:
    x, y, w, h = box_xywh.tolist()
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{max(w, 0):.0f}" height="{max(h, 0):.0f}">'
        f"<title>{escape(title)}</title></rect>"
    )


def _paths(category: Category, xy: NDArray[np.float64], shown: NDArray[np.bool_]) -> str:
    edges = [(a - 1, b - 1) for a, b in category.skeleton if shown[a - 1] and shown[b - 1]]
    drawn = "".join(
        f"M{xy[a, 0]:.0f} {xy[a, 1]:.0f}L{xy[b, 0]:.0f} {xy[b, 1]:.0f}" for a, b in edges
    )
    return f'<path class="lines" d="{drawn}"/>' if drawn else ""


def _seen(visibility: NDArray) -> list[str]:
    return [", occluded" if v == OCCLUDED else "" for v in visibility.tolist()]


def _said(part: ClassDetections, row: int) -> list[str]:
    """Return for each landmark of a detection what the model says about it, "" if nothing."""
    texts = [""] * part.landmarks_xy.shape[1]
    for name, values in (
        ("confidence", part.landmark_scores),
        ("visible", part.visible_probability),
    ):
        if values is not None:
            texts = [
                f"{text}, {name} {value:.2f}"
                for text, value in zip(texts, values[row].tolist(), strict=True)
            ]
    return texts


def _points(
    category: Category,
    xy: NDArray[np.float64],
    shown: NDArray[np.bool_],
    garment: GarmentCase | None = None,
    said: Sequence[str] | None = None,
) -> str:
    parts = []
    for k in np.flatnonzero(shown).tolist():
        text, kind = f"{k + 1} {category.landmark_names[k]}", ""
        if garment is not None and garment.landmark_types is not None:
            assert garment.error_px is not None and garment.error_sigmas is not None
            if garment.landmark_types[k] >= 0:
                sigmas = float(garment.error_sigmas[k])
                kind = f' class="sigma-{sigma_step(sigmas)}"'
                text += (
                    f": {LANDMARK_TYPES[garment.landmark_types[k]]}, {garment.error_px[k]:.1f} px, "
                    f"{sigmas:.2f} sigmas"
                )
        text += "" if said is None else said[k]
        parts.append(
            f'<circle{kind} cx="{xy[k, 0]:.0f}" cy="{xy[k, 1]:.0f}"><title>{escape(text)}</title>'
            "</circle>"
        )
    return "".join(parts)
