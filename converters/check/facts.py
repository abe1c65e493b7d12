"""Collect the facts about one split of a raw data folder that ``check_dataset`` judges."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from converters.check.mirror_fit import MirrorFit, fit_garments
from converters.coco.chunks import read_annotation
from converters.raw.annotation import RawAnnotation, RawItem
from converters.raw.folder import ANNOTATION_SUFFIX, IMAGE_SUFFIX
from converters.raw.image_size import ImageSize, read_image_size
from converters.raw.problems import DataError
from converters.raw.rules import MIN_POLYGON_VALUES, RejectedError, check_item

ATTRIBUTES = ("scale", "occlusion", "zoom_in", "viewpoint")
NUM_EXAMPLES = 3
MAX_ASPECT = 5.0
TAIL = 4096  # bytes at the end of a JPEG in which its end marker is looked for


@dataclass
class Finding:
    """How often something was found, and the first places."""

    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class SplitFacts:
    """Counts over a split, or over a part of it.

    Attributes:
        looked_at: numbers of which the files were looked at.
        images: readable images.
        items: items that can be used.
        findings: rule -> where it applied.
        visibility: landmarks with visibility 0, 1, 2.
        categories: items by category id.
        attributes: attribute -> value -> items.
        sources: source -> images.
        mirror: fit of the garments with their mirror images.
    """

    looked_at: int = 0
    images: int = 0
    items: int = 0
    findings: dict[str, Finding] = field(default_factory=lambda: defaultdict(Finding))
    visibility: list[int] = field(default_factory=lambda: [0, 0, 0])
    categories: Counter[int] = field(default_factory=Counter)
    attributes: dict[str, Counter[int]] = field(
        default_factory=lambda: {name: Counter() for name in ATTRIBUTES}
    )
    sources: Counter[str] = field(default_factory=Counter)
    mirror: MirrorFit = field(default_factory=MirrorFit)

    def found(self, rule: str, where: str, count: int = 1) -> None:
        """Note that a rule applied somewhere."""
        finding = self.findings[rule]
        finding.count += count
        if len(finding.examples) < NUM_EXAMPLES:
            finding.examples.append(where)

    def add(self, other: SplitFacts) -> None:
        """Add the counts of the part that follows."""
        self.looked_at += other.looked_at
        self.images += other.images
        self.items += other.items
        for rule, finding in other.findings.items():
            mine = self.findings[rule]
            mine.count += finding.count
            mine.examples = (mine.examples + finding.examples)[:NUM_EXAMPLES]
        self.visibility = [a + b for a, b in zip(self.visibility, other.visibility, strict=True)]
        self.categories.update(other.categories)
        for name, counts in other.attributes.items():
            self.attributes[name].update(counts)
        self.sources.update(other.sources)
        self.mirror.add(other.mirror)


@dataclass(frozen=True)
class FactFinder:
    """Looks at some images of a split and their annotations.

    Attributes:
        images: folder of the images.
        annotations: folder of the annotation files, None for a split without.
        decode: decode each image completely, instead of its header and end.
    """

    images: Path
    annotations: Path | None
    decode: bool

    def __call__(self, stems: list[str]) -> SplitFacts:
        """Facts about the images with these names (without suffix)."""
        facts = SplitFacts(looked_at=len(stems))
        garments: dict[int, list[RawItem]] = defaultdict(list)
        for stem in stems:
            size = self._look_at_image(f"{self.images}/{stem}{IMAGE_SUFFIX}", facts)
            if self.annotations is None:
                continue
            file = f"{self.annotations}/{stem}{ANNOTATION_SUFFIX}"
            if not os.path.exists(file):
                facts.found("missing_annotation", file)
                continue
            try:
                annotation = read_annotation(file)
            except DataError as error:
                facts.found(error.problem.reason, str(error))
                continue
            facts.sources[annotation.source] += 1
            if size is not None:
                _look_at_items(annotation, size, file, facts, garments)
        facts.mirror = fit_garments(garments)
        return facts

    def _look_at_image(self, file: str, facts: SplitFacts) -> ImageSize | None:
        try:
            size = read_image_size(file)
            _check_end(file, self.decode)
        except FileNotFoundError:
            facts.found("missing_image", file)
        except _TruncatedError:
            facts.found("truncated_image", file)
        except (OSError, ValueError) as error:
            is_empty = os.path.isfile(file) and not os.path.getsize(file)
            facts.found("zero_byte_image" if is_empty else "unreadable_image", f"{file}: {error}")
        else:
            facts.images += 1
            if size.rotated:
                facts.found("exif_rotated_image", file)
            return size
        return None


class _TruncatedError(Exception):
    pass


def _check_end(file: str, decode: bool) -> None:
    """Raise an exception if the end of an image is missing."""
    if decode:
        from PIL import Image  # here because it is rarely needed and slow to import

        try:
            with Image.open(file) as image:
                image.load()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            raise _TruncatedError from None
        return
    with open(file, "rb") as stream:
        if stream.read(2) != b"\xff\xd8":
            return
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
        if b"\xff\xd9" not in stream.read():
            raise _TruncatedError


def _look_at_items(
    annotation: RawAnnotation,
    size: ImageSize,
    file: str,
    facts: SplitFacts,
    garments: dict[int, list[RawItem]],
) -> None:
    """Count the items of one image, and collect the usable ones by class."""
    for problem in annotation.problems:
        facts.found(problem.reason, problem.line())
    num_labelled = 0
    num_bad = len(annotation.problems)
    for key, item in annotation.items:
        where = f"{file}, {key}"
        try:
            checked = check_item(item, size.width, size.height)
        except RejectedError as error:
            facts.found(error.reason, f"{where}: {error}")
            num_bad += 1
            continue
        facts.items += 1
        for rule in (*checked.notes, *(rule for rule, _ in checked.repairs), *_geometry(item)):
            facts.found(rule, where)
        labelled = checked.num_occluded + checked.num_visible
        num_labelled += labelled
        facts.visibility[0] += len(item.landmarks) // 3 - labelled
        facts.visibility[1] += checked.num_occluded
        facts.visibility[2] += checked.num_visible
        facts.categories[item.category_id] += 1
        for name in ATTRIBUTES:
            facts.attributes[name][getattr(item, name)] += 1
        garments[item.category_id - 1].append(item)
    if not annotation.items and not annotation.problems:
        facts.found("image_without_items", file)
    if not num_labelled and not num_bad:
        facts.found("stock_drops_image", file)


def _geometry(item: RawItem) -> list[str]:
    """Names of what is unusual in the geometry of an item, beyond the converter's rules."""
    found = []
    x1, y1, x2, y2 = item.bounding_box
    aspect = (x2 - x1) / (y2 - y1)
    if aspect > MAX_ASPECT or aspect < 1 / MAX_ASPECT:
        found.append("extreme_box")
    landmarks = item.landmarks
    if any(
        v and not (x1 <= x <= x2 and y1 <= y <= y2)
        for x, y, v in zip(landmarks[::3], landmarks[1::3], landmarks[2::3], strict=True)
    ):
        found.append("landmark_outside_box")
    if item.segmentation and not any(
        len(polygon) >= MIN_POLYGON_VALUES and len(polygon) % 2 == 0
        for polygon in item.segmentation
    ):
        found.append("stock_drops_item")
    return found
