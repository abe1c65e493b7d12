"""Collect facts about some images and their annotations: the part that runs in parallel."""

from __future__ import annotations

import operator
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from PIL import Image

from converters.check.mirror_fit import MirrorFit, fit_garments
from converters.raw import (
    ANNOTATION_SUFFIX,
    IMAGE_SUFFIX,
    MIN_POLYGON_VALUES,
    ImageSize,
    RawAnnotation,
    RawFileError,
    RawItem,
    RejectedError,
    check_item,
    read_annotation,
    read_image_size,
)
from df2_landmarks.formats import RASTER_FORMATS

ATTRIBUTES = ("scale", "occlusion", "zoom_in", "viewpoint")
NUM_EXAMPLES = 3
MAX_ASPECT = 5.0
TAIL = 4096  # bytes at the end of a JPEG in which its end marker is looked for


@dataclass
class SplitFacts:
    """Counts over a split, or over a part of it.

    Attributes:
        examined: numbers of which the files were examined.
        images: readable images.
        items: items that can be used.
        findings: how often each rule applied.
        examples: rule -> the first places where it applied.
        landmarks: landmarks by their visibility 0, 1, 2.
        categories: items by category id.
        attributes: items by (attribute, value).
        sources: images by source.
        mirror: fit of the garments with their mirror images.
    """

    examined: int = 0
    images: int = 0
    items: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    landmarks: Counter[int] = field(default_factory=Counter)
    categories: Counter[int] = field(default_factory=Counter)
    attributes: Counter[tuple[str, int]] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    mirror: MirrorFit = field(default_factory=MirrorFit)

    def add_finding(self, rule: str, place: str, count: int = 1) -> None:
        """Note that a rule applied at a place."""
        self.findings[rule] += count
        examples = self.examples.setdefault(rule, [])
        if len(examples) < NUM_EXAMPLES:
            examples.append(place)

    def add(self, other: SplitFacts) -> None:
        """Add the facts about the images that follow."""
        for name in (f.name for f in fields(self) if f.name != "examples"):
            setattr(self, name, operator.iadd(getattr(self, name), getattr(other, name)))
        for rule, places in other.examples.items():
            self.examples[rule] = (self.examples.get(rule, []) + places)[:NUM_EXAMPLES]


def find_facts(
    images: Path, annotations: Path | None, decode: bool, stems: Sequence[str]
) -> SplitFacts:
    """Collect the facts about the images with these names (without suffix).

    Args:
        images: folder of the images.
        annotations: folder of the annotation files, None for a split without.
        decode: decode each image completely, instead of reading its header and its end.
        stems: the names.
    """
    facts = SplitFacts(examined=len(stems))
    items_of_class: dict[int, list[RawItem]] = defaultdict(list)
    for stem in stems:
        size = _examine_image(f"{images}/{stem}{IMAGE_SUFFIX}", decode, facts)
        if annotations is None:
            continue
        file = f"{annotations}/{stem}{ANNOTATION_SUFFIX}"
        if not os.path.exists(file):
            facts.add_finding("missing_annotation", file)
            continue
        try:
            annotation = read_annotation(file)
        except RawFileError as error:
            facts.add_finding(error.problem.reason, str(error))
            continue
        facts.sources[annotation.source] += 1
        if size is not None:
            for item in _usable_items(annotation, size, facts):
                items_of_class[item.category_id - 1].append(item)
    facts.mirror = fit_garments(items_of_class)
    return facts


def _examine_image(file: str, decode: bool, facts: SplitFacts) -> ImageSize | None:
    """Return the size of an image, None if a training could not read it."""
    try:
        size = read_image_size(file)
    except RawFileError as error:
        is_empty = os.path.isfile(file) and not os.path.getsize(file)
        facts.add_finding("zero_byte_image" if is_empty else error.problem.reason, str(error))
        return None
    if not (_can_be_decoded(file) if decode else _has_end(file)):
        facts.add_finding("truncated_image", file)
        return None
    facts.images += 1
    if size.rotated:
        facts.add_finding("exif_rotated_image", file)
    return size


def _can_be_decoded(file: str) -> bool:
    try:
        with Image.open(file, formats=RASTER_FORMATS) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        return False
    return True


def _has_end(file: str) -> bool:
    """Look for the end marker of a JPEG. Other formats are not looked at."""
    with open(file, "rb") as stream:
        if stream.read(2) != b"\xff\xd8":
            return True
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
        return b"\xff\xd9" in stream.read()


def _usable_items(
    annotation: RawAnnotation, size: ImageSize, facts: SplitFacts
) -> Iterator[RawItem]:
    """Count the items of one image, and yield those that the rules accept."""
    for problem in annotation.problems:
        facts.add_finding(problem.reason, problem.line())
    num_labelled = 0
    num_unusable = len(annotation.problems)
    for key, item in annotation.items:
        place = f"{annotation.file}, {key}"
        try:
            checked = check_item(item, size.width, size.height)
        except RejectedError as error:
            facts.add_finding(error.reason, f"{place}: {error}")
            num_unusable += 1
            continue
        facts.items += 1
        for rule in (*checked.notes, *(rule for rule, _ in checked.repairs), *_geometry(item)):
            facts.add_finding(rule, place)
        labelled = checked.num_occluded + checked.num_visible
        num_labelled += labelled
        facts.landmarks[0] += len(item.landmarks) // 3 - labelled
        facts.landmarks[1] += checked.num_occluded
        facts.landmarks[2] += checked.num_visible
        facts.categories[item.category_id] += 1
        facts.attributes.update((name, getattr(item, name)) for name in ATTRIBUTES)
        yield item
    if not annotation.items and not annotation.problems:
        facts.add_finding("image_without_items", annotation.file)
    if not num_labelled and not num_unusable:
        facts.add_finding("stock_drops_image", annotation.file)


def _geometry(item: RawItem) -> list[str]:
    """Return rules about the geometry of an item, beyond those of the converter."""
    rules = []
    x1, y1, x2, y2 = item.bounding_box
    aspect = (x2 - x1) / (y2 - y1)
    if aspect > MAX_ASPECT or aspect < 1 / MAX_ASPECT:
        rules.append("extreme_box")
    landmarks = item.landmarks
    if any(
        v and not (x1 <= x <= x2 and y1 <= y <= y2)
        for x, y, v in zip(landmarks[::3], landmarks[1::3], landmarks[2::3], strict=True)
    ):
        rules.append("landmark_outside_box")
    if item.segmentation and not any(
        len(polygon) >= MIN_POLYGON_VALUES and len(polygon) % 2 == 0
        for polygon in item.segmentation
    ):
        rules.append("stock_drops_item")
    return rules
