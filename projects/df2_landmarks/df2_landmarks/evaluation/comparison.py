"""Is one result better than another? Paired bootstrap over images.

Each resample draws as many images as there are, with replacement, and scores both results on the
same draw. An image drawn n times counts n times: its detections and items get the weight n, which
is the same as n copies. Source of the method: Efron and Tibshirani, An Introduction to the
Bootstrap (percentile interval).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.average_precision import RECALL_STEPS
from df2_landmarks.evaluation.matching import UNMATCHED
from df2_landmarks.evaluation.score import Score
from df2_landmarks.taxonomy import LAYOUT

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """AP of the first result, AP of the second, and first minus second with its interval."""

    first: float
    second: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        return self.first - self.second

    @property
    def is_clear(self) -> bool:
        """The interval does not contain 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """Differences in AP, overall and per category (None without ground truth)."""

    protocol: str
    resamples: int
    overall: Difference | None
    per_category: tuple[Difference | None, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, by official category name."""
        names = [category.official_name for category in LAYOUT.categories]
        return {
            "resamples": self.resamples,
            "confidence": CONFIDENCE,
            "AP": _as_dict(self.overall),
            "per_category": {
                name: _as_dict(one) for name, one in zip(names, self.per_category, strict=True)
            },
        }


def compare_scores(
    first: Score, second: Score, *, num_images: int, resamples: int = 500, seed: int = 0
) -> Comparison:
    """Compares two results on the same ground truth and protocol.

    Args:
        first: score of the first result.
        second: score of the second one.
        num_images: I.
        resamples: number of draws; the interval is that of 95 %.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    curves = [_Curves(score) for score in (first, second)]
    draws = np.full((resamples, 2, LAYOUT.num_categories), np.nan)
    for draw in draws:
        weights = np.bincount(rng.integers(0, num_images, num_images), minlength=num_images)
        draw[:] = [one.ap(weights) for one in curves]
    values = np.asarray(
        [
            [math.nan if ap is None else ap for ap in one.curves.per_category()]
            for one in (first, second)
        ]
    )
    per_category = [_difference(values[:, [c]], draws[:, :, [c]]) for c in range(values.shape[1])]
    return Comparison(first.protocol, resamples, _difference(values, draws), tuple(per_category))


class _Curves:
    """What the AP of a resample needs, prepared once; T thresholds, n detections of a class."""

    def __init__(self, score: Score) -> None:
        pairs, matching = score.pairs, score.matching
        self._classes = []
        for c in range(LAYOUT.num_categories):
            found = slice(pairs.class_starts[c], pairs.class_starts[c + 1])
            items = slice(pairs.item_starts[c], pairs.item_starts[c + 1])
            order = np.argsort(-pairs.scores[found], kind="stable") + found.start
            hit = matching.item[0][:, order] != UNMATCHED
            counts = ~matching.ignored[0][:, order]
            item_images = pairs.item_images[items][~matching.item_ignored[0, items]]
            self._classes.append((hit & counts, counts, pairs.images[order], item_images))

    def ap(self, weights: NDArray[np.int64]) -> NDArray[np.float64]:
        """(C,) AP where image i counts ``weights[i]`` times, NaN without items."""
        return np.asarray([_weighted_ap(weights, *one) for one in self._classes])


def _weighted_ap(
    weights: NDArray[np.int64],
    true: NDArray[np.bool_],
    counts: NDArray[np.bool_],
    images: NDArray[np.int64],
    item_images: NDArray[np.int64],
) -> float:
    num_items = weights[item_images].sum()
    if num_items == 0:
        return float("nan")
    weight = weights[images].astype(np.float32)  # exact: sums stay below 2 ** 24
    true_sum = np.cumsum(true * weight, axis=1)
    all_sum = np.cumsum(counts * weight, axis=1)
    precision = true_sum / np.maximum(all_sum, 1)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = true_sum.astype(np.float64) / num_items
    total = 0.0
    for t in range(len(true)):
        index = np.searchsorted(recall[t], RECALL_STEPS, side="left")
        total += precision[t, index[index < true.shape[1]]].sum(dtype=np.float64)
    return total / (len(true) * len(RECALL_STEPS))


def _difference(values: NDArray[np.float64], draws: NDArray[np.float64]) -> Difference | None:
    """From (2, n) APs and (resamples, 2, n) drawn ones; categories without items do not count."""
    present = ~np.isnan(values[0])
    if not present.any():
        return None
    with np.errstate(invalid="ignore"):
        drawn = draws[:, :, present]
        means = np.where(np.isnan(drawn), 0, drawn).sum(axis=2) / np.maximum(
            (~np.isnan(drawn)).sum(axis=2), 1
        )
    low, high = np.quantile(means[:, 0] - means[:, 1], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    first, second = values[:, present].mean(axis=1)
    return Difference(float(first), float(second), float(low), float(high))


def _as_dict(one: Difference | None) -> dict[str, float] | None:
    if one is None:
        return None
    return {
        "first": one.first,
        "second": one.second,
        "difference": one.difference,
        "low": one.low,
        "high": one.high,
    }
