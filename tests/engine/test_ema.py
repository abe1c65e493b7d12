"""Averaged weights: the arithmetic, the checkpoint, and that training never sees the average."""

import copy

import pytest
import torch
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.engine.checkpoint import LandmarkCheckpointer, load_for_evaluation
from df2_landmarks.engine.training.averaging import AverageWeights, WeightAverage


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def weights(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def change(model, by):
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor += torch.tensor(by).to(tensor)


def assert_equal(first, second):
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_the_decay_warms_up_to_the_one_of_the_config():
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, decay=0.3)
    nn.init.zeros_(model.weight)
    average.start()
    expected = 0.0
    for step, decay in enumerate((1 / 10, 2 / 11, 3 / 12, 0.3, 0.3)):
        nn.init.constant_(model.weight, step + 1.0)
        average.update()
        expected = decay * expected + (1 - decay) * (step + 1)
    assert average.model.weight.item() == pytest.approx(expected)
    assert average.num_updates == 5


def test_parameters_and_floating_buffers_are_averaged_and_the_raw_model_stays(model):
    average = WeightAverage(model, decay=0.9)
    start = weights(model)
    change(model, by=1)
    raw = weights(model)
    average.update()
    assert_equal(weights(model), raw)
    averaged = weights(average.model)
    for name in ("0.weight", "0.bias", "1.weight", "1.running_mean", "1.running_var"):
        torch.testing.assert_close(averaged[name], start[name] + 0.9)  # 1 - decay of the first step
    assert averaged["1.num_batches_tracked"] == raw["1.num_batches_tracked"]  # a counter: copied


def test_the_memory_format_of_the_model_is_kept():
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    average = WeightAverage(model, decay=0.9)
    average.update()
    assert average.model.weight.is_contiguous(memory_format=torch.channels_last)


def test_training_starts_from_the_loaded_weights(model):
    """Not from those of the time when the average was made."""
    hook = AverageWeights(average := WeightAverage(model, decay=0.9))
    change(model, by=5)
    hook.before_train()
    assert_equal(weights(average.model), weights(model))


def checkpointer(model, folder, average):
    return LandmarkCheckpointer(model, str(folder), average=average)


def test_a_checkpoint_resumes_exactly(model, tmp_path):
    average = WeightAverage(model, decay=0.9)
    for step in range(3):
        change(model, by=step)
        average.update()
    checkpointer(model, tmp_path, average).save("model_final")

    resumed = copy.deepcopy(model)
    change(resumed, by=7)
    other = WeightAverage(resumed, decay=0.9)
    checkpointer(resumed, tmp_path, other).resume_or_load("", resume=True)
    AverageWeights(other).before_train()  # must not start anew
    assert other.num_updates == 3
    for continued in (model, resumed):
        change(continued, by=0.25)
    average.update()
    other.update()
    assert_equal(weights(resumed), weights(model))
    assert_equal(weights(other.model), weights(average.model))


def test_everybody_who_loads_a_checkpoint_gets_the_average(model, tmp_path):
    average = WeightAverage(model, decay=0.9)
    change(model, by=1)
    average.update()
    raw = weights(model)
    saver = checkpointer(model, tmp_path, average)
    saver.save("model_final")
    saver.save_weights("model_best", landmark_ap=1.0)
    assert_equal(weights(model), raw)
    expected = weights(average.model)
    for name in ("model_final.pth", "model_best.pth"):
        fresh = copy.deepcopy(model)
        change(fresh, by=3)
        load_for_evaluation(fresh, str(tmp_path / name))
        assert_equal(weights(fresh), expected)


def test_the_best_weights_are_not_what_resume_takes(model, tmp_path):
    saver = checkpointer(model, tmp_path, None)
    saver.save("model_0000001")
    saver.save_weights("model_best", landmark_ap=1.0)
    assert (tmp_path / "last_checkpoint").read_text() == "model_0000001.pth"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"last_checkpoint", "model_0000001.pth", "model_best.pth"}


@pytest.mark.parametrize("decay", [1.0, -0.5, 2.0])
def test_a_decay_out_of_range_is_refused(model, decay):
    with pytest.raises(UserError, match=r"SOLVER.EMA_DECAY must be 0 .* or between 0 and 1"):
        WeightAverage(model, decay)


def test_a_warning_is_logged_where_a_training_continues_without_the_average(
    tmp_path, model, caplog
):
    trained = LandmarkCheckpointer(model, str(tmp_path), average=WeightAverage(model, decay=0.9))
    trained.save("averaged")
    path = str(trained.path_of("averaged"))
    LandmarkCheckpointer(model).load(path, checkpointables=[])  # where a training starts from
    load_for_evaluation(model, path)
    assert "EMA_DECAY" not in caplog.text
    LandmarkCheckpointer(model).load(path)
    assert "EMA_DECAY, which is off now" in caplog.text
