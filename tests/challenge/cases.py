"""A ground truth, and zips of submissions to it whose scores differ."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from df2_landmarks.challenge.board import Board, Phase, Team, read_phase
from df2_landmarks.formats import MEMBERS
from tests.evaluation.cases import make_ground_truth, make_results, write_json

TRUTH = make_ground_truth(np.random.default_rng(0), num_images=12, unlabelled=0, occluded_only=0)


class Zips(NamedTuple):
    """Paths of zips for the validation phase: two that are scored, and one that is refused."""

    good: Path
    better: Path
    broken: Path


def results(*, noise: float) -> list[dict[str, Any]]:
    """Results near the truth; the larger the noise, the lower their score."""
    return make_results(np.random.default_rng(1), TRUTH, per_item=2, noise=noise)


def write_zip(path: Path, content: object, *, split: str = "val") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBERS[split], json.dumps(content))
    return path


def write_zips(folder: Path) -> Zips:
    return Zips(
        write_zip(folder / "good.zip", results(noise=20)),
        write_zip(folder / "better.zip", results(noise=1)),
        write_zip(folder / "broken.zip", [{"image_id": 1}]),
    )


def make_phase(folder: Path, name: str = "validation", truth: object = TRUTH) -> Phase:
    path = write_json(folder / f"{name}.json", truth)
    return read_phase(f"{name}={path}")


def submit(
    board: Board,
    team: Team,
    path: Path,
    *,
    phase: str = "validation",
    method_description: str = "heatmaps",
    external_data: str = "no",
) -> int:
    with board.new_upload() as upload:
        upload.write(path.read_bytes())
        return board.accept(
            upload,
            team,
            phase,
            method_description=method_description,
            external_data=external_data,
        )


def make_team(board: Board, name: str = "tailors") -> Team:
    team = board.store.team_of(board.store.add_team(name))
    assert team is not None
    return team
