"""How well "visible or occluded" is predicted, by average precision of either answer.

N = labelled landmarks of the matched items, K = landmarks of a category.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.matching import UNMATCHED
from df2_landmarks.evaluation.score import Score
from df2_landmarks.evaluation.tables import number
from df2_landmarks.formats import VISIBLE_AND_OCCLUDED, GroundTruth


@dataclass(frozen=True)
class VisibilityScore:
    """Average precision of both answers, as fractions; None where no landmark has the answer.

    Attributes:
        num_visible: landmarks with v = 2.
        num_occluded: landmarks with v = 1.
        ap_visible: AP of "visible", ranked by its probability.
        ap_occluded: AP of "occluded", ranked by its probability.
    """

    num_visible: int
    num_occluded: int
    ap_visible: float | None
    ap_occluded: float | None

    @property
    def num_landmarks(self) -> int:
        return self.num_visible + self.num_occluded

    def as_dict(self) -> dict[str, float | None]:
        """Return the AP and the share of both answers, as fractions.

        The share is the AP of guessing, which gives every landmark the same probability.
        """
        total = self.num_landmarks
        return {
            "AP-visible": self.ap_visible,
            "AP-occluded": self.ap_occluded,
            "share-visible": self.num_visible / total if total else None,
            "share-occluded": self.num_occluded / total if total else None,
        }

    def text(self) -> str:
        """Return both AP, and those of guessing, as one line."""
        answers = visibility_text(self.as_dict())
        return f"Visibility of {self.num_landmarks:,} landmarks on detected items: {answers}"


def visibility_text(fractions: Mapping[str, float | None]) -> str:
    """Format AP and share of both answers (`VisibilityScore.as_dict`)."""
    return ", ".join(
        f"AP {number(fractions[f'AP-{answer}'])} for {answer} "
        f"(guessing {number(fractions[f'share-{answer}'])})"
        for answer in ("visible", "occluded")
    )


def score_visibility(ground_truth: GroundTruth, result: Score) -> VisibilityScore | None:
    """Score the predicted visibility of all labelled landmarks of the matched items.

    A detection counts with the item that the official matching gives it at OKS .5. Left out are
    items that are not detected or do not count (crowds), and detections on no item.

    Args:
        ground_truth: the items that were scored.
        result: the score of the detections under "visible_and_occluded".

    Returns:
        The score; None if no detection has a `visible_probability`.
    """
    assert result.protocol == VISIBLE_AND_OCCLUDED, result.protocol
    probabilities, visible, has_probability = [np.zeros(0)], [np.zeros(0, bool)], False
    for c in range(ground_truth.taxonomy.num_categories):
        of_class = result.pairs.ranked[c].visible_probability
        if of_class is None:
            continue
        has_probability = True
        detections, items = result.pairs.class_rows(c)
        item = result.matching.item[0, 0, detections]  # all sizes, OKS .5
        matched = (item != UNMATCHED) & ~result.matching.ignored[0, 0, detections]
        visibility = ground_truth.classes[c].visibility[item[matched] - items.start]  # (n, K)
        labelled = visibility > 0
        probabilities.append(of_class[matched][labelled].astype(np.float64))
        visible.append(visibility[labelled] == 2)
    if not has_probability:
        return None
    probability, is_visible = np.concatenate(probabilities), np.concatenate(visible)
    return VisibilityScore(
        num_visible=int(is_visible.sum()),
        num_occluded=int((~is_visible).sum()),
        ap_visible=average_precision(probability, is_visible),
        ap_occluded=average_precision(-probability, ~is_visible),
    )


def average_precision(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float | None:
    """Return the area under the steps of precision over recall.

    It is the mean over the positives of the precision among all examples with at least the
    positive's score. Not interpolated, so that the AP of equal scores is the share of positives;
    COCO's AP is interpolated.

    Args:
        scores: (N,) the higher, the more likely positive.
        positive: (N,).

    Returns:
        0..1, None without a positive.

    Example:
        >>> import numpy as np
        >>> average_precision(np.array([0.9, 0.8, 0.3]), np.array([True, False, True]))
        0.8333333333333333
    """
    order = np.argsort(-scores, kind="stable")
    num_positive = np.cumsum(positive[order])
    if not len(order) or not num_positive[-1]:
        return None
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # of each run of equals
    precision = num_positive[last] / (last + 1)
    return float(np.diff(num_positive[last], prepend=0) @ precision / num_positive[-1])
