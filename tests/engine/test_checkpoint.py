"""Which weights are evaluated, and what is said about files that cannot be loaded."""

import errno
import io
import logging
import os
import pickle
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.engine import checkpoint
from df2_landmarks.engine.checkpoint import (
    LandmarkCheckpointer,
    convert_checkpoint,
    evaluation_weights,
    load_for_evaluation,
)
from df2_landmarks.engine.setup import setup_config
from df2_landmarks.engine.trainer import without_traceback


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def config(output):
    return setup_config(opts=["OUTPUT_DIR", str(output)], on_cpu=True)


def test_evaluation_takes_the_last_checkpoint_of_the_output_folder(tmp_path, model):
    (tmp_path / "last_checkpoint").write_text("model_0000999.pth")
    torch.save({"model": model.state_dict()}, tmp_path / "model_0000999.pth")
    assert evaluation_weights(config(tmp_path), []) == str(tmp_path / "model_0000999.pth")


def test_weights_of_the_command_line_come_first(tmp_path):
    (tmp_path / "last_checkpoint").write_text("model_0000999.pth")
    opts = ["OUTPUT_DIR", str(tmp_path), "MODEL.WEIGHTS", "mine.pth"]
    assert evaluation_weights(setup_config(opts=opts, on_cpu=True), opts) == "mine.pth"


def test_without_weights_both_remedies_are_named(tmp_path):
    """The config's ImageNet weights are never evaluated in silence."""
    with pytest.raises(UserError, match=r"Train first .*MODEL\.WEIGHTS"):
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
    with pytest.raises(UserError, match=r"other\.pth: a checkpoint of another model\. 2 of .* 4"):
        load_for_evaluation(model, str(path))
    LandmarkCheckpointer(model).load(str(path), checkpointables=[])  # a start for training
    torch.save({"model": nn.Conv2d(1, 1, 1).state_dict()}, path)
    with pytest.raises(UserError, match="another model"):
        LandmarkCheckpointer(model).load(str(path), checkpointables=[])


@pytest.mark.parametrize("path", ["", None])
def test_an_untrained_model_is_never_evaluated(model, path):
    with pytest.raises(UserError, match=r"MODEL\.WEIGHTS is empty: give a trained model"):
        load_for_evaluation(model, path)


def test_missing_and_unreadable_files(tmp_path, model):
    with pytest.raises(UserError, match=r"none\.pth does not exist"):
        load_for_evaluation(model, str(tmp_path / "none.pth"))
    for name in ("broken.pth", "broken.pkl"):
        path = tmp_path / name
        path.write_bytes(b"not a checkpoint")
        with pytest.raises(UserError, match="not a readable checkpoint") as caught:
            load_for_evaluation(model, str(path))
        assert "weights_only" not in str(caught.value)  # nobody is told to load it as code


def zoo_bytes(model):
    arrays = {k: v.numpy() for k, v in model.state_dict().items()}
    return pickle.dumps({"model": arrays, "__author__": "tests"})


def test_a_damaged_file_is_named_whatever_its_bytes(tmp_path, model):
    torch.save({"model": model.state_dict()}, tmp_path / "whole.pth")
    rng = np.random.default_rng(0)
    for name, whole in (
        ("damaged.pth", (tmp_path / "whole.pth").read_bytes()),
        ("damaged.pkl", zoo_bytes(model)),
    ):
        path = tmp_path / name
        for cut in rng.integers(0, len(whole), 20).tolist():
            path.write_bytes(whole[:cut])
            with pytest.raises(UserError, match=name):
                load_for_evaluation(model, str(path))
        for _ in range(40):
            damaged = bytearray(whole)
            for place in rng.integers(0, len(whole), 20).tolist():
                damaged[place] = int(rng.integers(256))
            path.write_bytes(damaged)
            try:  # a pickle has no checksum: the damage may have met the numbers only
                load_for_evaluation(model, str(path))
                assert path.suffix == ".pkl" or damaged == whole
            except UserError as error:
                assert name in str(error)


@pytest.mark.parametrize("content", [[1, 2], {"model": {"weight": 3}}, {"optimizer": {"lr": 1}}])
@pytest.mark.parametrize("name", ["other.pth", "other.pkl"])
def test_a_file_of_something_else_is_named(tmp_path, model, name, content):
    path = tmp_path / name
    if name.endswith("pth"):
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match=rf"{name}: not a checkpoint of Detectron2"):
        load_for_evaluation(model, str(path))
    if name.endswith("pth"):
        with pytest.raises(UserError, match=rf"{name}: not a checkpoint of Detectron2"):
            convert_checkpoint(path, tmp_path / "out.pth", to="single")
        assert not (tmp_path / "out.pth").exists()


def test_a_bug_while_a_checkpoint_is_loaded_keeps_its_traceback(tmp_path, model, monkeypatch):
    """Only the reading of the file's bytes may turn errors into the user's."""
    torch.save({"model": model.state_dict()}, tmp_path / "whole.pth")

    def bug(state_dict, taxonomy):
        _, _ = [1]

    monkeypatch.setattr(checkpoint, "has_category_predictors", bug)
    with pytest.raises(ValueError, match="not enough values to unpack") as caught:
        load_for_evaluation(model, str(tmp_path / "whole.pth"))
    assert type(caught.value) is ValueError


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_without_room_the_last_checkpoint_stays(tmp_path, model, monkeypatch):
    saver = LandmarkCheckpointer(model, str(tmp_path))
    saver.save("model_0000001")

    def fill(content, file):
        os.dup2(os.open("/dev/full", os.O_WRONLY), file.fileno())
        torch_save(content, file)

    torch_save = torch.save
    monkeypatch.setattr(torch, "save", fill)
    for name in ("model_0000001", "model_0000002"):
        with pytest.raises(UserError, match=f"{name}.pth: cannot be written: No space") as caught:
            saver.save(name)
        assert caught.value.exit_code == 2
    monkeypatch.undo()
    assert {p.name for p in tmp_path.iterdir()} == {"model_0000001.pth", "last_checkpoint"}
    assert (tmp_path / "last_checkpoint").read_text() == "model_0000001.pth"
    load_for_evaluation(model, str(tmp_path / "model_0000001.pth"))


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
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_for_evaluation(model, str(path))
    assert not (tmp_path / "made").exists()


def test_model_zoo_pickles_of_arrays_load(tmp_path, model):
    path = tmp_path / "zoo.pkl"
    path.write_bytes(zoo_bytes(model))
    before = model[1].bias.clone()
    torch.nn.init.zeros_(model[1].bias)
    load_for_evaluation(model, str(path))
    assert torch.equal(model[1].bias, before)


def test_without_a_network_the_remedies_are_named(model, monkeypatch):
    from detectron2.utils.file_io import PathManager

    def unreachable(path):
        raise OSError("no route to host")

    monkeypatch.setattr(PathManager, "get_local_path", unreachable)
    with pytest.raises(UserError, match=r"cannot fetch .*R-50.*from scratch .*give its path"):
        LandmarkCheckpointer(model).load("detectron2://ImageNetPretrained/MSRA/R-50.pkl")


def test_a_conversion_tries_its_target_first(tmp_path):
    torch.save({"model": {}}, tmp_path / "in.pth")
    for target, message in (("in.pth/out.pth", "cannot be written"), (".", "is a folder")):
        with pytest.raises(UserError, match=message):
            convert_checkpoint(tmp_path / "in.pth", tmp_path / target, to="single")


class FullDisk(io.BytesIO):
    def write(self, data):
        if self.tell() > 1000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_full_disk_is_named_by_what_the_system_says(tmp_path, monkeypatch):
    """Not by torch's `unexpected pos`."""
    monkeypatch.setattr(checkpoint, "atomic_write", lambda path: nullcontext(FullDisk()))
    checkpointer = LandmarkCheckpointer(nn.Linear(30, 40), str(tmp_path))
    with pytest.raises(OSError, match="No space left on device"):
        checkpointer.save("model_final")


def test_a_user_s_error_in_a_training_is_one_line_of_the_log():
    for error in (UserError("a.jpg: is missing"), ValueError("a bug")):
        record = logging.LogRecord("d2", 40, "", 0, "Exception:", (), (type(error), error, None))
        assert without_traceback(record)
        lines = logging.Formatter().format(record)
        assert lines.startswith("Exception: a.jpg: is missing" if record.exc_info is None else "E")
        assert (record.exc_info is None) == isinstance(error, UserError)
