"""Raw files in, a trained and scored model, a challenge zip and pictures out."""

import json
import re
import zipfile

import cv2
import pytest

from df2_landmarks.engine.setup import CONFIGS
from df2_landmarks.taxonomy import LAYOUT

DEMO = CONFIGS / "df2_landmark_rcnn_R_18_FPN_demo.yaml"
TRAIN_NET = "projects/df2_landmarks/train_net.py"
TINY = [
    *("MODEL.FPN.OUT_CHANNELS", "16", "MODEL.ROI_BOX_HEAD.FC_DIM", "16"),
    *("MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "[16]", "MODEL.ROI_MASK_HEAD.CONV_DIM", "8"),
    *("INPUT.MIN_SIZE_TRAIN", "(96,)", "INPUT.MIN_SIZE_TEST", "96"),
    *("DATALOADER.NUM_WORKERS", "0", "SOLVER.IMS_PER_BATCH", "2"),
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory, run_python):
    """The demo, with a tiny model, few pictures and three iterations."""
    folder = tmp_path_factory.mktemp("demo")
    done = run_python(
        "projects/df2_landmarks/tools/demo.py",
        *("--datasets", folder / "datasets", "--output", folder / "output"),
        *("--draw", "--train 13 --validation 3 --test 2 --size 160"),
        *("--opts", *TINY, "SOLVER.MAX_ITER", "3"),
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_demo_ends_with_numbers_beside_the_control_and_with_paths(demo):
    folder, output = demo
    for title in ("boxes", "masks", "landmarks, visible and occluded", "landmarks, visible"):
        assert re.search(rf"^{title} +\S+ +\S+ +\S+$", output, re.MULTILINE), output
    assert output.count("mean shapes in the same boxes") == 2
    assert "3/3" in output  # the progress line
    assert "left" in output
    for name in ("model_final.pth", "val_keypoints.zip", "contact_sheet.jpg"):
        assert str(folder / "output" / name) in output
        assert (folder / "output" / name).is_file()


def test_demo_writes_the_challenge_zip(demo):
    folder, _ = demo
    with zipfile.ZipFile(folder / "output" / "val_keypoints.zip") as archive:
        assert archive.namelist() == ["val_keypoints.json"]
        results = json.loads(archive.read("val_keypoints.json"))
    for result in results:
        assert 1 <= result["image_id"] <= 3
        keypoints = result["keypoints"]
        assert len(keypoints) == 3 * LAYOUT.num_slots
        own = LAYOUT.slots(result["category_id"] - 1)
        visibility = keypoints[2::3]
        assert set(visibility[own]) == {1}
        assert not any(keypoints[: 3 * own.start])
        assert not any(keypoints[3 * own.stop :])


def test_demo_draws_pairs_of_pictures(demo):
    folder, _ = demo
    sheet = cv2.imread(str(folder / "output" / "contact_sheet.jpg"))
    assert sheet.shape[0] > 200
    assert sheet.shape[1] == 6 * 240
    assert sheet.std() > 10


def evaluate(run_python, folder, *options):
    return run_python(
        TRAIN_NET,
        *("--eval-only", "--config-file", DEMO, "OUTPUT_DIR", folder / "output"),
        *TINY,
        *options,
        DETECTRON2_DATASETS=str(folder / "datasets"),
    )


def test_eval_only_prints_the_tables_of_the_demo_s_model(demo, run_python):
    folder, _ = demo
    done = evaluate(run_python, folder)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^landmarks +AP +AP50 +AP75", done.stdout, re.MULTILINE)
    assert "long_sleeved_dress" in done.stdout


def test_eval_only_on_the_test_split_writes_the_zip_and_scores_nothing(demo, run_python):
    folder, _ = demo
    done = evaluate(run_python, folder, "DATASETS.TEST", "('deepfashion2_synthetic_test',)")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(folder / "output" / "test_keypoints.zip") as archive:
        assert archive.namelist() == ["test_keypoints.json"]
    assert "nothing is scored" in done.stdout


def test_training_resumes_where_it_stopped(demo, run_python):
    folder, _ = demo
    done = run_python(
        TRAIN_NET,
        *("--resume", "--num-gpus", "0", "--config-file", DEMO, "OUTPUT_DIR", folder / "output"),
        *TINY,
        *("SOLVER.MAX_ITER", "5"),
        DETECTRON2_DATASETS=str(folder / "datasets"),
    )
    assert done.returncode == 0, done.stderr
    assert "Starting training from iteration 3" in done.stdout


BAD_RUNS = {
    "no such config": (["--config-file", "none.yaml"], "config file none.yaml does not exist"),
    "no such key": (["MODEL.MASKON", "True"], "Did you mean MODEL.MASK_ON?"),
    "no such GPUs": (["--num-gpus", "99"], "99 GPUs were asked for, but this machine has"),
    "nothing to evaluate": (["--eval-only"], "holds no checkpoint. Train first"),
    "no such weights": (["--eval-only", "MODEL.WEIGHTS", "none.pth"], "none.pth does not exist"),
    "no data": (["MODEL.WEIGHTS", ""], "make convert"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_RUNS.values(), ids=list(BAD_RUNS))
def test_bad_input_is_one_line_and_exit_code_1(arguments, message, run_python, tmp_path):
    arguments = list(arguments)
    options = ["OUTPUT_DIR", str(tmp_path)]
    done = run_python(TRAIN_NET, *arguments, *options, DETECTRON2_DATASETS=str(tmp_path / "none"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last_line = done.stderr.strip().splitlines()[-1]
    assert last_line.startswith("train_net: ")
    assert message in last_line


def test_checkpoint_of_another_model_is_one_line(demo, run_python):
    folder, _ = demo
    done = evaluate(run_python, folder, "MODEL.FPN.OUT_CHANNELS", "32")
    assert done.returncode == 1
    assert "a checkpoint of another model" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
