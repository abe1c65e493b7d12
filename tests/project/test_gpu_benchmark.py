"""The benchmark for a GPU still runs: in miniature, on a CPU."""

import json

import pytest

from tests.support import ROOT, run_python

pytestmark = pytest.mark.slow


def test_the_benchmark_for_a_gpu_measures_every_part(tmp_path):
    result = tmp_path / "gpu.json"
    parts = ["training", "inference", "loader"]
    command = ["benchmarks/gpu.py", "--miniature", "--parts", *parts, "--json", str(result)]
    done = run_python(*command, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows = json.loads(result.read_text())["parts"]
    assert list(rows) == parts
    for part in ("training", "inference"):
        assert [row["contender"] for row in rows[part]] == ["ours", "naive"]
        for row in rows[part]:
            assert row["images/s"] > 0
            assert row["outside backbone"] < 1
            assert row["peak MB"] > 0
    assert [row["what"] for row in rows["loader"]] == ["loader", "training"]
    assert 0 <= rows["loader"][1]["waits for data"] < 1
    for part in parts:
        assert f"**{part}**" in done.stdout
