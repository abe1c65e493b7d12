"""Interrupts, output that nobody reads, and places that cannot be written: exit codes and lines."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from converters.command_line import run_command, show
from converters.parallel import CHUNK_SIZE, map_chunks

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path):
    """run(module, *arguments) -> (code, stderr) of a command whose output nobody reads."""

    def run(module, *arguments, unbuffered=False):
        flags = ["-u"] if unbuffered else []
        command = [sys.executable, *flags, "-m", f"converters.{module}", *map(str, arguments)]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=writing, stderr=subprocess.PIPE, check=False
        )
        os.close(writing)
        return done.returncode, done.stderr

    return run


@pytest.mark.parametrize("unbuffered", [False, True])
def test_every_split_is_converted_whoever_reads_the_summaries(
    unbuffered, raw_folder, raw_item, run, tmp_path
):
    """As with ``... | head -1``."""
    for name in ("train", "validation"):
        raw_folder(name).add(1, raw_item())
    assert run("deepfashion2_to_coco", "--root", tmp_path, unbuffered=unbuffered) == (0, b"")
    written = sorted(path.name for path in (tmp_path / "annotations").iterdir())
    assert written == ["train.json", "validation.json", "validation_visible.json"]
    assert json.loads((tmp_path / "annotations" / "validation.json").read_bytes())["annotations"]


@pytest.mark.parametrize("unbuffered", [False, True])
def test_damage_is_code_1_whoever_reads_the_findings(
    unbuffered, raw_folder, raw_item, run, tmp_path
):
    folder = raw_folder("train")
    folder.add(1, raw_item())
    (folder.images / "000001.jpg").unlink()
    assert run("check_dataset", tmp_path, unbuffered=unbuffered) == (1, b"")


def interrupt(names):
    os.kill(os.getpid(), signal.SIGINT)
    return len(names)


def test_a_worker_leaves_an_interrupt_to_its_parent():
    names = ["name"] * (2 * CHUNK_SIZE)
    try:
        results = list(map_chunks(interrupt, names, jobs=2))
    except KeyboardInterrupt:
        pytest.fail("a worker was interrupted")
    assert results == [CHUNK_SIZE, CHUNK_SIZE]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "/there"), "/there: Permission denied"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
    ],
)
def test_what_cannot_be_read_or_written_is_one_line(error, line, capsys):
    def command():
        raise error

    assert run_command(command) == 2
    assert capsys.readouterr().err == f"error: {line}\n"


@pytest.mark.parametrize(
    ("encoding", "expected"), [("utf-8", b"\xc3\xa4 \\udcff\n"), ("ascii", b"\\xe4 \\udcff\n")]
)
def test_characters_that_cannot_be_printed_are_escaped(encoding, expected, tmp_path, monkeypatch):
    with open(tmp_path / "out", "w", encoding=encoding) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        show("\u00e4 \udcff")
        monkeypatch.undo()
    assert (tmp_path / "out").read_bytes() == expected
