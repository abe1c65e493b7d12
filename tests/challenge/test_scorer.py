"""Scoring in a child process: within its limits, and never longer than its parent lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import msgspec
import pytest

from df2_landmarks.challenge.board import Limits, Phase, read_phase
from df2_landmarks.challenge.board.scoring import run_scorer
from df2_landmarks.common import UserError
from tests.challenge.cases import TRUTH, make_phase, results, write_zip
from tests.evaluation.cases import write_json
from tests.support import ROOT


@pytest.fixture
def phase(tmp_path: Path) -> Phase:
    return make_phase(tmp_path)


@pytest.fixture(scope="module")
def long_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip that takes seconds to read."""
    path = tmp_path_factory.mktemp("long") / "long.zip"
    text = msgspec.json.encode(results(noise=1))[1:-1]
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("val_keypoints.json", "w", force_zip64=True) as member,
    ):
        member.write(b"[" + text)
        for _ in range(400 * 1_000_000 // len(text)):
            member.write(b"," + text)
        member.write(b"]")
    return path


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(cpu_s=1), "needs more than 1 s of processor time"),
        (Limits(wall_s=0.5), "was not scored within 0.5 s"),
        (Limits(memory_bytes=50_000_000), "needs more than 50 MB of memory"),
    ],
)
def test_a_limit_ends_the_scoring(
    phase: Phase, long_zip: Path, limits: Limits, expected: str
) -> None:
    outcome = run_scorer(phase, long_zip, limits, threading.Event())
    assert outcome.message == expected and not outcome.details


def test_a_stop_ends_the_scoring(phase: Phase, long_zip: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    outcome = run_scorer(phase, long_zip, Limits(), stop)
    assert not outcome.details


def test_the_child_ends_with_its_parent(phase: Phase) -> None:
    program = (
        "import sys, threading; from pathlib import Path;"
        "from df2_landmarks.challenge.board import Limits, Phase, scoring;"
        "scoring.SCORER = 'tests.challenge.hanging_scorer';"
        "phase = Phase('validation', Path(sys.argv[1]), '');"
        "scoring.run_scorer(phase, Path('x.zip'), Limits(), threading.Event())"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(phase.ground_truth)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not (children := children_of(parent.pid)):
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    assert children_of(parent.pid) == children, "it hangs"
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    while any(Path(f"/proc/{child}/stat").exists() and not is_zombie(child) for child in children):
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.05)


def children_of(process_id: int) -> list[int]:
    text = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    return [int(word) for word in text.split()]


def is_zombie(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_other_taxonomies_are_scored(tmp_path: Path) -> None:
    taxonomy = tmp_path / "foxes.yaml"
    taxonomy.write_text("categories: [{name: fox, keypoints: [ear_left, ear_right], sigmas: .06}]")
    keypoints = [10, 10, 2, 30, 10, 2]
    item = {"id": 1, "image_id": 7, "category_id": 5, "keypoints": keypoints, "num_keypoints": 2}
    truth = {
        "images": [{"id": 7, "width": 100, "height": 100}],
        "annotations": [{**item, "bbox": [5, 5, 40, 40], "area": 1600, "iscrowd": 0}],
        "categories": [{"id": 5, "name": "fox", "keypoints": ["ear_left", "ear_right"]}],
    }
    (tmp_path / "foxes.json").write_bytes(msgspec.json.encode(truth))

    phase = read_phase(f"validation={tmp_path / 'foxes.json'}", taxonomy=taxonomy)
    record = {"image_id": 7, "category_id": 5, "keypoints": keypoints, "score": 1}
    path = write_zip(tmp_path / "foxes.zip", [record])
    outcome = run_scorer(phase, path, Limits(), threading.Event())
    assert not outcome.message
    assert outcome.details["scores"]["visible"]["per_category"] == pytest.approx({"fox": 1})


def test_a_phase_names_its_ground_truth(tmp_path: Path) -> None:
    path = write_json(tmp_path / "images.json", {**TRUTH, "annotations": []})
    for text, expected in {
        "final=x.json": "must be validation=FILE or test=FILE, but got 'final=x.json'",
        "validation": "must be validation=FILE or test=FILE",
        f"test={path}": "has no annotations",
        "test=missing.json": "there is no such ground truth",
    }.items():
        with pytest.raises(UserError, match=expected):
            read_phase(text)
