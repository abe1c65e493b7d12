"""What would fail hours later, or do something else in silence, is an error at the start."""

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from df2_landmarks.data import register_landmark_dataset
from df2_landmarks.engine import setup
from df2_landmarks.engine.setup import CONFIGS, argument_parser, setup_config, setup_run
from df2_landmarks.engine.trainer import Trainer

DEMO = CONFIGS / "df2_landmark_rcnn_R_18_FPN_demo.yaml"
HEAD = "MODEL.ROI_LANDMARK_HEAD."


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (f"{HEAD}TARGET_WIDTH", "-0.25"),
        (f"{HEAD}TARGET_WIDTH", "1e999"),
        (f"{HEAD}CONFIDENCE_POWER", "-2.0"),
        (f"{HEAD}CONFIDENCE_POWER", "None"),
        (f"{HEAD}CLASS_CONV_DIMS", "[0]"),
        (f"{HEAD}CLASS_CONV_DIMS", "[1.5]"),
        (f"{HEAD}CLASS_CONV_DIMS", "None"),
        ("SOLVER.EARLY_STOPPING.PATIENCE", "-1"),
        ("TEST.NUM_PICTURES", "-4"),
        ("MODEL.ROI_HEADS.NUM_CLASSES", "5"),
    ],
)
def test_a_value_out_of_range_is_named(key, value):
    with pytest.raises(ValueError, match=f"{key} must be .* but got"):
        setup_config(opts=[key, value])


@pytest.mark.parametrize("norm", ["XY", "GN"])  # GN has 32 groups
def test_a_normalization_that_does_not_fit_is_named(norm):
    opts = [f"{HEAD}NORM", norm, "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "[16]"]
    with pytest.raises(ValueError, match=rf"HEAD\.NORM must be .* 16 channels .* got '{norm}'"):
        Trainer.build_model(setup_config(DEMO, opts, on_cpu=True))


@pytest.fixture
def start(monkeypatch, tiny_datasets):
    """`start(*opts)` sets a run up until Detectron2's own part begins; data sets `late_*`."""

    def started(cfg, args):
        raise SystemExit("started")

    monkeypatch.setattr(setup, "default_setup", started)
    data = tiny_datasets / "deepfashion2_synthetic"
    for name, file in (("late_validation", "validation.json"), ("late_missing", "none.json")):
        register_landmark_dataset(name, data / "annotations" / file, data / "validation" / "image")

    def run(*opts, flags=()):
        here = ("DATASETS.TRAIN", "('late_missing',)", "DATASETS.TEST", "('late_validation',)")
        config = ("--num-gpus", "0", "--config-file", str(DEMO))
        setup_run(argument_parser().parse_args([*config, *flags, *here, *opts]))

    yield run
    for name in ("late_validation", "late_missing"):
        DatasetCatalog.remove(name)
        MetadataCatalog.pop(name)


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
    with pytest.raises(ValueError, match=message):
        start(*opts)


def test_a_missing_annotation_file_is_named_at_the_start(start):
    with pytest.raises(FileNotFoundError, match=r"late_missing: .*none\.json does not exist"):
        start("DATASETS.TEST", "('late_missing',)")


def test_what_is_fine_starts(start):
    for opts in ([], ["DATASETS.TEST", "()", "MODEL.KEYPOINT_ON", "False"]):
        with pytest.raises(SystemExit, match="started"):
            start(*opts)
    with pytest.raises(SystemExit, match="started"):  # an evaluation needs no training set
        start("DATASETS.TRAIN", "('other',)", flags=["--eval-only"])
    with pytest.raises(SystemExit, match="started"):  # and names the missing file itself
        start("DATASETS.TEST", "('late_missing',)", flags=["--eval-only"])


def test_a_training_without_a_data_set_is_named():
    with pytest.raises(ValueError, match=r"DATASETS\.TRAIN \(\): no image has a garment"):
        Trainer.build_train_loader(setup_config(DEMO, ["DATASETS.TRAIN", "()"], on_cpu=True))
