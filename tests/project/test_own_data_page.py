"""What the page about own categories shows is accepted by the code."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

from df2_landmarks.formats import read_ground_truth, read_taxonomy
from tests.support import DEMO, ROOT, TINY, run_python

PAGE = (ROOT / "docs/how-to/other-data.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (text,) = blocks(language)
    return text


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def commands() -> list[list[str]]:
    """The command lines of the page, in their order."""
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines]


@pytest.fixture
def gloves(tmp_path: Path) -> Path:
    """The page's data set, with a picture for training and one for validation."""
    folder = tmp_path / "gloves"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    content = json.loads(block("json"))
    picture = np.full((480, 640, 3), 230, np.uint8)
    x, y, w, h = content["annotations"][0]["bbox"]
    cv2.rectangle(picture, (x, y), (x + w, y + h), (40, 90, 160), -1)
    cv2.imwrite(str(folder / "images/a.jpg"), picture)
    for split in ("train", "val"):
        (folder / f"annotations/{split}.json").write_text(json.dumps(content))
    (tmp_path / "some").mkdir()
    (tmp_path / "some/photos").symlink_to(folder / "images")
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_page_run_one_after_the_other(gloves: Path) -> None:
    """As they stand there; the training on a CPU, with the demo's tiny model for 2 iterations."""
    small = [*("--config-file", str(DEMO)), *TINY, *("SOLVER.MAX_ITER", "2")]
    outputs = {}
    for command in commands():
        program, *arguments = command
        if program == "python":
            script, *arguments = arguments
            if "--eval-only" not in arguments:
                arguments[arguments.index("--num-gpus") + 1] = "0"
                at = arguments.index("MODEL.ROI_LANDMARK_HEAD.TAXONOMY")
                arguments[at:at] = small
            else:
                arguments[:0] = ["--num-gpus", "0"]
            done = run_python(str(ROOT / script), *arguments, cwd=gloves)
        else:
            assert program == "df2"
            done = run_python("-m", "df2_landmarks.cli.main", *arguments, cwd=gloves)
        assert done.returncode == 0, (command, done.stderr)
        outputs[" ".join(command[:2])] = done.stdout
        if arguments[:1] == ["taxonomy"]:  # "Correct both in the file that was written"
            assert "wrist_left - wrist_right" in done.stdout
            (gloves / "gloves.yaml").write_text(block("yaml"))
    assert len(outputs) == 5
    assert "ready for training" in outputs["df2 check"]
    assert "Taxonomy gloves" not in outputs["df2 score"]  # nothing is assumed any more
    predictions = json.loads((gloves / "output/predictions/predictions.coco.json").read_text())
    assert [row["name"] for row in predictions["categories"]] == ["glove", "mitten"]


def test_the_file_and_the_taxonomy_of_the_page_are_read(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(block("json"))
    (tmp_path / "gloves.yaml").write_text(block("yaml"))
    of_file, corrected = (read_taxonomy(tmp_path / name) for name in ("train.json", "gloves.yaml"))
    assert of_file.categories[0].flip_pairs == corrected.categories[0].flip_pairs == ((1, 2),)
    assert of_file.notes and not corrected.notes
    assert corrected.categories[0].sigmas == (0.03, 0.03, 0.02, 0.02)
    truth = read_ground_truth(tmp_path / "train.json", taxonomy=corrected)
    assert [len(part) for part in truth.classes] == [1, 0]
    assert truth.classes[0].visibility.tolist() == [[2, 2, 1, 2]]


@pytest.mark.parametrize("name", ["docs/how-to", "docs/concepts", "docs/reference", "README.md"])
def test_no_page_names_what_is_gone(name: str) -> None:
    """The table of categories is no longer Python source to be edited."""
    path = ROOT / name
    pages = path.rglob("*.md") if path.is_dir() else [path]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"categories\.py|\bLAYOUT\b|(?<!\.)\bCATEGORIES\b", text), page
