"""A place that nothing can be written to is named before the work."""

import argparse
import os

import pytest
import torch
from df2_landmarks.engine.checkpoint_conversion import convert_checkpoint
from df2_landmarks.engine.output_folder import make_output_folder

from df2_landmarks.engine.setup import DEFAULT_CONFIG, setup_run


def test_a_folder_is_made_and_may_be_there(tmp_path):
    for _ in range(2):
        make_output_folder(tmp_path / "a" / "b", "OUTPUT_DIR")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_in_the_way_is_named(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=rf"^OUTPUT_DIR {tmp_path / name}: no folder can be made"):
        make_output_folder(tmp_path / name, "OUTPUT_DIR")


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(ValueError, match=r"--output .* may not be written to"):
        make_output_folder(tmp_path, "--output")


def test_a_run_tries_its_output_folder_first(tmp_path):
    (tmp_path / "file").touch()
    args = argparse.Namespace(
        config_file=str(DEFAULT_CONFIG),
        opts=["OUTPUT_DIR", str(tmp_path / "file" / "out"), "DATASETS.TEST", "()"],
        num_gpus=0,
        dry_run=False,
        eval_only=False,
        ground_truth_boxes=False,
    )
    with pytest.raises(ValueError, match=r"^OUTPUT_DIR .*file/out: no folder can be made"):
        setup_run(args)


def test_a_conversion_tries_its_target_first(tmp_path):
    torch.save({"model": {}}, tmp_path / "in.pth")
    for target, message in (("in.pth/out.pth", "no folder can be made"), (".", "is a folder")):
        with pytest.raises(ValueError, match=message):
            convert_checkpoint(tmp_path / "in.pth", tmp_path / target, to="single")
