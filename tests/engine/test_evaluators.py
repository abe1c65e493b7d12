"""The Detectron2 evaluators: harmless to their inputs, equal to the score of their files."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import MetadataCatalog
from detectron2.evaluation import COCOEvaluator, DatasetEvaluators, verify_results
from detectron2.structures import Boxes, Instances

from df2_landmarks.common import UserError
from df2_landmarks.engine import BoxMaskEvaluator, LandmarkEvaluator
from df2_landmarks.engine.evaluation import TASKS, ScoresFile
from df2_landmarks.evaluation import score
from df2_landmarks.formats import VISIBLE_AND_OCCLUDED, read_ground_truth, read_results
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import (
    Json,
    make_ground_truth,
    make_results,
    pycocotools_score,
    write_json,
)

NAME = "evaluators_test"


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
        records = [r for r in results if r["image_id"] == image["id"]]
        instances = Instances((600, 400))
        keypoints = torch.zeros(len(records), DEEPFASHION2.max_landmarks, 3)
        for row, record in enumerate(records):
            c = record["category_id"] - 1
            slots = torch.tensor(record["keypoints"]).reshape(-1, 3)[DEEPFASHION2.slots(c)]
            keypoints[row, : DEEPFASHION2.counts[c], :2] = slots[:, :2] + 0.5
            keypoints[row, : DEEPFASHION2.counts[c], 2] = 0.7
        instances.pred_boxes = Boxes(torch.tensor([[10.0, 20.0, 110.25, 220.5]] * len(records)))
        instances.scores = torch.tensor([r["score"] for r in records])
        instances.pred_classes = torch.tensor([r["category_id"] - 1 for r in records]).long()
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
    class_detections = next(c for c in detections.classes if len(c))
    assert class_detections.boxes_xywh[0].tolist() == [10, 20, 100.25, 200.5]


def test_the_scores_file_has_the_landmark_scores_that_are_returned(
    truth: Json, tmp_path: Path
) -> None:
    inputs, outputs = predictions(truth, make_results(np.random.default_rng(3), truth))
    evaluator = LandmarkEvaluator(NAME, scores_file=ScoresFile(tmp_path, weights="a.pth"))
    evaluator.process(inputs, outputs)
    returned = evaluator.evaluate()
    written = json.loads((tmp_path / "scores.json").read_text())[NAME]
    assert written["weights"] == "a.pth" and written["bbox"] is None
    for protocol, task in TASKS.items():
        fractions = written["landmarks"][protocol]
        flat = {k: v for k, v in fractions.items() if k in returned[task]}
        flat |= {f"AP-{name}": ap for name, ap in fractions["per_category"].items()}
        assert {k: math.nan if v is None else 100 * v for k, v in flat.items()} == pytest.approx(
            returned[task], nan_ok=True, rel=0, abs=0
        )
    assert written["landmarks"]["visible"]["AP"] > 0.1


def test_predicted_visibility_is_scored_and_changes_no_score(truth: Json, tmp_path: Path) -> None:
    inputs, outputs = predictions(truth, make_results(np.random.default_rng(9), truth))
    plain, evaluator = (
        LandmarkEvaluator(
            NAME, output_dir=str(tmp_path / name), scores_file=ScoresFile(tmp_path / name)
        )
        for name in ("plain", "with")
    )
    plain.process(inputs, outputs)
    generator = torch.Generator().manual_seed(0)
    for output in outputs:
        shape = output["instances"].pred_keypoints.shape[:2]
        output["instances"].pred_visibility = torch.rand(shape, generator=generator)
    evaluator.process(inputs, outputs)
    expected, returned = plain.evaluate(), evaluator.evaluate()
    visibility = returned.pop("visibility")
    assert repr(returned) == repr(expected)
    scores = [
        json.loads((tmp_path / name / "scores.json").read_text())[NAME]["visibility"]
        for name in ("plain", "with")
    ]
    assert scores[0] is None
    assert {name: 100 * fraction for name, fraction in scores[1].items()} == visibility
    assert list(visibility) == ["AP-visible", "AP-occluded", "share-visible", "share-occluded"]
    assert visibility["share-visible"] + visibility["share-occluded"] == pytest.approx(100)
    for answer in ("visible", "occluded"):  # random answers: the AP is near the share
        assert abs(visibility[f"AP-{answer}"] - visibility[f"share-{answer}"]) < 10
        assert 20 < visibility[f"share-{answer}"] < 80
    written = [
        json.loads((tmp_path / name / "landmark_results.json").read_text())
        for name in ("plain", "with")
    ]
    for record in written[1]:
        visible = record.pop("landmark_visible")
        assert len(visible) == DEEPFASHION2.counts[record["category_id"] - 1]
        assert min(visible) < 0.5 < max(visible)
    assert written[0] == written[1]
    archives = [(tmp_path / name / "val_keypoints.zip").read_bytes() for name in ("plain", "with")]
    assert archives[0] == archives[1]


def test_the_confidence_of_landmarks_is_in_the_results_but_not_in_the_submission(
    truth: Json, tmp_path: Path
) -> None:
    inputs, outputs = predictions(truth, make_results(np.random.default_rng(9), truth))
    for output in outputs:
        output["instances"].pred_keypoints[..., 2] = 1.002  # the peak may exceed 1 a little
        output["instances"].pred_keypoints[:, 0, 2] = 0.25
    evaluator = LandmarkEvaluator(NAME, output_dir=str(tmp_path))
    evaluator.process(inputs, outputs)
    evaluator.evaluate()
    for record in json.loads((tmp_path / "landmark_results.json").read_text()):
        count = DEEPFASHION2.counts[record["category_id"] - 1]
        assert record["landmark_scores"] == [0.25] + [1.0] * (count - 1)
    with zipfile.ZipFile(tmp_path / "val_keypoints.zip") as archive:
        submitted = json.loads(archive.read("val_keypoints.json"))
    assert {key for record in submitted for key in record} == {
        *("image_id", "category_id", "keypoints", "score")
    }


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
    inputs = [{"image_id": image_input["image_id"] + 1000} for image_input in inputs]
    evaluator = LandmarkEvaluator(NAME)
    evaluator.process(inputs, outputs)
    with pytest.raises(UserError, match=r"image_id: 10\d\d is not an image of the ground truth"):
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
    comm = "df2_landmarks.engine.evaluation.evaluators.comm"
    monkeypatch.setattr(f"{comm}.gather", lambda data, dst: sent.append(data) or [])
    monkeypatch.setattr(f"{comm}.is_main_process", lambda: False)
    assert parts[1].evaluate() == {}
    monkeypatch.setattr(f"{comm}.gather", lambda data, dst: [data, *sent])
    monkeypatch.setattr(f"{comm}.is_main_process", lambda: True)
    assert repr(parts[0].evaluate()) == repr(expected)


@pytest.fixture
def box_truth(tmp_path: Path) -> Iterator[Json]:
    """Two images, three items (one without a polygon) and slots full of landmarks."""
    content = {
        "images": [{"id": i, "width": 60, "height": 50, "file_name": f"{i}.jpg"} for i in (1, 2)],
        "categories": [{"id": c.id, "name": c.official_name} for c in DEEPFASHION2.categories],
        "annotations": [],
    }
    for number, (image_id, category_id, polygon) in enumerate(
        [
            (1, 1, [[10, 10, 40, 10, 40, 40, 10, 40]]),
            (1, 9, [[20, 5, 50, 5, 35, 45]]),
            (2, 1, []),
        ],
        start=1,
    ):
        x1, y1, x2, y2 = (20, 5, 50, 45) if category_id == 9 else (10, 10, 40, 40)
        content["annotations"].append(
            {
                "id": number,
                "image_id": image_id,
                "category_id": category_id,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
                "segmentation": polygon,
                "keypoints": [0] * 3 * DEEPFASHION2.num_slots,
                "num_keypoints": DEEPFASHION2.num_slots,
            }
        )
    metadata = MetadataCatalog.get(NAME)
    metadata.json_file = str(write_json(tmp_path / "boxes.json", content))
    metadata.thing_classes = [c.official_name for c in DEEPFASHION2.categories]
    metadata.thing_dataset_id_to_contiguous_id = {c.id: c.id - 1 for c in DEEPFASHION2.categories}
    yield content
    MetadataCatalog.remove(NAME)


def box_predictions(*rows: tuple[int, int, list[int]]) -> tuple[list[Json], list[Json]]:
    """Rows of image id, class and box; the mask is the box."""
    inputs, outputs = [], []
    for image_id in (1, 2):
        of_image = [(c, box) for i, c, box in rows if i == image_id]
        instances = Instances((50, 60))
        instances.pred_boxes = Boxes(torch.tensor([box for _, box in of_image]).float().view(-1, 4))
        instances.scores = torch.linspace(0.9, 0.5, len(of_image))
        instances.pred_classes = torch.tensor([c for c, _ in of_image]).long()
        instances.pred_masks = torch.zeros(len(of_image), 50, 60, dtype=torch.bool)
        for mask, (_, (x1, y1, x2, y2)) in zip(instances.pred_masks, of_image, strict=True):
            mask[y1:y2, x1:x2] = True
        instances.pred_keypoints = torch.full((len(of_image), DEEPFASHION2.max_landmarks, 3), 7.0)
        inputs.append({"image_id": image_id})
        outputs.append({"instances": instances})
    return inputs, outputs


EXACT = ((1, 0, [10, 10, 40, 40]), (1, 8, [20, 5, 50, 45]), (2, 0, [10, 10, 40, 40]))


def box_evaluator(tmp_path: Path) -> BoxMaskEvaluator:
    evaluator = BoxMaskEvaluator(NAME, tasks=("bbox", "segm"), output_dir=str(tmp_path / "out"))
    evaluator.reset()
    return evaluator


def test_boxes_and_masks_are_scored_and_a_box_is_the_mask_of_an_item_without_polygon(
    box_truth: Json, tmp_path: Path
) -> None:
    evaluator = box_evaluator(tmp_path)
    inputs, outputs = box_predictions(*EXACT)
    evaluator.process(inputs, outputs)
    results = evaluator.evaluate()
    assert list(results) == ["bbox", "segm"]
    assert results["bbox"]["AP"] == pytest.approx(100)
    assert results["bbox"]["AP-skirt"] == pytest.approx(100)
    assert math.isnan(results["bbox"]["AP-vest"])
    # The squares and the box of the item without polygon are exact; half a box is no triangle.
    assert results["segm"]["AP-short_sleeved_shirt"] == pytest.approx(100)
    assert results["segm"]["AP-skirt"] < 100
    written = json.loads((tmp_path / "out/coco_instances_results.json").read_text())
    assert [record["category_id"] for record in written] == [1, 9, 1]
    assert not any("keypoints" in record for record in written)


def test_a_file_that_cannot_be_written_costs_no_score(
    box_truth: Json, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "out").write_text("where the folder should be")
    evaluator = box_evaluator(tmp_path)
    evaluator.process(*box_predictions(*EXACT))
    assert evaluator.evaluate()["bbox"]["AP"] == pytest.approx(100)
    assert "coco_instances_results.json: cannot be written" in caplog.text


def test_box_scores_are_those_of_the_stock_evaluator_with_all_slots(
    box_truth: Json, tmp_path: Path
) -> None:
    moved = ((1, 0, [12, 10, 40, 40]), (1, 8, [20, 9, 50, 45]), (2, 0, [10, 10, 30, 40]))
    inputs, outputs = box_predictions(*moved, (2, 3, [0, 0, 9, 9]))
    evaluator = box_evaluator(tmp_path)
    stock = COCOEvaluator(NAME, ("bbox",), output_dir=str(tmp_path / "stock"), use_fast_impl=False)
    results = []
    for each in (evaluator, stock):
        each.reset()
        each.process(inputs, outputs)
        results.append(each.evaluate()["bbox"])
    assert repr(results[0]) == repr(results[1])
    assert 0 < results[0]["AP"] < 100


def test_landmarks_of_the_predictions_stay_as_they_are(box_truth: Json, tmp_path: Path) -> None:
    inputs, outputs = box_predictions(*EXACT)
    box_evaluator(tmp_path).process(inputs, outputs)
    for output in outputs:
        assert (output["instances"].pred_keypoints == 7).all()


def test_only_the_main_process_opens_the_ground_truth(
    box_truth: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(MetadataCatalog.get(NAME).json_file).unlink()
    comm = "detectron2.utils.comm"
    monkeypatch.setattr(f"{comm}.gather", lambda data, dst: [])
    monkeypatch.setattr(f"{comm}.is_main_process", lambda: False)
    evaluator = box_evaluator(tmp_path)
    evaluator.process(*box_predictions(*EXACT))
    assert evaluator.evaluate() == {}


def test_boxes_of_a_split_without_annotations_are_written_but_not_scored(
    box_truth: Json, tmp_path: Path
) -> None:
    images_only = {key: box_truth[key] for key in ("images", "categories")}
    for content in (images_only, {**images_only, "annotations": []}):
        write_json(Path(MetadataCatalog.get(NAME).json_file), content)
        evaluator = box_evaluator(tmp_path)
        evaluator.process(*box_predictions(*EXACT))
        assert evaluator.evaluate() == {}
        assert (tmp_path / "out/coco_instances_results.json").is_file()
