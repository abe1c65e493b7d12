"""Data sets with other categories train, evaluate, are scored, explained, predicted and drawn.

No file of the package knows them.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from detectron2.data import transforms as T
from detectron2.utils.logger import setup_logger

from df2_landmarks.cli import predict, score, taxonomy
from df2_landmarks.common import run_command
from df2_landmarks.data import LandmarkDatasetMapper, load_landmark_json
from df2_landmarks.engine import setup_config
from df2_landmarks.formats import read_taxonomy, write_taxonomy
from df2_landmarks.taxonomy import Taxonomy, taxonomy_of
from tests.own_data.drawing import ANIMALS, FASHION, write_data
from tests.support import DEMO, TINY

SETS = {"animals": (ANIMALS, False), "fashion": (FASHION, True)}


class Case(NamedTuple):
    """A data set and a model that was trained on it."""

    data: Path
    taxonomy_file: Path
    taxonomy: Taxonomy
    output: Path
    log: str


def train_net(*arguments: object) -> int:
    import train_net as module

    code = run_command(lambda: module.main([*map(str, arguments)]), "train_net")
    setup_logger.cache_clear()
    for name in ("detectron2", "fvcore", "df2_landmarks"):
        logging.getLogger(name).handlers.clear()
    return code


@pytest.fixture(scope="module", params=SETS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A few iterations: the model knows little, and every part of the program has run."""
    rows, all_slots = SETS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    data = write_data(folder / request.param, rows, all_slots=all_slots)
    taxonomy_file = data / "annotations/train.json"
    if all_slots:
        taxonomy_file = folder / "fashion.yaml"
        write_taxonomy(read_taxonomy(data / "annotations/train.json"), taxonomy_file)
    output = folder / "output"
    code = train_net(
        *("--num-gpus", 0, "--config-file", DEMO, *TINY, "SOLVER.MAX_ITER", 6),
        *("MODEL.ROI_LANDMARK_HEAD.TAXONOMY", taxonomy_file, "OUTPUT_DIR", output),
        *("DATASETS.TRAIN", f"('{data}',)", "DATASETS.TEST", f"('{data}',)"),
        *("TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(96,)"),
    )
    assert code == 0
    log = (output / "log.txt").read_text()
    return Case(data, taxonomy_file, read_taxonomy(taxonomy_file), output, log)


def test_landmarks_are_trained_on_and_what_was_assumed_is_said(case: Case) -> None:
    lines = (case.output / "metrics.json").read_text().splitlines()
    losses = [json.loads(line).get("loss_keypoint", 1) for line in lines]
    assert min(losses) > 0
    for category in case.taxonomy.categories:
        assert category.name in case.log
    for note in case.taxonomy.notes:
        assert note in case.log
    assert bool(case.taxonomy.notes) == (case.data.name == "animals")


def test_the_score_takes_the_results_with_the_ids_of_the_file_and_explains_them(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = case.data / "annotations/validation.json"
    results = case.output / "landmark_results.json"
    ids = {row["id"] for row in json.loads(truth.read_text())["categories"]}
    records = json.loads(results.read_text())
    assert records and {record["category_id"] for record in records} <= ids
    arguments = ["--gt", truth, "--results", results, "--taxonomy", case.taxonomy_file]
    assert score.main([*map(str, arguments), "--diagnose"]) == 0
    out = capsys.readouterr().out
    assert "challenge baseline" not in out
    for category in case.taxonomy.categories:
        assert f"\n{category.name} " in out
    for note in case.taxonomy.notes:
        assert note in out


def test_predictions_have_the_landmarks_of_their_category_and_are_drawn(
    case: Case, tmp_path: Path
) -> None:
    pictures = case.data / "validation/image"
    arguments = [pictures, "--weights", case.output, "--min-score", 0, "--output", tmp_path]
    assert predict.main([*map(str, arguments), "--format", "coco"]) == 0
    names = {c.name: list(c.landmark_names) for c in case.taxonomy.categories}
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").open()]
    garments = [garment for line in lines for garment in line["garments"]]
    assert len(lines) == len(list(pictures.iterdir())) and garments
    for garment in garments:
        assert list(garment["landmarks"]) == names[garment["category"]]
    assert len(list((tmp_path / "pictures").rglob("*.jpg"))) == len(lines)
    coco = json.loads((tmp_path / "predictions.coco.json").read_text())
    assert {row["name"]: row["keypoints"] for row in coco["categories"]} == names
    again = tmp_path / "predictions.coco.json"
    assert read_taxonomy(again) == case.taxonomy


def test_the_configuration_that_a_training_wrote_needs_no_other_file(case: Case) -> None:
    cfg = setup_config(case.output / "config.yaml", on_cpu=True)
    assert taxonomy_of(cfg) == case.taxonomy
    assert taxonomy_of(cfg).notes == case.taxonomy.notes


def test_a_mirrored_picture_exchanges_the_pairs_of_its_category(case: Case) -> None:
    cfg = setup_config(
        DEMO, [*TINY, "MODEL.ROI_LANDMARK_HEAD.TAXONOMY", str(case.taxonomy_file)], on_cpu=True
    )
    records = load_landmark_json(
        case.data / "annotations/train.json", case.data / "train/image", case.taxonomy
    )
    plain = LandmarkDatasetMapper(cfg, is_train=True, augmentations=[])
    mirroring = LandmarkDatasetMapper(cfg, is_train=True, augmentations=[T.RandomFlip(prob=1.0)])
    for record in records:
        (class_index,) = plain(record)["instances"].gt_classes.tolist()
        category = case.taxonomy.categories[class_index]
        (before,) = plain(record)["instances"].gt_keypoints.tensor.numpy()
        (after,) = mirroring(record)["instances"].gt_keypoints.tensor.numpy()
        partner = {a: b for pair in category.flip_pairs for a, b in (pair, pair[::-1])}
        for number in range(1, category.num_landmarks + 1):
            x, y, v = before[partner.get(number, number) - 1]
            np.testing.assert_allclose(after[number - 1], (record["width"] - x, y, v), atol=1e-3)


def test_another_taxonomy_is_refused_by_one_line(
    case: Case, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = [dict(row) for row in (ANIMALS if case.data.name == "animals" else FASHION)]
    rows[0]["sigmas"] = 0.2
    (tmp_path / "other.json").write_text(json.dumps({"categories": rows}))
    evaluated = train_net(
        *("--num-gpus", 0, "--eval-only", "--config-file", DEMO, *TINY),
        *("MODEL.ROI_LANDMARK_HEAD.TAXONOMY", tmp_path / "other.json"),
        *("MODEL.WEIGHTS", case.output / "model_final.pth", "OUTPUT_DIR", tmp_path / "out"),
        *("DATASETS.TEST", f"('{case.data}@',)".replace("@'", "'")),
    )
    assert evaluated == 1
    err = capsys.readouterr().err.splitlines()[-1]
    assert "another taxonomy" in err and "sigmas of category" in err


def test_it_can_be_printed_and_checked(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert taxonomy.main([str(case.taxonomy_file)]) == 0
    out = capsys.readouterr().out
    assert f"{case.taxonomy.num_categories} categories, {case.taxonomy.num_slots} landmarks" in out
