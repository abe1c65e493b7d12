"""Count what a conversion read, wrote, repaired and left out."""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from converters.raw import Problem
from df2_landmarks.taxonomy import DEEPFASHION2


@dataclass
class Summary:
    """Counts of a split, or of a part of it.

    Each annotation file that was read is either an image or a skipped file, and each item that was
    read is either written or a skipped item.

    Attributes:
        files: annotation files that were read (images, for a split without annotations).
        images: images written.
        items: items read.
        annotations: items written.
        landmarks: landmarks of the written items by their visibility 0, 1, 2 in the raw files.
        categories: items written by category id.
        notes: items or files that a rule accepted although they are unusual, by rule.
        repairs: one for each change that was made to an item.
        skipped_files, skipped_items: one for each that was left out.
        images_without_annotation: images in the folder that have no annotation file.
    """

    files: int = 0
    images: int = 0
    items: int = 0
    annotations: int = 0
    landmarks: Counter[int] = field(default_factory=Counter)
    categories: Counter[int] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    repairs: list[Problem] = field(default_factory=list)
    skipped_files: list[Problem] = field(default_factory=list)
    skipped_items: list[Problem] = field(default_factory=list)
    images_without_annotation: int = 0

    def add(self, other: Summary) -> None:
        """Add the counts of another part of the same split."""
        for name in (f.name for f in fields(self)):
            setattr(self, name, operator.iadd(getattr(self, name), getattr(other, name)))

    def check(self) -> None:
        """Assert that nothing was lost on the way."""
        assert self.files == self.images + len(self.skipped_files), self
        assert self.items == self.annotations + len(self.skipped_items), self

    def as_dict(self, visibility: str) -> dict[str, Any]:
        """Return everything as the file of this visibility has it, for a JSON report."""
        return {
            "files": self.files,
            "images": self.images,
            "items": self.items,
            "annotations": self.annotations,
            "visibility": self._landmarks_written(visibility),
            "categories": {c.name: self.categories[c.id] for c in DEEPFASHION2.categories},
            "accepted": dict(sorted(self.notes.items())),
            "repairs": [problem._asdict() for problem in self.repairs],
            "skipped_files": [problem._asdict() for problem in self.skipped_files],
            "skipped_items": [problem._asdict() for problem in self.skipped_items],
            "images_without_annotation": self.images_without_annotation,
        }

    def lines(self, visibility: str) -> list[str]:
        """Return a short text for people about the file of this visibility."""
        lines = [f"{self.images:,} images, {self.annotations:,} items"]
        if self.annotations:
            landmarks = self._landmarks_written(visibility).items()
            lines.append("landmarks: " + ", ".join(f"{n:,} {name}" for name, n in landmarks))
            lines.append(
                "items by category: "
                + ", ".join(f"{c.name} {self.categories[c.id]:,}" for c in DEEPFASHION2.categories)
            )
        lines += [f"accepted: {count:,} x {rule}" for rule, count in sorted(self.notes.items())]
        for title, problems in (
            ("repaired", self.repairs),
            ("left out, files", self.skipped_files),
            ("left out, items", self.skipped_items),
        ):
            counts = Counter(problem.reason for problem in problems)
            lines += [f"{title}: {count:,} x {rule}" for rule, count in sorted(counts.items())]
        if self.images_without_annotation:
            lines.append(f"without annotation file: {self.images_without_annotation:,} images")
        return lines

    def _landmarks_written(self, visibility: str) -> dict[str, int]:
        unlabelled, occluded, visible = (self.landmarks[v] for v in range(3))
        if visibility == "visible":
            unlabelled, occluded = unlabelled + occluded, 0
        return {"not labelled": unlabelled, "occluded": occluded, "visible": visible}
