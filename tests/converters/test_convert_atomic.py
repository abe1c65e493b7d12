"""Any number of processes writes the same bytes; a killed run leaves the old file or none."""

import json
import os
import subprocess
import sys

import pytest

from converters.coco import Split, convert_split
from converters.deepfashion2_to_coco import main
from tests.support import ROOT

NUM_IMAGES = 349  # some chunks of 100


@pytest.fixture(scope="module")
def split(tmp_path_factory, make_raw_folder, raw_item):
    """A split of some chunks, made by links to one image."""
    folder = make_raw_folder(tmp_path_factory.mktemp("raw") / "train")
    folder.add(1, raw_item(1), raw_item(8))
    text = (folder.annos / "000001.json").read_text()
    for image_id in range(2, NUM_IMAGES + 1):
        (folder.annos / f"{image_id:06d}.json").write_text(text)
        os.link(folder.images / "000001.jpg", folder.images / f"{image_id:06d}.jpg")
    return Split(folder.images, folder.annos)


def arguments(split, output, *more):
    paths = ("--annos", split.annotations, "--images", split.images, "--output", output)
    return [str(a) for a in (*paths, *more)]


@pytest.mark.parametrize("visibility", ["all", "visible"])
def test_any_number_of_jobs_writes_the_same_bytes(visibility, split, tmp_path, capsys):
    contents, reports = [], []
    for jobs in (1, 2, 3):
        output, report = tmp_path / "out.json", tmp_path / "report.json"
        more = ("--jobs", jobs, "--visibility", visibility, "--report", report)
        assert main(arguments(split, output, *more)) == 0
        contents.append(output.read_bytes())
        reports.append(report.read_bytes())
    assert contents[0] == contents[1] == contents[2]
    assert reports[0] == reports[1] == reports[2]
    ids = [annotation["id"] for annotation in json.loads(contents[0])["annotations"]]
    assert ids == list(range(1, 2 * NUM_IMAGES + 1))


def test_error_in_a_worker_is_the_first_error_in_order(split, tmp_path, capsys):
    for image_id in (120, 220):
        path = split.annotations / f"{image_id:06d}.json"
        path.unlink()
        path.write_text("{")
    try:
        for jobs in (1, 2):
            assert main(arguments(split, tmp_path / "out.json", "--jobs", jobs)) == 1
            error = capsys.readouterr().err.strip()
            assert "\n" not in error and "000120.json: is not valid JSON" in error
    finally:
        for image_id in (120, 220):
            text = (split.annotations / "000001.json").read_text()
            (split.annotations / f"{image_id:06d}.json").write_text(text)


KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from converters.coco import Split, convert_split

split = Split(Path(sys.argv[1]), Path(sys.argv[2]))
output = Path(sys.argv[3])
start = time.perf_counter()
convert_split(split, {"all": output})
duration = time.perf_counter() - start
complete = output.read_bytes()
outcomes = {"none": 0, "old": 0, "new": 0, "interrupted": 0}
generator = random.Random(0)
for number in range(int(sys.argv[4])):
    old = b"" if number % 2 else b"the old file"
    output.unlink(missing_ok=True)
    if old:
        output.write_bytes(old)
    child = os.fork()
    if child == 0:
        convert_split(split, {"all": output})
        os._exit(0)
    time.sleep(generator.uniform(0, 1.2 * duration))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    outcomes["interrupted"] += os.WIFSIGNALED(status)
    if not output.exists():
        assert not old
        outcomes["none"] += 1
    elif output.read_bytes() == old:
        outcomes["old"] += 1
    else:
        assert output.read_bytes() == complete
        outcomes["new"] += 1
convert_split(split, {"all": output})
assert [p.name for p in output.parent.iterdir()] == [output.name]
print(*outcomes.values())
"""


def test_run_killed_at_random_moments_leaves_the_old_file_or_none(split, tmp_path):
    rounds = 60
    result = subprocess.run(
        [sys.executable, "-c", KILLER, split.images, split.annotations, tmp_path / "o.json", "60"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    none, old, new, interrupted = map(int, result.stdout.split())
    assert none + old + new == rounds
    # The kills did hit: some before the end, and some of these while the file was written.
    assert interrupted > rounds / 4 and none and old


def test_both_files_of_a_split_appear_together(split, tmp_path):
    outputs = {"all": tmp_path / "a.json", "visible": tmp_path / "v.json"}

    def stop(done, total):
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_split(split, outputs, on_progress=stop)
    assert list(tmp_path.iterdir()) == []
    convert_split(split, outputs)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "v.json"]


def test_temporary_file_is_in_the_folder_of_the_output(split, tmp_path):
    seen = []
    convert_split(
        split,
        {"all": tmp_path / "deep" / "out.json"},
        on_progress=lambda done, total: seen.append(list((tmp_path / "deep").iterdir())),
    )
    assert all(len(paths) == 1 and paths[0].suffix == ".partial" for paths in seen)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out.json"]
