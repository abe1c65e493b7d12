"""Data sets with other categories train, evaluate, are scored, explained, predicted and drawn.

No file of the package knows them.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data import transforms as T
from detectron2.utils.logger import setup_logger

from df2_landmarks.cli import predict, score, taxonomy
from df2_landmarks.common import run_command
from df2_landmarks.data import (
    LandmarkDatasetMapper,
    load_landmark_json,
    register_landmark_dataset,
)
from df2_landmarks.engine import setup_config
from df2_landmarks.evaluation import score as score_of
from df2_landmarks.formats import (
    VISIBLE_AND_OCCLUDED,
    read_ground_truth,
    read_results,
    read_taxonomy,
)
from df2_landmarks.predict.predictor import category_ids
from df2_landmarks.taxonomy import Taxonomy, category_rows, taxonomy_from_rows, taxonomy_of
from tests.evaluation.cases import pycocotools_score
from tests.own_data.drawing import (
    ANIMALS,
    FASHION,
    FASHION_SIGMAS,
    PAIRS,
    write_data,
    write_fashion_taxonomy,
)
from tests.support import DEMO, TINY

SETS = {"animals": (ANIMALS, False), "fashion": (FASHION, True)}
CLEARLY = 60
"""Difference of two values of a pixel that JPEG's compression does not explain."""


class Case(NamedTuple):
    """A data set and a model that was trained on it."""

    data: Path
    taxonomy_file: Path
    taxonomy: Taxonomy
    output: Path
    log: str


def train_net(*arguments: object) -> int:
    """Run the program, and leave behind no logger and no data set: as a process of its own."""
    import train_net as module

    before = set(DatasetCatalog.list())
    code = run_command(lambda: module.main([*map(str, arguments)]), "train_net")
    for name in set(DatasetCatalog.list()) - before:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)
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
        taxonomy_file = write_fashion_taxonomy(folder / "fashion.yaml")
    output = folder / "output"
    code = train_net(
        *("--num-gpus", 0, "--config-file", DEMO, *TINY, "SOLVER.MAX_ITER", 6),
        *("MODEL.ROI_LANDMARK_HEAD.TAXONOMY", taxonomy_file, "OUTPUT_DIR", output),
        *("DATASETS.TRAIN", f"('{data}',)", "DATASETS.TEST", f"('{data}',)"),
        *("TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(96,)"),
        *("INPUT.COPY_PASTE", "0.5", "INPUT.AUGMENT.CUT_OUT", "0.3"),
        *("INPUT.AUGMENT.ROTATION", "10.0", "INPUT.AUGMENT.SCALE", "(0.8, 1.25)"),
    )
    assert code == 0
    log = (output / "log.txt").read_text()
    return Case(data, taxonomy_file, read_taxonomy(taxonomy_file), output, log)


def test_landmarks_are_trained_on_and_what_was_assumed_is_said(case: Case) -> None:
    lines = [json.loads(line) for line in (case.output / "metrics.json").open()]
    losses = [line["loss_keypoint"] for line in lines if "loss_keypoint" in line]
    assert losses and min(losses) > 0
    evaluated = {key for line in lines for key in line}
    for category in case.taxonomy.categories:
        assert f"landmarks/AP-{category.name}" in evaluated
    for note in case.taxonomy.notes:
        assert note in case.log
    assert bool(case.taxonomy.notes) == (case.data.name == "animals")


def test_the_score_takes_the_results_with_the_ids_of_the_file_and_explains_them(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = case.data / "annotations/validation.json"
    results = case.output / "landmark_results.json"
    rows = json.loads(truth.read_text())["categories"]
    numbers = {row["id"]: 3 * len(row["keypoints"]) for row in rows}
    records = json.loads(results.read_text())
    assert records
    for record in records:
        assert len(record["keypoints"]) == numbers[record["category_id"]]
    arguments = ["--gt", truth, "--results", results, "--taxonomy", case.taxonomy_file]
    assert score.main([*map(str, arguments), "--diagnose"]) == 0
    out = capsys.readouterr().out
    assert "challenge baseline" not in out
    for category in case.taxonomy.categories:
        assert f"\n{category.name} " in out
    for note in case.taxonomy.notes:
        assert note in out


def test_the_annotations_given_as_results_score_1(case: Case, tmp_path: Path) -> None:
    truth = read_ground_truth(case.data / "annotations/validation.json", taxonomy=case.taxonomy)
    records = json.loads((case.data / "annotations/validation.json").read_text())["annotations"]
    (tmp_path / "results.json").write_text(json.dumps([{**r, "score": 1} for r in records]))
    curves = score_of(
        truth, read_results(tmp_path / "results.json", truth), VISIBLE_AND_OCCLUDED
    ).curves
    assert curves.per_category() == [pytest.approx(1)] * case.taxonomy.num_categories


def test_every_slot_is_scored_with_its_own_sigma(tmp_path: Path) -> None:
    """pycocotools has one list of sigmas for all categories, so it needs the form of all slots."""
    fashion = read_taxonomy(write_fashion_taxonomy(tmp_path / "fashion.yaml"))
    file = write_data(tmp_path, FASHION, all_slots=True) / "annotations/validation.json"
    content = json.loads(file.read_text())
    rng = np.random.default_rng(0)
    results = []
    for item in content["annotations"]:
        item.update(area=item["bbox"][2] * item["bbox"][3], iscrowd=0)
        slots = np.reshape(item["keypoints"], (-1, 3))
        item["num_keypoints"] = int((slots[:, 2] > 0).sum())
        slots[slots[:, 2] > 0, :2] += rng.normal(size=(item["num_keypoints"], 2)) * 4
        results.append({**item, "keypoints": slots.ravel().tolist(), "score": rng.random()})
    keys = ("image_id", "category_id", "keypoints", "score")
    results = [{key: record[key] for key in keys} for record in results]
    file.write_text(json.dumps(content))
    (tmp_path / "results.json").write_text(json.dumps(results))
    truth = read_ground_truth(file, taxonomy=fashion)
    ours = score_of(
        truth, read_results(tmp_path / "results.json", truth), VISIBLE_AND_OCCLUDED
    ).curves
    expected = pycocotools_score(content, results, sigmas=FASHION_SIGMAS)
    np.testing.assert_array_equal(ours.precision, expected.eval["precision"][..., 0])
    assert 0 < expected.stats[0] < 1


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
    drawings = sorted((tmp_path / "pictures").rglob("*.jpg"))
    assert len(drawings) == len(lines)
    for line, drawing in zip(lines, drawings, strict=True):
        before, after = (np.asarray(cv2.imread(str(path)), int) for path in (line["file"], drawing))
        assert not line["garments"] or (abs(after - before) > CLEARLY).mean() > 0.02
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
        partner = {a: b for pair in PAIRS[category.name] for a, b in (pair, pair[::-1])}
        for number in range(1, category.num_landmarks + 1):
            x, y, v = before[partner.get(number, number) - 1]
            np.testing.assert_allclose(after[number - 1], (record["width"] - x, y, v), atol=1e-3)


def test_a_model_of_another_taxonomy_is_refused_by_one_line(
    case: Case, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = category_rows(case.taxonomy)
    rows[0]["sigmas"] = 0.2
    (tmp_path / "other.json").write_text(json.dumps({"categories": rows}))
    code = train_net(
        *("--num-gpus", 0, "--eval-only", "--config-file", DEMO, *TINY),
        *("MODEL.ROI_LANDMARK_HEAD.TAXONOMY", tmp_path / "other.json"),
        *("MODEL.WEIGHTS", case.output / "model_final.pth", "OUTPUT_DIR", tmp_path / "out"),
        *("DATASETS.TEST", f"('{case.data}',)"),
    )
    assert code == 1
    line = capsys.readouterr().err.splitlines()[-1]
    name = case.taxonomy.categories[0].name
    assert f"model_final.pth: a model of another taxonomy (sigmas of category 1 ({name}): " in line
    assert "0.2 as number 1 in the configuration" in line


def test_a_data_set_of_another_taxonomy_is_refused_by_one_line(
    case: Case, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, images = case.data / "annotations/train.json", case.data / "train/image"
    register_landmark_dataset("of_garments", file, images)
    try:
        code = train_net(
            *("--num-gpus", 0, "--config-file", DEMO, *TINY, "OUTPUT_DIR", tmp_path / "out"),
            *("MODEL.ROI_LANDMARK_HEAD.TAXONOMY", case.taxonomy_file),
            *("DATASETS.TRAIN", "('of_garments',)", "DATASETS.TEST", "()"),
        )
    finally:
        DatasetCatalog.remove("of_garments")
        MetadataCatalog.remove("of_garments")
    assert code == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "DATASETS.TRAIN of_garments: a data set of another taxonomy than " in line
    count = case.taxonomy.num_categories
    assert line.endswith(f"the data set has 13 categories, the model has {count}")


def test_categories_are_chosen_by_name_in_any_spelling() -> None:
    rows = [{"name": "Red_Fox", "keypoints": ["nose"]}, {"name": "owl", "keypoints": ["beak"]}]
    zoo = taxonomy_from_rows(rows, name="zoo", where="zoo.yaml")
    for spelling in ("Red_Fox", "red fox", "RED-FOX", "1"):
        assert category_ids([spelling], zoo) == {1}


def test_it_can_be_printed_and_checked(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert taxonomy.main([str(case.taxonomy_file)]) == 0
    out = capsys.readouterr().out
    assert f"{case.taxonomy.num_categories} categories, {case.taxonomy.num_slots} landmarks" in out
