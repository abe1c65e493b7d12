"""The Detectron2 evaluator: compact, harmless to its inputs, equal to the score of its files."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("detectron2")

from detectron2.data import MetadataCatalog  # noqa: E402
from detectron2.evaluation import DatasetEvaluators, verify_results  # noqa: E402
from detectron2.structures import Boxes, Instances  # noqa: E402
from df2_landmarks.engine.landmark_evaluator import LandmarkEvaluator  # noqa: E402

from df2_landmarks.evaluation.score import score  # noqa: E402
from df2_landmarks.formats.annotations import read_ground_truth  # noqa: E402
from df2_landmarks.formats.ground_truth import VISIBLE_AND_OCCLUDED  # noqa: E402
from df2_landmarks.formats.results_reader import read_results  # noqa: E402
from df2_landmarks.taxonomy import LAYOUT  # noqa: E402
from tests.evaluation.cases import (  # noqa: E402
    Json,
    make_ground_truth,
    make_results,
    pycocotools_score,
    write_json,
)

NAME = "landmark_evaluator_test"


@pytest.fixture
def truth(tmp_path: Path) -> Iterator[Json]:
    content = make_ground_truth(np.random.default_rng(0), num_images=10)
    MetadataCatalog.get(NAME).json_file = str(write_json(tmp_path / "truth.json", content))
    yield content
    MetadataCatalog.remove(NAME)


def predictions(truth: Json, results: list[Json]) -> tuple[list[Json], list[Json]]:
    """Results as a network would give them: continuous, category-local, one dict per image."""
    inputs, outputs = [], []
    for image in truth["images"]:
        own = [r for r in results if r["image_id"] == image["id"]]
        instances = Instances((600, 400))
        keypoints = torch.zeros(len(own), LAYOUT.max_landmarks, 3)
        for row, record in enumerate(own):
            c = record["category_id"] - 1
            slots = torch.tensor(record["keypoints"]).reshape(-1, 3)[LAYOUT.slots(c)]
            keypoints[row, : LAYOUT.counts[c], :2] = slots[:, :2] + 0.5
            keypoints[row, : LAYOUT.counts[c], 2] = 0.7
        instances.pred_boxes = Boxes(torch.tensor([[10.0, 20.0, 110.25, 220.5]] * len(own)))
        instances.scores = torch.tensor([r["score"] for r in own])
        instances.pred_classes = torch.tensor([r["category_id"] - 1 for r in own]).long()
        instances.pred_keypoints = keypoints
        inputs.append({"image_id": image["id"]})
        outputs.append({"instances": instances})
    return inputs, outputs


def test_score_in_training_is_pycocotools_score_of_the_written_file(
    truth: Json, tmp_path: Path
) -> None:
    inputs, outputs = predictions(truth, make_results(np.random.default_rng(1), truth))
    evaluator = LandmarkEvaluator(NAME, output_dir=str(tmp_path / "out"))
    evaluator.reset()
    evaluator.process(inputs[:4], outputs[:4])
    evaluator.process(inputs[4:], outputs[4:])
    returned = evaluator.evaluate()
    written = json.loads((tmp_path / "out/landmark_results.json").read_text())
    oracle = pycocotools_score(truth, written)
    got = [returned["landmarks"][k] for k in ("AP", "AP50", "AP75", "APm", "APl", "AR")]
    np.testing.assert_allclose(got, 100 * oracle.stats[:6], rtol=0, atol=1e-10)
    assert returned["landmarks_visible"]["AP"] != returned["landmarks"]["AP"]
    assert math.isnan(returned["landmarks"]["AP-trousers"])
    with zipfile.ZipFile(tmp_path / "out/val_keypoints.zip") as archive:
        assert archive.namelist() == ["val_keypoints.json"]
        submitted = json.loads(archive.read("val_keypoints.json"))
    assert all(len(record["keypoints"]) == 882 for record in submitted)
    np.testing.assert_allclose(
        pycocotools_score(truth, submitted).stats, oracle.stats, rtol=0, atol=1e-12
    )


def test_inputs_stay_as_they_are_and_a_second_evaluator_agrees(truth: Json) -> None:
    inputs, outputs = predictions(truth, make_results(np.random.default_rng(2), truth))
    before = [output["instances"].pred_keypoints.clone() for output in outputs]
    first, second = LandmarkEvaluator(NAME), LandmarkEvaluator(NAME)
    first.process(inputs, outputs)
    second.process(inputs, outputs)
    for output, keypoints in zip(outputs, before, strict=True):
        assert torch.equal(output["instances"].pred_keypoints, keypoints)
    assert repr(first.evaluate()) == repr(second.evaluate()) == repr(first.evaluate())


def test_results_file_read_again_has_boxes_and_the_same_score(truth: Json, tmp_path: Path) -> None:
    inputs, outputs = predictions(truth, make_results(np.random.default_rng(3), truth))
    evaluator = LandmarkEvaluator(NAME, output_dir=str(tmp_path))
    evaluator.process(inputs, outputs)
    returned = evaluator.evaluate()
    ground_truth = read_ground_truth(MetadataCatalog.get(NAME).json_file)
    detections = read_results(tmp_path / "landmark_results.json", ground_truth)
    again = score(ground_truth, detections, VISIBLE_AND_OCCLUDED).curves.summary()
    assert again["AP"] == returned["landmarks"]["AP"] / 100
    assert detections.has_boxes
    some = next(found for found in detections.classes if len(found))
    assert some.boxes_xywh[0].tolist() == [10, 20, 100.25, 200.5]


def test_expected_results_are_honoured(truth: Json) -> None:
    from detectron2.config import get_cfg

    inputs, outputs = predictions(truth, make_results(np.random.default_rng(4), truth))
    evaluators = DatasetEvaluators([LandmarkEvaluator(NAME)])
    evaluators.reset()
    evaluators.process(inputs, outputs)
    returned = evaluators.evaluate()
    cfg = get_cfg()
    cfg.TEST.EXPECTED_RESULTS = [["landmarks", "AP", returned["landmarks"]["AP"], 0.01]]
    assert verify_results(cfg, returned)


def test_nothing_found_scores_zero(truth: Json) -> None:
    inputs, outputs = predictions(truth, [])
    evaluator = LandmarkEvaluator(NAME)
    evaluator.process(inputs, outputs)
    assert evaluator.evaluate()["landmarks"]["AP"] == 0


def test_a_split_without_annotations_is_written_but_not_scored(truth: Json, tmp_path: Path) -> None:
    inputs, outputs = predictions(truth, make_results(np.random.default_rng(5), truth))
    images_only = {key: truth[key] for key in ("images", "categories")}
    write_json(Path(MetadataCatalog.get(NAME).json_file), images_only)
    evaluator = LandmarkEvaluator(NAME, output_dir=str(tmp_path))
    evaluator.process(inputs, outputs)
    assert evaluator.evaluate() == {}
    with zipfile.ZipFile(tmp_path / "test_keypoints.zip") as archive:
        assert archive.namelist() == ["test_keypoints.json"]


def test_predictions_that_are_not_finite_are_left_out(truth: Json) -> None:
    inputs, outputs = predictions(truth, make_results(np.random.default_rng(6), truth))
    row = next(o["instances"] for o in outputs if len(o["instances"]))
    row.pred_keypoints[0, 0, 0] = float("nan")
    evaluator = LandmarkEvaluator(NAME)
    evaluator.process(inputs, outputs)
    assert evaluator.evaluate()["landmarks"]["AP"] >= 0


def test_an_image_of_another_data_set_is_named(truth: Json) -> None:
    inputs, outputs = predictions(truth, make_results(np.random.default_rng(7), truth))
    inputs = [{"image_id": one["image_id"] + 1000} for one in inputs]
    evaluator = LandmarkEvaluator(NAME)
    evaluator.process(inputs, outputs)
    with pytest.raises(ValueError, match=r"predicted image 10\d\d is not in truth.json"):
        evaluator.evaluate()


def test_predictions_of_all_processes_are_gathered(
    truth: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, outputs = predictions(truth, make_results(np.random.default_rng(8), truth))
    alone = LandmarkEvaluator(NAME)
    alone.process(inputs, outputs)
    expected = alone.evaluate()
    parts = [LandmarkEvaluator(NAME), LandmarkEvaluator(NAME)]
    for rank, part in enumerate(parts):
        part.process(inputs[rank::2], outputs[rank::2])
    sent: list[object] = []
    comm = "df2_landmarks.engine.landmark_evaluator.comm"
    monkeypatch.setattr(f"{comm}.gather", lambda data, dst: sent.append(data) or [])
    monkeypatch.setattr(f"{comm}.is_main_process", lambda: False)
    assert parts[1].evaluate() == {}
    monkeypatch.setattr(f"{comm}.gather", lambda data, dst: [data, *sent])
    monkeypatch.setattr(f"{comm}.is_main_process", lambda: True)
    assert repr(parts[0].evaluate()) == repr(expected)
