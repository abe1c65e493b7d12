"""A model is one file: it needs no configuration beside it, and says what is wrong with it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil

import numpy as np
import pytest
import torch

from df2_landmarks import Predictor
from df2_landmarks.common import UserError
from df2_landmarks.engine import recorded_config
from df2_landmarks.engine.timed_training import train_within
from df2_landmarks.formats import RECORD_KEY, check_record
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.predict.conftest import NUM_DETECTIONS
from tests.support import DEMO, TINY, registered, tiny_config

RGB = np.zeros((40, 50, 3), np.uint8)

UNREADABLE = r"model\.pth: (not a readable checkpoint|is damaged or cut off)"


def load(file, **options):
    return Predictor.load(file, **{"device": "cpu", "min_score": 0.0, **options})


@pytest.fixture
def changed_file(model_file, tmp_path):
    """`changed_file(change)`: the model's file with `change(content)` applied."""

    def make(change):
        content = torch.load(model_file, weights_only=True)
        change(content)
        torch.save(content, tmp_path / "changed.pth")
        return tmp_path / "changed.pth"

    return make


@pytest.fixture(scope="module")
def trained(tiny_datasets, tmp_path_factory):
    """Output folder of a training of one iteration, by the code of the demo."""
    output = tmp_path_factory.mktemp("trained")
    with registered(tiny_datasets, "train", name="one_file") as name:
        options = ["DATASETS.TRAIN", f"('{name}',)", "DATASETS.TEST", "()"]
        cfg = tiny_config(*options, "SOLVER.MAX_ITER", 1, "OUTPUT_DIR", output)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            train_within(cfg, minutes=5)
    return output, cfg


def test_what_a_training_saves_needs_no_configuration(trained):
    """Neither the output folder beside the file, nor the data set's registration."""
    output, cfg = trained
    predictor = load(output / "model_final.pth")
    recorded = predictor.model.cfg
    for section in ("MODEL", "INPUT", "TEST", "SOLVER"):
        assert json.dumps(recorded[section]) == json.dumps(cfg[section])
    assert predictor(RGB, channels="RGB").width == 50


def test_a_training_writes_its_configuration(trained):
    output, cfg = trained
    assert (output / "config.yaml").read_text() == cfg.dump()
    file = load(output / "model_final.pth", config=output / "config.yaml")
    assert file.fingerprint == load(output / "model_final.pth").fingerprint


def test_a_training_records_itself(trained):
    content = torch.load(trained[0] / "model_final.pth", weights_only=True)
    check_record(content[RECORD_KEY], "model_final.pth", DEEPFASHION2)
    assert content[RECORD_KEY]["config"] == trained[1].dump()


def test_an_output_folder_is_its_last_checkpoint(model_file, predictor):
    for folder in (model_file.parent, str(model_file.parent)):
        assert load(folder).fingerprint == predictor.fingerprint


def test_a_folder_without_a_checkpoint_says_so(tmp_path):
    with pytest.raises(UserError, match=r"holds no checkpoint .*Train a model.*path of a \.pth"):
        load(tmp_path)
    (tmp_path / "last_checkpoint").write_text("model_0000999.pth")
    with pytest.raises(UserError, match=r"holds no checkpoint"):
        load(tmp_path)


def test_a_missing_file_says_so(tmp_path):
    for name in ("none.pth", "no/such/folder/model.pth"):
        with pytest.raises(UserError, match=rf"{name}: there is no such file"):
            load(tmp_path / name)


def test_a_moved_file_works(model_file, predictor, tmp_path):
    shutil.copy(model_file, tmp_path / "my model.pth")
    assert load(tmp_path / "my model.pth").fingerprint == predictor.fingerprint


def test_an_older_file_asks_for_its_configuration(plain_file, predictor, tmp_path):
    with pytest.raises(UserError, match=r"plain\.pth: does not contain its config.*: config="):
        load(plain_file)
    config = tmp_path / "mine.yaml"
    config.write_text(predictor.model.cfg.dump())
    assert load(plain_file, config=config).fingerprint == predictor.fingerprint


def test_a_config_of_the_package_is_given_by_its_name(plain_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    predictor = load(plain_file, config=DEMO.name, opts=TINY)
    assert predictor.model.cfg.MODEL.RESNETS.DEPTH == 18


def test_the_fingerprint_is_the_same_with_a_configuration_in_or_beside_the_file(
    plain_file, predictor
):
    opts = [*TINY, "TEST.DETECTIONS_PER_IMAGE", str(NUM_DETECTIONS)]
    assert load(plain_file, config=DEMO.name, opts=opts).fingerprint == predictor.fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"config": "nowhere.yaml"}, r"config file nowhere\.yaml does not exist"),
        ({"config": DEMO.name}, "a checkpoint of another model"),
        ({"opts": ["INPUT.MIN_SISE_TEST", "9"]}, "Did you mean INPUT.MIN_SIZE_TEST"),
        ({"opts": ["INPUT.MIN_SIZE_TEST"]}, "command line: "),
        ({"opts": ["MODEL.KEYPOINT_ON", "False"]}, "a model without landmarks"),
        ({"opts": ["MODEL.ROI_HEADS.NUM_CLASSES", "5"]}, "NUM_CLASSES must be 13"),
    ],
)
def test_wrong_options_are_named(model_file, options, message):
    with pytest.raises(UserError, match=message):
        load(model_file, **options)


def test_options_override_the_recorded_configuration(model_file):
    predictor = load(model_file, opts=["INPUT.MIN_SIZE_TEST", "64"])
    assert predictor.model.cfg.INPUT.MIN_SIZE_TEST == 64
    assert predictor.prepare(RGB, channels="RGB").data.shape == (3, 64, 80)


def test_another_table_of_categories_is_refused(changed_file):
    def rename(content):
        content[RECORD_KEY]["categories"][0]["name"] = "hat"

    file = changed_file(rename)
    for options in ({}, {"config": DEMO.name, "opts": TINY}):
        with pytest.raises(
            UserError, match=r"another taxonomy \(name of category 1 \(hat\): 'hat' in the file"
        ):
            load(file, **options)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (None, "is damaged; train or export it again"),
        ({}, "is damaged; train or export it again"),
        ("config", "MODEL: [1, 2]\n"),
        ("config", "- 1\n- 2\n"),
        ("config", "a: [\n"),
        ("config", ""),
        ("config", 'OUTPUT_DIR: !!python/object/apply:os.mkdir ["made"]\n'),
        ("config", "MODEL:\n  ROI_HEADS:\n    NUM_CLASSES: many\n"),
        ("config", "MODEL:\n  ROI_HEADS: 3\n"),
        ("config", "MODEL:\n  WEIGHTS:\n    A: 3\n"),
    ],
)
def test_a_damaged_record_is_refused(changed_file, record, message, tmp_path, monkeypatch):
    def damage(content):
        if record == "config":
            content[RECORD_KEY]["config"] = message
        else:
            content[RECORD_KEY] = record

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"changed\.pth: ") as caught:
        load(changed_file(damage))
    assert "\n" not in str(caught.value)
    assert record == "config" or message in str(caught.value)
    assert not (tmp_path / "made").exists()


def test_keys_of_another_detectron2_are_left_out(predictor, caplog):
    text = predictor.model.cfg.dump() + "NEW_SECTION:\n  KEY: 1\n"
    text = text.replace("MODEL:\n", "MODEL:\n  NEW_KEY: 1\n", 1)
    cfg = recorded_config(text, "model.pth", on_cpu=True)
    assert cfg.dump() == predictor.model.cfg.dump()
    assert "model.pth: this Detectron2 does not know" in caplog.text
    assert "MODEL.NEW_KEY" in caplog.text and "NEW_SECTION" in caplog.text


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("place", ["model", RECORD_KEY, "elsewhere"])
def test_a_file_with_code_in_it_is_refused(changed_file, tmp_path, place):
    def add_code(content):
        content[place] = {"weight": Evil(tmp_path / "made")}

    with pytest.raises(UserError, match=r"changed\.pth: not a readable checkpoint \(it is not a"):
        load(changed_file(add_code))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"\0", b"not a model", b"PK\x03\x04" + bytes(100)])
def test_what_is_not_a_model_is_one_line(tmp_path, content):
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=UNREADABLE) as caught:
        load(path)
    assert "\n" not in str(caught.value) and "weights_only" not in str(caught.value)


def test_a_truncated_model_is_refused(model_file, tmp_path):
    whole = model_file.read_bytes()
    path = tmp_path / "model.pth"
    for share in (0.1, 0.5, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UserError, match=UNREADABLE):
            load(path)


@pytest.mark.parametrize("content", [[1], {"weights": 1}, {"model": [1]}, {"model": {"a": 1}}])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(UserError, match=r"model\.pth: not a checkpoint of Detectron2"):
        load(tmp_path / "model.pth")


def test_weights_of_another_model_are_refused(changed_file):
    def remove(content):
        for name in [name for name in content["model"] if "mask_head" in name]:
            del content["model"][name]

    with pytest.raises(UserError, match="a checkpoint of another model"):
        load(changed_file(remove))
