"""The cache of a JSON is built once, follows its content, and is never half of one."""

import errno
import json
import multiprocessing
import os
import pickle
import pwd
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from df2_landmarks.common import UserError
from df2_landmarks.common.files import _machine as machine
from df2_landmarks.data import cache, load_landmark_json
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy


def coco(num_images=3, width=80):
    keypoints = [0] * (3 * DEEPFASHION2.num_slots)
    keypoints[:3] = [10, 20, 2]
    annotation = {
        "category_id": 1,
        "area": 4800,
        "bbox": [5, 10, 60, 80],
        "segmentation": [[5, 10, 65, 10, 65.25, 90], [1, 2, 3, 4]],
        "keypoints": keypoints,
    }
    images = [
        {"id": i, "file_name": f"{i:06d}.jpg", "width": width, "height": 100}
        for i in range(num_images, 0, -1)
    ]
    annotations = [
        {**annotation, "id": 1, "image_id": 2},
        {**annotation, "id": 2, "image_id": 1, "style": 3},
        {**annotation, "id": 3, "image_id": 1, "iscrowd": 1},
        {**annotation, "id": 4, "image_id": 3, "iscrowd": 1},
    ]
    return {"images": images, "annotations": annotations, "categories": []}


@pytest.fixture
def json_file(tmp_path):
    path = tmp_path / "train.json"
    path.write_text(json.dumps(coco()))
    return path


def caches(json_file):
    return sorted((json_file.parent / ".cache").glob("*.bin"))


def not_again(*args):
    raise AssertionError("the JSON was read again")


def test_the_second_load_does_not_read_the_json(json_file, monkeypatch):
    first = list(load_landmark_json(json_file, "images"))
    monkeypatch.setattr(cache, "_build", not_again)
    monkeypatch.setattr(cache, "_sha256", not_again)
    second = list(load_landmark_json(json_file, "images"))
    assert [r["image_id"] for r in second] == [r["image_id"] for r in first] == [1, 2, 3]
    np.testing.assert_array_equal(
        second[0]["annotations"][0]["keypoints"], first[0]["annotations"][0]["keypoints"]
    )


def test_what_was_found_in_the_json_is_there_without_reading_it_again(json_file, monkeypatch):
    first = load_landmark_json(json_file, "images").report
    monkeypatch.setattr(cache, "_build", not_again)
    records = load_landmark_json(json_file, "images")
    assert records.report == records.with_garments().report == first
    assert first.summary().startswith("train.json: 3 images, 2 garments and 2 crowds; landmarks: 2")
    assert [finding.line() for finding in first.findings] == [
        "2 x iscrowd is missing: taken as 0",
    ]


def test_a_corrected_taxonomy_does_not_train_on_stale_landmarks():
    first = DEEPFASHION2.categories[0]
    changes = [
        {"flip_pairs": first.flip_pairs[1:]},
        {"landmark_names": ("other", *first.landmark_names[1:])},
        {"official_name": "blouse"},
    ]
    fingerprints = {DEEPFASHION2.fingerprint}
    for change in changes:
        categories = (replace(first, **change), *DEEPFASHION2.categories[1:])
        fingerprints.add(Taxonomy("corrected", categories).fingerprint)
    assert len(fingerprints) == 4


def test_the_name_of_a_cache_has_the_taxonomy(json_file):
    load_landmark_json(json_file, "images")
    (path,) = caches(json_file)
    assert DEEPFASHION2.fingerprint in path.name


def test_another_content_has_another_cache_and_the_old_one_goes(json_file):
    load_landmark_json(json_file, "images")
    before = caches(json_file)
    json_file.write_text(json.dumps(coco(width=90)))
    assert load_landmark_json(json_file, "images")[0]["width"] == 90
    assert len(caches(json_file)) == 1
    assert caches(json_file) != before


def test_content_of_the_same_size_and_a_set_back_clock_is_noticed(json_file):
    load_landmark_json(json_file, "images")
    json_file.write_text(json.dumps(coco(width=90)))
    os.utime(json_file, (1, 1))
    assert load_landmark_json(json_file, "images")[0]["width"] == 90


def test_a_touched_file_of_the_same_content_keeps_its_cache(json_file, monkeypatch):
    load_landmark_json(json_file, "images")
    os.utime(json_file, (1, 1))
    monkeypatch.setattr(cache, "_build", not_again)
    assert len(load_landmark_json(json_file, "images")) == 3


def test_caches_of_other_files_stay(json_file):
    other = json_file.with_name("train-small.json")
    shutil.copy(json_file, other)
    load_landmark_json(other, "images")
    load_landmark_json(json_file, "images")
    assert len(caches(json_file)) == 2


def test_a_broken_json_leaves_no_cache(json_file):
    content = coco()
    content["annotations"][2]["category_id"] = 99
    json_file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"annotations, record 2: category_id: must be"):
        load_landmark_json(json_file, "images")
    assert [p.name for p in (json_file.parent / ".cache").iterdir()] == ["train.lock"]


def test_a_json_that_changes_while_it_is_read_leaves_no_cache(json_file, monkeypatch):
    class ReadWhileAnotherWrites(cache.CocoReader):
        def blocks(self):
            yield from super().blocks()
            json_file.write_text(json.dumps(coco(width=90)) + " ")

    monkeypatch.setattr(cache, "CocoReader", ReadWhileAnotherWrites)
    with pytest.raises(UserError, match=r"train\.json: was changed while it was read"):
        load_landmark_json(json_file, "images")
    assert caches(json_file) == []
    monkeypatch.undo()
    assert load_landmark_json(json_file, "images")[0]["width"] == 90


@pytest.mark.parametrize("kept", [0, 1, 20, 0.5, 0.99])
def test_a_truncated_cache_is_built_again(kept, json_file):
    load_landmark_json(json_file, "images")
    (path,) = caches(json_file)
    stat = path.stat()
    os.truncate(path, kept if isinstance(kept, int) else int(kept * stat.st_size))
    os.utime(path, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    assert [r["image_id"] for r in load_landmark_json(json_file, "images")] == [1, 2, 3]
    assert path.stat().st_size == stat.st_size


def test_what_a_killed_process_left_is_removed_but_not_what_another_builds(json_file):
    load_landmark_json(json_file, "images")
    (path,) = caches(json_file)
    path.unlink()
    killed = path.with_name(
        f".{path.name}.{machine()}-{2**22 + 1}-0.partial"
    )  # beyond the largest process id
    running = path.with_name(f".{path.name}.{machine()}-{os.getppid()}-0.partial")
    for leftover in (killed, running):
        leftover.touch()
    load_landmark_json(json_file, "images")
    assert not killed.exists()
    assert running.exists()


def unwritable(monkeypatch, *folders):
    """Let no folder be made in these."""
    make = Path.mkdir

    def mkdir(path, *args, **options):
        if any(path.is_relative_to(folder) for folder in folders):
            raise OSError(errno.EROFS, "Read-only file system")
        make(path, *args, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)


def test_without_a_home_that_can_be_written_to_a_temporary_folder_serves(
    json_file, monkeypatch, tmp_path, caplog
):
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    unwritable(monkeypatch, json_file.parent / ".cache", home)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(temporary))
    with caplog.at_level("INFO"):
        assert len(load_landmark_json(json_file, "images")) == 3
    assert list(temporary.rglob("train-*.bin")) and f"the cache is in {temporary}" in caplog.text
    unwritable(monkeypatch, json_file.parent / ".cache", home, temporary)
    with pytest.raises(UserError, match="set XDG_CACHE_HOME to a folder that can be written to"):
        load_landmark_json(json_file, "images")


def test_a_user_without_name_and_home_is_enough(json_file, monkeypatch, tmp_path):
    """As `docker run --user 12345` has it."""

    def no_entry(_):
        raise KeyError("uid not found")

    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    monkeypatch.chdir(tmp_path)
    assert len(load_landmark_json(json_file, "images")) == 3
    unwritable(monkeypatch, json_file.parent / ".cache")
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    assert len(load_landmark_json(json_file, "images")) == 3
    assert list((tmp_path / "tmp").rglob("train-*.bin"))
    assert not (tmp_path / "~").exists()


def test_one_flipped_bit_in_any_record_is_noticed(json_file):
    load_landmark_json(json_file, "images")
    (path,) = caches(json_file)
    whole, stat = path.read_bytes(), path.stat()
    size_of_records = int(cache.Cache(path)._offsets[-1])
    for place in range(0, size_of_records, 7):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        os.utime(path, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
        with pytest.raises(UserError, match=r"record \d is damaged .*remove this file"):
            records = load_landmark_json(json_file, "images")
            list(records)
            records.report  # noqa: B018


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.ENOLCK, errno.EPERM, errno.ENODEV])
def test_file_systems_without_locks_maps_and_times_do(json_file, monkeypatch, error):
    """NFS, Lustre, SMB, FUSE: the cache is then read into memory, or hashed each time."""
    import fcntl

    def refused(*args, **options):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", refused)
    monkeypatch.setattr(cache.mmap, "mmap", refused)
    monkeypatch.setattr(cache.os, "utime", refused)
    for _ in range(2):
        assert [r["image_id"] for r in load_landmark_json(json_file, "images")] == [1, 2, 3]


def test_equal_size_and_time_with_another_content_is_noticed(json_file):
    """As `rsync --times` and unpacking leave it."""
    text = json.dumps(coco())
    json_file.write_text(text)
    stat = json_file.stat()
    first = load_landmark_json(json_file, "images")[0]["width"]
    time.sleep(0.02)  # a tick of the file system's clock
    json_file.write_text(text.replace(f'"width": {first}', f'"width": {first + 1}'))
    os.utime(json_file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert json_file.stat().st_size == stat.st_size
    assert load_landmark_json(json_file, "images")[0]["width"] == first + 1


def test_an_empty_cache_variable_counts_as_none(json_file, monkeypatch, tmp_path):
    unwritable(monkeypatch, json_file.parent / ".cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    load_landmark_json(json_file, "images")
    assert list((tmp_path / "home" / ".cache" / "df2_landmarks").rglob("train-*.bin"))


def test_a_folder_that_cannot_be_written_to_uses_the_user_s_cache(json_file, monkeypatch, tmp_path):
    unwritable(monkeypatch, json_file.parent / ".cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert len(load_landmark_json(json_file, "images")) == 3
    assert not (json_file.parent / ".cache").exists()
    assert list((tmp_path / "user" / "df2_landmarks").rglob("train-*.bin"))


def load_in_process(json_file, queue):
    queue.put(len(list(load_landmark_json(json_file, "images"))))


def test_processes_that_start_together_build_it_once(json_file):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=load_in_process, args=(json_file, queue)) for _ in range(4)]
    for process in processes:
        process.start()
    assert [queue.get(timeout=60) for _ in processes] == [3] * 4
    for process in processes:
        process.join()
    assert len(caches(json_file)) == 1


def test_records_are_a_sequence_that_travels_to_loader_processes(json_file):
    records = load_landmark_json(json_file, "images")
    travelled = pickle.loads(pickle.dumps(records))
    assert len(pickle.dumps(records)) < 2000
    assert [r["image_id"] for r in travelled] == [1, 2, 3]
    assert travelled[-1]["image_id"] == 3
    assert [r["image_id"] for r in travelled[1:]] == [2, 3]
    with pytest.raises(IndexError):
        travelled[3]


def test_images_with_garments_leaves_out_empty_ones_and_crowds(json_file):
    records = load_landmark_json(json_file, "images").with_garments()
    assert [r["image_id"] for r in records] == [1, 2]


def test_polygons_and_attributes_come_through(json_file):
    annotation = load_landmark_json(json_file, "images")[0]["annotations"][0]
    assert [p.tolist() for p in annotation["segmentation"]] == [
        [5, 10, 65, 10, 65.25, 90],
        [1, 2, 3, 4],
    ]
    assert annotation["style"] == 3
