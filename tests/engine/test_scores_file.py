"""scores.json of an evaluation: what was returned, as fractions, whatever else goes wrong."""

import json
import math

import pytest

from df2_landmarks.common import UserError
from df2_landmarks.engine import GroundTruthBoxTrainer, Trainer, ground_truth_box_config
from df2_landmarks.engine.evaluation import LandmarkEvaluator
from df2_landmarks.engine.evaluation import evaluators as evaluators_module
from df2_landmarks.evaluation import score, score_as_dict
from df2_landmarks.formats import PROTOCOLS, read_ground_truth, read_results
from tests.support import tiny_config


@pytest.fixture
def config(drawn_splits, tmp_path):
    train, validation, _ = drawn_splits
    here = ["DATASETS.TRAIN", f"('{train}',)", "DATASETS.TEST", f"('{validation}',)"]
    return lambda *opts: tiny_config(*here, "OUTPUT_DIR", tmp_path, *opts)


@pytest.fixture
def truth(tiny_datasets):
    return read_ground_truth(tiny_datasets / "deepfashion2_synthetic/annotations/validation.json")


def written(folder):
    text = (folder / "scores.json").read_text()
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def check_boxes(fractions, percent):
    """Compare the scores of boxes or masks with what was returned."""
    flat = {k: v for k, v in fractions.items() if k != "per_category"}
    flat |= {f"AP-{name}": v for name, v in fractions["per_category"].items()}
    assert flat.keys() == percent.keys()
    for name, value in percent.items():
        assert flat[name] is None if math.isnan(value) else flat[name] == value / 100


def check_landmarks(fractions, results_file, truth):
    """Compare the landmark scores with those of the results file, to the last bit."""
    detections = read_results(results_file, truth)
    expected = {p: score_as_dict(truth, score(truth, detections, p), {}) for p in PROTOCOLS}
    assert fractions == expected


def given_boxes(cfg, **evaluated):
    cfg = ground_truth_box_config(cfg)
    return GroundTruthBoxTrainer.test(cfg, Trainer.build_model(cfg), **evaluated)


def test_the_file_holds_what_is_returned(config, drawn_splits, truth, tmp_path):
    name = drawn_splits[1]
    returned = given_boxes(config(), weights="a.pth")
    folder = tmp_path / "ground_truth_boxes"
    content = written(folder)
    assert list(content) == [name]
    scores = content[name]
    assert scores["weights"] == "a.pth"
    assert scores["bbox"]["AP"] == pytest.approx(1)
    check_boxes(scores["bbox"], returned["bbox"])
    check_boxes(scores["segm"], returned["segm"])
    check_landmarks(scores["landmarks"], folder / "landmark_results.json", truth)
    both = scores["landmarks"]["visible_and_occluded"]
    assert 100 * both["AP"] == returned["landmarks"]["AP"]
    assert both["per_category"] and both["items"] == truth.num_items
    assert both["ground_truth_sha256"] == truth.sha256 and len(truth.sha256) == 64
    assert scores["visibility"].keys() == returned["visibility"].keys()
    assert not (tmp_path / "scores.json").exists()  # of the plain evaluation


def test_all_data_sets_and_both_passes_leave_scores(config, drawn_splits, tmp_path):
    _, validation, test = drawn_splits
    views = ("TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(64,)")
    cfg = config("DATASETS.TEST", f"('{test}', '{validation}')", *views)
    (tmp_path / "scores.json").write_text('{"older": {}}')
    Trainer.test(cfg, Trainer.build_model(cfg))
    for folder in (tmp_path, tmp_path / "inference_TTA"):
        content = written(folder)
        assert list(content) == [test, validation]
        unscored = dict.fromkeys(("bbox", "segm", "landmarks", "visibility", "errors"))
        assert {task: content[test][task] for task in unscored} == unscored
        assert set(content[validation]["landmarks"]) == set(PROTOCOLS)


def test_an_evaluation_in_training_says_after_how_many_iterations(config, drawn_splits, tmp_path):
    trainer = Trainer(config("SOLVER.MAX_ITER", 3, "TEST.EVAL_PERIOD", 2))
    trainer.resume_or_load(resume=False)
    seen = []
    evaluate = trainer._evaluate

    def observed():
        results = evaluate()
        seen.append(written(tmp_path)[drawn_splits[1]]["iterations"])
        return results

    trainer._evaluate = observed
    trainer.train()
    assert seen == [2, 3]


def test_scores_are_there_when_a_later_file_fails(config, drawn_splits, monkeypatch, tmp_path):
    def full(*_, **__):
        raise UserError("the disk is full")

    monkeypatch.setattr(LandmarkEvaluator, "_write", full)
    monkeypatch.setattr(evaluators_module, "atomic_write", full)  # of the boxes
    assert given_boxes(config())["bbox"]["AP"] == pytest.approx(100)
    scores = written(tmp_path / "ground_truth_boxes")[drawn_splits[1]]
    assert scores["bbox"]["AP"] == pytest.approx(1) and scores["landmarks"] is not None


def test_without_a_place_for_the_file_there_are_still_scores(config, tmp_path, caplog):
    (tmp_path / "ground_truth_boxes/scores.json").mkdir(parents=True)
    assert given_boxes(config())["bbox"]["AP"] == pytest.approx(100)
    assert "scores.json: cannot be written" in caplog.text


def test_only_the_main_process_writes(config, drawn_splits, monkeypatch, tmp_path):
    comm = "detectron2.utils.comm"
    monkeypatch.setattr(f"{comm}.is_main_process", lambda: False)
    monkeypatch.setattr(f"{comm}.gather", lambda data, dst: [])
    assert not given_boxes(config())
    assert not (tmp_path / "ground_truth_boxes/scores.json").exists()
