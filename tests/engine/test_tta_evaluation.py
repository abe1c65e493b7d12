"""TEST.AUG.ENABLED: results with test-time augmentation beside the plain ones."""

import math

import pytest

from df2_landmarks.engine.trainer import Trainer, merge_results, tta_config
from tests.support import tiny_config

TASKS = ["bbox", "segm", "landmarks", "landmarks_visible", "visibility", "errors"]


@pytest.fixture
def config(drawn_splits, tmp_path):
    here = ["DATASETS.TEST", f"('{drawn_splits[1]}',)", "OUTPUT_DIR", tmp_path]
    views = ["TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(64, 96)"]
    return lambda *opts: tiny_config(*here, *views, *opts)


def test_both_results_and_both_files(config, tmp_path, caplog):
    cfg = config()
    model = Trainer.build_model(cfg).train()
    with caplog.at_level("INFO", logger="df2_landmarks"):
        results = Trainer.test(cfg, model)
    table = caplog.records[-1].getMessage().splitlines()
    assert table[0] == f"{cfg.DATASETS.TEST[0]} without and with test-time augmentation:"
    assert table[1].split() == ["plain", "AP", "AP50", "AP75", "augmented", "AP", "AP50", "AP75"]
    titles = ["boxes", "masks", "landmarks, visible and occluded", "landmarks, visible"]
    assert [line.split("  ")[0] for line in table[3:]] == titles
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


def test_results_of_several_data_sets_stay_apart(config, caplog):
    cfg = config("DATASETS.TEST", "('a', 'b')")
    one, two, three, four = (
        {"bbox": {"AP": ap, "AP50": ap, "AP75": math.nan}} for ap in (10.0, 20.0, 30.0, 40.0)
    )
    with caplog.at_level("INFO", logger="df2_landmarks"):
        merged = merge_results({"a": one, "b": two}, {"a": three, "b": four}, cfg)
    assert merged == {
        "a": {"bbox": one["bbox"], "bbox_TTA": three["bbox"]},
        "b": {"bbox": two["bbox"], "bbox_TTA": four["bbox"]},
    }
    first, second = (record.getMessage().splitlines() for record in caplog.records)
    assert first[0].startswith("a with") and second[0].startswith("b with")
    assert first[-1].split() == ["boxes", "0.100", "0.100", "n/a", "0.300", "0.300", "n/a"]
    assert second[-1].split() == ["boxes", "0.200", "0.200", "n/a", "0.400", "0.400", "n/a"]


def test_nothing_is_tabulated_without_ground_truth(config, caplog):
    with caplog.at_level("INFO", logger="df2_landmarks"):
        assert merge_results({}, {}, config()) == {}
    assert not caplog.records
