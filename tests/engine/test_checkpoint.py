"""Which weights are evaluated, and what is said about files that cannot be loaded."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from df2_landmarks.engine.checkpoint import (
    LandmarkCheckpointer,
    evaluation_weights,
    load_for_evaluation,
)
from df2_landmarks.engine.setup import setup_config


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def config(output):
    return setup_config(opts=["OUTPUT_DIR", str(output)], on_cpu=True)


def test_evaluation_takes_the_last_checkpoint_of_the_output_folder(tmp_path):
    (tmp_path / "last_checkpoint").write_text("model_0000999.pth")
    assert evaluation_weights(config(tmp_path), []) == str(tmp_path / "model_0000999.pth")


def test_weights_of_the_command_line_come_first(tmp_path):
    (tmp_path / "last_checkpoint").write_text("model_0000999.pth")
    opts = ["OUTPUT_DIR", str(tmp_path), "MODEL.WEIGHTS", "mine.pth"]
    assert evaluation_weights(setup_config(opts=opts, on_cpu=True), opts) == "mine.pth"


def test_without_weights_both_remedies_are_named(tmp_path):
    """The config's ImageNet weights are never evaluated in silence."""
    with pytest.raises(FileNotFoundError, match=r"Train first .*MODEL\.WEIGHTS"):
        evaluation_weights(config(tmp_path), [])


def test_complete_weights_load(tmp_path, model):
    path = tmp_path / "model.pth"
    torch.save({"model": {k: v + 1 for k, v in model.state_dict().items()}}, path)
    before = model[0].weight.clone()
    load_for_evaluation(model, str(path))
    torch.testing.assert_close(model[0].weight, before + 1)


def test_checkpoint_of_another_model_is_refused(tmp_path, model):
    path = tmp_path / "other.pth"
    torch.save({"model": nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5)).state_dict()}, path)
    with pytest.raises(ValueError, match=r"other\.pth: a checkpoint of another model\. 2 of .* 4"):
        load_for_evaluation(model, str(path))
    LandmarkCheckpointer(model).load(str(path), checkpointables=[])  # a start for training
    torch.save({"model": nn.Conv2d(1, 1, 1).state_dict()}, path)
    with pytest.raises(ValueError, match="another model"):
        LandmarkCheckpointer(model).load(str(path), checkpointables=[])


@pytest.mark.parametrize("path", ["", None])
def test_an_untrained_model_is_never_evaluated(model, path):
    with pytest.raises(ValueError, match=r"MODEL\.WEIGHTS is empty: give a trained model"):
        load_for_evaluation(model, path)


def test_missing_and_unreadable_files(tmp_path, model):
    with pytest.raises(FileNotFoundError, match=r"none\.pth does not exist"):
        load_for_evaluation(model, str(tmp_path / "none.pth"))
    for name in ("broken.pth", "broken.pkl"):
        path = tmp_path / name
        path.write_bytes(b"not a checkpoint")
        with pytest.raises(ValueError, match="not a readable checkpoint") as caught:
            load_for_evaluation(model, str(path))
        assert "weights_only" not in str(caught.value)  # nobody is told to load it as code


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["evil.pth", "evil.pkl"])
def test_a_checkpoint_cannot_run_code(tmp_path, model, name):
    path = tmp_path / name
    content = {"model": {"weight": Evil(tmp_path / "made")}, "__author__": "x"}
    if name.endswith("pth"):
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        load_for_evaluation(model, str(path))
    assert not (tmp_path / "made").exists()


def test_model_zoo_pickles_of_arrays_load(tmp_path, model):
    path = tmp_path / "zoo.pkl"
    arrays = {k: v.numpy() + np.float32(2) for k, v in model.state_dict().items()}
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "tests"}))
    before = model[1].bias.clone()
    load_for_evaluation(model, str(path))
    torch.testing.assert_close(model[1].bias, before + 2)


def test_without_a_network_the_remedies_are_named(model, monkeypatch):
    from detectron2.utils.file_io import PathManager

    def unreachable(path):
        raise OSError("no route to host")

    monkeypatch.setattr(PathManager, "get_local_path", unreachable)
    with pytest.raises(ValueError, match=r"cannot fetch .*R-50.*from scratch .*give its path"):
        LandmarkCheckpointer(model).load("detectron2://ImageNetPretrained/MSRA/R-50.pkl")
