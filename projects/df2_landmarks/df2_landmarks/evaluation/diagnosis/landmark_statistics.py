"""Landmark errors in pixels, sigmas and PCK: of all, visible, occluded, and single landmarks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.diagnosis.landmark_errors import (
    LANDMARK_KINDS,
    UNLABELLED,
    ClassLandmarks,
)
from df2_landmarks.formats import GroundTruth
from df2_landmarks.taxonomy import LAYOUT

PCK_FRACTION = 0.1
"""A landmark is correct (PCK) within this fraction of the longer side of the item's box."""


@dataclass(frozen=True)
class LandmarkRow:
    """Errors of a group of landmarks; None where there is none.

    Attributes:
        category: official name, "" for more than one.
        landmark: "number name", "" for more than one.
        count: labelled landmarks of garments that were found, with good landmarks or poor.
        shares: fraction of each of ``LANDMARK_KINDS``.
        mean_px, median_px: distance to the true place.
        mean_sigmas: mean distance over ``2 * sigma * sqrt(area)``, the OKS' own unit.
        pck: fraction within ``PCK_FRACTION``.
        ap_gain: AP that the category would gain if this landmark were always right.
    """

    category: str
    landmark: str
    count: int
    shares: dict[str, float | None]
    mean_px: float | None
    median_px: float | None
    mean_sigmas: float | None
    pck: float | None
    ap_gain: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def landmark_rows(
    landmarks: Sequence[ClassLandmarks],
    aps: Sequence[NDArray[np.float64]],
    base: Sequence[float | None],
) -> tuple[LandmarkRow, ...]:
    """One row for each landmark of each category.

    Args:
        landmarks: per class.
        aps: per class (K,) AP if this landmark were always right, NaN if undefined.
        base: AP of each category as it is.
    """
    rows = []
    for c, (category, some) in enumerate(zip(LAYOUT.categories, landmarks, strict=True)):
        for k, name in enumerate(category.landmark_names):
            column = np.zeros(some.kind.shape, dtype=bool)
            column[:, k] = True
            now = base[c]
            gain = None if now is None or np.isnan(aps[c][k]) else float(aps[c][k] - now)
            rows.append(_row(category.official_name, f"{k + 1} {name}", [(some, column)], gain))
    return tuple(rows)


def summary_rows(
    ground_truth: GroundTruth, landmarks: Sequence[ClassLandmarks]
) -> dict[str, LandmarkRow]:
    """Rows of all, the visible and the occluded landmarks, and of each category."""
    seen = [
        truth.visibility[s.item] for truth, s in zip(ground_truth.classes, landmarks, strict=True)
    ]
    rows = {"all": _row("", "", [(s, v > 0) for s, v in zip(landmarks, seen, strict=True)])}
    for name, value in (("visible", 2), ("occluded", 1)):
        some = [(s, v == value) for s, v in zip(landmarks, seen, strict=True)]
        rows[name] = _row("", "", some)
    for category, s, v in zip(LAYOUT.categories, landmarks, seen, strict=True):
        rows[category.official_name] = _row(category.official_name, "", [(s, v > 0)])
    return rows


def _row(
    category: str,
    landmark: str,
    parts: Iterable[tuple[ClassLandmarks, NDArray[np.bool_]]],
    ap_gain: float | None = None,
) -> LandmarkRow:
    chosen = [(some, mask & (some.kind != UNLABELLED)) for some, mask in parts]
    kinds = np.concatenate([some.kind[mask] for some, mask in chosen])
    px = np.concatenate([some.error_px[mask] for some, mask in chosen])
    sigmas = np.concatenate([some.error_sigmas[mask] for some, mask in chosen])
    relative = np.concatenate([some.error_box[mask] for some, mask in chosen])
    shares = {name: _mean(kinds == kind) for kind, name in enumerate(LANDMARK_KINDS)}
    return LandmarkRow(
        category=category,
        landmark=landmark,
        count=len(kinds),
        shares=shares,
        mean_px=_mean(px),
        median_px=float(np.median(px)) if len(px) else None,
        mean_sigmas=_mean(sigmas),
        pck=_mean(relative <= PCK_FRACTION),
        ap_gain=ap_gain,
    )


def _mean(values: NDArray) -> float | None:
    return float(values.mean()) if len(values) else None
