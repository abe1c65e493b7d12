"""--ground-truth-boxes: the heads look at the annotated boxes, and everything else stays."""

import json

import pytest
import torch

from df2_landmarks.common import UserError
from df2_landmarks.engine.ground_truth_boxes import (
    GivenBoxes,
    GroundTruthBoxTrainer,
    ground_truth_box_config,
)
from df2_landmarks.engine.setup import argument_parser, setup_run
from df2_landmarks.engine.trainer import Trainer
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.support import DEMO, TINY, registered, tiny_config

NAME = "drawn_given"
BOX_SCORES = [
    *("MODEL.ROI_LANDMARK_HEAD.CONFIDENCE_POWER", "0.0"),
    *("MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES", "False"),
]
"""Leaves scores and order as they are given."""


@pytest.fixture
def coco(tiny_datasets):
    """The drawn validation split, with the oddities of real annotations."""
    path = tiny_datasets / "deepfashion2_synthetic" / "annotations" / "validation.json"
    contents = json.loads(path.read_text())
    of_image = {image["id"]: [] for image in contents["images"]}
    for annotation in contents["annotations"]:
        of_image[annotation["image_id"]].append(annotation)
    first, second, third, *_ = of_image.values()
    for annotation in first:
        annotation["keypoints"] = [0] * 3 * DEEPFASHION2.num_slots
        annotation["num_keypoints"] = 0
    second[0]["segmentation"] = []
    crowd = {**second[0], "id": 10**6, "iscrowd": 1}
    contents["annotations"] = [a for a in contents["annotations"] if a not in third] + [crowd]
    return contents


@pytest.fixture
def config(tiny_datasets, coco, tmp_path):
    json_file = tmp_path / "validation.json"

    def make(*options):
        json_file.write_text(json.dumps(coco))
        here = ["DATASETS.TEST", f"('{NAME}',)", "OUTPUT_DIR", tmp_path / "output"]
        return tiny_config(*BOX_SCORES, *here, *options)

    with registered(tiny_datasets, "validation", name=NAME, json_file=json_file):
        yield make


def test_results_are_the_annotated_garments(config, coco, tmp_path, caplog):
    cfg = ground_truth_box_config(config())
    model = Trainer.build_model(cfg)
    with caplog.at_level("INFO"):
        results = GroundTruthBoxTrainer.test(cfg, model)
    assert "Boxes and categories are those of the ground truth" in caplog.text
    assert list(results) == [
        "bbox",
        "segm",
        "landmarks",
        "landmarks_visible",
        "visibility",
        "errors",
    ]
    # an untrained model finds the boxes, and not the landmarks
    assert results["bbox"]["AP"] == pytest.approx(100)
    assert results["landmarks"]["AP"] < 50

    folder = tmp_path / "output" / "ground_truth_boxes"
    assert (folder / "val_keypoints.zip").is_file()
    results = json.loads((folder / "landmark_results.json").read_text())
    garments = [a for a in coco["annotations"] if not a["iscrowd"]]
    key = "image_id", "category_id"
    assert sorted([r[k] for k in key] for r in results) == sorted(
        [a[k] for k in key] for a in garments
    )
    for result in results:
        assert result["score"] == 1
        boxes = [a["bbox"] for a in garments if all(a[k] == result[k] for k in key)]
        assert any(result["box_xywh"] == pytest.approx(box, abs=0.02) for box in boxes)
    unlabelled = {a["image_id"] for a in garments if not a["num_keypoints"]}
    assert unlabelled & {r["image_id"] for r in results}


def test_landmarks_of_a_detected_box_are_those_of_the_same_box_given(config):
    cfg = config()
    torch.manual_seed(0)
    model = Trainer.build_model(cfg).eval()
    (image_input, *_), *_ = GroundTruthBoxTrainer.build_test_loader(cfg, NAME)
    with torch.no_grad():
        (detected,) = model.inference([image_input], do_postprocess=False)
        assert len(detected) > 3
        given = type(detected)(detected.image_size)
        given.gt_boxes, given.gt_classes = detected.pred_boxes, detected.pred_classes
        (output,) = GivenBoxes(model)([{**image_input, "instances": given}])
        (expected,) = model([image_input])
    instances, expected = output["instances"], expected["instances"]
    torch.testing.assert_close(instances.pred_keypoints, expected.pred_keypoints)
    torch.testing.assert_close(instances.pred_boxes.tensor, expected.pred_boxes.tensor)
    assert torch.equal(instances.pred_masks, expected.pred_masks)
    assert instances.scores.tolist() == [1] * len(instances)


def test_rescoring_ranks_the_given_boxes(config, tmp_path):
    cfg = config("MODEL.ROI_LANDMARK_HEAD.CONFIDENCE_POWER", "1.0")
    cfg = ground_truth_box_config(cfg)
    GroundTruthBoxTrainer.test(cfg, Trainer.build_model(cfg))
    results = tmp_path / "output" / "ground_truth_boxes" / "landmark_results.json"
    scores = [r["score"] for r in json.loads(results.read_text())]
    assert len(set(scores)) > 1
    assert max(scores) < 1


def test_image_without_garments_gives_no_detections(config):
    cfg = config()
    model = GivenBoxes(Trainer.build_model(cfg).eval())
    counts = []
    with torch.no_grad():
        for batch in GroundTruthBoxTrainer.build_test_loader(cfg, NAME):
            (output,) = model(batch)
            fields = set(output["instances"].get_fields())
            assert fields == {
                "pred_boxes",
                "scores",
                "pred_classes",
                "pred_masks",
                "pred_keypoints",
                "pred_visibility",
            }
            counts.append(len(output["instances"]))
    assert counts.count(0) == 1


def test_data_without_annotations_is_named(config, coco):
    coco["annotations"] = []
    with pytest.raises(UserError, match=f"{NAME} has no annotations"):
        GroundTruthBoxTrainer.build_test_loader(config(), NAME)


def test_given_garments_are_not_duplicates_and_augmentation_is_refused(config):
    cfg = config("MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES", "True")
    assert not ground_truth_box_config(cfg).MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES
    cfg.defrost()
    cfg.TEST.AUG.ENABLED = True
    with pytest.raises(UserError, match=r"set TEST\.AUG\.ENABLED False"):
        ground_truth_box_config(cfg)


def test_command_line(tiny_datasets, tmp_path, run_python):
    model = Trainer.build_model(tiny_config())
    torch.save({"model": model.state_dict()}, tmp_path / "model_final.pth")
    (tmp_path / "last_checkpoint").write_text("model_final.pth")
    done = run_python(
        "projects/df2_landmarks/train_net.py",
        *("--eval-only", "--ground-truth-boxes", "--num-gpus", "0", "--config-file", DEMO),
        *(*TINY, "OUTPUT_DIR", tmp_path),
        DETECTRON2_DATASETS=str(tiny_datasets),
    )
    assert done.returncode == 0, done.stderr
    assert "Boxes and categories are those of the ground truth" in done.stdout
    assert (tmp_path / "ground_truth_boxes" / "val_keypoints.zip").is_file()
    assert not (tmp_path / "val_keypoints.zip").exists()


def test_it_cannot_train():
    arguments = argument_parser().parse_args(["--ground-truth-boxes"])
    with pytest.raises(UserError, match="add --eval-only"), setup_run(arguments):
        pass
