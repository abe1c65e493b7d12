"""The starting kit: submissions with the score that they must get, and how to compute it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from df2_landmarks.challenge.bundle.competition import RANKING
from df2_landmarks.challenge.bundle.program import COLUMNS, leaderboard_numbers
from df2_landmarks.common import UserError
from df2_landmarks.evaluation import mean_shapes, place_mean_shapes, provenance, score
from df2_landmarks.formats import (
    PROTOCOLS,
    VISIBLE_AND_OCCLUDED,
    ClassDetections,
    Detections,
    GroundTruth,
    empty_class,
    read_results,
    write_submission,
    write_taxonomy,
    zero_padded_areas,
)
from df2_landmarks.taxonomy import DEEPFASHION2

TRUTH_FILE, TAXONOMY_FILE, SCORES_FILE = "validation.json", "taxonomy.yaml", "expected_scores.json"
SAMPLES = {
    "perfect.zip": "the annotations themselves",
    "example.zip": "a third of the items is missing, a third has the category's mean shape",
    "empty.zip": "no result at all",
}
"""Name of a submission -> what it holds."""


@dataclass(frozen=True)
class Kit:
    """The files of a starting kit.

    Attributes:
        members: name -> file or content.
        expected: name of a submission -> the numbers that the scoring program must give it.
    """

    members: dict[str, Path | str]
    expected: dict[str, dict[str, float]]


def make_kit(ground_truth: GroundTruth, annotations: Path, folder: Path) -> Kit:
    """Write the submissions of a kit, and score them as the server will.

    Args:
        ground_truth: of the validation phase, which is public.
        annotations: its file, unpacked.
        folder: where to write.

    Raises:
        UserError: no item of the ground truth counts.
    """
    perfect = detections_of_truth(ground_truth)
    none = replace(perfect, classes=tuple(part.take(np.arange(0)) for part in perfect.classes))
    samples = {
        "perfect.zip": perfect,
        "example.zip": imperfect(perfect, ground_truth),
        "empty.zip": none,
    }
    members: dict[str, Path | str] = {TRUTH_FILE: annotations}
    expected: dict[str, dict[str, float]] = {}
    for name, detections in samples.items():
        members[name] = folder / name
        write_submission(
            folder / name, detections, split="val", class_of_id=ground_truth.class_of_id
        )
        read = read_results(folder / name, ground_truth)
        scores = [score(ground_truth, read, protocol) for protocol in PROTOCOLS]
        expected[name] = leaderboard_numbers(scores)
    if ground_truth.taxonomy != DEEPFASHION2:
        members[TAXONOMY_FILE] = folder / TAXONOMY_FILE
        write_taxonomy(ground_truth.taxonomy, folder / TAXONOMY_FILE)
    content = {**provenance(ground_truth), "scores": expected}
    members[SCORES_FILE] = json.dumps(content, indent=1, allow_nan=False) + "\n"
    members["README.md"] = readme(ground_truth, expected)
    return Kit(members, expected)


def check_counts(ground_truth: GroundTruth, where: str) -> None:
    """Check that a score can be computed.

    Args:
        ground_truth: of a phase.
        where: its file, for the message.

    Raises:
        UserError: no item has a labelled landmark, or the file has no annotations.
    """
    if all(truth.ignored(VISIBLE_AND_OCCLUDED).all() for truth in ground_truth.classes):
        raise UserError(
            f"{where}: must have items with labelled landmarks (v > 0) that are not crowds, but "
            "has none, so no submission could get a score; give the file with annotations"
        )


def detections_of_truth(ground_truth: GroundTruth) -> Detections:
    """Return the items that count as detections with score 1, each with its annotated box."""
    taxonomy = ground_truth.taxonomy
    classes: list[ClassDetections] = []
    first = 0
    for class_index, truth in enumerate(ground_truth.classes):
        rows = np.flatnonzero(~truth.ignored(VISIBLE_AND_OCCLUDED))
        classes.append(
            replace(
                empty_class(taxonomy, class_index),
                record=first + np.arange(len(rows)),
                image_index=truth.image_index[rows],
                scores=np.ones(len(rows)),
                landmarks_xy=truth.landmarks_xy[rows],
                areas=zero_padded_areas(taxonomy, truth.landmarks_xy[rows]),
                boxes_xywh=truth.boxes_xywh[rows],
                full_row=np.full(len(rows), -1),
            )
        )
        first += len(rows)
    return Detections(ground_truth.name, ground_truth.image_ids, tuple(classes), taxonomy)


def imperfect(perfect: Detections, ground_truth: GroundTruth) -> Detections:
    """Leave out every third detection, and put the mean shape into the box of every third."""
    placed = place_mean_shapes(perfect, mean_shapes(ground_truth))
    classes = []
    for exact, mean in zip(perfect.classes, placed.classes, strict=True):
        is_mean = exact.record % 3 == 1
        xy = np.where(is_mean[:, None, None], mean.landmarks_xy, exact.landmarks_xy)
        areas = zero_padded_areas(perfect.taxonomy, xy)
        changed = replace(exact, landmarks_xy=xy, areas=areas)
        classes.append(changed.take(exact.record % 3 != 2))
    return replace(perfect, classes=tuple(classes))


def readme(ground_truth: GroundTruth, expected: Mapping[str, Mapping[str, float]]) -> str:
    """Return the README of a kit: the local command, and the scores of the submissions."""
    own = "" if ground_truth.taxonomy == DEEPFASHION2 else f" --taxonomy {TAXONOMY_FILE}"
    rows = [
        f"| `{name}` | {SAMPLES[name]} | "
        + " | ".join(f"{numbers[key]:.4f}" for key in (RANKING, "visible_AP"))
        + " |"
        for name, numbers in expected.items()
    ]
    known = provenance(ground_truth)
    return f"""# Starting kit

Three submissions for the validation phase, and the scores that the server must give them
(`{SCORES_FILE}` has all digits of {len(COLUMNS)} numbers):

| submission | what is in it | AP, visible and occluded | AP, visible |
|---|---|---:|---:|
{chr(10).join(rows)}

The same scores on your machine, by the code that the server runs:

```
df2 score --gt {TRUTH_FILE} --results example.zip{own}
```

Pack your own results, and check the zip before you upload it:

```
df2 submission pack --results results.json --gt {TRUTH_FILE} --output submission.zip{own}
df2 submission check submission.zip --gt {TRUTH_FILE}{own}
```

Scorer: {known["scorer"]}. Ground truth: SHA-256 `{known["ground_truth_sha256"]}`.
`df2 score` prints both; scores may be compared where both are the same.

The annotations themselves need not get 1.0: under *visible*, a result for an item whose landmarks
are all hidden may count as wrong, as in the official evaluation.
"""
