"""TEST.AUG.ENABLED: results with test-time augmentation beside the plain ones."""

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from df2_landmarks.engine.tta_evaluation import merge_results, tta_config

from df2_landmarks.data import register_landmark_dataset
from df2_landmarks.engine.setup import CONFIGS, setup_config
from df2_landmarks.engine.trainer import Trainer

NAME = "drawn_augmented"
TASKS = ["bbox", "segm", "landmarks", "landmarks_visible"]
TINY = [
    *("MODEL.FPN.OUT_CHANNELS", "16", "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "[16]"),
    *("MODEL.ROI_BOX_HEAD.FC_DIM", "16", "INPUT.MIN_SIZE_TEST", "96"),
    *("DATALOADER.NUM_WORKERS", "0", "DATASETS.TEST", f"('{NAME}',)"),
    *("TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(64, 96)"),
]


@pytest.fixture
def config(tiny_datasets, tmp_path):
    data = tiny_datasets / "deepfashion2_synthetic"
    images = data / "validation" / "image"
    register_landmark_dataset(NAME, data / "annotations" / "validation.json", images)

    def make(*options):
        path = CONFIGS / "df2_landmark_rcnn_R_18_FPN_demo.yaml"
        return setup_config(path, [*TINY, *options, "OUTPUT_DIR", str(tmp_path)], on_cpu=True)

    yield make
    DatasetCatalog.remove(NAME)
    MetadataCatalog.pop(NAME)


def test_both_results_and_both_files(config, tmp_path):
    cfg = config()
    model = Trainer.build_model(cfg).train()
    results = Trainer.test(cfg, model)
    assert list(results) == TASKS + [f"{task}_TTA" for task in TASKS]
    assert results["landmarks"].keys() == results["landmarks_TTA"].keys()
    for name in ("landmark_results.json", "val_keypoints.zip"):
        assert (tmp_path / name).is_file()
        assert (tmp_path / "inference_TTA" / name).is_file()
    # an evaluation in training leaves the model as it was
    assert all(module.training for module in model.modules())
    assert type(model.roi_heads.keypoint_head).__name__ == "LandmarkRCNNHead"


def test_without_augmentation_there_is_one_result(config, tmp_path):
    cfg = config("TEST.AUG.ENABLED", "False")
    assert list(Trainer.test(cfg, Trainer.build_model(cfg))) == TASKS
    assert not (tmp_path / "inference_TTA").exists()


def test_views_are_made_from_the_original_image(config):
    (first, *_) = next(iter(Trainer.build_test_loader(config(), NAME)))
    assert min(first["image"].shape[1:]) == 96
    (first, *_) = next(iter(Trainer.build_test_loader(tta_config(config()), NAME)))
    assert tuple(first["image"].shape[1:]) == (first["height"], first["width"]) != (96, 96)


def test_results_of_several_data_sets_stay_apart(config):
    cfg = config("DATASETS.TEST", "('a', 'b')")
    plain = {"a": {"bbox": {"AP": 1.0}}, "b": {"bbox": {"AP": 2.0}}}
    augmented = {"a": {"bbox": {"AP": 3.0}}, "b": {"bbox": {"AP": 4.0}}}
    assert merge_results(plain, augmented, cfg) == {
        "a": {"bbox": {"AP": 1.0}, "bbox_TTA": {"AP": 3.0}},
        "b": {"bbox": {"AP": 2.0}, "bbox_TTA": {"AP": 4.0}},
    }
