"""`df2 predict`: what goes in comes out once, named, whole, and in every form alike."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from df2_landmarks.cli.predict import main
from df2_landmarks.predict import Predictor, json_schema
from tests.predict import fake_model
from tests.support import ROOT, category_named, default_signals, run_python

SKIRT = category_named("skirt")


@pytest.fixture(autouse=True)
def _fake(monkeypatch):
    monkeypatch.setattr(Predictor, "load", fake_model.load)


def picture(path: Path, size=(40, 60), value=128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(path.suffix, np.full((*size, 3), value, np.uint8))
    path.write_bytes(encoded.tobytes())
    return path


@pytest.fixture
def photos(tmp_path):
    for name in ("b.jpg", "a.png", "sub/a.jpg", "sub/deep/SKU-123.JPG".replace("JPG", "jpg")):
        picture(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.md").write_text("not a picture")
    return tmp_path / "photos"


def predict(output, *arguments):
    return main([*map(str, arguments), "--output", str(output), "--weights", "none"])


def lines(output):
    return [json.loads(line) for line in (output / "predictions.jsonl").read_bytes().splitlines()]


def test_a_folder_is_searched_and_every_picture_has_its_line_and_its_drawing(photos, tmp_path):
    output = tmp_path / "out"
    assert predict(output, photos) == 0
    names = ["a.png", "b.jpg", "sub/a.jpg", "sub/deep/SKU-123.jpg"]
    assert [record["file"] for record in lines(output)] == [str(photos / n) for n in names]
    drawn = sorted(p.relative_to(output / "pictures") for p in output.rglob("*.jpg"))
    assert [str(p) for p in drawn] == ["a.png.jpg", *names[1:]]
    image = cv2.imread(str(output / "pictures" / "b.jpg"))
    assert image.shape == (40, 60, 3)
    assert (np.ptp(image.reshape(-1, 3), axis=0) > 50).any()  # something is drawn


def test_a_line_holds_the_own_landmarks_by_name(photos, tmp_path):
    predict(tmp_path / "out", photos / "b.jpg")
    (record,) = lines(tmp_path / "out")
    (garment,) = record["garments"]
    assert garment["category"] == "skirt"
    assert list(garment["landmarks"]) == list(SKIRT.landmark_names)
    assert garment["landmarks"]["waist_left"]["x"] == 15.0
    assert (record["width"], record["height"]) == (60, 40)
    assert record["model"] == "0123456789abcdef"


def test_every_line_follows_the_published_schema(photos, tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    (photos / "broken.jpg").write_bytes(b"no picture")
    assert predict(tmp_path / "out", photos) == 3
    published = json.loads((ROOT / "docs/reference/predictions.schema.json").read_text())
    assert published == json_schema()
    records = lines(tmp_path / "out")
    assert len(records) == 5
    for record in records:
        jsonschema.validate(record, published)
    bad = json.loads(json.dumps(records[0]))
    bad["garments"][0]["landmarks"]["waist_left"].pop("x")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, published)


def test_all_forms_hold_the_same_landmarks(photos, tmp_path):
    output = tmp_path / "out"
    (photos / "broken.jpg").write_bytes(b"")
    assert predict(output, photos, "--format", "coco", "csv", "parquet") == 3
    records = [record for record in lines(output) if "error" not in record]
    expected = [
        (record["file"], name, landmark["x"], landmark["y"])
        for record in records
        for garment in record["garments"]
        for name, landmark in garment["landmarks"].items()
    ]
    assert len(expected) == 4 * 8
    with open(output / "predictions.csv", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [(r["file"], r["landmark"], float(r["x"]), float(r["y"])) for r in rows] == expected

    coco = json.loads((output / "predictions.coco.json").read_text())
    files = {image["id"]: image["file_name"] for image in coco["images"]}
    names = {c["id"]: c["keypoints"] for c in coco["categories"]}
    got = []
    for annotation in coco["annotations"]:
        own = names[annotation["category_id"]]
        points = np.reshape(annotation["keypoints"], (-1, 3))
        assert len(points) == len(own) == annotation["num_keypoints"]
        assert (points[:, 2] == 2).all()
        got += [
            (files[annotation["image_id"]], name, x + 0.5, y + 0.5)
            for name, (x, y, _) in zip(own, points.tolist(), strict=True)
        ]
    assert [g[:2] for g in got] == [e[:2] for e in expected]
    np.testing.assert_allclose([g[2:] for g in got], [e[2:] for e in expected], atol=0.006)
    assert len(COCO(output / "predictions.coco.json").getAnnIds()) == 4

    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(output / "predictions.parquet").to_pylist()
    assert len(table) == 5
    assert sum(row["error"] is not None for row in table) == 1
    got = [
        (row["file"], p["name"], p["x"], p["y"])
        for row in table
        for garment in row["garments"]
        for p in garment["landmarks"]
    ]
    assert [g[:2] for g in got] == [e[:2] for e in expected]
    np.testing.assert_allclose([g[2:] for g in got], [e[2:] for e in expected], rtol=1e-5)


def test_what_is_switched_off_is_left_out(photos, tmp_path):
    output = tmp_path / "out"
    predict(output, photos, "--no-pictures", "--no-masks")
    assert not (output / "pictures").exists()
    assert "mask" not in lines(output)[0]["garments"][0]


BAD_PICTURES = {
    "empty.jpg": b"",
    "text.jpg": b"this is text",
    "cut.jpg": None,
    "program.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n{} loop\n",
}


def test_a_picture_that_cannot_be_read_is_a_record_and_ends_nothing(photos, tmp_path, capsys):
    cut = picture(tmp_path / "whole.jpg", size=(200, 200)).read_bytes()
    for name, content in BAD_PICTURES.items():
        (photos / name).write_bytes(cut[: len(cut) // 2] if content is None else content)
    output = tmp_path / "out"
    assert predict(output, photos) == 3
    records = lines(output)
    assert len(records) == 8
    failed = {Path(r["file"]).name: r["error"] for r in records if "error" in r}
    assert set(failed) == set(BAD_PICTURES)
    assert all(str(photos / name) in error for name, error in failed.items())
    captured = capsys.readouterr()
    assert "4 pictures could not be read" in captured.out
    assert captured.err.count("df2 predict: ") == 4


def test_nothing_above_the_threshold_names_the_best_score(photos, tmp_path, capsys):
    assert predict(tmp_path / "out", photos, "--min-score", "0.8") == 0
    printed = capsys.readouterr().out
    assert f"{photos / 'b.jpg'}: nothing reaches 0.8; the best score is 0.75" in printed
    assert "4 pictures have no garment of at least 0.8; the best score in them is 0.75" in printed
    assert all(r["garments"] == [] and r["best_score"] == 0.75 for r in lines(tmp_path / "out"))


@pytest.mark.parametrize("name", ["with space.jpg", "quo'te\".jpg", "Röckchen-裙.jpg", "#%20?.jpg"])
def test_file_names_are_free(tmp_path, name):
    picture(tmp_path / "in" / name)
    output = tmp_path / "out"
    assert predict(output, tmp_path / "in" / name) == 0
    assert lines(output)[0]["file"] == str(tmp_path / "in" / name)
    assert (output / "pictures" / name).is_file()


def test_a_long_name_and_one_that_is_not_text(tmp_path):
    folder = tmp_path / "in"
    picture(folder / ("x" * 240 + ".jpg"))
    raw = os.fsencode(folder) + b"/\xff\xfe.jpg"
    os.rename(picture(folder / "y.jpg"), raw)
    assert predict(tmp_path / "out", folder) == 0
    assert len(lines(tmp_path / "out")) == 2
    assert len([*(tmp_path / "out" / "pictures").iterdir()]) == 2


def test_two_inputs_of_one_name_get_two_drawings(tmp_path):
    one, two = picture(tmp_path / "one/x.jpg", value=0), picture(tmp_path / "two/x.jpg", value=255)
    output = tmp_path / "out"
    predict(output, one, two)
    assert sorted(p.name for p in (output / "pictures").iterdir()) == ["x-2.jpg", "x.jpg"]
    (tmp_path / "list.txt").write_text(f"{one}\n{two}\n\n")
    predict(tmp_path / "listed", tmp_path / "list.txt")
    assert len([*(tmp_path / "listed" / "pictures").rglob("x.jpg")]) == 2


def test_inputs_from_patterns_lists_and_standard_input_are_the_same(photos, tmp_path, monkeypatch):
    expected = sorted(str(p) for p in photos.rglob("*.*g"))
    predict(tmp_path / "glob", f"{photos}/**/*.*g")
    assert sorted(r["file"] for r in lines(tmp_path / "glob")) == expected
    (tmp_path / "list.txt").write_text("\ufeff" + "\r\n".join(expected), encoding="utf-8")
    predict(tmp_path / "list", tmp_path / "list.txt")
    assert [r["file"] for r in lines(tmp_path / "list")] == expected
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(expected)))
    predict(tmp_path / "stdin", "-")
    assert [r["file"] for r in lines(tmp_path / "stdin")] == expected


def test_the_output_inside_the_input_is_not_predicted_again(photos):
    predict(photos / "out", photos)
    assert predict(photos / "out", photos, "--resume") == 0
    assert len(lines(photos / "out")) == 4


def test_the_parts_together_are_the_whole(tmp_path):
    for number in range(40):
        picture(tmp_path / "in" / f"{number}.png", size=(8, 8))
    files = []
    for part in range(1, 4):
        assert predict(tmp_path / f"out{part}", tmp_path / "in", "--part", f"{part}/3") == 0
        files += [record["file"] for record in lines(tmp_path / f"out{part}")]
    assert sorted(files) == sorted(str(p) for p in (tmp_path / "in").iterdir())


WRONG_CALLS = {
    "missing": (["nowhere.jpg"], 2, "nowhere.jpg: there is no such file or folder"),
    "pattern": (["nowhere/*.jpg"], 2, "no file matches this pattern"),
    "empty folder": (["{empty}"], 2, "no pictures in"),
    "score": (["{photos}", "--min-score", "7"], 1, "min_score must be 0..1, but got 7"),
    "category": (["{photos}", "--categories", "trowsers"], 1, "Did you mean 'trousers'?"),
}


@pytest.mark.parametrize("call", WRONG_CALLS)
def test_a_wrong_call_is_one_line(photos, tmp_path, capsys, call):
    arguments, code, message = WRONG_CALLS[call]
    (tmp_path / "empty").mkdir()
    filled = [a.format(photos=photos, empty=tmp_path / "empty") for a in arguments]
    assert predict(tmp_path / "out", *filled) == code
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize("part", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_a_wrong_part_is_refused(photos, tmp_path, capsys, part):
    with pytest.raises(SystemExit) as ended:
        predict(tmp_path / "out", photos, "--part", part)
    assert ended.value.code == 2


def test_without_a_model_it_says_how_to_get_one(photos, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([str(photos), "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "make demo" in error and "--weights" in error


def test_an_output_that_cannot_be_a_folder_is_named(photos, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert predict(tmp_path / "out", photos) == 1
    assert "--output" in capsys.readouterr().err


def test_a_full_disk_ends_the_run_with_whole_lines(photos, tmp_path, monkeypatch, capsys):
    write, calls = os.write, []

    def full(file, content):
        calls.append(content)
        if len(calls) == 3:
            return write(file, content[:10])
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        return write(file, content)

    monkeypatch.setattr(os, "write", full)
    assert predict(tmp_path / "out", photos, "--no-pictures") == 2
    assert "No space left on device" in capsys.readouterr().err
    monkeypatch.undo()
    assert len(lines(tmp_path / "out")) == 2


def test_an_earlier_run_is_neither_replaced_nor_mixed_by_accident(
    photos, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "out"
    predict(output, photos / "b.jpg")
    before = (output / "predictions.jsonl").read_bytes()
    assert predict(output, photos) == 2
    assert "--resume" in capsys.readouterr().err
    assert predict(output, photos, "--resume", "--min-score", "0.5") == 2
    assert "min_score 0.4, this run has 0.5" in capsys.readouterr().err

    def other(*_, **__):
        return Predictor(fake_model.FakeModel(fingerprint="ffff"))

    monkeypatch.setattr(Predictor, "load", other)
    assert predict(output, photos, "--resume") == 2
    assert "model '0123456789abcdef', this run has 'ffff'" in capsys.readouterr().err
    assert (output / "predictions.jsonl").read_bytes() == before
    assert predict(output, photos, "--overwrite") == 0
    assert len(lines(output)) == 4


def test_resume_skips_what_is_done(photos, tmp_path, capsys):
    output = tmp_path / "out"
    predict(output, photos / "b.jpg")
    capsys.readouterr()
    assert predict(output, photos, "--resume") == 0
    assert "1 pictures are done" in capsys.readouterr().out
    assert [Path(r["file"]).name for r in lines(output)] == [
        "b.jpg",
        "a.png",
        "a.jpg",
        "SKU-123.jpg",
    ]


@pytest.mark.parametrize("damage", [b'{"file": "half', b"\x00\x00\x00\n", b"{}\n", b"\xff\n"])
def test_a_damaged_end_is_done_again(photos, tmp_path, damage):
    output = tmp_path / "out"
    predict(output, photos)
    whole = (output / "predictions.jsonl").read_bytes()
    kept = whole.splitlines(keepends=True)[:2]
    (output / "predictions.jsonl").write_bytes(b"".join(kept) + damage)
    assert predict(output, photos, "--resume") == 0
    assert (output / "predictions.jsonl").read_bytes() == whole


def run_fake(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.predict.fake_model", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'projects/df2_landmarks'}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=default_signals,
        **options,
    )


@pytest.mark.slow
def test_an_interrupt_ends_at_once_and_says_how_to_go_on(tmp_path):
    for number in range(300):
        picture(tmp_path / "in" / f"{number:03}.jpg")
    process = run_fake(tmp_path / "in", "--output", tmp_path / "out")
    while not (tmp_path / "out" / "predictions.jsonl").exists():
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert error.strip().splitlines()[-1] == "df2 predict: interrupted; go on with --resume"
    assert 0 < len(lines(tmp_path / "out")) < 300


def write_video(path, frames=12, size=(64, 96)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (size[1], size[0]))
    for index in range(frames):
        writer.write(np.full((*size, 3), 20 * index, np.uint8))
    writer.release()
    return path


def test_a_video_gives_a_line_per_frame_and_a_drawn_video(tmp_path):
    video = write_video(tmp_path / "walk.mp4")
    output = tmp_path / "out"
    assert predict(output, video) == 0
    records = lines(output)
    assert [r["frame"] for r in records] == [*range(12)]
    assert [r["last_frame"] for r in records] == [False] * 11 + [True]
    assert records[5]["seconds"] == 0.5
    drawn = cv2.VideoCapture(str(output / "pictures" / "walk.mp4"))
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert drawn.get(cv2.CAP_PROP_FPS) == 10
    ok, frame = drawn.read()
    assert ok and frame.shape == (64, 96, 3)
    assert (np.ptp(frame.reshape(-1, 3), axis=0) > 50).any()


def test_a_video_that_a_killed_run_left_half_done_is_done_again(tmp_path):
    video = write_video(tmp_path / "walk.mp4")
    picture(tmp_path / "a.jpg")
    output = tmp_path / "out"
    predict(output, tmp_path / "a.jpg", video)
    whole = (output / "predictions.jsonl").read_bytes()
    some = whole.splitlines(keepends=True)[:6]
    (output / "predictions.jsonl").write_bytes(b"".join(some) + b'{"fi')
    (output / "pictures" / "walk.mp4").unlink()
    assert predict(output, tmp_path / "a.jpg", video, "--resume") == 0
    assert (output / "predictions.jsonl").read_bytes() == whole
    assert (output / "pictures" / "walk.mp4").is_file()


def test_a_video_that_is_none_is_a_record(tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"no video")
    assert predict(tmp_path / "out", tmp_path / "x.mp4") == 3
    (record,) = lines(tmp_path / "out")
    assert "not a video that can be read" in record["error"]


def test_a_folder_that_vanishes_is_a_record(photos, tmp_path, monkeypatch):
    walk = os.walk

    def vanishing(folder, onerror):
        for found in walk(folder, onerror=onerror):
            yield found
            onerror(FileNotFoundError(2, "No such file or directory", f"{photos}/gone"))
            return

    monkeypatch.setattr(os, "walk", vanishing)
    assert predict(tmp_path / "out", photos) == 3
    (failed,) = [r for r in lines(tmp_path / "out") if "error" in r]
    assert failed["file"] == f"{photos}/gone"
    assert "cannot be listed: No such file or directory" in failed["error"]


def test_help_needs_neither_torch_nor_numpy():
    program = (
        "import sys\nfrom df2_landmarks.cli.main import main\n"
        "try:\n main(['predict', '--help'])\nexcept SystemExit:\n pass\n"
        "print({'torch', 'numpy', 'cv2'} & set(sys.modules))"
    )
    done = run_python("-c", program, PYTHONPATH=str(ROOT / "projects/df2_landmarks"))
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


def test_measurements_are_in_the_lines_in_a_table_and_drawn_on_request(photos, tmp_path):
    output = tmp_path / "out"
    arguments = (photos / "b.jpg", "--measure", "--pixels-per-cm", "2")
    assert predict(output, *arguments) == 0
    (garment,) = lines(output)[0]["garments"]
    # The fake landmarks are on a line, 8 of them over 30 px.
    lengths = garment["measurements"]
    assert lengths["waist_width"] == pytest.approx(
        {"pixels": 60 / 7, "ratio": 0.5, "centimetres": 30 / 7}, abs=0.006
    )
    with open(output / "measurements.csv", newline="") as file:
        rows = {row["measurement"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(lengths)
    assert float(rows["waist_width"]["centimetres"]) == lengths["waist_width"]["centimetres"]
    plain = cv2.imread(str(output / "pictures" / "b.jpg"))
    assert predict(tmp_path / "drawn", *arguments, "--draw-measurements") == 0
    assert (cv2.imread(str(tmp_path / "drawn" / "pictures" / "b.jpg")) != plain).any()


def test_own_measurements_and_doubtful_landmarks(photos, tmp_path, monkeypatch):
    own = tmp_path / "own.yaml"
    own.write_text("skirt: {length: [waist_left, hem_left], hem: [hem_left, hem_right]}")
    detected = fake_model.FakeModel._detected

    def doubtful(self, prepared, min_score):
        result = detected(self, prepared, min_score)
        result.landmarks[:, 6, 2] = 0.1  # hem_right
        return result

    monkeypatch.setattr(fake_model.FakeModel, "_detected", doubtful)
    arguments = ("--measure", "--measurements", own)
    assert predict(tmp_path / "out", photos / "b.jpg", *arguments) == 0
    lengths = lines(tmp_path / "out")[0]["garments"][0]["measurements"]
    assert set(lengths) == {"length", "hem"}
    assert lengths["length"]["ratio"] == 1
    assert lengths["hem"] == {
        "pixels": None,
        "ratio": None,
        "reason": "hem_right: confidence 0.10 is below 0.30",
    }


@pytest.mark.parametrize("option", ["--pixels-per-cm=2", "--draw-measurements", "--measurements=x"])
def test_options_of_measurements_need_measurements(photos, tmp_path, option):
    with pytest.raises(SystemExit) as ended:
        predict(tmp_path / "out", photos, option)
    assert ended.value.code == 2


def test_a_wrong_file_of_measurements_is_one_line(photos, tmp_path, capsys):
    (tmp_path / "own.yaml").write_text("skirt: {hem: [hem_left, hem_rigth]}")
    arguments = ("--measure", "--measurements", tmp_path / "own.yaml")
    assert predict(tmp_path / "out", photos, *arguments) == 1
    assert "hem_right" in capsys.readouterr().err
    assert not (tmp_path / "out" / "predictions.jsonl").exists()
