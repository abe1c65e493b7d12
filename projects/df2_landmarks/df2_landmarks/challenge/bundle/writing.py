"""Write a bundle: all its files, packed and checked."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml

from df2_landmarks.challenge.bundle.check import check_bundle
from df2_landmarks.challenge.bundle.competition import (
    COMPETITION_FILE,
    KIT_FILE,
    PROGRAM_FILE,
    REFERENCE_FILES,
    Challenge,
    competition,
)
from df2_landmarks.challenge.bundle.kit import Kit, check_counts, make_kit
from df2_landmarks.challenge.bundle.logo import draw_logo
from df2_landmarks.challenge.bundle.packing import (
    checked_wheel,
    download_wheel,
    unpack,
    write_program,
    write_reference,
)
from df2_landmarks.challenge.bundle.pages import pages
from df2_landmarks.common import UserError, atomic_path, check_input_file, write_zip
from df2_landmarks.formats import GroundTruth, read_ground_truth


def write_bundle(path: str | Path, challenge: Challenge, *, wheel: Path | None = None) -> Kit:
    """Write a challenge as a bundle of Codabench, format 2; the same input gives the same bytes.

    Args:
        path: the zip; it appears whole, checked, or not at all.
        challenge: what it is.
        wheel: msgspec's for Python 3.12 on Linux; by default pip downloads it.

    Returns:
        The starting kit; its files are gone, its expected scores are of use.

    Raises:
        UserError: a file cannot be read or written, or the server would refuse the bundle.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = download_wheel(folder) if wheel is None else checked_wheel(wheel)
        ground_truths, annotations = {}, {}
        for split, file in challenge.ground_truths.items():
            ground_truths[split] = read_ground_truth(
                file, needs_annotations=True, taxonomy=challenge.taxonomy
            )
            check_counts(ground_truths[split], str(file))
            annotations[split] = unpack(file, folder / f"{split}.json")
            write_reference(
                folder / REFERENCE_FILES[split],
                ground_truths[split],
                annotations[split],
                split,
                has_details=split == "val",
            )
        kit = make_kit(ground_truths["val"], annotations["val"], folder)
        write_zip(folder / KIT_FILE, kit.members)
        write_program(folder / PROGRAM_FILE, wheel)
        content = yaml.safe_dump(competition(challenge), sort_keys=False, allow_unicode=True)
        zips = [PROGRAM_FILE, *REFERENCE_FILES.values(), KIT_FILE]
        members: dict[str, bytes | str | Path] = {
            COMPETITION_FILE: content,
            challenge.image_file: _image(challenge, ground_truths["val"]),
            **pages(challenge, ground_truths, kit.expected),
            **{file: folder / file for file in zips},
        }
        with atomic_path(path) as temporary:
            write_zip(temporary, members)
            if problems := check_bundle(temporary):
                raise UserError(problems[0])
    return kit


def _image(challenge: Challenge, ground_truth: GroundTruth) -> bytes:
    if challenge.image is None:
        return draw_logo(ground_truth)
    check_input_file(challenge.image)
    return challenge.image.read_bytes()
