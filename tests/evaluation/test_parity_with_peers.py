"""The score equals faster-coco-eval's and vernier's, where they are installed."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from df2_landmarks.evaluation.score import score
from df2_landmarks.formats.annotations import read_ground_truth
from df2_landmarks.formats.ground_truth import VISIBLE_AND_OCCLUDED
from df2_landmarks.formats.results import read_results
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import Json, make_ground_truth, make_results, write_json


def case(seed: int) -> tuple[Json, list[Json]]:
    rng = np.random.default_rng(seed)
    truth = make_ground_truth(rng, num_images=20, max_items=5)
    return truth, make_results(rng, truth, filled=True, bbox=True, per_item=6)


def our_summary(folder: Path, truth: Json, results: list[Json]) -> list[float]:
    ground_truth = read_ground_truth(write_json(folder / "truth.json", truth))
    detections = read_results(write_json(folder / "results.json", results), ground_truth)
    summary = score(ground_truth, detections, VISIBLE_AND_OCCLUDED).curves.summary()
    return [-1 if value is None else value for value in summary.values()]


@pytest.mark.parametrize("seed", range(3))
def test_summary_equals_faster_coco_eval(tmp_path: Path, seed: int) -> None:
    faster: Any = pytest.importorskip("faster_coco_eval")
    truth, results = case(seed)
    with contextlib.redirect_stdout(io.StringIO()):
        oracle_truth = faster.COCO(copy.deepcopy(truth))
        oracle_results = oracle_truth.loadRes(copy.deepcopy(results))
        oracle = faster.COCOeval_faster(oracle_truth, oracle_results, "keypoints")
        oracle.params.kpt_oks_sigmas = DEEPFASHION2.slot_sigmas
        oracle.evaluate()
        oracle.accumulate()
        oracle.summarize()
    got = our_summary(tmp_path, truth, results)
    np.testing.assert_allclose(got, oracle.stats[:10], rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_summary_equals_vernier_in_strict_mode(tmp_path: Path, seed: int) -> None:
    instance: Any = pytest.importorskip("vernier.instance")
    truth, results = case(seed)
    sigmas = tuple(DEEPFASHION2.slot_sigmas.tolist())
    kernel = instance.Keypoints(sigmas={c.id: sigmas for c in DEEPFASHION2.categories})
    evaluator = instance.Evaluator(iou=kernel, parity_mode="strict")
    contents = json.dumps(truth).encode(), json.dumps(results).encode()
    expected = evaluator.evaluate(*contents).stats
    got = our_summary(tmp_path, truth, results)
    np.testing.assert_allclose(got, list(expected)[:10], rtol=0, atol=1e-12)
