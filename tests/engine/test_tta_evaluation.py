"""TEST.AUG.ENABLED: results with test-time augmentation beside the plain ones."""

import pytest

from df2_landmarks.engine.trainer import Trainer, merge_results, tta_config
from tests.support import tiny_config

TASKS = ["bbox", "segm", "landmarks", "landmarks_visible", "visibility"]


@pytest.fixture
def config(drawn_splits, tmp_path):
    here = ["DATASETS.TEST", f"('{drawn_splits[1]}',)", "OUTPUT_DIR", tmp_path]
    views = ["TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(64, 96)"]
    return lambda *opts: tiny_config(*here, *views, *opts)


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
    (name,) = config().DATASETS.TEST
    (first, *_) = next(iter(Trainer.build_test_loader(config(), name)))
    assert min(first["image"].shape[1:]) == 96
    (first, *_) = next(iter(Trainer.build_test_loader(tta_config(config()), name)))
    assert tuple(first["image"].shape[1:]) == (first["height"], first["width"]) != (96, 96)


def test_results_of_several_data_sets_stay_apart(config):
    cfg = config("DATASETS.TEST", "('a', 'b')")
    plain = {"a": {"bbox": {"AP": 1.0}}, "b": {"bbox": {"AP": 2.0}}}
    augmented = {"a": {"bbox": {"AP": 3.0}}, "b": {"bbox": {"AP": 4.0}}}
    assert merge_results(plain, augmented, cfg) == {
        "a": {"bbox": {"AP": 1.0}, "bbox_TTA": {"AP": 3.0}},
        "b": {"bbox": {"AP": 2.0}, "bbox_TTA": {"AP": 4.0}},
    }
