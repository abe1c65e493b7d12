"""The newest whole checkpoint is found, whatever a kill, a full disk or a bad copy left behind."""

from __future__ import annotations

import os
import zipfile

import pytest
import torch
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.engine import LandmarkCheckpointer, last_checkpoint, read_checkpoint

OLD, NEW = "model_0000001.pth", "model_0000003.pth"


@pytest.fixture
def folder(tmp_path):
    """Two checkpoints, the newer one tagged, and the best one, which nobody resumes from."""
    checkpointer = LandmarkCheckpointer(nn.Linear(30, 40), str(tmp_path), record={"config": ""})
    checkpointer.start_run(new=True)
    for age, name in ((30, OLD), (20, NEW), (10, "model_best.pth")):
        checkpointer.save(name.removesuffix(".pth"), iteration=1)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    checkpointer.tag_last_checkpoint(NEW)
    return tmp_path


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def flip_a_byte(path):
    """Of a weight: torch itself loads such a file without a word."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
    place = data.index(largest.filename.encode()) + 2000
    data[place] ^= 1
    path.write_bytes(data)
    assert torch.load(path, weights_only=True)["model"]


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


@pytest.mark.parametrize("damage", [truncate, zero, flip_a_byte, empty, remove])
def test_the_one_before_is_taken_if_the_newest_is_not_whole(folder, damage, caplog):
    assert last_checkpoint(folder) == folder / NEW and not caplog.records
    damage(folder / NEW)
    assert last_checkpoint(folder) == folder / OLD
    assert NEW in caplog.text and f"taking {OLD}" in caplog.text


@pytest.mark.parametrize(
    "tag", [b"", b"\xff\xfe\x00", b"model_9999999.pth", b"../model_0000003.pth", b"a\0b", None]
)
def test_a_tag_that_lies_or_is_missing_does_not_hide_the_checkpoints(folder, tag):
    (folder / "last_checkpoint").unlink()
    if tag is not None:
        (folder / "last_checkpoint").write_bytes(tag)
    assert last_checkpoint(folder) == folder / NEW


def test_nothing_whole_is_no_checkpoint(folder):
    for name in (OLD, NEW):
        empty(folder / name)
    assert last_checkpoint(folder) is None
    assert last_checkpoint(folder / "none") is None


def test_a_new_training_does_not_go_on_with_the_old_one(folder, caplog):
    other = LandmarkCheckpointer(nn.Linear(30, 40), str(folder), record={"config": ""})
    other.start_run(new=True)
    assert last_checkpoint(folder) is None and "is of an earlier training" in caplog.text
    other.save("model_0000000", iteration=0)
    assert last_checkpoint(folder) == folder / "model_0000000.pth"


def test_a_whole_zip_that_is_no_checkpoint_is_passed_over(folder, caplog):
    with zipfile.ZipFile(folder / NEW, "w") as archive:
        archive.writestr("notes.txt", "not of torch")
    assert last_checkpoint(folder) == folder / OLD
    assert f"{NEW} is not a checkpoint; taking {OLD}" in caplog.text


def test_a_resumed_training_keeps_its_name(folder):
    resumed = LandmarkCheckpointer(nn.Linear(30, 40), str(folder), record={"config": ""})
    resumed.start_run(new=False)
    assert last_checkpoint(folder) == folder / NEW


def test_a_damaged_file_is_not_evaluated(folder):
    flip_a_byte(folder / NEW)
    with pytest.raises(UserError, match=rf"{NEW}: is damaged \(the checksum of .*take another"):
        read_checkpoint(folder / NEW)


@pytest.mark.parametrize(
    "bias", [torch.tensor([1, torch.nan]), torch.tensor([torch.inf]), torch.eye(3).to_sparse()]
)
def test_weights_that_are_not_finite_numbers_are_refused(folder, bias):
    checkpoint = torch.load(folder / NEW)
    checkpoint["model"]["bias"] = bias
    torch.save(checkpoint, folder / NEW)
    with pytest.raises(UserError, match=r"its weights are not finite numbers \(bias\)"):
        read_checkpoint(folder / NEW)


@pytest.mark.parametrize("content", ["text", 3, [1], {"model": 3}, {"model": {"a": "text"}}, []])
def test_what_is_no_checkpoint_is_one_line(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth: not a checkpoint of Detectron2"):
        read_checkpoint(tmp_path / "other.pth")


def test_a_packed_zip_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 28))
    with pytest.raises(UserError, match=r"is packed, as no file of torch\.save is"):
        read_checkpoint(path)


def test_code_in_a_checkpoint_is_not_run_even_where_torch_is_told_to(tmp_path, monkeypatch):
    class Program:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"model": {}, "more": Program()}, tmp_path / "program.pth")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(UserError, match="more than tensors and plain data"):
        read_checkpoint(tmp_path / "program.pth")
    with pytest.raises(UserError, match="more than tensors and plain data"):
        path = str(tmp_path / "program.pth")
        LandmarkCheckpointer(nn.Linear(1, 1)).load(path, checkpointables=[])
    assert not (tmp_path / "ran").exists()
