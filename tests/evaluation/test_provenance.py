"""Every score says which scorer computed it, on which ground truth."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from df2_landmarks.cli.score import main
from df2_landmarks.formats import code_version, read_ground_truth
from tests.evaluation.cases import make_ground_truth, make_results, write_json

RNG = np.random.default_rng(0)
TRUTH = make_ground_truth(RNG)
RESULTS = make_results(RNG, TRUTH)


def test_json_and_text_name_scorer_and_ground_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = write_json(tmp_path / "truth.json", TRUTH)
    results = write_json(tmp_path / "results.json", RESULTS)
    out = tmp_path / "scores.json"
    assert main(["--gt", str(truth), "--results", str(results), "--json", str(out)]) == 0
    scorer = f"df2_landmarks {code_version()}"
    sha256 = hashlib.sha256(truth.read_bytes()).hexdigest()
    for content in json.loads(out.read_text()).values():
        assert (content["scorer"], content["ground_truth_sha256"]) == (scorer, sha256)
    assert f"Scorer: {scorer}; ground truth: SHA-256 {sha256}\n" in capsys.readouterr().out
    assert main(["--gt", str(truth), "--results", str(results), "--format", "csv"]) == 0
    assert f"{scorer},{sha256}\n" in capsys.readouterr().out.replace("\r\n", "\n")


def test_the_hash_is_of_the_content_however_it_is_packed(tmp_path: Path) -> None:
    plain = write_json(tmp_path / "plain.json", TRUTH)
    data = plain.read_bytes()
    (tmp_path / "packed.json.gz").write_bytes(gzip.compress(data))
    with zipfile.ZipFile(tmp_path / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("plain.json", data)
    names = ("plain.json", "packed.json.gz", "packed.zip")
    hashes = {read_ground_truth(tmp_path / name).sha256 for name in names}
    assert hashes == {hashlib.sha256(data).hexdigest()}
    plain.write_bytes(data + b"\n")
    assert read_ground_truth(plain).sha256 not in hashes
