"""The drawn data set on disk: layout, determinism, resuming, and what it says to a mistake."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from df2_landmarks.common.files import _machine as machine
from df2_landmarks.synthetic import MODERATE, Recipe, fingerprint, fingerprint_of, write_dataset
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.support import ROOT, default_signals, run_python

SCRIPT = ROOT / "datasets" / "make_synthetic.py"
RECORD = "synthetic.json"
SPLITS = {"train": 6, "validation": 3, "test": 2}
ITEM_KEYS = {
    "segmentation", "scale", "viewpoint", "zoom_in", "landmarks", "style",
    "bounding_box", "category_id", "occlusion", "category_name",
}  # fmt: skip


def tree(root):
    """Relative path -> content of every picture and annotation below a folder."""
    files = (path for path in Path(root).rglob("*") if path.is_file())
    return {str(p.relative_to(root)): p.read_bytes() for p in files if p.name != RECORD}


def annotations(root, split):
    return [json.loads(p.read_bytes()) for p in sorted((Path(root) / split / "annos").iterdir())]


def items(annotation):
    return [annotation[key] for key in sorted(annotation) if key.startswith("item")]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn") / "data"
    write_dataset(root, SPLITS, seed=7, size_px=160)
    return root


def test_the_layout_is_the_raw_one(dataset):
    expected = {
        f"{split}/image/{n:06d}.jpg" for split, c in SPLITS.items() for n in range(1, c + 1)
    }
    expected |= {
        name.replace("image", "annos")[:-3] + "json" for name in expected if "test" not in name
    }
    assert set(tree(dataset)) == expected


def test_annotations_have_all_fields_of_the_format(dataset):
    for annotation in annotations(dataset, "train"):
        assert annotation["source"] in ("shop", "user")
        assert annotation["pair_id"] >= 1
        for number, item in enumerate(items(annotation), start=1):
            assert f"item{number}" in annotation
            assert set(item) == ITEM_KEYS
            count = DEEPFASHION2.categories[item["category_id"] - 1].num_landmarks
            assert len(item["landmarks"]) == 3 * count
            assert all(isinstance(v, int) for v in (*item["landmarks"], *item["bounding_box"]))


def test_keys_come_in_any_order(dataset):
    orders = [list(annotation) for annotation in annotations(dataset, "train")]
    assert any(order != sorted(order) for order in orders)


def test_pictures_differ_in_size_and_can_be_read(dataset):
    sizes = {cv2.imread(str(path)).shape for path in (dataset / "train" / "image").iterdir()}
    assert len(sizes) > 3
    assert all(min(size[:2]) >= 120 for size in sizes)


def test_any_number_of_workers_gives_the_same_bytes(dataset, tmp_path):
    write_dataset(tmp_path / "two", SPLITS, seed=7, size_px=160, workers=2)
    assert tree(tmp_path / "two") == tree(dataset)


def test_a_larger_data_set_contains_the_smaller(dataset, tmp_path):
    write_dataset(tmp_path / "more", {"train": 8, "test": 3}, seed=7, size_px=160)
    more, less = tree(tmp_path / "more"), tree(dataset)
    shared = set(more) & set(less)
    assert len(shared) == 2 * 6 + 2
    assert all(more[name] == less[name] for name in shared)


def test_a_complete_data_set_is_not_drawn_again(dataset):
    def again(done, total):
        pytest.fail("drawn again")

    again_fingerprint = write_dataset(dataset, SPLITS, seed=7, size_px=160, progress=again)
    assert again_fingerprint == fingerprint(dataset)


def test_a_lost_file_is_drawn_again(dataset):
    before = tree(dataset)
    (dataset / "train/image/000002.jpg").unlink()
    write_dataset(dataset, SPLITS, seed=7, size_px=160)
    assert tree(dataset) == before


def test_another_seed_gives_other_pictures(dataset, tmp_path):
    result = write_dataset(tmp_path / "other", SPLITS, seed=8, size_px=160)
    assert result != fingerprint(dataset)


def test_splits_differ(dataset):
    files = tree(dataset)
    assert files["train/image/000001.jpg"] != files["validation/image/000001.jpg"]


def test_an_interrupted_run_leaves_whole_files_and_resume_completes_it(dataset, tmp_path):
    def interrupt(done, total):
        if done == 4:
            raise KeyboardInterrupt

    root, options = tmp_path / "broken", {"seed": 7, "size_px": 160}
    with pytest.raises(KeyboardInterrupt):
        write_dataset(root, SPLITS, **options, progress=interrupt)
    complete, before = tree(dataset), tree(root)
    assert len(before) == 8
    assert all(complete[name] == content for name, content in before.items())
    calls = []
    write_dataset(root, SPLITS, **options, resume=True, progress=lambda *call: calls.append(call))
    assert tree(root) == complete
    assert calls == [(done, 11) for done in range(5, 12)]


def test_what_a_killed_run_left_is_removed_when_the_run_is_resumed(dataset, tmp_path):
    root, options = tmp_path / "killed", {"seed": 7, "size_px": 160}
    write_dataset(root, SPLITS, **options)
    (root / "train/image/000003.jpg").unlink()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (root / f"train/image/.000003.jpg.{machine()}-{ended.pid}-0.partial").write_bytes(b"half")
    write_dataset(root, SPLITS, **options, resume=True)
    assert tree(root) == tree(dataset)


def test_the_script_draws_a_data_set_and_prints_its_fingerprint(tmp_path):
    root = tmp_path / "data"
    numbers = ("--train", 2, "--validation", 1, "--test", 1, "--size", 128, "--workers", 1)
    done = run_python(
        SCRIPT, "--output", root, *numbers, "--quirks", "--landmark-noise", "--balance", "real"
    )
    assert done.returncode == 0, done.stderr
    assert fingerprint(root) in done.stdout
    assert len(tree(root)) == 7


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_script_says_how_to_continue(tmp_path, workers):
    root = tmp_path / "data"
    drawing = subprocess.Popen(
        [sys.executable, str(SCRIPT), "--output", str(root), "--workers", str(workers)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=default_signals,
    )
    while not (root / RECORD).is_file():
        assert drawing.poll() is None
        time.sleep(0.01)
    drawing.send_signal(signal.SIGINT)
    _, errors = drawing.communicate(timeout=60)
    assert drawing.returncode == 130
    assert errors == "make_synthetic: interrupted; complete it with --resume\n"
    assert not list(root.rglob("*.partial"))


def test_the_data_root_may_be_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DETECTRON2_DATASETS", "~/data")
    monkeypatch.chdir(tmp_path)
    numbers = ("--train", 1, "--validation", 0, "--test", 0, "--size", 64, "--workers", 1)
    assert run_python(SCRIPT, *numbers).returncode == 0
    assert (tmp_path / "data" / "deepfashion2_synthetic" / "train" / "annos").is_dir()


def test_the_script_ends_a_mistake_with_one_line(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    done = run_python(SCRIPT, "--output", tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("make_synthetic: ")
    assert run_python(SCRIPT, "--preset", "huge").returncode == 2
    done = run_python(SCRIPT, "--output", tmp_path / "new", "--size", 3)
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_the_fingerprint_is_known_without_drawing(dataset):
    recipe = Recipe(seed=7, size_px=160, difficulty=MODERATE)
    assert fingerprint_of(recipe, SPLITS) == fingerprint(dataset)


def test_a_dozen_small_pictures_take_less_than_two_seconds(tmp_path):
    start = os.times().user
    write_dataset(tmp_path / "data", {"train": 12}, size_px=160)
    assert os.times().user - start < 2.0
