"""What Codabench's worker does with a bundle and a submission, without a container."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

WORKERS_OWN = "metadata"
"""The worker puts a file of this name, with exit codes, beside the submission."""


def unzip(path: Path, folder: Path) -> Path:
    """Unpack a zip as the server does."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


class Server:
    """A bundle that was uploaded.

    Args:
        bundle: the zip.
        folder: an empty one, to work in.
        python: of the worker; it finds the program's own modules first.
    """

    def __init__(self, bundle: Path, folder: Path, python: str = sys.executable) -> None:
        self.uploaded = unzip(bundle, folder / "bundle")
        self.competition = yaml.safe_load((self.uploaded / "competition.yaml").read_text())
        self.folder, self.python, self.runs = folder, python, 0

    def score(self, phase: int, submission: Path) -> Run:
        """Score a submission in a phase, in the folders that the worker documents."""
        (index,) = self.competition["phases"][phase]["tasks"]
        (task,) = [task for task in self.competition["tasks"] if task["index"] == index]
        self.runs += 1
        app = self.folder / f"app{self.runs}"
        program = unzip(self.uploaded / task["scoring_program"], app / "program")
        unzip(self.uploaded / task["reference_data"], app / "input/ref")
        unzip(submission, app / "input/res")
        (app / "input/res" / WORKERS_OWN).write_text("exitCode: 0\n")
        (app / "output").mkdir()
        command = yaml.safe_load((program / "metadata.yaml").read_text())["command"]
        name, *words = shlex.split(command)
        assert name == "python3"
        done = subprocess.run(
            [self.python, *words, str(app / "input"), str(app / "output")],
            cwd=program,
            env={"PATH": "", "PYTHONUNBUFFERED": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Run(done, app / "output")


class Run:
    """How the scoring program ended, and what it left.

    Attributes:
        code: its exit code.
        stdout, stderr: what it printed.
        files: names in its output folder.
        scores: the numbers of scores.json; None without that file.
    """

    def __init__(self, done: subprocess.CompletedProcess[str], output: Path) -> None:
        self.code, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        self.output = output
        self.files = sorted(path.name for path in output.iterdir())
        file = output / "scores.json"
        self.scores: Mapping[str, Any] | None = (
            json.loads(file.read_text()) if file.exists() else None
        )
