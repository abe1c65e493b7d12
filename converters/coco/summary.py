"""Count what a conversion read, wrote, repaired and left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from converters.raw.problems import Problem
from df2_landmarks.taxonomy import LAYOUT


@dataclass
class Summary:
    """Counts of a split, or of a part of it.

    Each annotation file that was read is either an image or a skipped file, and each item that was
    read is either written or a skipped item.

    Attributes:
        files: annotation files (or images, for a split without annotations) that were looked at.
        images: images written.
        items: items read.
        annotations: items written.
        visibility: number of written landmarks by their visibility 0, 1, 2, as written.
        categories: items written by category id.
        notes: items or files that a rule accepted although they are unusual, by rule.
        repairs: one for each change that was made to an item.
        skipped_files, skipped_items: one for each that was left out.
        images_without_annotation: images in the folder that no annotation file belongs to.
    """

    files: int = 0
    images: int = 0
    items: int = 0
    annotations: int = 0
    visibility: list[int] = field(default_factory=lambda: [0, 0, 0])
    categories: Counter[int] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    repairs: list[Problem] = field(default_factory=list)
    skipped_files: list[Problem] = field(default_factory=list)
    skipped_items: list[Problem] = field(default_factory=list)
    images_without_annotation: int = 0

    def add(self, other: Summary) -> None:
        """Add the counts of another part of the same split."""
        self.files += other.files
        self.images += other.images
        self.items += other.items
        self.annotations += other.annotations
        self.visibility = [a + b for a, b in zip(self.visibility, other.visibility, strict=True)]
        self.categories.update(other.categories)
        self.notes.update(other.notes)
        self.repairs += other.repairs
        self.skipped_files += other.skipped_files
        self.skipped_items += other.skipped_items
        self.images_without_annotation += other.images_without_annotation

    def check(self) -> None:
        """Assert that nothing was lost on the way."""
        assert self.files == self.images + len(self.skipped_files), self
        assert self.items == self.annotations + len(self.skipped_items), self

    def as_dict(self) -> dict[str, Any]:
        """All of it, for a JSON report."""
        return {
            "files": self.files,
            "images": self.images,
            "items": self.items,
            "annotations": self.annotations,
            "visibility": dict(zip(_VISIBILITIES, self.visibility, strict=True)),
            "categories": {c.name: self.categories[c.id] for c in LAYOUT.categories},
            "accepted": dict(sorted(self.notes.items())),
            "repairs": [problem._asdict() for problem in self.repairs],
            "skipped_files": [problem._asdict() for problem in self.skipped_files],
            "skipped_items": [problem._asdict() for problem in self.skipped_items],
            "images_without_annotation": self.images_without_annotation,
        }

    def lines(self) -> list[str]:
        """A short text for people."""
        lines = [f"{self.images:,} images, {self.annotations:,} items"]
        if self.annotations:
            landmarks = zip(self.visibility, _VISIBILITIES, strict=True)
            lines.append("landmarks: " + ", ".join(f"{n:,} {name}" for n, name in landmarks))
            lines.append(
                "items by category: "
                + ", ".join(f"{c.name} {self.categories[c.id]:,}" for c in LAYOUT.categories)
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


_VISIBILITIES = ("not labelled", "occluded", "visible")
