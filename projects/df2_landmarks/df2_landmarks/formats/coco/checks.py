"""Checks of a COCO file as a whole: what one record cannot tell, from a few numbers per garment.

G = garments, B = annotations of a block, L = their landmarks. Coordinates are those of the file.
`CocoChecks` collects while a file is read; `RULES` says what is looked for, and from which share of
the garments on it is an error.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError
from df2_landmarks.formats.coco.records import CocoAnnotation, CocoImage
from df2_landmarks.formats.coco.report import ERROR, LEVELS, NOTE, WARNING, CocoReport, Finding
from df2_landmarks.formats.ground_truth import find_images
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

NUM_EXAMPLES = 3
BATCH = 2048
"""Annotations that are reduced at once: about 1 MB of landmarks."""
TOLERANCE_PX = 1.0
"""DeepFashion2 has boxes and landmarks that leave the image by a pixel."""
NEAR_BOX = 0.1
"""Share of a box's size by which a landmark may leave it."""
MIN_LABELLED = 3
"""Fewer landmarks can lie anywhere."""
MIN_GARMENTS = 20
"""Fewer garments can lie in one corner of their images by chance."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Garments:
    """Some numbers of each garment of a file.

    Attributes:
        ids, image_ids: (G,).
        crowd: (G,) ``iscrowd``.
        boxes_xywh: (G, 4).
        extents_xyxy: (G, 4) of the labelled landmarks; NaN without one.
        num_labelled: (G,) landmarks with v > 0.
        num_beside: (G,) labelled landmarks that are not near the box.
        num_keypoints: (G,) as the file says, -1 where it does not.
        image_wh: (G, 2) size of the image; NaN where the file does not give it.
    """

    ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    crowd: Flags
    boxes_xywh: NDArray[np.float32]
    extents_xyxy: NDArray[np.float32]
    num_labelled: NDArray[np.int32]
    num_beside: NDArray[np.int32]
    num_keypoints: NDArray[np.int64]
    image_wh: NDArray[np.float32]

    def take(self, mask: Flags) -> Garments:
        """Return some of the garments."""
        return Garments(**{f.name: getattr(self, f.name)[mask] for f in fields(self)})

    @property
    def boxes_xyxy(self) -> NDArray[np.float32]:
        return np.hstack([self.boxes_xywh[:, :2], self.boxes_xywh[:, :2] + self.boxes_xywh[:, 2:]])

    @property
    def have_landmarks(self) -> Flags:
        """(G,) True where enough landmarks are labelled to say where the garment is."""
        return self.num_labelled >= MIN_LABELLED

    def example(self, row: int) -> str:
        """Return the facts of one garment for a message."""
        box = ", ".join(f"{value:g}" for value in self.boxes_xywh[row])
        text = f"annotation {self.ids[row]} of image {self.image_ids[row]}: box {box}"
        if self.num_labelled[row]:
            x1, y1, x2, y2 = (f"{value:g}" for value in self.extents_xyxy[row])
            text += f", landmarks from {x1}, {y1} to {x2}, {y2}"
        if not np.isnan(self.image_wh[row, 0]):
            text += ", image {:g} x {:g}".format(*self.image_wh[row])
        return text


class Rule(NamedTuple):
    """A check of each garment.

    Attributes:
        text: what is wrong with a garment, and what to do.
        flags: tells the wrong garments.
        error_from: share of the garments from which on it is an error; below it is a warning.
        warning_from: share below which it is nothing.
    """

    text: str
    flags: Callable[[Garments], Flags]
    error_from: float = math.inf
    warning_from: float = 0.0


def _in_any_axis(flags: Flags) -> Flags:
    return np.asarray(flags.any(axis=1))


def _empty_box(garments: Garments) -> Flags:
    return _in_any_axis(garments.boxes_xywh[:, 2:] <= 0)


def _box_in_shares(garments: Garments) -> Flags:
    return ~_empty_box(garments) & (garments.boxes_xyxy <= 1).all(axis=1)


def _corner_box(garments: Garments) -> Flags:
    """Boxes that leave the image as x, y, w, h but not as x1, y1, x2, y2."""
    x1y1, x2y2 = garments.boxes_xywh[:, :2], garments.boxes_xywh[:, 2:]
    inside = (x2y2 <= garments.image_wh + TOLERANCE_PX).all(axis=1)
    return _box_leaves(garments) & inside & (x2y2 > x1y1).all(axis=1)


def _box_leaves(garments: Garments) -> Flags:
    boxes = garments.boxes_xyxy
    over = boxes[:, 2:] > garments.image_wh + TOLERANCE_PX
    return _in_any_axis(over | (boxes[:, :2] < -TOLERANCE_PX))


def _box_beside(garments: Garments) -> Flags:
    boxes = garments.boxes_xyxy
    beside = (boxes[:, :2] >= garments.image_wh) | (boxes[:, 2:] <= 0)
    return ~_empty_box(garments) & beside.any(axis=1)


def _landmarks_in_shares(garments: Garments) -> Flags:
    low, high = garments.extents_xyxy[:, :2], garments.extents_xyxy[:, 2:]
    large = (garments.image_wh > 2).all(axis=1) | np.isnan(garments.image_wh[:, 0])
    in_shares = (low >= -0.5).all(axis=1) & (high <= 1.5).all(axis=1)
    return garments.have_landmarks & in_shares & large


def _landmarks_beside_image(garments: Garments) -> Flags:
    middles = (garments.extents_xyxy[:, :2] + garments.extents_xyxy[:, 2:]) / 2
    outside = (middles > garments.image_wh + TOLERANCE_PX) | (middles < -TOLERANCE_PX)
    return garments.have_landmarks & outside.any(axis=1)


def _landmarks_leave_image(garments: Garments) -> Flags:
    over = garments.extents_xyxy[:, 2:] > garments.image_wh + TOLERANCE_PX
    under = garments.extents_xyxy[:, :2] < -TOLERANCE_PX
    return (garments.num_labelled > 0) & (over | under).any(axis=1)


def _landmarks_beside_box(garments: Garments) -> Flags:
    return garments.have_landmarks & (2 * garments.num_beside > garments.num_labelled)


def _landmarks_in_corner(garments: Garments) -> Flags:
    in_corner = ~_in_any_axis(garments.extents_xyxy[:, 2:] > garments.image_wh / 2)
    labelled = garments.num_labelled > 0
    # Garments without landmarks neither confirm nor refute it.
    enough = np.count_nonzero(labelled) >= MIN_GARMENTS
    every = enough and bool(np.all(in_corner[labelled]))
    return labelled if every else np.zeros_like(labelled)


def _other_count(garments: Garments) -> Flags:
    given = garments.num_keypoints >= 0
    return given & (garments.num_keypoints != garments.num_labelled)


def _no_landmarks(garments: Garments) -> Flags:
    return garments.num_labelled == 0


RULES = (
    Rule(
        "the box has no width or height; bbox must be x, y, width, height in pixels",
        _empty_box,
        error_from=0.01,
    ),
    Rule(
        "the box lies within 0..1, so it is in shares of the image; multiply by width and height",
        _box_in_shares,
        error_from=0.01,
    ),
    Rule(
        "the box leaves the image as x, y, width, height, but not as x1, y1, x2, y2: write bbox as "
        "x1, y1, x2 - x1, y2 - y1",
        _corner_box,
        error_from=0.1,
        warning_from=0.1,
    ),
    Rule(
        "the box lies beside the image; are the sizes of the images right?",
        _box_beside,
        error_from=0.01,
    ),
    Rule(
        "all landmarks lie within 0..1, so they are in shares of the image; multiply by width and "
        "height",
        _landmarks_in_shares,
        error_from=0.01,
    ),
    Rule(
        "most landmarks lie beside the image; are they of another size of the image?",
        _landmarks_beside_image,
        error_from=0.05,
    ),
    Rule(
        "most landmarks lie beside the box; are they in other units, or of another garment?",
        _landmarks_beside_box,
        error_from=0.2,
    ),
    Rule(
        "the box leaves the image; it is cut in training",
        _box_leaves,
        error_from=0.5,
    ),
    Rule(
        "a landmark leaves the image; it is moved onto the border in training",
        _landmarks_leave_image,
        error_from=0.5,
    ),
    Rule(
        "all landmarks lie in the upper left quarter of their images; are they of smaller images?",
        _landmarks_in_corner,
    ),
    Rule(
        "num_keypoints is not the number of landmarks with v > 0; the score ignores garments where "
        "it is 0",
        _other_count,
    ),
    Rule(
        "no landmark is labelled, in the whole file: landmarks cannot be learned or scored",
        _no_landmarks,
        warning_from=1.0,
    ),
)


_ODD = re.compile(r"[\\:%]")


class CocoChecks:
    """Collects facts while a file is read.

    Attributes:
        notes: how the file was understood -> how often.
        masks: id, image id, height and width of each annotation with a mask in RLE form.
    """

    def __init__(self, taxonomy: Taxonomy = DEEPFASHION2) -> None:
        self.notes: Counter[str] = Counter()
        self.masks: list[tuple[int, int, int, int]] = []
        self._taxonomy = taxonomy
        self._image_ids, self._image_wh = array("q"), array("f")
        self._unusable, self._odd_names = _Places(), _Places()
        self._ids, self._images_of_garments, self._crowd = array("q"), array("q"), array("b")
        self._boxes, self._num_keypoints, self._classes = array("f"), array("q"), array("h")
        self._extents, self._num_labelled, self._num_beside = array("f"), array("i"), array("i")
        self._pending: list[NDArray] = []
        self._landmarks = np.zeros(3, dtype=np.int64)

    def add_images(self, images: Sequence[CocoImage]) -> None:
        """Add some records of ``images``."""
        self._image_ids.extend([image.id for image in images])
        for image in images:
            self._image_wh.extend((image.width, image.height))
            if image.width < 1 or image.height < 1 or not image.file_name:
                got = f"{image.file_name!r}, {image.width} and {image.height}"
                self._unusable.add(f"image {image.id} has {got}")
        if _ODD.search("".join([image.file_name for image in images])):
            for image in images:
                if _ODD.search(image.file_name):
                    self._odd_names.add(repr(image.file_name[:80]))

    def add_annotations(
        self, annotations: Sequence[CocoAnnotation], classes: Sequence[int], landmarks: NDArray
    ) -> None:
        """Add some records of ``annotations``, at least one.

        Args:
            annotations: B records.
            classes: (B,) class indices.
            landmarks: (L, 3) x, y, v of one annotation after the other.
        """
        self._classes.extend(classes)
        self._ids.extend([a.id for a in annotations])
        self._images_of_garments.extend([a.image_id for a in annotations])
        self._crowd.extend([a.iscrowd != 0 for a in annotations])
        self._num_keypoints.extend(
            [-1 if a.num_keypoints is None else a.num_keypoints for a in annotations]
        )
        for annotation in annotations:
            self._boxes.extend(annotation.bbox)
        self._pending.append(landmarks)
        if len(self._ids) - len(self._num_labelled) >= BATCH:
            self._digest()

    def _digest(self) -> None:
        """Reduce the landmarks of the annotations since the last call to a few numbers of each."""
        if not self._pending:
            return
        first = len(self._num_labelled)
        landmarks = np.concatenate(self._pending)
        self._pending.clear()
        counts = np.asarray(self._taxonomy.counts)[self._classes[first:]]
        labelled = landmarks[:, 2] > 0
        num_labelled = np.add.reduceat(labelled, counts.cumsum() - counts, dtype=np.int32)
        self._num_labelled.frombytes(num_labelled.tobytes())
        extents = _extents(landmarks[labelled], num_labelled)
        self._extents.frombytes(extents.tobytes())
        boxes = np.asarray(self._boxes[4 * first :]).reshape(-1, 4)
        num_beside = _num_beside(landmarks[labelled], num_labelled, extents, boxes)
        self._num_beside.frombytes(num_beside.tobytes())
        v = landmarks[:, 2]
        crowd = np.asarray(self._crowd[first:], dtype=bool)
        if crowd.any():
            v = v[np.repeat(~crowd, counts)]
        num_visible, num_occluded = np.count_nonzero(v == 2), np.count_nonzero(v == 1)
        self._landmarks += (len(v) - num_visible - num_occluded, num_occluded, num_visible)

    def check_ids(self, name: str) -> None:
        """Check that ids are unique, and that each annotation is of an image of the file.

        Raises:
            UserError: they are not, or there is no image.
        """
        image_ids, ids = np.asarray(self._image_ids), np.asarray(self._ids)
        if not len(image_ids):
            raise UserError(f"{name}: must have a list 'images' with at least one image")
        _check_unique(f"{name}: image ids", image_ids)
        _check_unique(f"{name}: annotation ids", ids)
        if len(ids) and ids.min() < 1:
            raise UserError(
                f"{name}: annotation ids must be 1 or more, but one is {ids.min()} "
                "(pycocotools takes id 0 for 'no match'); number the annotations from 1"
            )
        images_of_garments = np.asarray(self._images_of_garments)
        unknown = find_images(np.sort(image_ids), images_of_garments) < 0
        if unknown.any():
            row = int(np.argmax(unknown))
            raise UserError(
                f"{name}: annotation {ids[row]} is of image {images_of_garments[row]}, which is "
                "not in the list 'images'"
            )

    def report(self, name: str, *, needs_pictures: bool) -> CocoReport:
        """Return what was found in a file whose ids are right.

        Args:
            name: name of the file.
            needs_pictures: the images must have a name and a size.
        """
        self._digest()
        garments = self._garments()
        findings = [
            *self._image_findings(needs_pictures),
            *self._mask_findings(),
            *_garment_findings(garments),
        ]
        findings += [Finding(NOTE, text, count) for text, count in self.notes.items()]
        unlabelled, occluded, visible = self._landmarks.tolist()
        names = [category.official_name for category in self._taxonomy.categories]
        classes = np.asarray(self._classes)[np.asarray(self._crowd) == 0]
        return CocoReport(
            name=name,
            images=len(self._image_ids),
            garments=len(garments.ids),
            crowds=sum(self._crowd),
            landmarks=(unlabelled, occluded, visible),
            without_landmarks=int(np.count_nonzero(_no_landmarks(garments))),
            categories=dict(
                zip(names, np.bincount(classes, minlength=len(names)).tolist(), strict=True)
            ),
            findings=tuple(sorted(findings, key=lambda finding: LEVELS.index(finding.level))),
        )

    def suspects(self) -> dict[int, list[str]]:
        """Return image id -> a line for each garment that breaks a rule or has no landmarks."""
        garments = self._garments()
        found = [(rule.text, rows) for rule, rows in _broken_rules(garments)]
        listed = {row for _, rows in found for row in rows.tolist()}
        unlabelled = set(np.flatnonzero(_no_landmarks(garments)).tolist()) - listed
        found.append(("no landmark is labelled", np.asarray(sorted(unlabelled), dtype=np.int64)))
        lines: dict[int, list[str]] = defaultdict(list)
        for text, rows in found:
            for row in rows:
                line = f"annotation {garments.ids[row]}: {text.partition(';')[0]}"
                lines[int(garments.image_ids[row])].append(line)
        return dict(lines)

    def _garments(self) -> Garments:
        """Return all garments, without crowds."""
        image_ids = np.asarray(self._images_of_garments)
        crowd = np.asarray(self._crowd, dtype=bool)
        garments = Garments(
            ids=np.asarray(self._ids),
            image_ids=image_ids,
            crowd=crowd,
            boxes_xywh=np.asarray(self._boxes).reshape(-1, 4),
            extents_xyxy=np.asarray(self._extents).reshape(-1, 4),
            num_labelled=np.asarray(self._num_labelled),
            num_beside=np.asarray(self._num_beside),
            num_keypoints=np.asarray(self._num_keypoints),
            image_wh=self._sizes(image_ids),
        )
        return garments.take(~crowd) if crowd.any() else garments

    def _sizes(self, wanted_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (n, 2) width and height of images, NaN where they are not known."""
        image_ids = np.asarray(self._image_ids)
        order = image_ids.argsort()
        rows = order[find_images(image_ids[order], wanted_ids)]
        sizes = np.asarray(self._image_wh).reshape(-1, 2)[rows]
        sizes[(sizes < 1).any(axis=1)] = np.nan
        return sizes

    def _image_findings(self, needs_pictures: bool) -> Iterator[Finding]:
        total = len(self._image_ids)
        if self._unusable.count and needs_pictures:
            text = "an image must have file_name, width and height"
            yield Finding(ERROR, text, self._unusable.count, total, "images", self._unusable.first)
        if self._odd_names.count:
            text = (
                "the file name has a backslash, a %-code or a colon, as in names from Windows and "
                "URLs; write names of files below the folder of the images, with /"
            )
            yield Finding(
                WARNING, text, self._odd_names.count, total, "images", self._odd_names.first
            )

    def _mask_findings(self) -> Iterator[Finding]:
        if not self.masks:
            return
        ids, image_ids, heights, widths = np.asarray(self.masks).T
        sizes = self._sizes(image_ids)
        wrong = ~np.isnan(sizes[:, 0]) & ((sizes[:, 0] != widths) | (sizes[:, 1] != heights))
        if count := int(np.count_nonzero(wrong)):
            examples = tuple(
                f"annotation {ids[row]}: size {heights[row]}, {widths[row]}, image "
                f"{sizes[row, 0]:g} x {sizes[row, 1]:g}"
                for row in np.flatnonzero(wrong)[:NUM_EXAMPLES]
            )
            text = "the mask must have the size of its image: size is [height, width]"
            yield Finding(ERROR, text, count, len(ids), "masks", examples)


class _Places:
    """Counts places, and keeps the first ones."""

    def __init__(self) -> None:
        self.count = 0
        self.first: tuple[str, ...] = ()

    def add(self, place: str) -> None:
        self.count += 1
        if self.count <= NUM_EXAMPLES:
            self.first += (place,)


def _extents(labelled: NDArray, num_labelled: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return (B, 4) the least and largest x and y of each annotation's labelled landmarks."""
    extents = np.full((len(num_labelled), 4), np.nan, dtype=np.float32)
    ends = num_labelled.cumsum()
    rows = num_labelled > 0
    starts = (ends - num_labelled)[rows]
    if len(starts):
        for column, axis in enumerate((0, 1, 0, 1)):
            reduce = np.minimum if column < 2 else np.maximum
            extents[rows, column] = reduce.reduceat(labelled[:, axis], starts)
    return extents


def _num_beside(
    labelled: NDArray,
    num_labelled: NDArray[np.int32],
    extents_xyxy: NDArray[np.float32],
    boxes_xywh: NDArray[np.float32],
) -> NDArray[np.int32]:
    """Return (B,) how many labelled landmarks of each annotation are not near its box."""
    counts = np.zeros(len(num_labelled), dtype=np.int32)
    margins = NEAR_BOX * np.abs(boxes_xywh[:, 2:]) + TOLERANCE_PX
    low, high = boxes_xywh[:, :2] - margins, boxes_xywh[:, :2] + boxes_xywh[:, 2:] + margins
    leaves = (extents_xyxy[:, :2] < low) | (extents_xyxy[:, 2:] > high)
    rows = np.flatnonzero(leaves.any(axis=1))  # few
    if len(rows):
        sizes = num_labelled[rows]
        xy = labelled[np.repeat(leaves.any(axis=1), num_labelled), :2]
        beside = (xy < np.repeat(low[rows], sizes, axis=0)) | (
            xy > np.repeat(high[rows], sizes, axis=0)
        )
        counts[rows] = np.add.reduceat(beside.any(axis=1), sizes.cumsum() - sizes, dtype=np.int32)
    return counts


def _garment_findings(garments: Garments) -> Iterator[Finding]:
    """Yield what the rules find."""
    total = len(garments.ids)
    for rule, rows in _broken_rules(garments):
        level = ERROR if len(rows) >= rule.error_from * total else WARNING
        examples = tuple(garments.example(row) for row in rows[:NUM_EXAMPLES])
        yield Finding(level, rule.text, len(rows), total, "garments", examples)


def _broken_rules(garments: Garments) -> Iterator[tuple[Rule, NDArray[np.int64]]]:
    """Yield each broken rule and its garments; a garment counts for the first one it breaks."""
    reported = np.zeros(len(garments.ids), dtype=bool)
    for rule in RULES:
        flags = rule.flags(garments) & ~reported
        count = int(np.count_nonzero(flags))
        if not count or count < rule.warning_from * len(garments.ids):
            continue
        reported |= flags
        yield rule, np.flatnonzero(flags)


def _check_unique(what: str, ids: NDArray[np.int64]) -> None:
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise UserError(
            f"{what} must be unique, but {unique[np.argmax(counts)]} occurs {counts.max()} times "
            "(files of two splits cannot be merged: they number their images alike)"
        )
