"""What the page about own categories shows is accepted by the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from df2_landmarks.formats import read_ground_truth, read_taxonomy
from tests.support import ROOT

PAGE = (ROOT / "docs/how-to/other-data.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return text


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
