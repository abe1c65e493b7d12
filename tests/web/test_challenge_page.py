"""The commands of docs/how-to/challenge.md about a server of one's own, as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.challenge.cases import write_zip
from tests.own_data.drawing import ANIMALS, write_data
from tests.support import ROOT
from tests.web.served import running
from tests.web.test_score import wait_for_scores

PAGE = (ROOT / "docs/how-to/challenge.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## On your own machine")[2]
CURL = shutil.which("curl")


@pytest.mark.skipif(CURL is None, reason="there is no curl")
def test_the_server_of_the_page_is_asked_as_the_page_says(tmp_path: Path, run_python: Any) -> None:
    serving, *others = re.findall(r"^(?:df2|curl) .*$", SECTION, re.MULTILINE)
    annotations = write_data(tmp_path / "gloves", ANIMALS, all_slots=False) / "annotations"
    (annotations / "train.json").rename(annotations / "val.json")
    (annotations / "validation.json").rename(annotations / "test.json")
    run_python(
        *("-m", "df2_landmarks.cli.main", "taxonomy", annotations / "val.json"),
        *("--output", "gloves.yaml"),
        cwd=tmp_path,
    )
    items = json.loads((annotations / "val.json").read_text())["annotations"]
    keys = ("image_id", "category_id", "keypoints")
    records = [{**{key: item[key] for key in keys}, "score": 1} for item in items]
    (tmp_path / "kit").mkdir()
    write_zip(tmp_path / "kit/example.zip", records)
    _, *arguments = shlex.split(serving)
    program = ("-m", "df2_landmarks.cli.main")
    answers = []
    with running(*program, *arguments, "--port", 0, cwd=tmp_path) as server:
        token = ""
        for line in others:
            if line.startswith("df2"):
                made = run_python(*program, *shlex.split(line)[1:], cwd=tmp_path)
                token = made.stdout.splitlines()[0]
                continue
            here = line.replace("http://127.0.0.1:8000/", server.url)
            done = subprocess.run(
                ["bash", "-c", f"{here} --silent"],
                cwd=tmp_path,
                env={"TOKEN": token, "PATH": str(Path(CURL or "").parent)},
                capture_output=True,
                check=True,
            )
            answers.append(json.loads(done.stdout))
            wait_for_scores(server.url, token)
    accepted, history, score, leaderboard = answers
    assert accepted == {"id": 1}
    assert history["submissions"][0]["method_description"] == "heatmaps"
    assert score["scores"]["visible_and_occluded"]["AP"] == pytest.approx(1)
    assert leaderboard["entries"][0]["submission"]["team"] == "tailors"
