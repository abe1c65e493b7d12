"""Lengths of a garment between its landmarks: what they are called, where they run, how long.

A measurement is a path: landmarks of one category that are joined by straight segments. Its length
is the sum of the segments in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from df2_landmarks.common import UserError
from df2_landmarks.taxonomy.category import Category

LOW_CONFIDENCE = 0.3
"""A predicted landmark below this confidence (expected OKS) is not measured, and drawn hollow."""

ROWS = """
body_length        neckline_back_centre hem_centre
body_length_*      neckline_back_centre front_edge_*_hem
skirt_length       waist_centre hem_centre
outseam_*          waist_* leg_*_outer_# leg_*_hem_outer
inseam_*           crotch leg_*_inner_# leg_*_hem_inner
rise               waist_centre crotch
front_length       neckline_front_centre hem_centre
front_length_*     front_edge_*_top front_edge_*_# front_edge_*_hem
side_seam_*        armpit_* side_*_# hem_*
side_seam_*        waist_* side_*_mid hem_*
shoulder_width     shoulder_left shoulder_right
chest_width        armpit_left armpit_right
underarm_width     side_left_1 side_right_1
waist_width        side_left_2 side_right_2
waist_width        waist_left waist_centre waist_right
hem_width          hem_left hem_centre hem_right
hem_width          hem_left hem_right if front_edge_left_hem
thigh_width_*      leg_*_outer_1 crotch if leg_*_inner_1
knee_width_*       leg_*_outer_2 leg_*_inner_1
leg_opening_*      leg_*_hem_outer leg_*_hem_inner
neckline_width     neckline_left neckline_right
back_neckline      neckline_left neckline_back_centre neckline_right
front_neckline     neckline_left neckline_front_left neckline_front_centre neckline_front_right \
neckline_right
front_neckline_*   neckline_* neckline_front_* front_edge_*_top
shoulder_length_*  neckline_* shoulder_*
strap_length_*     strap_*_top neckline_*
armhole_*          shoulder_* armpit_*
sleeve_length_*    shoulder_* sleeve_*_outer_# cuff_*_outer
sleeve_inseam_*    armpit_* sleeve_*_inner_# cuff_*_inner
cuff_width_*       cuff_*_outer cuff_*_inner
"""
"""The measurements: name and path. A row applies to every category that has its landmarks.

``*`` stands for "left", then for "right". ``side_left_#`` stands for all of side_left_1,
side_left_2, ... that the category has, or none. Landmarks after "if" are not on the path, but the
category must have them.

The first row that applies to a category is its garment's length. ``docs/how-to/measure.md`` says
what each measurement means on a garment.
"""


@dataclass(frozen=True)
class Measurement:
    """A length that is measured between landmarks of a category.

    Attributes:
        name: of the measurement ("body_length").
        path: names of the landmarks, joined by straight segments.

    Raises:
        ValueError: the name is empty or has unprintable characters, the path has less than two
            landmarks or the same one twice in a row.
    """

    name: str
    path: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise ValueError(f"the name must be printable text, but got {self.name[:60]!r}")
        if len(self.path) < 2:
            raise ValueError(f"{self.name} must have 2 landmarks or more, but has {len(self.path)}")
        for landmark, following in pairwise(self.path):
            if landmark == following:
                raise ValueError(f"{self.name} must not have {landmark} twice in a row")


@dataclass(frozen=True)
class MeasuredLength:
    """A measurement of one garment in one picture.

    Attributes:
        name: of the measurement.
        pixels: its length in the picture, or None when a landmark of the path cannot be used.
        ratio: its length over the garment's length in the same picture, or None.
        centimetres: its length by the scale that the caller gave, or None.
        reason: why ``pixels`` or ``ratio`` is None, else "".
        path: names of the landmarks that it runs through.
    """

    name: str
    pixels: float | None
    ratio: float | None
    centimetres: float | None
    reason: str
    path: tuple[str, ...]


@cache
def measurements_of(category: Category) -> tuple[Measurement, ...]:
    """Return the measurements of a category (`ROWS`); the first is its garment's length.

    Example:
        >>> from df2_landmarks.taxonomy import DEEPFASHION2, measurements_of
        >>> skirt = DEEPFASHION2.categories[8]
        >>> print(*(measurement.name for measurement in measurements_of(skirt)))
        skirt_length side_seam_left side_seam_right waist_width hem_width
    """
    table = []
    for row in ROWS.strip().splitlines():
        name, text = row.split(maxsplit=1)
        for side in ("left", "right") if "*" in name else ("",):
            on_path, _, also_needed = text.replace("*", side).partition(" if ")
            path = tuple(n for token in on_path.split() for n in _expanded(token, category))
            if {*path, *also_needed.split()} <= set(category.landmark_names):
                table.append(Measurement(name.replace("*", side), path))
    return tuple(table)


def _expanded(token: str, category: Category) -> list[str]:
    """Return the landmark of a token, or those that ``#`` stands for, ordinals ascending."""
    if "#" not in token:
        return [token]
    numbered = [token.replace("#", str(n)) for n in range(1, category.num_landmarks + 1)]
    return [name for name in numbered if name in category.landmark_names]


def measure(
    category: Category,
    landmarks_xy: ArrayLike,
    *,
    confidence: ArrayLike | None = None,
    known: ArrayLike | None = None,
    measurements: Mapping[int, Sequence[Measurement]] | None = None,
    pixels_per_cm: float | None = None,
    min_confidence: float = LOW_CONFIDENCE,
) -> list[MeasuredLength]:
    """Measure a garment in a picture.

    The garment's length, to which ratios refer, is the first measurement of its category. If that
    is one of a pair (``outseam_left``), it is the mean of both, or the one that has a length.

    Args:
        category: of the garment; K is its number of landmarks.
        landmarks_xy: (K, 2), px.
        confidence: (K,) 0..1; a landmark below ``min_confidence`` is not used.
        known: (K,) false where a landmark is not labelled.
        measurements: category id -> measurements, see `read_measurements`; by default
            `measurements_of` the category.
        pixels_per_cm: scale of the picture at the garment.
        min_confidence: 0..1.

    Returns:
        One entry per measurement of the category, in order.

    Raises:
        UserError: ``pixels_per_cm`` is not above 0, or ``min_confidence`` is not in 0..1.
        ValueError: an array has another shape, or a measurement has a landmark that the category
            does not have.

    Example:
        >>> from df2_landmarks.taxonomy import DEEPFASHION2, measure
        >>> skirt = DEEPFASHION2.categories[8]
        >>> xy = [(80, 0), (100, 0), (120, 0), (50, 40), (20, 80), (100, 140), (180, 80), (150, 40)]
        >>> known = [True, True, True, True, True, True, True, False]
        >>> for length in measure(skirt, xy, known=known, pixels_per_cm=2):
        ...     print(length.name, length.pixels, length.centimetres or length.reason)
        skirt_length 140.0 70.0
        side_seam_left 100.0 50.0
        side_seam_right None side_right_mid is not labelled
        waist_width 40.0 20.0
        hem_width 200.0 100.0
    """
    if pixels_per_cm is not None and not 0 < pixels_per_cm < math.inf:
        raise UserError(f"pixels_per_cm must be a number above 0, but got {pixels_per_cm}")
    if not 0 <= min_confidence <= 1:
        raise UserError(f"min_confidence must be in 0..1, but got {min_confidence}")
    xy = _checked("landmarks_xy", landmarks_xy, (category.num_landmarks, 2))
    doubts = _doubts(category, xy, confidence, known, min_confidence)
    table = (measurements or {}).get(category.id, measurements_of(category))
    lengths = [_length(measurement, category, xy, doubts) for measurement in table]
    garment_px, no_ratio = _garment_length(lengths)
    return [
        length
        if length.pixels is None
        else replace(
            length,
            ratio=length.pixels / garment_px if garment_px else None,
            centimetres=length.pixels / pixels_per_cm if pixels_per_cm else None,
            reason=no_ratio,
        )
        for length in lengths
    ]


def _length(
    measurement: Measurement,
    category: Category,
    landmarks_xy: NDArray[np.float64],
    doubts: Mapping[str, str],
) -> MeasuredLength:
    """Return a length in pixels, or why there is none."""
    for name in measurement.path:
        if name not in category.landmark_names:
            raise ValueError(f"{measurement.name}: {category.name} has no landmark {name}")
    pixels = None
    reason = "; ".join(doubts[name] for name in measurement.path if name in doubts)
    if not reason:
        path = [category.landmark_names.index(name) for name in measurement.path]
        pixels = float(np.hypot(*np.diff(landmarks_xy[path], axis=0).T).sum())
    return MeasuredLength(measurement.name, pixels, None, None, reason, measurement.path)


def _garment_length(lengths: Sequence[MeasuredLength]) -> tuple[float | None, str]:
    """Return the garment's length in pixels and "", or None and why there is no ratio to it."""
    names = [length.name for length in lengths[:1]]
    if names and names[0].endswith(("_left", "_right")):
        stem = names[0].rpartition("_")[0]
        names = [f"{stem}_left", f"{stem}_right"]
    bases = [length for length in lengths if length.name in names]
    pixels = [length.pixels for length in bases if length.pixels is not None]
    if not pixels:
        return None, "no ratio: " + "; ".join(f"{base.name}: {base.reason}" for base in bases)
    mean = sum(pixels) / len(pixels)
    return (mean, "") if mean > 0 else (None, f"no ratio: {bases[0].name} is 0")


def _checked(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, but has {array.shape}")
    return array


def _doubts(
    category: Category,
    landmarks_xy: NDArray[np.float64],
    confidence: ArrayLike | None,
    known: ArrayLike | None,
    min_confidence: float,
) -> dict[str, str]:
    """Return the names of the landmarks that are not used, each with the reason."""
    k = category.num_landmarks
    is_known = _checked("known", np.ones(k) if known is None else known, (k,))
    values = _checked("confidence", np.ones(k) if confidence is None else confidence, (k,))
    doubts = {}
    for index, name in enumerate(category.landmark_names):
        if not is_known[index]:
            doubts[name] = f"{name} is not labelled"
        elif not np.isfinite(landmarks_xy[index]).all():
            doubts[name] = f"{name} has no finite position"
        elif not values[index] >= min_confidence:  # so that NaN is doubtful
            doubts[name] = f"{name}: confidence {values[index]:.2f} is below {min_confidence:.2f}"
    return doubts
