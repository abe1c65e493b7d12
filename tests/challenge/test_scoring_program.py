"""The scoring program of a bundle gives df2 score's numbers, or a sentence and no number."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from df2_landmarks.challenge.bundle import Challenge
from df2_landmarks.cli.score import main as score_main
from df2_landmarks.cli.submission import main as submission_main
from df2_landmarks.common import UserError
from df2_landmarks.formats import check_unpacked_submission, write_taxonomy
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.challenge.server import Server, unzip

NAMES = ("clothes", "animals")
NUMBERS = ("AP", "AP50", "AP75")
MEMBERS = ("val_keypoints.json", "test_keypoints.json")
SAMPLES = ("perfect.zip", "example.zip", "empty.zip")


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(bundles: dict[str, Path], name: str, tmp_path: Path) -> Server:
    return Server(bundles[name], tmp_path / "server")


@pytest.fixture
def kit(server: Server) -> Path:
    """The starting kit of the validation phase, unpacked."""
    return unzip(
        server.uploaded / server.competition["phases"][0]["starting_kit"], server.folder / "kit"
    )


def taxonomy_options(challenge: Challenge, folder: Path) -> list[str]:
    if challenge.taxonomy == DEEPFASHION2:
        return []
    write_taxonomy(challenge.taxonomy, folder / "own.yaml")
    return ["--taxonomy", str(folder / "own.yaml")]


def as_submission(path: Path, records: Any, member: str = MEMBERS[0]) -> Path:
    text = records if isinstance(records, str) else json.dumps(records)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, text)
    return path


def records_of(submission: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(submission) as archive:
        records: list[dict[str, Any]] = json.loads(archive.read(archive.namelist()[0]))
    return records


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_numbers_are_those_of_df2_score_and_of_the_starting_kit(
    server: Server, kit: Path, sample: str, challenges: dict[str, Challenge], name: str
) -> None:
    challenge = challenges[name]
    run = server.score(0, kit / sample)
    assert (run.code, run.stderr) == (0, "")
    assert run.files == ["details.json", "scores.json"]
    out = server.folder / "local.json"
    options = taxonomy_options(challenge, server.folder)
    truth = challenge.ground_truths["val"]
    command = ["--gt", str(truth), "--results", str(kit / sample), "--json", str(out)]
    assert score_main([*command, *options]) == 0
    assert (run.output / "details.json").read_bytes() == out.read_bytes()
    local = json.loads(out.read_text())
    numbers = {
        f"{p}_{n}": local[p][n] for p in ("visible_and_occluded", "visible") for n in NUMBERS
    }
    assert run.scores == numbers
    expected = json.loads((kit / "expected_scores.json").read_text())
    assert run.scores == expected["scores"][sample]
    for key in ("scorer", "ground_truth_sha256"):
        assert expected[key] == local["visible"][key]
    assert f"SHA-256 {expected['ground_truth_sha256']}" in run.stdout


def test_the_submissions_of_the_kit_span_the_scale(kit: Path) -> None:
    scores = json.loads((kit / "expected_scores.json").read_text())["scores"]
    perfect, example, empty = (scores[name]["visible_and_occluded_AP"] for name in SAMPLES)
    assert empty == 0 < 0.1 < example < 0.9 < perfect == 1


def test_the_columns_are_the_keys_that_the_program_writes(server: Server, kit: Path) -> None:
    run = server.score(0, kit / "example.zip")
    (board,) = server.competition["leaderboards"]
    assert run.scores is not None
    assert [column["key"] for column in board["columns"]] == list(run.scores)


def test_the_test_phase_shows_aggregates_only(
    server: Server, challenges: dict[str, Challenge], name: str
) -> None:
    challenge = challenges[name]
    truth = challenge.ground_truths["test"]
    content = json.loads(truth.read_text())
    official = challenge.taxonomy == DEEPFASHION2
    results = []
    for item in content["annotations"]:
        keypoints = [1 if i % 3 == 2 else v for i, v in enumerate(item["keypoints"])]
        results.append({k: item[k] for k in ("image_id", "category_id")} | {"score": 0.5})
        results[-1]["keypoints"] = item["keypoints"] if official else keypoints
    file = server.folder / "results.json"
    file.write_text(json.dumps(results))
    output = server.folder / "packed.zip"
    options = taxonomy_options(challenge, server.folder)
    command = ["pack", "--results", str(file), "--gt", str(truth), "--output", str(output)]
    assert submission_main([*command, "--split", "test", *options]) == 0
    run = server.score(1, output)
    assert (run.code, run.files) == (0, ["scores.json"])
    assert len(run.stdout.splitlines()) == 1 and run.stdout.startswith("Scorer: ")
    phase = server.competition["phases"][1]
    assert phase["hide_output"] is phase["hide_score_output"] is True


def test_the_program_uses_its_own_modules(server: Server) -> None:
    """An installed df2_landmarks of another version would give other numbers."""
    task = server.competition["tasks"][0]
    program = unzip(server.uploaded / task["scoring_program"], server.folder / "program")
    # -I: no environment, no user's packages; the program's folder is all that is added.
    script = (
        f"import sys; sys.path.insert(0, {str(program)!r}); import score; "
        "print(*(m.__file__ for n, m in sys.modules.items() "
        "if n.partition('.')[0] in ('df2_landmarks', 'msgspec', 'score')))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    )
    files = done.stdout.split()
    assert len(files) > 30
    assert all(file.startswith(str(program)) for file in files)


WRONG = {
    "NaN": "numbers must be finite, but got NaN",
    "truncated": "ends in the middle",
    "wrong split": "that is of the other split: is this the right phase?",
    "folder": "must hold val_keypoints.json without a folder, but holds the folder 'mine'",
    "two files": "must hold val_keypoints.json alone, but also holds 'notes.txt'",
    "foreign image": "image_id: must be an image of the split",
    "nothing": "must hold val_keypoints.json, but holds nothing",
}


def wrong_submission(kind: str, path: Path, sample: Path) -> Path:
    records = records_of(sample)
    if kind == "NaN":
        return as_submission(path, [{**records[0], "score": float("nan")}, *records[1:]])
    if kind == "truncated":
        return as_submission(path, json.dumps(records)[:-20])
    if kind == "foreign image":
        return as_submission(path, [{**records[0], "image_id": 10**9}])
    members = {
        "wrong split": [MEMBERS[1]],
        "folder": [f"mine/{MEMBERS[0]}", "__MACOSX/._mine"],
        "two files": [MEMBERS[0], "notes.txt"],
        "nothing": [".DS_Store"],
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member in members[kind]:
            archive.writestr(member, json.dumps(records))
    return path


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_submission_gets_one_sentence_and_no_number(
    server: Server, kit: Path, tmp_path: Path, kind: str
) -> None:
    run = server.score(0, wrong_submission(kind, tmp_path / "wrong.zip", kit / "example.zip"))
    assert run.code == 1
    assert WRONG[kind] in run.stderr and len(run.stderr.splitlines()) == 1
    assert run.files == [] and run.scores is None


def test_what_archivers_add_is_no_mistake(server: Server, kit: Path, tmp_path: Path) -> None:
    path = as_submission(tmp_path / "mac.zip", records_of(kit / "example.zip"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/._val_keypoints.json", b"\0")
        archive.writestr(".DS_Store", b"\0")
    run = server.score(0, path)
    assert run.code == 0
    assert run.scores == server.score(0, kit / "example.zip").scores


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """To the ground truth, say."""
    (tmp_path / "secret.json").write_text("[]")
    folder = tmp_path / "res"
    folder.mkdir()
    (folder / MEMBERS[0]).symlink_to(tmp_path / "secret.json")
    with pytest.raises(UserError, match="must be a plain file, but is a link"):
        check_unpacked_submission(folder, split="val", image_ids=np.arange(3))
