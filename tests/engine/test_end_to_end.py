"""Raw files in, a trained and scored model, a challenge zip and pictures out."""

import json
import logging
import re
import shutil
import zipfile
from types import SimpleNamespace

import cv2
import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.utils.logger import setup_logger

from df2_landmarks.common import locked_folder, run_command
from df2_landmarks.engine import setup
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.support import DEMO, TINY

TRAIN_NET = "projects/df2_landmarks/train_net.py"


@pytest.fixture(scope="module")
def demo(tmp_path_factory, run_python):
    """The demo, with a tiny model, few pictures and three iterations."""
    folder = tmp_path_factory.mktemp("demo")
    done = run_python(
        *("-m", "df2_landmarks.cli.training.demo"),
        *("--datasets", folder / "datasets", "--output", folder / "output"),
        *("--draw", "--train 13 --validation 3 --test 2 --size 160"),
        *("--opts", *TINY, "SOLVER.MAX_ITER", "3"),
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_demo_ends_with_numbers_beside_the_baseline_and_with_paths(demo):
    folder, output = demo
    for title in ("boxes", "masks", "landmarks, visible and occluded", "landmarks, visible"):
        assert re.search(rf"^{title} +\S+ +\S+ +\S+$", output, re.MULTILINE), output
    assert output.count("mean shapes in the same boxes") == 2
    assert re.search(r"^Visible or occluded.*: AP \S+ for visible", output, re.MULTILINE), output
    assert "iteration 3/3  loss" in output
    assert "These scores say little: 3 iterations are few." in output
    for name in ("model_final.pth", "val_keypoints.zip", "contact_sheet.jpg"):
        assert str(folder / "output" / name) in output
        assert (folder / "output" / name).is_file()


@pytest.mark.parametrize("minutes", ["0", "-1", "nan"])
def test_demo_without_time_to_train_says_so_at_once(tmp_path, run_python, minutes):
    program = ("-m", "df2_landmarks.cli.training.demo")
    demo = (*program, "--datasets", tmp_path, f"--minutes={minutes}")
    done = run_python(*demo)
    assert done.returncode == 2
    assert "--minutes must be more than 0" in done.stderr
    assert not list(tmp_path.iterdir())


def test_two_demos_do_not_write_into_one_folder(tmp_path, run_python):
    with locked_folder(tmp_path, "--output"):
        done = run_python("-m", "df2_landmarks.cli.training.demo", "--output", tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"df2 demo: --output {tmp_path}: ")


def test_demo_writes_the_challenge_zip(demo):
    folder, _ = demo
    with zipfile.ZipFile(folder / "output" / "val_keypoints.zip") as archive:
        assert archive.namelist() == ["val_keypoints.json"]
        results = json.loads(archive.read("val_keypoints.json"))
    for result in results:
        assert 1 <= result["image_id"] <= 3
        keypoints = result["keypoints"]
        assert len(keypoints) == 3 * DEEPFASHION2.num_slots
        slots = DEEPFASHION2.slots(result["category_id"] - 1)
        visibility = keypoints[2::3]
        assert set(visibility[slots]) == {1}
        assert not any(keypoints[: 3 * slots.start])
        assert not any(keypoints[3 * slots.stop :])


def test_demo_draws_pairs_of_pictures(demo):
    folder, _ = demo
    sheet = cv2.imread(str(folder / "output" / "contact_sheet.jpg"))
    assert sheet.shape[0] > 200
    assert sheet.shape[1] == 6 * 240
    assert sheet.std() > 10


def test_eval_only_prints_the_tables_of_the_demo_s_model(demo, run_python):
    folder, _ = demo
    done = run_python(
        TRAIN_NET,
        *("--eval-only", "--config-file", "df2_landmark_rcnn_lite0_FPN_demo.yaml", *TINY),
        *("OUTPUT_DIR", folder / "output"),
        DETECTRON2_DATASETS=str(folder / "datasets"),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^landmarks +AP +AP50 +AP75", done.stdout, re.MULTILINE)
    assert "long_sleeved_dress" in done.stdout


@pytest.fixture
def train_net(tmp_path, capsys):
    """train_net.py in this process: arguments -> (exit code, stderr). The output is in tmp_path."""
    import train_net as module

    def run(*arguments):
        opts = [str(a) for a in (*arguments, "OUTPUT_DIR", tmp_path)]
        code = run_command(lambda: module.main(opts), "train_net")
        setup_logger.cache_clear()  # its handlers write to the stdout of this test
        for name in ("detectron2", "fvcore", "df2_landmarks"):
            logging.getLogger(name).handlers.clear()
        return code, capsys.readouterr().err

    return run


def as_other_tools_write(json_file):
    """Own landmarks only, ids from 0, one crowd as RLE, no iscrowd and no area."""
    content = json.loads(json_file.read_text())
    for record in content["annotations"]:
        slots = DEEPFASHION2.slots(record["category_id"] - 1)
        record["keypoints"] = record["keypoints"][3 * slots.start : 3 * slots.stop]
        record["category_id"] -= 1
        del record["iscrowd"], record["area"]
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    crowd = content["annotations"][0]
    height, width = sizes[crowd["image_id"]]
    crowd["iscrowd"] = 1
    crowd["segmentation"] = {"size": [height, width], "counts": [0, height * width]}
    for record in content["categories"]:
        record["id"] -= 1
        record |= {"keypoints": [], "skeleton": []}
    return json.dumps(content)


def test_a_folder_of_another_tool_is_trained_and_evaluated_on(train_net, tiny_datasets, tmp_path):
    source = tiny_datasets / "deepfashion2_synthetic"
    data = tmp_path / "own data"
    (data / "annotations").mkdir(parents=True)
    for split in ("train", "validation"):
        shutil.copytree(source / split / "image", data / "images" / split)
        text = as_other_tools_write(source / "annotations" / f"{split}.json")
        (data / "annotations" / f"{split}.json").write_text(text)
    config = ["--num-gpus", "0", "--config-file", DEMO, *TINY, "SOLVER.MAX_ITER", "2"]
    names = ["DATASETS.TRAIN", f"('{data}',)", "DATASETS.TEST", f"('{data}',)"]
    for flags in (["--dry-run"], [], ["--eval-only"]):
        assert train_net(*flags, *config, *names) == (0, "")
    log = (tmp_path / "log.txt").read_text()
    train, validation = (
        f"{data}/annotations/{split}.json@{data}/images/{split}"
        for split in ("train", "validation")
    )
    assert log.count(f"{train}: train.json: 12 images, ") == 1
    assert log.count(f"{validation}: validation.json: 4 images, ") == 2
    assert f"{train}: category ids go by name: 0 is short_sleeved_shirt" in log
    assert log.count(f"Landmarks on {validation}: ") == 2


def test_a_validation_file_that_would_score_badly_is_refused_before_the_training(
    train_net, drawn_splits, tiny_datasets, tmp_path
):
    annotations = tiny_datasets / "deepfashion2_synthetic" / "annotations"
    content = json.loads((annotations / "validation.json").read_text())
    for record in content["annotations"]:
        record["bbox"] = [0, 0, 0, 0]
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(content))
    names = ["DATASETS.TRAIN", f"('{drawn_splits[0]}',)", "DATASETS.TEST", f"('{wrong}',)"]
    code, error = train_net("--num-gpus", "0", "--config-file", DEMO, *TINY, *names)
    assert code == 1
    assert "(100 %): the box has no width or height" in error
    assert not (tmp_path / "metrics.json").exists()


def test_training_resumes_and_the_test_split_gives_a_zip(train_net, drawn_splits, tmp_path):
    train, _, test = drawn_splits
    options = [*TINY, "DATASETS.TRAIN", f"('{train}',)", "DATASETS.TEST", "()"]
    config = ["--num-gpus", "0", "--config-file", DEMO]
    assert train_net("--resume", *config, *options, "SOLVER.MAX_ITER", "2") == (0, "")
    log = (tmp_path / "log.txt").read_text()
    assert f"--resume: OUTPUT_DIR {tmp_path} holds no checkpoint; starting anew" in log
    assert train_net("--resume", *config, *options, "SOLVER.MAX_ITER", "3") == (0, "")
    log = (tmp_path / "log.txt").read_text()
    assert "Starting training from iteration 2" in log and log.count("starting anew") == 1

    options += ["DATASETS.TEST", f"('{test}',)"]
    assert train_net("--eval-only", *config, *options) == (0, "")
    with zipfile.ZipFile(tmp_path / "test_keypoints.zip") as archive:
        assert archive.namelist() == ["test_keypoints.json"]
    assert "nothing is scored" in (tmp_path / "log.txt").read_text()

    code, error = train_net("--eval-only", *config, *options, "MODEL.FPN.OUT_CHANNELS", "32")
    assert code == 1
    assert "a checkpoint of another model" in error.splitlines()[-1]


def test_a_resumed_training_has_the_batch_it_had_and_whole_lines(train_net, drawn_splits, tmp_path):
    options = [*TINY, "DATASETS.TRAIN", f"('{drawn_splits[0]}',)", "DATASETS.TEST", "()"]
    config = ["--num-gpus", "0", "--config-file", DEMO]
    assert train_net(*config, *options, "SOLVER.MAX_ITER", "2") == (0, "")
    resume = ["--resume", *config, *options, "SOLVER.MAX_ITER", "3"]
    code, error = train_net(*resume, "SOLVER.IMS_PER_BATCH", "4")
    assert code == 1
    assert "the training had 2 images in a batch (1 processes), now it has 4" in error
    with (tmp_path / "metrics.json").open("a") as file:
        file.write('{"iteration": 1, "total_l')  # as a kill leaves it
    assert train_net(*resume) == (0, "")
    lines = [json.loads(line) for line in (tmp_path / "metrics.json").open()]
    assert [line["iteration"] for line in lines] == [1, 2]


def test_a_training_that_was_killed_while_it_wrote_its_last_file_gets_it(
    train_net, drawn_splits, tmp_path
):
    options = [*TINY, "DATASETS.TRAIN", f"('{drawn_splits[0]}',)", "DATASETS.TEST", "()"]
    options += ["SOLVER.MAX_ITER", "2", "SOLVER.CHECKPOINT_PERIOD", "1"]
    config = ["--num-gpus", "0", "--config-file", DEMO]
    assert train_net(*config, *options) == (0, "")
    final = tmp_path / "model_final.pth"
    whole = torch.load(final, weights_only=True)["model"]
    final.unlink()
    (tmp_path / "last_checkpoint").write_text("model_0000001.pth")
    assert train_net("--resume", *config, *options) == (0, "")
    again = torch.load(final, weights_only=True)["model"]
    assert all(torch.equal(again[name], value) for name, value in whole.items())
    assert "this training is finished (2 of" in (tmp_path / "log.txt").read_text()


def test_a_dry_run_tries_everything_and_leaves_no_checkpoint(train_net, drawn_splits, tmp_path):
    train, validation, _ = drawn_splits
    options = [*TINY, "DATASETS.TRAIN", f"('{train}',)", "DATASETS.TEST", f"('{validation}',)"]
    options += ["SOLVER.MAX_ITER", "7200", "SOLVER.EMA_DECAY", "0.9", "TEST.EVAL_PERIOD", "3600"]
    arguments = ["--dry-run", "--num-gpus", "0", "--config-file", DEMO, *options]
    assert train_net(*arguments) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["dry_run"]
    log = (tmp_path / "dry_run" / "log.txt").read_text()
    assert f"data        {train}: 12 images, " in log
    assert f"data        {validation}: 4 images, " in log
    seconds, total = re.search(
        r"([\d.]+) s per iteration of 2 .* 7,200 iter.* take (\S+)", log
    ).groups()
    hours, minutes, rest = map(int, total.split(":"))
    assert 3600 * hours + 60 * minutes + rest == pytest.approx(7200 * float(seconds), abs=36 + 1)
    fastest, slowest = map(float, re.search(r"from ([\d.]+) to ([\d.]+)\);", log).groups())
    assert fastest <= float(seconds) <= slowest
    assert re.search(r"s per image; 4 images take \S+, and 2 evaluations \S+\n", log)
    assert re.search(r"memory      at most \S+ [MG]B per process", log)
    assert re.search(
        r"disk        7 checkpoints of \S+ [MG]B need \S+ [MG]B; \S+ [MG]B are free", log
    )
    assert "Landmarks on drawn_validation" in log
    left = {path.name for path in (tmp_path / "dry_run").iterdir()}
    assert "val_keypoints.zip" in left
    assert not [name for name in left if name.endswith(".pth") or name == "last_checkpoint"]


def test_a_dry_run_finds_a_disk_that_is_too_small(train_net, drawn_splits, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    options = [*TINY, "DATASETS.TRAIN", f"('{drawn_splits[0]}',)", "DATASETS.TEST", "()"]
    code, error = train_net("--dry-run", "--num-gpus", "0", "--config-file", DEMO, *options)
    assert code == 2
    assert f"OUTPUT_DIR {tmp_path}: the checkpoints of the training need" in error
    assert not list(tmp_path.rglob("*.pth"))


BAD_RUNS = {
    "no such config": (["--config-file", "none.yaml"], "config file none.yaml does not exist"),
    "no such key": (["MODEL.MASKON", "True"], "Did you mean MODEL.MASK_ON?"),
    "no such backbone": (
        ["MODEL.BACKBONE.NAME", "build_vit_fpn_backbone", "DATASETS.TRAIN", "()"],
        "MODEL.BACKBONE.NAME: this Detectron2 has no 'build_vit_fpn_backbone' for YAML ",
    ),
    "no such GPUs": (["--num-gpus", "99"], "--num-gpus 99: this machine has"),
    "nothing to evaluate": (["--eval-only"], "holds no checkpoint. Train first"),
    "no such weights": (["--eval-only", "MODEL.WEIGHTS", "none.pth"], "none.pth does not exist"),
    "dry run of an evaluation": (["--dry-run", "--eval-only"], "without --eval-only, --resume"),
    "no data": (["--config-file", str(DEMO)], "make convert"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_RUNS.values(), ids=list(BAD_RUNS))
def test_bad_input_is_one_line_and_exit_code_1(
    arguments, message, train_net, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where there is no data
    code, error = train_net(*arguments)
    assert code == 1
    assert "Traceback" not in error
    last_line = error.strip().splitlines()[-1]
    assert last_line.startswith("train_net: ")
    assert message in last_line
    assert not list(tmp_path.glob("model*"))


def test_a_config_of_the_project_goes_by_its_name(train_net, drawn_splits):
    code, error = train_net(
        *("--num-gpus", "0", "--config-file", DEMO.name, *TINY, "SOLVER.MAX_ITER", "1"),
        *("DATASETS.TRAIN", f"('{drawn_splits[0]}',)", "DATASETS.TEST", "()"),
    )
    assert code == 0, error


def test_a_broken_image_ends_a_training_with_its_name(train_net, drawn_splits, tmp_path):
    record = DatasetCatalog.get(drawn_splits[0])[0]
    broken = tmp_path / "000001.jpg"
    broken.write_bytes(b"")
    DatasetCatalog.register("broken", lambda: [{**record, "file_name": str(broken)}])
    try:
        code, error = train_net(
            *("--num-gpus", "0", "--config-file", DEMO, *TINY, "DATASETS.TRAIN", "('broken',)"),
            *("DATALOADER.NUM_WORKERS", "1", "DATASETS.TEST", "()"),
        )
    finally:
        DatasetCatalog.remove("broken")
    assert code == 1
    assert error.splitlines()[-1].startswith(f"train_net: {broken}: the file is empty")


def bug(*args):
    _, _ = [1]


def test_a_bug_keeps_its_traceback(train_net, monkeypatch):
    """Although it is a ValueError, as a user's mistake is."""
    monkeypatch.setattr(setup, "check_values", bug)
    with pytest.raises(ValueError, match="not enough values to unpack") as caught:
        train_net("--num-gpus", "0", "--config-file", DEMO)
    assert caught.traceback[-1].name == "bug"
