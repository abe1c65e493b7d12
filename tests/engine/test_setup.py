"""Configuration: every YAML builds, and what would fail hours later is one line at the start."""

from pathlib import Path

import pytest
import torch
from detectron2.modeling import build_model

from df2_landmarks.common import UserError
from df2_landmarks.engine import setup
from df2_landmarks.engine.processes import resolve_num_gpus
from df2_landmarks.engine.setup import (
    CONFIGS,
    DEFAULT_CONFIG,
    argument_parser,
    setup_config,
    setup_run,
)
from df2_landmarks.engine.trainer import Trainer
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.support import DEMO, registered

HEAD = "MODEL.ROI_LANDMARK_HEAD."
ALL_CONFIGS = sorted(CONFIGS.glob("*.yaml"))


def test_the_promised_configs_are_there():
    names = {path.stem for path in ALL_CONFIGS}
    assert names == {
        "Base",
        "df2_landmark_rcnn_R_50_FPN_1x",
        "df2_landmark_rcnn_R_50_FPN_3x",
        "df2_landmark_rcnn_R_50_FPN_cascade",
        "df2_landmark_rcnn_R_50_FPN_gn",
        "df2_landmark_rcnn_R_50_FPN_lsj",
        "df2_landmark_rcnn_R_101_FPN_3x",
        "df2_landmark_rcnn_R_18_FPN_demo",
        "df2_landmark_rcnn_lite0_FPN_demo",
        "df2_landmark_rcnn_lite0_FPN_512",
    }
    assert DEFAULT_CONFIG in ALL_CONFIGS


@pytest.mark.parametrize("path", ALL_CONFIGS, ids=lambda path: path.stem)
def test_every_config_builds_a_model_with_13_heads(path):
    cfg = setup_config(path, on_cpu=True)
    model = build_model(cfg)
    assert model.roi_heads.num_classes == DEEPFASHION2.num_categories
    assert len(model.roi_heads.keypoint_head.branches) == DEEPFASHION2.num_categories
    assert model.roi_heads.mask_on


@pytest.mark.parametrize("path", ALL_CONFIGS, ids=lambda path: path.stem)
def test_no_yaml_repeats_a_number_of_the_taxonomy(path):
    text = path.read_text()
    assert "NUM_CLASSES" not in text
    assert "NUM_KEYPOINTS" not in text


def test_learning_rate_and_batch_follow_the_number_of_gpus():
    cfg = setup_config(on_cpu=True)
    for num_gpus, batch, rate in ((8, 16, 0.02), (1, 2, 0.0025), (4, 8, 0.01)):
        scaled = Trainer.auto_scale_workers(cfg, num_gpus)
        assert batch == scaled.SOLVER.IMS_PER_BATCH
        assert pytest.approx(rate) == scaled.SOLVER.BASE_LR
        assert round(90000 * 8 / num_gpus) == scaled.SOLVER.MAX_ITER


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (
            ["MODEL.WEIGTHS", "x"],
            r"command line: unknown config key .*Did you mean MODEL.WEIGHTS\?",
        ),
        (["SOLVER.FOO", "1"], r"unknown config key SOLVER.FOO\. config.py and Detectron2's docs"),
        (["SOLVER.MAX_ITER", "many"], r"command line: .*SOLVER.MAX_ITER"),
        (["SOLVER.MAX_ITER"], "KEY VALUE pairs"),
    ],
)
def test_wrong_options_are_named(opts, message):
    with pytest.raises(UserError, match=message):
        setup_config(opts=opts)


def test_unknown_key_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("MODEL:\n  ROI_LANDMARK_HEAD:\n    CLASS_CONVS: [64]\n")
    with pytest.raises(UserError, match=r"mine\.yaml: unknown config key MODEL"):
        setup_config(path)


def test_a_config_file_cannot_run_code(tmp_path):
    path = tmp_path / "evil.yaml"
    path.write_text(f'OUTPUT_DIR: !!python/object/apply:os.mkdir ["{tmp_path / "made"}"]\n')
    with pytest.raises(UserError, match=r"evil\.yaml"):
        setup_config(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be sections of keys and values"),
        ("- 1\n- 2\n", "must be sections of keys and values"),
        ("MODEL: 3\n", "must be sections of keys and values"),
        ("_BASE_: mine.yaml\n", r"_BASE_ .*mine\.yaml is based on itself"),
        (
            "_BASE_: http://localhost/a.yaml\n",
            "_BASE_ must be a file of this machine, but got http",
        ),
        ("_BASE_: Base.yaml\n", r".*No such file .*Base\.yaml"),
        ("MODEL:\n\tMASK_ON: True\n", "must be YAML, but: .*found character .* line 2, column 1"),
    ],
    ids=["empty", "list", "number", "its own base", "base of the network", "base elsewhere", "tab"],
)
def test_a_file_that_is_no_configuration_is_named(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"mine\.yaml: {message}") as caught:
        setup_config(path)
    assert "\n" not in str(caught.value)


def test_missing_config_file_says_where_configs_are():
    with pytest.raises(UserError, match="the project's are in"):
        setup_config("nowhere.yaml")


def test_more_gpus_than_there_are_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_num_gpus(2) == 2
    assert resolve_num_gpus(None) == 1
    with pytest.raises(UserError, match="--num-gpus 8: this machine has 2 GPUs"):
        resolve_num_gpus(8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert resolve_num_gpus(None) == 0
    with pytest.raises(UserError, match=r"has 0.*0 trains on the CPU"):
        resolve_num_gpus(1)


def test_a_driver_that_is_too_old_is_named(monkeypatch):
    def init():
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr("df2_landmarks.engine.processes.DRIVER", Path(__file__))
    with pytest.raises(
        UserError, match=r"0 GPUs that torch \S+ can use \(The NVIDIA driver on your"
    ):
        resolve_num_gpus(1)
    with pytest.raises(UserError, match="PYTHON=PATH"):
        resolve_num_gpus(1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (f"{HEAD}TARGET_WIDTH", "-0.25"),
        (f"{HEAD}TARGET_WIDTH", "1e999"),
        (f"{HEAD}CONFIDENCE_POWER", "-2.0"),
        (f"{HEAD}CONFIDENCE_POWER", "None"),
        (f"{HEAD}BOX_SCALE", "0.9"),
        (f"{HEAD}BOX_SCALE", "None"),
        (f"{HEAD}CLASS_CONV_DIMS", "[0]"),
        (f"{HEAD}CLASS_CONV_DIMS", "[1.5]"),
        (f"{HEAD}CLASS_CONV_DIMS", "None"),
        ("SOLVER.EARLY_STOPPING.PATIENCE", "-1"),
        ("TEST.NUM_PICTURES", "-4"),
        ("MODEL.ROI_HEADS.NUM_CLASSES", "5"),
    ],
)
def test_a_value_out_of_range_is_named(key, value):
    with pytest.raises(UserError, match=f"{key} must be .* but got"):
        setup_config(opts=[key, value])


@pytest.mark.parametrize("norm", ["XY", "GN"])  # GN has 32 groups
def test_a_normalization_that_does_not_fit_is_named(norm):
    opts = [f"{HEAD}NORM", norm, "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "[16]"]
    with pytest.raises(UserError, match=rf"HEAD\.NORM must be .* 16 channels .* got '{norm}'"):
        Trainer.build_model(setup_config(DEMO, opts, on_cpu=True))


@pytest.fixture
def start(monkeypatch, tiny_datasets, tmp_path):
    """`start(*opts)` sets a run up until Detectron2's own part begins; data sets `late_*`."""

    def started(cfg, args):
        raise SystemExit("started")

    monkeypatch.setattr(setup, "default_setup", started)
    missing = tmp_path / "none.json"

    def run(*opts, flags=()):
        here = ("DATASETS.TRAIN", "('late_missing',)", "DATASETS.TEST", "('late_validation',)")
        config = ("--num-gpus", "0", "--config-file", str(DEMO))
        output = ("OUTPUT_DIR", str(tmp_path / "output"))
        arguments = [*config, *flags, *here, *output, *opts]
        with setup_run(argument_parser().parse_args(arguments)):
            pass

    with (
        registered(tiny_datasets, "validation", name="late_validation"),
        registered(tiny_datasets, "validation", name="late_missing", json_file=missing),
    ):
        yield run


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (
            ["DATASETS.TEST", "('late_valdation',)"],
            r"DATASETS\.TEST: .* 'late_valdation'\. Did you mean late_validation\?",
        ),
        (["DATASETS.TRAIN", "('other',)"], r"DATASETS\.TRAIN: there is no data set 'other'"),
        (["MODEL.KEYPOINT_ON", "False"], r"MODEL\.KEYPOINT_ON must be True"),
        (
            ["TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "()"],
            r"at least one size in TEST\.AUG\.MIN_SIZES",
        ),
    ],
)
def test_what_the_evaluation_would_stumble_over_is_named_at_the_start(start, opts, message):
    with pytest.raises(UserError, match=message):
        start(*opts)


def test_a_missing_annotation_file_is_named_at_the_start(start):
    with pytest.raises(UserError, match=r"late_missing: .*none\.json does not exist"):
        start("DATASETS.TEST", "('late_missing',)")


def test_what_is_fine_starts(start):
    for opts in ([], ["DATASETS.TEST", "()", "MODEL.KEYPOINT_ON", "False"]):
        with pytest.raises(SystemExit, match="started"):
            start(*opts)
    with pytest.raises(SystemExit, match="started"):  # an evaluation needs no training set
        start("DATASETS.TRAIN", "('other',)", flags=["--eval-only"])
    with pytest.raises(SystemExit, match="started"):  # and names the missing file itself
        start("DATASETS.TEST", "('late_missing',)", flags=["--eval-only"])


def test_a_run_tries_its_output_folder_first(start, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"^OUTPUT_DIR .*file/out: the folder cannot be made"):
        start(
            "OUTPUT_DIR",
            str(tmp_path / "file" / "out"),
            "DATASETS.TEST",
            "()",
            flags=["--eval-only"],
        )


def test_a_training_without_a_data_set_is_named():
    with pytest.raises(UserError, match=r"DATASETS\.TRAIN \(\): no image has a garment"):
        Trainer.build_train_loader(setup_config(DEMO, ["DATASETS.TRAIN", "()"], on_cpu=True))


def test_a_bug_while_a_configuration_is_read_keeps_its_traceback(monkeypatch):
    def bug(cfg):
        _, _ = [1]

    monkeypatch.setattr(setup, "check_values", bug)
    with pytest.raises(ValueError, match="not enough values to unpack") as caught:
        setup_config()
    assert type(caught.value) is ValueError
