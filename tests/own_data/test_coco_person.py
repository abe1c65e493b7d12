"""COCO's person as a taxonomy of one category: the ten numbers are pycocotools' own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from df2_landmarks.evaluation import score
from df2_landmarks.formats import (
    VISIBLE_AND_OCCLUDED,
    read_ground_truth,
    read_results,
    read_taxonomy,
)
from tests.evaluation.cases import pycocotools_score
from tests.support import ROOT

PERSON = ROOT / "docs/examples/coco_person.yaml"
K = 17


def person(rng: np.random.Generator, number: int, image_id: int) -> dict[str, Any]:
    x, y = rng.integers(0, 200, 2).tolist()
    w, h = rng.integers(20, 300, 2).tolist()
    v = rng.choice([0, 1, 2], K, p=[0.3, 0.2, 0.5]) * (rng.random() > 0.1)
    xy = (x, y) + rng.random((K, 2)) * (w, h)
    keypoints = np.column_stack([xy.round(), v])
    keypoints[v == 0] = 0
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": [x, y, w, h],
        "area": 0.6 * w * h,
        "iscrowd": int(rng.random() < 0.1),
        "num_keypoints": int((v > 0).sum()),
        "keypoints": keypoints.ravel().tolist(),
        "segmentation": [[x, y, x + w, y, x + w, y + h]],
    }


def detections_of(rng: np.random.Generator, item: dict[str, Any]) -> list[dict[str, Any]]:
    records = []
    for _ in range(rng.integers(0, 4)):
        rows = np.reshape(item["keypoints"], (-1, 3)).astype(float)
        rows[:, :2] += rng.normal(size=(K, 2)) * rng.choice([1, 5, 20])
        record = {key: item[key] for key in ("image_id", "category_id")}
        records.append({**record, "keypoints": rows.ravel().tolist(), "score": float(rng.random())})
    return records


def test_the_sigmas_are_those_of_pycocotools() -> None:
    sigmas = read_taxonomy(PERSON).categories[0].sigmas
    np.testing.assert_allclose(sigmas, Params("keypoints").kpt_oks_sigmas, rtol=0, atol=1e-15)


@pytest.mark.parametrize("seed", range(6))
def test_the_ten_numbers_are_those_of_pycocotools(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    taxonomy = read_taxonomy(PERSON)
    category = {"id": 1, "name": "person", "keypoints": taxonomy.categories[0].landmark_names}
    images = [{"id": i, "width": 600, "height": 600} for i in range(1, 13)]
    people = [person(rng, number, int(rng.integers(1, 13))) for number in range(1, 1 + 30)]
    results = [record for item in people for record in detections_of(rng, item)]
    content = {"images": images, "annotations": people, "categories": [category]}
    (tmp_path / "truth.json").write_text(json.dumps(content))
    (tmp_path / "results.json").write_text(json.dumps(results))
    truth = read_ground_truth(tmp_path / "truth.json", taxonomy=taxonomy)
    found = read_results(tmp_path / "results.json", truth)
    ours = score(truth, found, VISIBLE_AND_OCCLUDED).curves.summary()
    expected = pycocotools_score(content, results, sigmas=None).stats.tolist()
    assert [-1 if value is None else value for value in ours.values()] == expected
    assert min(expected) > 0 and max(expected) < 1
