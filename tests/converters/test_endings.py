"""How the commands end: exit codes, one line on stderr, and output that nobody reads."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time

import pytest

from converters.check_dataset import main as check
from converters.deepfashion2_to_coco import main as convert
from converters.make_subset import main as make_subset
from converters.raw import Problem, RawFileError
from tests.support import ROOT, default_signals, run_python

COMMANDS = ("deepfashion2_to_coco", "check_dataset", "make_subset")


@pytest.fixture
def run():
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


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_a_conversion_in_one_line_and_writes_nothing(
    jobs, raw_folder, raw_item, tmp_path
):
    """As from a terminal, which interrupts the workers too."""
    folder = raw_folder("train")
    folder.add(1, raw_item())
    for image_id in range(2, 8000):
        os.link(folder.annos / "000001.json", folder.annos / f"{image_id:06d}.json")
        os.link(folder.images / "000001.jpg", folder.images / f"{image_id:06d}.jpg")
    command = [sys.executable, "-m", "converters.deepfashion2_to_coco", "--root", tmp_path]
    process = subprocess.Popen(
        [*map(str, command), "--jobs", str(jobs)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=default_signals,
    )
    while not list(tmp_path.glob("annotations/.*.partial")):
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.count(b"\n") == 1 and error.startswith(b"deepfashion2_to_coco: interrupted;")
    assert list((tmp_path / "annotations").iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_starts_the_command_and_says_what_it_does(command):
    done = run_python("-m", f"converters.{command}", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m converters.{command}")


def test_a_folder_that_cannot_be_read_is_one_line(
    raw_folder, raw_item, tmp_path, monkeypatch, capsys
):
    folder = raw_folder("train")
    folder.add(1, raw_item())

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "listdir", refuse)
    output = str(tmp_path / "new")
    assert convert(["--root", str(tmp_path)]) == 2
    assert make_subset([str(tmp_path), output, "--images", "1"]) == 2
    assert capsys.readouterr().err == (
        f"deepfashion2_to_coco: {folder.images}: cannot be read: Permission denied\n"
        f"make_subset: {folder.annos}: cannot be read: Permission denied\n"
    )
    assert check([str(tmp_path)]) == 1
    assert f"{folder.images}: cannot be read: Permission denied" in capsys.readouterr().out


def test_the_error_of_a_raw_file_travels_between_processes():
    problem = Problem("empty_box", "a/000001.json", "item2", "bounding_box: wrong")
    error = pickle.loads(pickle.dumps(RawFileError(problem)))
    assert isinstance(error, RawFileError) and error.problem == problem
    assert str(error) == "a/000001.json, item2: bounding_box: wrong"
    assert error.exit_code == 1


def test_the_commands_run_from_a_source_tree_that_is_not_installed(tmp_path):
    """The environment's own packages are found, but not this repository's."""
    (tmp_path / "converters").symlink_to(ROOT / "converters")
    program = (
        "import sys; sys.path = [p for p in sys.path if 'df2_landmarks' not in p]\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
        "import converters.make_subset, df2_landmarks; print(df2_landmarks.__file__)"
    )
    done = run_python("-c", program, cwd=tmp_path, PYTHONPATH="")
    assert done.stdout.strip().startswith(str(ROOT / "projects")), done.stderr
