"""Calibration: how far predicted probabilities are from what is observed.

Predictions are put into bins of equal width. In a calibrated bin the mean prediction equals the
mean observation. The expected calibration error (ECE) is the mean of their difference over the
bins, weighted by the predictions in them (Guo et al., 2017, arXiv 1706.04599).

* The *score of a detection* beside its OKS, 0 without a garment of its category.
* The *confidence of a landmark* beside its similarity, its term in the OKS. The decoder
  ``expected_oks`` predicts just this, for the area of the predicted box. The confidence of the
  decoder ``peak`` is the share of the heatmap at its highest place: larger is surer, but it is not
  meant to equal the similarity.
* The *probability that a landmark is visible* beside 1 for a visible and 0 for an occluded one.

Landmarks are the labelled ones of detections that are correct or have poor landmarks, as in the
landmark errors of the diagnosis. N = predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.diagnosis.cases import Cases
from df2_landmarks.evaluation.diagnosis.landmark_errors import UNLABELLED
from df2_landmarks.evaluation.score import Score
from df2_landmarks.evaluation.tables import TITLES, number, table
from df2_landmarks.formats import VISIBLE_AND_OCCLUDED
from df2_landmarks.taxonomy import Taxonomy

NUM_BINS = 10
MEANINGS = {
    "score": "score of a detection beside its OKS",
    "confidence": "confidence of a landmark beside its similarity",
    "visibility": "probability of being visible beside being visible",
}
_COLUMNS = {
    "score": ("mean score", "mean OKS"),
    "confidence": ("mean confidence", "mean similarity"),
    "visibility": ("mean probability", "share visible"),
}


@dataclass(frozen=True)
class Bin:
    """Predictions from ``low`` up to ``high``, at least one; the last bin includes 1."""

    low: float
    high: float
    count: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Reliability:
    """Predictions beside observations.

    Attributes:
        count: predictions.
        predicted: their mean, None without one.
        observed: mean of what was observed, None likewise.
        ece: expected calibration error, None likewise.
        bins: those that are not empty.
    """

    count: int
    predicted: float | None
    observed: float | None
    ece: float | None
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Calibrated:
    """The reliability of one kind of prediction, overall and per category."""

    overall: Reliability
    per_category: tuple[Reliability, ...]


@dataclass(frozen=True)
class Calibration:
    """What is calibrated how well.

    Attributes:
        taxonomy: the categories.
        protocol: which landmarks are scored.
        kinds: key of `MEANINGS` -> reliability; only the kinds that the results have.
    """

    taxonomy: Taxonomy
    protocol: str
    kinds: Mapping[str, Calibrated]

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Return a header, and a row for all and for each category with predictions."""
        header = ["category"]
        for kind in self.kinds:
            header += [f"{kind} n", *_COLUMNS[kind], "ECE"]
        names = ["all", *(category.official_name for category in self.taxonomy.categories)]
        rows = []
        for place, name in enumerate(names):
            parts = [(k.overall, *k.per_category)[place] for k in self.kinds.values()]
            if any(part.count for part in parts):
                rows.append([name, *(cell for part in parts for cell in _cells(part))])
        return header, rows

    def text(self) -> str:
        """Return the bins of each kind, and a table per category."""
        parts = [f"Calibration, {TITLES[self.protocol]} landmarks"]
        for kind, calibrated in self.kinds.items():
            rows = [
                [f"{b.low:.1f} to {b.high:.1f}", str(b.count)]
                + [number(b.predicted), number(b.observed), f"{b.observed - b.predicted:+.3f}"]
                for b in calibrated.overall.bins
            ]
            title = f"{MEANINGS[kind]}: ECE {number(calibrated.overall.ece)}"
            parts.append(
                f"{title}\n\n" + table([kind, "count", "predicted", "observed", "difference"], rows)
            )
        parts.append(table(*self.rows()))
        return "\n\n".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: kind -> overall, and by official category name."""
        names = [category.official_name for category in self.taxonomy.categories]
        return {
            kind: {
                **asdict(calibrated.overall),
                "per_category": {
                    name: asdict(part)
                    for name, part in zip(names, calibrated.per_category, strict=True)
                },
            }
            for kind, calibrated in self.kinds.items()
        }


def _cells(part: Reliability) -> list[str]:
    return [f"{part.count:,}", *map(number, (part.predicted, part.observed, part.ece))]


def reliability(predicted: NDArray[np.floating], observed: NDArray[np.floating]) -> Reliability:
    """Return predictions beside observations in `NUM_BINS` bins.

    Args:
        predicted: (N,) in 0..1.
        observed: (N,) in 0..1.

    Example:
        >>> import numpy as np
        >>> half_right = reliability(np.full(4, 0.75), np.array([1.0, 1.0, 0.0, 0.0]))
        >>> half_right.observed, half_right.ece
        (0.5, 0.25)
    """
    bins = np.clip((predicted * NUM_BINS).astype(int), 0, NUM_BINS - 1)
    counts = np.bincount(bins, minlength=NUM_BINS)
    sums = [np.bincount(bins, values, NUM_BINS) for values in (predicted, observed)]
    total = len(predicted)
    return Reliability(
        count=total,
        predicted=float(sums[0].sum() / total) if total else None,
        observed=float(sums[1].sum() / total) if total else None,
        ece=float(np.abs(sums[0] - sums[1]).sum() / total) if total else None,
        bins=tuple(
            Bin(
                b / NUM_BINS,
                (b + 1) / NUM_BINS,
                int(counts[b]),
                float(sums[0][b] / counts[b]),
                float(sums[1][b] / counts[b]),
            )
            for b in np.flatnonzero(counts).tolist()
        ),
    )


def calibration(score: Score, cases: Cases) -> Calibration:
    """Return the calibration of scores, and of confidence and visibility where results have them.

    Visibility is only measured where both answers are scored: under "visible_and_occluded".

    Args:
        score: of the detections.
        cases: of the score.

    Example:
        >>> from df2_landmarks.evaluation import score
        >>> from df2_landmarks.formats import read_ground_truth, read_results
        >>> ground_truth = read_ground_truth("validation.json")
        >>> detections = read_results("landmark_results.json", ground_truth)
        >>> result = score(ground_truth, detections, "visible_and_occluded")
        >>> measured = calibration(result, Cases(ground_truth, result))
        >>> 0 <= measured.kinds["score"].overall.ece <= 1
        True
    """
    pairs = score.pairs
    values: dict[str, list[tuple[NDArray, NDArray] | None]] = {kind: [] for kind in MEANINGS}
    counted = ~score.matching.ignored[0, 0]
    for c, (detections, part) in enumerate(zip(pairs.ranked, cases.landmarks, strict=True)):
        rows = pairs.class_rows(c)[0]
        of_class = counted[rows]
        values["score"].append((pairs.scores[rows][of_class], cases.oks[rows][of_class]))
        labelled = part.error_type != UNLABELLED
        similarity = np.exp(-(part.error_sigmas[labelled] ** 2) / 2)
        is_visible = (part.visibility[labelled] == 2).astype(np.float64)
        for kind, probability, observed in (
            ("confidence", detections.landmark_scores, similarity),
            ("visibility", detections.visible_probability, is_visible),
        ):
            known = None if probability is None else probability[part.detection][labelled]
            values[kind].append(None if known is None else (known.astype(np.float64), observed))
    if score.protocol != VISIBLE_AND_OCCLUDED:
        del values["visibility"]
    kinds = {
        kind: _calibrated(per_class)
        for kind, per_class in values.items()
        if any(pair is not None for pair in per_class)
    }
    return Calibration(pairs.taxonomy, score.protocol, kinds)


def _calibrated(per_class: Sequence[tuple[NDArray, NDArray] | None]) -> Calibrated:
    nothing = np.zeros(0), np.zeros(0)
    present = [pair or nothing for pair in per_class]
    overall = (np.concatenate(column) for column in zip(*present, strict=True))
    return Calibrated(reliability(*overall), tuple(reliability(*pair) for pair in present))
