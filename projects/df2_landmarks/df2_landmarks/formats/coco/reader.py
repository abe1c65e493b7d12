"""The one reader of COCO annotations, for loading, for scoring and for checking."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import open_input
from df2_landmarks.formats.coco.categories import CategoryIds, category_ids, find_categories
from df2_landmarks.formats.coco.checks import CocoChecks
from df2_landmarks.formats.coco.records import (
    MISSING,
    CocoAnnotation,
    CocoCategory,
    CocoImage,
    CocoItem,
    RecordDecoder,
)
from df2_landmarks.formats.coco.report import CocoReport
from df2_landmarks.formats.coco.rle import runs_of_rle
from df2_landmarks.formats.json_stream import fail_record, read_members
from df2_landmarks.formats.slots import Slots, read_slots
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

MAX_COORDINATE = 100_000
"""Of polygons; beyond the largest picture of any format that is read."""


class CocoReader:
    """Read a COCO JSON with landmarks per category (plain, gzip or zip) in bounded memory.

    ``keypoints`` of an annotation hold x, y, v of its own landmarks, or of all slots. Category ids
    are mapped by the names in the file's ``categories``.
    """

    def __init__(
        self, path: str | Path, *, taxonomy: Taxonomy = DEEPFASHION2, needs_pictures: bool = False
    ) -> None:
        """
        Args:
            path: the file.
            taxonomy: the categories.
            needs_pictures: refuse images without a file name or a size.
        """
        self._report: CocoReport | None = None
        self._checks: CocoChecks | None = None
        self._ids: CategoryIds | None = None
        self._path = path
        self._taxonomy = taxonomy
        self._needs_pictures = needs_pictures

    @property
    def report(self) -> CocoReport:
        """What was found in the file; there once `blocks` has come to its end."""
        assert self._report is not None, "the file has not been read to its end"
        return self._report

    @property
    def ids(self) -> CategoryIds:
        """The category ids of the file; there once `blocks` has come to its end."""
        assert self._ids is not None, "the file has not been read to its end"
        return self._ids

    @property
    def suspects(self) -> dict[int, list[str]]:
        """Image id -> a line for each garment that the report warns of, or without landmarks.

        There once `blocks` has come to its end.
        """
        assert self._checks is not None, "the file has not been read to its end"
        return self._checks.suspects()

    def blocks(
        self, *, raise_errors: bool = True
    ) -> Iterator[tuple[list[CocoImage], list[CocoItem]]]:
        """Read the file.

        Args:
            raise_errors: raise the first error of the report too.

        Yields:
            Some images and no items, or no images and some items, in the order of the file.

        Raises:
            UserError: the file does not exist or is not such a file; the message names record and
                field. What concerns the file as a whole is found at its end.
        """
        checks = CocoChecks(self._taxonomy)
        decoders: dict[str, RecordDecoder[Any]] = {
            "categories": RecordDecoder(CocoCategory),
            "images": RecordDecoder(CocoImage),
            "annotations": RecordDecoder(CocoAnnotation),
        }
        categories: list[CocoCategory] = []
        annotations: _AnnotationReader | None = None
        with open_input(self._path) as (stream, name):
            for key, first, records in read_members(stream, name, decoders):
                if key == "categories":
                    categories += records
                elif key == "images":
                    checks.add_images(records)
                    yield records, []
                else:
                    if annotations is None:
                        found = categories or find_categories(self._path)
                        self._ids = category_ids(found, name, self._taxonomy)
                        annotations = _AnnotationReader(f"{name}, {key}", self._ids, checks)
                    yield [], annotations.items(records, first)
        if self._ids is None:  # a split without annotations
            self._ids = category_ids(categories, name, self._taxonomy)
        checks.check_ids(name)
        for decoder in decoders.values():
            checks.notes.update(decoder.repairs)
        self._checks = checks
        self._report = checks.report(name, needs_pictures=self._needs_pictures)
        if raise_errors:
            self._report.raise_first_error()


class _AnnotationReader:
    """Turns records of ``annotations`` into items."""

    def __init__(self, where: str, ids: CategoryIds, checks: CocoChecks) -> None:
        self._where = where
        self._ids = ids
        self._checks = checks
        if not ids.are_ours:
            checks.notes[f"category ids go by name: {ids.mapping_text()}"] = 0

    def items(self, annotations: list[CocoAnnotation], first: int) -> list[CocoItem]:
        """Return the items of a block.

        Args:
            annotations: the records; missing fields are filled in.
            first: number of the first one in the file.
        """
        numbers = array("d")
        classes, ends, foreign = [], [], []
        for record, annotation in enumerate(annotations, first):
            slots = self._slots(record, annotation)
            numbers.fromlist(slots.own)
            classes.append(slots.class_index)
            ends.append(len(numbers) // 3)
            if slots.every and _has_foreign_landmark(slots, self._ids.taxonomy):
                foreign.append(record)
            if annotation.iscrowd == MISSING:
                annotation.iscrowd = 0
                self._checks.notes["iscrowd is missing: taken as 0"] += 1
            if math.isnan(annotation.area):
                annotation.area = annotation.bbox[2] * annotation.bbox[3]
                self._checks.notes["area is missing: taken as width x height of the box"] += 1
            if isinstance(annotation.segmentation, dict):
                self._check_rle(record, annotation)
            else:
                self._check_polygons(record, annotation.segmentation)
        landmarks = np.frombuffer(numbers, dtype=np.float64).reshape(-1, 3)
        self._check_visibility(landmarks[:, 2], ends, first)
        if foreign:
            message = "keypoints: a slot of another category has v > 0"
            fail_record(self._where, foreign[0], message)
        self._checks.add_annotations(annotations, classes, landmarks)
        return [
            CocoItem(annotation, class_index, landmarks[start:end])
            for annotation, class_index, start, end in zip(
                annotations, classes, [0, *ends], ends, strict=False
            )
        ]

    def _slots(self, record: int, annotation: CocoAnnotation) -> Slots:
        class_index = self._ids.classes.get(annotation.category_id)
        if class_index is None:
            problem = self._ids.problem(annotation.category_id)
            fail_record(self._where, record, f"category_id: {problem}")
        text = bytes(annotation.keypoints)
        annotation.keypoints = msgspec.Raw()  # lets go of the block it points into
        if not text:
            if not annotation.iscrowd:
                fail_record(
                    self._where,
                    record,
                    "keypoints: must be there; write 0 where there is no landmark",
                )
            return Slots(class_index, [0.0] * (3 * self._ids.taxonomy.counts[class_index]), None)
        return read_slots(self._ids.taxonomy, class_index, text, name=self._where, record=record)

    def _check_visibility(self, v: NDArray[np.float64], ends: Sequence[int], first: int) -> None:
        wrong = (v != 0) & (v != 1) & (v != 2)
        if wrong.any():
            row = int(np.argmax(wrong))
            record = first + int(np.searchsorted(ends, row, side="right"))
            hint = "; write 2 for visible, 1 for occluded" if v[row] % 1 else ""
            message = f"keypoints: v must be 0, 1 or 2, but got {v[row]:g}{hint}"
            fail_record(self._where, record, message)

    def _check_polygons(self, record: int, polygons: Sequence[Sequence[float]]) -> None:
        """Refuse coordinates that pycocotools and Detectron2 crash on, or fill the memory with."""
        for polygon in polygons:
            if polygon and not (min(polygon) > -MAX_COORDINATE and max(polygon) < MAX_COORDINATE):
                fail_record(
                    self._where,
                    record,
                    f"segmentation: coordinates must be pixels, within {MAX_COORDINATE:,}, but got "
                    f"{min(polygon):g}..{max(polygon):g}",
                )

    def _check_rle(self, record: int, annotation: CocoAnnotation) -> None:
        assert isinstance(annotation.segmentation, dict)
        try:
            runs_of_rle(annotation.segmentation)
        except ValueError as error:
            fail_record(self._where, record, f"segmentation: as a mask in RLE form, {error}")
        if not annotation.iscrowd:
            self._checks.notes["masks in RLE form: their outlines are trained on"] += 1
        self._checks.masks.append(
            (annotation.id, annotation.image_id, *annotation.segmentation["size"])
        )


def _has_foreign_landmark(slots: Slots, taxonomy: Taxonomy) -> bool:
    every_v = np.asarray(slots.every)[2::3]
    return bool(every_v[taxonomy.slot_class != slots.class_index].any())
