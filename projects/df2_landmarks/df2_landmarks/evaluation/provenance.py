"""Which scorer, on which ground truth: what two scores must share to be compared."""

from __future__ import annotations

from df2_landmarks.formats import GroundTruth, code_version


def provenance(ground_truth: GroundTruth) -> dict[str, str]:
    """Return the version of the scorer and the hash of the ground truth, for a file with scores.

    Returns:
        ``scorer``, the name and version of this package, and ``ground_truth_sha256``, 64
        hexadecimal digits, see `GroundTruth.sha256`.

    Example:
        >>> from df2_landmarks.formats import read_ground_truth
        >>> list(provenance(read_ground_truth("validation.json")))
        ['scorer', 'ground_truth_sha256']
    """
    return {
        "scorer": f"df2_landmarks {code_version()}",
        "ground_truth_sha256": ground_truth.sha256,
    }


def provenance_line(ground_truth: GroundTruth) -> str:
    """Format the `provenance` for people."""
    known = provenance(ground_truth)
    return f"Scorer: {known['scorer']}; ground truth: SHA-256 {known['ground_truth_sha256']}"
