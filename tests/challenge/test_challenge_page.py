"""The commands of docs/how-to/challenge.md, one after the other, as they stand there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from df2_landmarks.challenge.bundle import check_bundle
from tests.own_data.drawing import ANIMALS, write_data
from tests.support import ROOT, run_python

PAGE = (ROOT / "docs/how-to/challenge.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    text = "".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines()]


@pytest.mark.slow
def test_the_commands_of_the_page_run_one_after_the_other(tmp_path: Path, wheel: Path) -> None:
    annotations = write_data(tmp_path / "gloves", ANIMALS, all_slots=False) / "annotations"
    (annotations / "train.json").rename(annotations / "val.json")
    (annotations / "validation.json").rename(annotations / "test.json")
    outputs = {}
    for program, *arguments in commands():
        assert program in ("df2", "python")
        if arguments[:2] == ["challenge", "bundle"]:
            arguments += ["--msgspec-wheel", str(wheel)]  # no test needs a network
        options = ["-m", "df2_landmarks.cli.main"] if program == "df2" else []
        done = run_python(*options, *arguments, cwd=tmp_path)
        assert done.returncode == 0, (arguments, done.stderr)
        outputs[" ".join(arguments[:2])] = done.stdout
    assert len(outputs) == 6
    assert check_bundle(tmp_path / "gloves.zip") == []
    scores = json.loads((tmp_path / "kit/expected_scores.json").read_text())["scores"]
    expected = f"{scores['example.zip']['visible_and_occluded_AP']:.3f}"
    score_lines = [line.split() for line in outputs["score --gt"].splitlines()]
    assert ["visible", "and", "occluded", expected] in [words[:4] for words in score_lines]
