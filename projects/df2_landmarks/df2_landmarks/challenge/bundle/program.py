"""The scoring program of a bundle, ``score.py`` in its zip: numpy, msgspec and this package.

The server unpacks the reference data into INPUT/ref and the submission into INPUT/res, where it
adds a file ``metadata`` of its own. It shows what is in OUTPUT and on stdout and stderr to the
participant. So scores.json has all keys, as finite numbers, or is not there, and the exit code is
not 0: an entry without a number would stand above all others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from df2_landmarks.common import atomic_write, run_command, say
from df2_landmarks.evaluation import Score, provenance_line, score, score_as_dict, score_text
from df2_landmarks.formats import (
    PROTOCOLS,
    check_unpacked_submission,
    read_ground_truth,
    read_results,
    recorded_taxonomy,
)

COLUMNS = {
    "visible_and_occluded_AP": ("visible_and_occluded", "AP"),
    "visible_and_occluded_AP50": ("visible_and_occluded", "AP50"),
    "visible_and_occluded_AP75": ("visible_and_occluded", "AP75"),
    "visible_AP": ("visible", "AP"),
    "visible_AP50": ("visible", "AP50"),
    "visible_AP75": ("visible", "AP75"),
}
"""Key of scores.json and of the leaderboard -> protocol and number."""
UNDEFINED = -1.0
"""As COCO has it where nothing counts."""

TASK_FILE, TRUTH_FILE = "challenge.json", "ground_truth.json"
"""The reference data: split, taxonomy and whether details are shown; the annotations."""
SCORES_FILE, DETAILS_FILE = "scores.json", "details.json"
NOT_OF_THE_PARTICIPANT = ("metadata", "__MACOSX", ".DS_Store")
"""What the server and archivers add to a submission."""


def main(argv: Sequence[str] | None = None) -> int:
    """Score a submission. Returns 0, 1 (a wrong submission) or 2."""
    parser = argparse.ArgumentParser(prog="score.py", description="Score a submission.")
    parser.add_argument("input", nargs="?", type=Path, default=Path("/app/input"))
    parser.add_argument("output", nargs="?", type=Path, default=Path("/app/output"))
    args = parser.parse_args(argv)
    return run_command(lambda: run(args.input, args.output), "score")


def run(input_folder: Path, output_folder: Path) -> None:
    """Check and score the submission in INPUT/res; scores.json comes last, whole.

    Raises:
        UserError: the submission is wrong.
    """
    reference = input_folder / "ref"
    task: dict[str, Any] = json.loads((reference / TASK_FILE).read_bytes())
    ground_truth = read_ground_truth(
        reference / TRUTH_FILE,
        needs_annotations=True,
        taxonomy=recorded_taxonomy(task, TASK_FILE),
    )
    facts = check_unpacked_submission(
        input_folder / "res",
        split=task["split"],
        image_ids=ground_truth.image_ids,
        taxonomy=ground_truth.taxonomy,
        class_of_id=ground_truth.class_of_id,
        skipped=NOT_OF_THE_PARTICIPANT,
    )
    detections = read_results(input_folder / "res" / facts.member, ground_truth)
    scores = [score(ground_truth, detections, protocol) for protocol in PROTOCOLS]
    if task["has_details"]:
        say(score_text(ground_truth, detections, scores, [{} for _ in scores]))
        details = {s.protocol: score_as_dict(ground_truth, s, {}) for s in scores}
        _write(output_folder / DETAILS_FILE, details)
    else:
        say(provenance_line(ground_truth))
    _write(output_folder / SCORES_FILE, leaderboard_numbers(scores))


def leaderboard_numbers(scores: Sequence[Score]) -> dict[str, float]:
    """Return key -> number for each of the `COLUMNS`, `UNDEFINED` where nothing counts.

    Args:
        scores: one for each protocol.
    """
    summaries = {result.protocol: result.curves.summary() for result in scores}
    numbers = {key: summaries[protocol][name] for key, (protocol, name) in COLUMNS.items()}
    return {key: UNDEFINED if value is None else value for key, value in numbers.items()}


def _write(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
