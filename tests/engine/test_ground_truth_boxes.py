"""--ground-truth-boxes: the heads look at the annotated boxes, and everything else stays."""

import json

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog

from df2_landmarks.data import register_landmark_dataset
from df2_landmarks.engine.ground_truth_boxes import (
    GivenBoxes,
    GroundTruthBoxTrainer,
    ground_truth_box_config,
)
from df2_landmarks.engine.setup import CONFIGS, argument_parser, setup_config, setup_run
from df2_landmarks.engine.trainer import Trainer
from df2_landmarks.taxonomy import LAYOUT

NAME = "drawn_given"
TINY = [
    *("MODEL.FPN.OUT_CHANNELS", "16", "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "[16]"),
    *("MODEL.ROI_BOX_HEAD.FC_DIM", "16", "INPUT.MIN_SIZE_TEST", "96"),
    *("DATALOADER.NUM_WORKERS", "0", "DATASETS.TEST", f"('{NAME}',)"),
]


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
        annotation["keypoints"] = [0] * 3 * LAYOUT.num_slots
        annotation["num_keypoints"] = 0
    second[0]["segmentation"] = []
    crowd = {**second[0], "id": 10**6, "iscrowd": 1}
    contents["annotations"] = [a for a in contents["annotations"] if a not in third] + [crowd]
    return contents


@pytest.fixture
def config(tiny_datasets, coco, tmp_path):
    json_file = tmp_path / "validation.json"
    images = tiny_datasets / "deepfashion2_synthetic" / "validation" / "image"

    def make(*options):
        json_file.write_text(json.dumps(coco))
        register_landmark_dataset(NAME, json_file, images)
        path = CONFIGS / "df2_landmark_rcnn_R_18_FPN_demo.yaml"
        output = ["OUTPUT_DIR", str(tmp_path / "output")]
        return setup_config(path, [*TINY, *BOX_SCORES, *options, *output], on_cpu=True)

    yield make
    if NAME in DatasetCatalog:
        DatasetCatalog.remove(NAME)
        MetadataCatalog.pop(NAME)


def test_results_are_the_annotated_garments(config, coco, tmp_path, caplog):
    cfg = ground_truth_box_config(config())
    model = Trainer.build_model(cfg)
    with caplog.at_level("INFO"):
        results = GroundTruthBoxTrainer.test(cfg, model)
    assert "Boxes and categories are those of the ground truth" in caplog.text
    assert list(results) == ["bbox", "segm", "landmarks", "landmarks_visible"]
    # an untrained model finds the boxes, and not the landmarks
    assert results["bbox"]["AP"] == pytest.approx(100)
    assert results["landmarks"]["AP"] < 50

    folder = tmp_path / "output" / "ground_truth_boxes"
    assert (folder / "val_keypoints.zip").is_file()
    found = json.loads((folder / "landmark_results.json").read_text())
    garments = [a for a in coco["annotations"] if not a["iscrowd"]]
    key = "image_id", "category_id"
    assert sorted([r[k] for k in key] for r in found) == sorted(
        [a[k] for k in key] for a in garments
    )
    for result in found:
        assert result["score"] == 1
        boxes = [a["bbox"] for a in garments if all(a[k] == result[k] for k in key)]
        assert any(result["box_xywh"] == pytest.approx(box, abs=0.02) for box in boxes)
    unlabelled = {a["image_id"] for a in garments if not a["num_keypoints"]}
    assert unlabelled & {r["image_id"] for r in found}


def test_landmarks_of_a_detected_box_are_those_of_the_same_box_given(config):
    cfg = config()
    torch.manual_seed(0)
    model = Trainer.build_model(cfg).eval()
    (one_input, *_), *_ = GroundTruthBoxTrainer.build_test_loader(cfg, NAME)
    with torch.no_grad():
        (detected,) = model.inference([one_input], do_postprocess=False)
        assert len(detected) > 3
        given = type(detected)(detected.image_size)
        given.gt_boxes, given.gt_classes = detected.pred_boxes, detected.pred_classes
        (output,) = GivenBoxes(model)([{**one_input, "instances": given}])
        (expected,) = model([one_input])
    found, expected = output["instances"], expected["instances"]
    torch.testing.assert_close(found.pred_keypoints, expected.pred_keypoints)
    torch.testing.assert_close(found.pred_boxes.tensor, expected.pred_boxes.tensor)
    assert torch.equal(found.pred_masks, expected.pred_masks)
    assert found.scores.tolist() == [1] * len(found)


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
            }
            counts.append(len(output["instances"]))
    assert counts.count(0) == 1


def test_data_without_annotations_is_named(config, coco):
    coco["annotations"] = []
    with pytest.raises(ValueError, match=f"{NAME} has no annotations"):
        GroundTruthBoxTrainer.build_test_loader(config(), NAME)


def test_given_garments_are_no_rivals_and_augmentation_is_refused(config):
    cfg = config("MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES", "True")
    assert not ground_truth_box_config(cfg).MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES
    cfg.defrost()
    cfg.TEST.AUG.ENABLED = True
    with pytest.raises(ValueError, match=r"set TEST\.AUG\.ENABLED False"):
        ground_truth_box_config(cfg)


def test_command_line(tiny_datasets, tmp_path, run_python):
    options = [*TINY[:-2], "OUTPUT_DIR", str(tmp_path)]
    config = CONFIGS / "df2_landmark_rcnn_R_18_FPN_demo.yaml"
    model = Trainer.build_model(setup_config(config, options, on_cpu=True))
    torch.save({"model": model.state_dict()}, tmp_path / "model_final.pth")
    (tmp_path / "last_checkpoint").write_text("model_final.pth")
    done = run_python(
        "projects/df2_landmarks/train_net.py",
        *("--eval-only", "--ground-truth-boxes", "--num-gpus", "0", "--config-file", config),
        *options,
        DETECTRON2_DATASETS=str(tiny_datasets),
    )
    assert done.returncode == 0, done.stderr
    assert "Boxes and categories are those of the ground truth" in done.stdout
    assert (tmp_path / "ground_truth_boxes" / "val_keypoints.zip").is_file()
    assert not (tmp_path / "val_keypoints.zip").exists()


def test_it_is_no_way_to_train():
    arguments = argument_parser().parse_args(["--ground-truth-boxes"])
    with pytest.raises(ValueError, match="give --eval-only"):
        setup_run(arguments)
