"""What an evaluation during training leads to: best checkpoint, early stop, pictures."""

import json
import math

import pytest
import torch

from df2_landmarks.common import UserError
from df2_landmarks.engine import trainer as trainer_module
from df2_landmarks.engine.trainer import Trainer
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.support import tiny_config


@pytest.fixture
def config(drawn_splits, tmp_path):
    train, validation, _ = drawn_splits
    here = ["DATASETS.TRAIN", f"('{train}',)", "DATASETS.TEST", f"('{validation}',)"]
    here += ["INPUT.MIN_SIZE_TRAIN", "(64,)", "INPUT.MIN_SIZE_TEST", 64]
    return lambda *opts: tiny_config(*here, "OUTPUT_DIR", tmp_path, "TEST.EVAL_PERIOD", 1, *opts)


@pytest.fixture
def scored(monkeypatch):
    """Gives the evaluations of a training the landmark APs of a list; keeps what was evaluated."""
    seen = []

    def script(*landmark_aps):
        remaining = iter(landmark_aps)

        def test(cls, cfg, model, evaluators=None, **evaluated):
            seen.append({k: v.clone() for k, v in model.state_dict().items()})
            return {"landmarks": {"AP": next(remaining)}, "bbox": {"AP": 50.0}}

        monkeypatch.setattr(Trainer, "test", classmethod(test))
        return seen

    return script


def train(cfg, *, resume=False):
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=resume)
    trainer.train()
    return trainer


def best(folder):
    saved = torch.load(folder / "model_best.pth")
    return saved["landmark_ap"], saved["iteration"], saved["model"]


def test_the_best_model_by_landmark_ap_is_kept(config, scored, tmp_path):
    seen = scored(10.0, 30.0, 20.0)
    train(config("SOLVER.MAX_ITER", 3))
    landmark_ap, iteration, weights = best(tmp_path)
    assert (landmark_ap, iteration) == (30.0, 1)
    torch.testing.assert_close(weights, seen[1], rtol=0, atol=0)
    assert (tmp_path / "last_checkpoint").read_text() == "model_final.pth"


def test_the_evaluation_at_the_end_counts(config, scored, tmp_path):
    scored(10.0, 30.0)
    train(config("SOLVER.MAX_ITER", 2))
    assert best(tmp_path)[:2] == (30.0, 1)


def test_a_resumed_training_knows_the_best_so_far(config, scored, tmp_path):
    scored(10.0, 30.0, 20.0, 25.0)
    train(config("SOLVER.MAX_ITER", 3))
    train(config("SOLVER.MAX_ITER", 4), resume=True)
    assert best(tmp_path)[:2] == (30.0, 1)
    scored(5.0)
    train(config("SOLVER.MAX_ITER", 1))  # not resumed: another training
    assert best(tmp_path)[:2] == (5.0, 0)


def test_without_ground_truth_nothing_is_best(config, scored, tmp_path):
    scored(math.nan, math.nan)
    train(config("SOLVER.MAX_ITER", 2))
    assert not (tmp_path / "model_best.pth").exists()


def test_an_evaluation_only_at_the_end_leaves_one_file(config, scored, tmp_path):
    scored(10.0)
    train(config("SOLVER.MAX_ITER", 1, "TEST.EVAL_PERIOD", 0))
    assert {path.name for path in tmp_path.glob("*.pth")} == {"model_final.pth"}


def test_a_training_that_no_longer_improves_ends_saved(config, scored, tmp_path, caplog):
    scored(10.0, 30.0, 20.0, 29.0, 100.0)
    cfg = config("SOLVER.MAX_ITER", 9, "SOLVER.EARLY_STOPPING.PATIENCE", 2)
    with caplog.at_level("INFO", logger="df2_landmarks"):
        trainer = train(cfg)
    assert trainer.iter == 3
    assert torch.load(tmp_path / "model_final.pth")["trainer"]["iteration"] == 3
    assert (tmp_path / "last_checkpoint").read_text() == "model_final.pth"
    assert "Stopped early after iteration 4: landmark AP has not risen in 2 evalu" in caplog.text
    assert "Exception during training" not in caplog.text
    # Resumed, it continues, and the patience counts from the same best.
    trainer = train(config("SOLVER.MAX_ITER", 6, "TEST.EVAL_PERIOD", 0), resume=True)
    assert trainer.start_iter == 4


def test_patience_counts_on_after_resuming(config, scored):
    scored(30.0, 20.0, 20.0, 20.0, 20.0)
    patience = ("SOLVER.EARLY_STOPPING.PATIENCE", 3)
    train(config("SOLVER.MAX_ITER", 2, *patience))
    assert train(config("SOLVER.MAX_ITER", 9, *patience), resume=True).iter == 3


def test_a_foreign_file_under_the_name_of_the_best_model_is_named(config, scored, tmp_path):
    scored(10.0, 20.0)
    train(config("SOLVER.MAX_ITER", 1, "TEST.EVAL_PERIOD", 0))
    torch.save({"model": {"weight": torch.zeros(1)}}, tmp_path / "model_best.pth")
    with pytest.raises(UserError, match=r"model_best\.pth: not the best model of a training"):
        train(config("SOLVER.MAX_ITER", 2), resume=True)


def test_resuming_with_another_optimizer_is_named(config, scored):
    scored(10.0)
    train(config("SOLVER.MAX_ITER", 1, "TEST.EVAL_PERIOD", 0))
    trainer = Trainer(config("SOLVER.OPTIMIZER", "SGD", "SOLVER.MAX_ITER", 2))
    with pytest.raises(UserError, match=r"--resume: .* another optimizer"):
        trainer.resume_or_load(resume=True)


def test_resuming_with_another_head_is_named(config, scored):
    scored(10.0)
    train(config("SOLVER.MAX_ITER", 1, "TEST.EVAL_PERIOD", 0))
    own = ("MODEL.ROI_LANDMARK_HEAD.CLASS_CONV_DIMS", (8,))
    cfg = config("SOLVER.MAX_ITER", 2, *own)
    with pytest.raises(UserError, match=r"model_final\.pth: a checkpoint of another model\. "):
        Trainer(cfg).resume_or_load(resume=True)
    Trainer(cfg).resume_or_load(resume=False)  # as a start, what fits is taken


def test_a_finished_training_says_so(config, scored, caplog):
    scored(10.0)
    train(config("SOLVER.MAX_ITER", 1, "TEST.EVAL_PERIOD", 0))
    Trainer(config("SOLVER.MAX_ITER", 1)).resume_or_load(resume=True)
    assert "this training is finished (1 of SOLVER.MAX_ITER 1 iterations)" in caplog.text


def test_patience_without_evaluations_is_refused(config):
    cfg = config("TEST.EVAL_PERIOD", 0, "SOLVER.EARLY_STOPPING.PATIENCE", 2)
    with pytest.raises(UserError, match=r"PATIENCE is 2 evaluations, .* set TEST.EVAL_PERIOD"):
        Trainer(cfg)


def test_averaged_weights_are_evaluated_and_saved_and_training_resumes(config, scored, tmp_path):
    seen = scored(10.0, 20.0, 30.0)
    ema = ("SOLVER.EMA_DECAY", 0.5)
    trainer = train(config("SOLVER.MAX_ITER", 2, *ema))
    raw = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    saved = torch.load(tmp_path / "model_final.pth")
    torch.testing.assert_close(saved["model"], seen[1], rtol=0, atol=0)
    torch.testing.assert_close(best(tmp_path)[2], seen[1], rtol=0, atol=0)
    name = "roi_heads.box_predictor.cls_score.weight"
    assert not torch.equal(raw[name], seen[1][name])

    resumed = Trainer(config("SOLVER.MAX_ITER", 3, *ema))
    resumed.resume_or_load(resume=True)
    torch.testing.assert_close(dict(resumed.model.state_dict()), raw, rtol=0, atol=0)
    momenta = [s["exp_avg"] for s in resumed.optimizer.state_dict()["state"].values()]
    expected = [s["exp_avg"] for s in trainer.optimizer.state_dict()["state"].values()]
    torch.testing.assert_close(momenta, expected, rtol=0, atol=0)
    resumed.train()
    assert torch.load(tmp_path / "model_final.pth")["ema"]["num_updates"] == 3


def test_pictures_are_in_tensorboard_at_each_evaluation(config, tmp_path):
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    train(config("SOLVER.MAX_ITER", 2, "TEST.NUM_PICTURES", 3))
    events = event_accumulator.EventAccumulator(str(tmp_path), size_guidance={"images": 0})
    events.Reload()
    assert sorted(events.Tags()["images"]) == [f"landmarks/{n}" for n in (1, 2, 3)]
    for tag in events.Tags()["images"]:
        images = events.Images(tag)
        assert len({image.step for image in images}) == 2
        assert all(image.width == 800 and image.height > 400 for image in images)
    scalars = set(events.Tags()["scalars"])
    lines = [json.loads(line) for line in (tmp_path / "metrics.json").read_text().splitlines()]
    evaluated = [line for line in lines if "landmarks/AP" in line]
    assert len(evaluated) == 2
    for name in (
        "landmarks/AP",
        *(f"landmarks/AP-{category.official_name}" for category in DEEPFASHION2.categories),
        "errors/detection-duplicate",
        "errors/items-missed",
        "errors/landmark-inversion",
    ):
        assert name in scalars
        assert all(name in line for line in evaluated)
    assert all(0 <= line["errors/items-missed"] <= 100 for line in evaluated)


def test_training_needs_no_tensorboard(config, scored, monkeypatch, tmp_path):
    monkeypatch.setattr(trainer_module, "has_tensorboard", lambda: False)
    scored(10.0)
    train(config("SOLVER.MAX_ITER", 1, "TEST.NUM_PICTURES", 3))
    assert (tmp_path / "metrics.json").is_file()
    assert not list(tmp_path.glob("events.*"))
