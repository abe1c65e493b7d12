"""The phases of a challenge, and the ground truth of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from df2_landmarks.common import UserError
from df2_landmarks.formats import read_ground_truth, read_taxonomy
from df2_landmarks.taxonomy import DEEPFASHION2

SPLITS = {"validation": "val", "test": "test"}
"""Phase -> split of its submissions (`formats.MEMBERS`)."""


@dataclass(frozen=True)
class Phase:
    """A phase of the challenge.

    Attributes:
        name: "validation" or "test".
        ground_truth: the COCO file with all landmarks.
        sha256: of its content, see `GroundTruth.sha256`.
        taxonomy: file of the categories; None for DeepFashion2's.
    """

    name: str
    ground_truth: Path
    sha256: str
    taxonomy: Path | None = None

    @property
    def split(self) -> str:
        return SPLITS[self.name]

    @property
    def shows_diagnosis(self) -> bool:
        """Whether teams see why a score is what it is: not where the ground truth is secret."""
        return self.name == "validation"


def read_phase(text: str, *, taxonomy: Path | None = None) -> Phase:
    """Read ``validation=FILE`` or ``test=FILE``, and check that the file can be scored against.

    Args:
        text: value of --gt.
        taxonomy: file of the categories; None for DeepFashion2's.

    Raises:
        UserError: there is no such phase, or the file is not a ground truth with annotations.

    Example:
        >>> from df2_landmarks.challenge.board import read_phase
        >>> phase = read_phase("test=validation.json")
        >>> phase.name, phase.split, len(phase.sha256), phase.shows_diagnosis
        ('test', 'test', 64, False)
    """
    name, _, file = text.partition("=")
    if name not in SPLITS or not file:
        expected = " or ".join(f"{phase}=FILE" for phase in SPLITS)
        raise UserError(f"--gt: must be {expected}, but got {text!r}", exit_code=2)
    categories = read_taxonomy(taxonomy) if taxonomy else DEEPFASHION2
    ground_truth = read_ground_truth(file, needs_annotations=True, taxonomy=categories)
    return Phase(name, Path(file), ground_truth.sha256, taxonomy)
