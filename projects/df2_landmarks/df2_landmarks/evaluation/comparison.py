"""AP, and the difference between two results, with confidence intervals: bootstrap over images.

Each resample draws as many images as there are, with replacement, and scores both results on the
same draw (paired). An image drawn n times counts n times: its detections and items get the weight
n, which equals n copies. Source of the method: Efron and Tibshirani, An Introduction to the
Bootstrap (percentile interval).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.average_precision import RECALL_STEPS, Curves, by_category
from df2_landmarks.evaluation.matching import UNMATCHED, Matching
from df2_landmarks.evaluation.pairs import Pairs
from df2_landmarks.evaluation.score import Score
from df2_landmarks.taxonomy import Taxonomy

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
        """True if the interval does not contain 0."""
        return self.low > 0 or self.high < 0

    def as_dict(self) -> dict[str, float]:
        """Return plain data for JSON."""
        return {**asdict(self), "difference": self.difference}


@dataclass(frozen=True)
class Comparison:
    """Differences in AP, overall and per category (None without ground truth)."""

    taxonomy: Taxonomy
    protocol: str
    resamples: int
    overall: Difference | None
    per_category: tuple[Difference | None, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, by official category name."""
        overall, *per_category = (
            None if difference is None else difference.as_dict()
            for difference in (self.overall, *self.per_category)
        )
        return {
            "resamples": self.resamples,
            "confidence": CONFIDENCE,
            "AP": overall,
            "per_category": by_category(self.taxonomy, per_category),
        }


@dataclass(frozen=True)
class Interval:
    """An AP with the ends of its interval."""

    ap: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """Return plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Intervals:
    """The AP of a result, overall and per category (None without ground truth)."""

    resamples: int
    overall: Interval | None
    per_category: tuple[Interval | None, ...]

    def as_dict(self, taxonomy: Taxonomy) -> dict[str, Any]:
        """Return plain data for JSON, by official category name."""
        overall, *per_category = (
            None if interval is None else interval.as_dict()
            for interval in (self.overall, *self.per_category)
        )
        return {
            "resamples": self.resamples,
            "confidence": CONFIDENCE,
            "AP": overall,
            "per_category": by_category(taxonomy, per_category),
        }


def ap_intervals(
    result: Score, *, num_images: int, resamples: int = 500, seed: int = 0
) -> Intervals:
    """Return the AP of a result with its interval of 95 %.

    Args:
        result: the score.
        num_images: number of images of the ground truth.
        resamples: number of bootstrap draws.
        seed: seed of the draws.

    Example:
        >>> from df2_landmarks.evaluation import score
        >>> from df2_landmarks.formats import read_ground_truth, read_results
        >>> ground_truth = read_ground_truth("validation.json")
        >>> detections = read_results("landmark_results.json", ground_truth)
        >>> result = score(ground_truth, detections, "visible")
        >>> num_images = len(ground_truth.image_ids)
        >>> overall = ap_intervals(result, num_images=num_images, resamples=9).overall
        >>> overall.low <= overall.ap <= overall.high
        True
    """
    draws = _drawn_aps([WeightedAP(result.pairs, result.matching)], num_images, resamples, seed)[
        :, 0
    ]
    aps = np.asarray(_with_nan(result.curves.per_category()))
    per_category = tuple(_interval(aps[[c]], draws[:, [c]]) for c in range(len(aps)))
    return Intervals(resamples, _interval(aps, draws), per_category)


def subset_interval(
    pairs: Pairs,
    matching: Matching,
    curves: Curves,
    images: NDArray[np.bool_],
    *,
    resamples: int,
    seed: int = 0,
) -> Interval | None:
    """Return the AP of a subset with its interval; None if no item is in it.

    The draws are of all images, so that the number of those that count varies, too.

    Args:
        pairs: of the detections with all items.
        matching: with the items outside of the subset ignored.
        curves: of this matching.
        images: (I,) mask of the images that count.
        resamples: number of bootstrap draws.
        seed: seed of the draws.
    """
    draws = _drawn_aps([WeightedAP(pairs, matching, images)], len(images), resamples, seed)[:, 0]
    return _interval(np.asarray(_with_nan(curves.per_category())), draws)


def compare_scores(
    first: Score, second: Score, *, num_images: int, resamples: int = 500, seed: int = 0
) -> Comparison:
    """Compare two results on the same ground truth and under the same protocol.

    Args:
        first: score of the first result.
        second: score of the second result.
        num_images: number of images of the ground truth.
        resamples: number of bootstrap draws; the interval has a confidence of 95 %.
        seed: seed of the draws.

    Example:
        >>> from df2_landmarks.evaluation import score
        >>> from df2_landmarks.formats import read_ground_truth, read_results
        >>> ground_truth = read_ground_truth("validation.json")
        >>> detections = read_results("landmark_results.json", ground_truth)
        >>> result = score(ground_truth, detections, "visible")
        >>> num_images = len(ground_truth.image_ids)
        >>> overall = compare_scores(result, result, num_images=num_images, resamples=9).overall
        >>> overall.difference, overall.is_clear
        (0.0, False)
    """
    taxonomy = first.pairs.taxonomy
    weighted = [WeightedAP(result.pairs, result.matching) for result in (first, second)]
    draws = _drawn_aps(weighted, num_images, resamples, seed)
    aps = np.asarray([_with_nan(result.curves.per_category()) for result in (first, second)])
    per_category = [_difference(aps[:, [c]], draws[:, :, [c]]) for c in range(aps.shape[1])]
    overall = _difference(aps, draws)
    return Comparison(taxonomy, first.protocol, resamples, overall, tuple(per_category))


def _drawn_aps(
    weighted: Sequence[WeightedAP], num_images: int, resamples: int, seed: int
) -> NDArray[np.float64]:
    """Return the (resamples, R, C) AP of R results on the same draws of images."""
    rng = np.random.default_rng(seed)
    draws = np.full((resamples, len(weighted), weighted[0].num_categories), np.nan)
    for draw in draws:
        weights = np.bincount(rng.integers(0, num_images, num_images), minlength=num_images)
        draw[:] = [result.per_category(weights) for result in weighted]
    return draws


def _with_nan(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


class WeightedAP:
    """The AP of a result with a weight for each image; prepared once for many weights."""

    def __init__(
        self, pairs: Pairs, matching: Matching, images: NDArray[np.bool_] | None = None
    ) -> None:
        """
        Args:
            pairs: detections and items.
            matching: of them.
            images: (I,) mask of the images that count, all by default.
        """
        self.num_categories = pairs.taxonomy.num_categories
        self._classes = []
        for c in range(self.num_categories):
            items, order = pairs.class_rows(c)[1], pairs.by_score(c)
            item_images = pairs.item_images[items][~matching.item_ignored[0, items]]
            if images is not None:
                order = order[images[pairs.images[order]]]
                item_images = item_images[images[item_images]]
            self._classes.append(
                _ClassArrays.of(
                    matching.item[0][:, order] != UNMATCHED,
                    matching.ignored[0][:, order],
                    pairs.images[order],
                    item_images,
                )
            )

    def per_category(self, weights: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the (C,) AP where image i counts ``weights[i]`` times, NaN without items."""
        return np.asarray([_weighted_ap(weights, arrays) for arrays in self._classes])


class _ClassArrays(NamedTuple):
    """A class with n detections in order of score, at T thresholds.

    Attributes:
        rows: (P,) threshold of each true positive, ascending.
        columns: (P,) its detection, ascending at each threshold.
        ignored: (Q,) detections that do not count, of all thresholds one after the other.
        ignored_first: (P,) place in ``ignored`` where the threshold of a true positive starts.
        ignored_before: (P,) place in ``ignored`` behind those that come before it.
        images: (n,) of the detections.
        item_images: of the items that count.
        num_thresholds: T.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    ignored: NDArray[np.int64]
    ignored_first: NDArray[np.int64]
    ignored_before: NDArray[np.int64]
    images: NDArray[np.int64]
    item_images: NDArray[np.int64]
    num_thresholds: int

    @classmethod
    def of(
        cls,
        matched: NDArray[np.bool_],
        ignored: NDArray[np.bool_],
        images: NDArray[np.int64],
        item_images: NDArray[np.int64],
    ) -> _ClassArrays:
        """Prepare (T, n) detections that are matched, and that are ignored."""
        rows, columns = np.nonzero(matched & ~ignored)
        flat, width = np.flatnonzero(ignored), matched.shape[1]
        return cls(
            rows=rows,
            columns=columns,
            ignored=flat % max(width, 1),
            ignored_first=np.searchsorted(flat, rows * width),
            ignored_before=np.searchsorted(flat, rows * width + columns),
            images=images,
            item_images=item_images,
            num_thresholds=len(matched),
        )


def _weighted_ap(weights: NDArray[np.int64], arrays: _ClassArrays) -> float:
    """Return the AP of a class, all thresholds at once.

    Only the true positives are looked at: behind each of them precision falls until the next one.
    """
    rows, columns = arrays.rows, arrays.columns
    num_items = int(weights[arrays.item_images].sum())
    if num_items == 0:
        return math.nan
    thresholds = np.arange(arrays.num_thresholds)
    starts, ends = (np.searchsorted(rows, thresholds, side) for side in ("left", "right"))
    weight = weights[arrays.images]
    ignored_sum = np.append(0, np.cumsum(weight[arrays.ignored]))
    all_sum = np.cumsum(weight)[columns]
    all_sum -= ignored_sum[arrays.ignored_before] - ignored_sum[arrays.ignored_first]
    true_sum = np.append(0, np.cumsum(weight[columns]))
    true_sum = true_sum[1:] - true_sum[starts][rows]  # at each threshold from 0
    precision = true_sum / np.maximum(all_sum, 1)
    # The largest precision from each true positive on. What is added keeps thresholds apart.
    apart = 2.0 * (len(thresholds) - rows)
    envelope = np.maximum.accumulate((precision + apart)[::-1])[::-1] - apart
    # The first true positive that reaches each recall. Compared as whole numbers of items, which
    # adding the threshold does not round.
    needed = np.searchsorted(np.arange(num_items + 1) / num_items, RECALL_STEPS)
    reached = true_sum + rows * (num_items + 1)
    index = np.searchsorted(reached, needed + thresholds[:, None] * (num_items + 1))
    found = index[index < ends[:, None]]
    return float(envelope[found].sum() / (len(thresholds) * len(RECALL_STEPS)))


def _difference(aps: NDArray[np.float64], draws: NDArray[np.float64]) -> Difference | None:
    """Return the difference of (2, n) APs and its interval from (resamples, 2, n) drawn ones.

    Categories without items, in the ground truth or in a draw, do not count.
    """
    present = ~np.isnan(aps[0])
    if not present.any():
        return None
    means = _means(draws[:, :, present])
    low, high = _ends(means[:, 0] - means[:, 1])
    first, second = aps[:, present].mean(axis=1)
    return Difference(float(first), float(second), low, high)


def _interval(aps: NDArray[np.float64], draws: NDArray[np.float64]) -> Interval | None:
    """Return the mean of (n,) APs and its interval from (resamples, n) drawn ones, likewise."""
    present = ~np.isnan(aps)
    if not present.any():
        return None
    low, high = _ends(_means(draws[:, present]))
    return Interval(float(aps[present].mean()), low, high)


def _means(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the last axis of what is not NaN, 0 where all is."""
    num_drawn = (~np.isnan(drawn)).sum(axis=-1)
    means: NDArray[np.float64] = np.nansum(drawn, axis=-1) / np.maximum(num_drawn, 1)
    return means


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
