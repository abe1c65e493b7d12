"""How the tools end: with what they print cut short, interrupted, or nowhere to write to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from df2_landmarks.common import run_command
from tests.evaluation.cases import make_ground_truth, make_results, write_json

RNG = np.random.default_rng(0)
TRUTH = make_ground_truth(RNG, num_images=6)
RESULTS = make_results(RNG, TRUTH)


@pytest.fixture
def commands(tmp_path: Path) -> dict[str, list[str]]:
    """A command of each tool that writes a file and prints."""
    truth = str(write_json(tmp_path / "truth.json", TRUTH))
    results = str(write_json(tmp_path / "results.json", RESULTS))
    data = ["--gt", truth, "--results", results]
    return {
        "score": [*data, "--json", str(tmp_path / "out")],
        "submission": ["pack", *data, "--output", str(tmp_path / "out")],
    }


def run(tool: str, arguments: list[str], stdout: int) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, "-m", f"df2_landmarks.cli.{tool}", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=environment,
    )


@pytest.mark.parametrize("tool", ["score", "submission"])
def test_a_reader_that_had_enough_takes_nothing_away(
    commands: dict[str, list[str]], tmp_path: Path, tool: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as with `... | head`, once it has ended
    ended = run(tool, commands[tool], writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "out").stat().st_size > 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("tool", ["score", "submission"])
def test_output_that_cannot_be_written_is_an_error_in_one_line(
    commands: dict[str, list[str]], tool: str
) -> None:
    with open("/dev/full", "w") as full:
        ended = run(tool, commands[tool], full.fileno())
    assert ended.returncode == 1
    expected = "the output cannot be written: No space left on device"
    assert ended.stderr == f"df2 {tool}: {expected}\n"


def test_an_interrupted_command_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert run_command(interrupted, "df2 score") == 130
    assert capsys.readouterr().err == "df2 score: interrupted\n"


@pytest.mark.parametrize(("tool", "option"), [("score", "--json"), ("submission", "--output")])
def test_a_folder_is_no_place_to_write_to(
    commands: dict[str, list[str]], tmp_path: Path, tool: str, option: str
) -> None:
    ended = run(tool, [*commands[tool][:-1], str(tmp_path)], subprocess.PIPE)
    assert (ended.returncode, ended.stdout) == (1, "")
    expected = f"{option} {tmp_path}: must be a file, but is a folder"
    assert ended.stderr == f"df2 {tool}: {expected}\n"


def test_mean_shapes_are_not_learned_from_a_split_without_items(
    commands: dict[str, list[str]], tmp_path: Path
) -> None:
    test_split = str(write_json(tmp_path / "test.json", {"images": TRUTH["images"]}))
    more = ["--diagnose", "--train-gt", test_split]
    ended = run("score", [*commands["score"], *more], subprocess.DEVNULL)
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        f"df2 score: {test_split}: has no annotations; give the training"
    )
