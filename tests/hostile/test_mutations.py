"""Whatever the bytes of an input, its reader returns or raises a user's error, in a short time.

`make test-slow` tries 10,000 mutations over all readers; the tests a hundredth of that.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from converters.deepfashion2_to_coco import main as convert
from converters.raw import RawFileError, parse_annotation, read_image_size
from df2_landmarks.challenge.bundle import check_bundle
from df2_landmarks.cli import check, score, submission, taxonomy
from df2_landmarks.common import UserError, write_zip
from df2_landmarks.engine import read_checkpoint, setup_config
from df2_landmarks.formats import (
    CocoReader,
    check_submission,
    read_picture,
    read_results,
    read_taxonomy,
    write_taxonomy,
)
from df2_landmarks.taxonomy import DEEPFASHION2, read_measurements
from tests.formats.coco_cases import all_slots, coco
from tests.support import DEMO

BASE = DEMO.with_name("Base.yaml")
MUTATIONS = int(os.environ.get("MUTATIONS", "100"))
SEED = int(os.environ.get("SEED", "0"))
MAX_SECONDS = 10
MAX_BYTES = 2 << 30
"""Of memory that a reader may ask for: beyond it, the system refuses."""

WORDS = (
    *(b"null", b"true", b"-1", b"1e400", b"1e30", b"9" * 40, b"NaN", b'""', b'"\\ud800"'),
    *(b"[]", b"{}", b"[[[[", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\n", b'"', b"\\", b",", b":"),
)


def _read_coco(path: Path) -> None:
    for _ in CocoReader(path, needs_pictures=True).blocks():
        pass


def _picture(form: str) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


def _results() -> bytes:
    records = [
        {
            "image_id": i,
            "category_id": c + 1,
            "keypoints": [1 if value == 2 else value for value in all_slots(c)],
            "score": 0.5,
        }
        for i, c in ((5, 0), (9, 7))
    ]
    return json.dumps(records).encode()


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("val_keypoints.json", _results())
    return stream.getvalue()


def _bundle() -> bytes:
    """A bundle of Codabench whose files are not deflated, so that mutations hit their content."""
    program, data, bundle = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(program, "w") as archive:
        archive.writestr("metadata.yaml", "command: python3 score.py\n")
        archive.writestr("score.py", "'AP'")
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("truth.json", "{}")
    column = {"title": "AP", "key": "AP", "index": 0, "precision": 4}
    board = {"title": "AP", "key": "ap", "submission_rule": "Force_Best", "columns": [column]}
    task = {"index": 0, "name": "a", "scoring_program": "p.zip", "reference_data": "d.zip"}
    content = {
        "version": 2,
        "title": "Foxes",
        "image": "logo.png",
        "terms": "a.md",
        "docker_image": "python:3.12",
        "pages": [{"title": "Overview", "file": "a.md"}],
        "tasks": [task],
        "phases": [{"name": "a", "start": "2027-01-01 13:30:00", "tasks": [0]}],
        "leaderboards": [board],
    }
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("competition.yaml", yaml.safe_dump(content))
        archive.writestr("a.md", "Foxes")
        archive.writestr("logo.png", _picture("PNG"))
        archive.writestr("p.zip", program.getvalue())
        archive.writestr("d.zip", data.getvalue())
    return bundle.getvalue()


def _competition(path: Path) -> list[str]:
    """Check a bundle with this competition.yaml, whatever it holds."""
    packed = path.with_name(".packed")
    write_zip(packed, {"competition.yaml": path.read_bytes(), "logo.png": _picture("PNG")})
    try:
        return check_bundle(packed)
    finally:
        packed.unlink()


def _checkpoint() -> bytes:
    stream = io.BytesIO()
    torch.save({"model": {"weight": torch.ones(3, 4)}, "iteration": 3}, stream)
    return stream.getvalue()


def _taxonomy(folder: Path) -> bytes:
    write_taxonomy(DEEPFASHION2, folder / "whole.yaml")
    return (folder / "whole.yaml").read_bytes()


def _raw() -> bytes:
    item = {
        "landmarks": [1, 2, 2] * 8,
        "category_id": 9,
        "category_name": "skirt",
        "bounding_box": [1, 2, 30, 40],
        "segmentation": [[1, 2, 3, 4, 5, 6]],
        **dict.fromkeys(("scale", "occlusion", "zoom_in", "viewpoint", "style"), 1),
    }
    return json.dumps({"source": "user", "pair_id": 1, "item1": item}).encode()


READERS: dict[str, tuple[str, Callable[[Path], bytes], Callable[[Path], object]]] = {
    "raw": ("a.json", lambda _: _raw(), lambda p: parse_annotation(p.read_bytes(), str(p))),
    "coco": ("a.json", lambda _: json.dumps(coco()).encode(), _read_coco),
    "results": ("a.json", lambda _: _results(), read_results),
    "submission": ("a.zip", lambda _: _zip(), check_submission),
    "bundle": ("a.zip", lambda _: _bundle(), check_bundle),
    "competition.yaml": (
        "a.yaml",
        lambda _: zipfile.ZipFile(io.BytesIO(_bundle())).read("competition.yaml"),
        _competition,
    ),
    "config": ("a.yaml", lambda _: BASE.read_bytes(), lambda p: setup_config(p, on_cpu=True)),
    "checkpoint": ("a.pth", lambda _: _checkpoint(), read_checkpoint),
    "taxonomy": ("a.yaml", _taxonomy, read_taxonomy),
    "measurements": (
        "a.yaml",
        lambda _: b"skirt:\n  length: [waist_centre, hem_centre]\n  hem: [5, 6, 7]\n",
        read_measurements,
    ),
    **{
        f"picture, {form}": (f"a.{form.lower()}", lambda _, form=form: _picture(form), read_picture)
        for form in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
    },
    "size of a picture": (
        "a.jpg",
        lambda _: _picture("JPEG"),
        lambda p: read_image_size(str(p)),
    ),
}
"""Input -> name of the file, its whole content, and the reader."""


def mutated(whole: bytes, rng: random.Random) -> bytes:
    """Cut, flip, insert, repeat or replace in one to four places."""
    data = bytearray(whole)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data) + 1)
        end = min(len(data), place + rng.choice((1, 2, 8, 100)))
        kind = rng.randrange(6)
        if kind == 0:
            del data[place:]
        elif kind == 1 and data:
            data[min(place, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 2:
            data[place:place] = rng.choice(WORDS)
        elif kind == 3:
            data[place:end] = rng.choice(WORDS)
        elif kind == 4:
            data[place:place] = data[place:end] * rng.choice((1, 3, 300))
        else:
            data[place:end] = rng.randbytes(end - place)
    return bytes(data)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Let this process grow by MAX_BYTES only."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    bound = pages * resource.getpagesize() + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (bound, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("name", READERS)
def test_a_reader_takes_or_refuses_whatever_it_gets(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, content, read = READERS[name]
    whole = content(tmp_path)
    path = tmp_path / "input" / file
    path.parent.mkdir()
    path.write_bytes(whole)
    read(path)
    monkeypatch.chdir(path.parent)
    for number in range(max(1, MUTATIONS // len(READERS))):
        data = mutated(whole, random.Random(f"{SEED} {name} {number}"))
        path.write_bytes(data)
        started = time.perf_counter()
        try:
            with bounded_memory():
                read(path)
        except (UserError, RawFileError) as error:
            assert str(error)
        except Exception:
            kept = tmp_path / f"SEED-{SEED}-number-{number}"  # pytest keeps the folder
            kept.write_bytes(data)
            raise
        assert time.perf_counter() - started < MAX_SECONDS, number
        assert [entry.name for entry in path.parent.iterdir()] == [file]


COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "check": (check.main, "train.json --taxonomy train.json --images . --json"),
    "score": (
        score.main,
        "--gt train.json --results results.json --by category,scale --json scores.json --diagnose",
    ),
    "submission check": (submission.main, "check val.zip --split val --gt train.json"),
    "submission pack": (
        submission.main,
        "pack --results results.json --gt train.json --output packed.zip",
    ),
    "taxonomy": (taxonomy.main, "train.json --output out.yaml"),
    "convert": (convert, "--annos annos --images images --output coco.json --jobs 1"),
}
"""Command -> its function and a whole command line."""
ARGUMENTS = (
    *("", ".", "..", "-", "--", "-1", "0", "nan", "9" * 30, "none.json", "x/y/z", "*", "'", "="),
    *("--help", "--output", "--json", "--gt=", "--by=", "\udcff", "\n", "\x1b[31m", "🧥"),
)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_line_is_carried_out_or_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    main, line = COMMANDS[name]
    monkeypatch.chdir(tmp_path)
    for number in range(max(1, MUTATIONS // len(READERS))):
        (tmp_path / "train.json").write_text(json.dumps(coco()))
        (tmp_path / "results.json").write_bytes(_results())
        (tmp_path / "val.zip").write_bytes(_zip())
        (tmp_path / "annos").mkdir(exist_ok=True)
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "annos" / "000001.json").write_bytes(_raw())
        (tmp_path / "images" / "000001.jpg").write_bytes(_picture("JPEG"))
        arguments = mutated_arguments(line.split(), random.Random(f"{SEED} {name} {number}"))
        started = time.perf_counter()
        try:
            code: object = main(arguments)
        except SystemExit as end:  # argparse
            code = end.code
        except BaseException as error:
            raise AssertionError(f"{name} {arguments}") from error
        assert code in (0, 1, 2), arguments
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err, arguments
        assert code == 0 or err or out, arguments
        assert time.perf_counter() - started < MAX_SECONDS, arguments


def mutated_arguments(arguments: Sequence[str], rng: random.Random) -> list[str]:
    """Leave out, repeat, insert, exchange or cut off the end of arguments, in one to three places.

    None begins with a slash, so that nothing is written elsewhere.
    """
    changed = list(arguments)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(changed) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            del changed[place : place + 1]
        elif kind == 1:
            changed[place:place] = changed[place : place + 2]
        elif kind == 2:
            changed.insert(place, rng.choice(ARGUMENTS))
        elif kind == 3 and place < len(changed):
            changed[place] = rng.choice((*ARGUMENTS, *arguments))
        elif place < len(changed):
            changed[place] = changed[place][: rng.randrange(len(changed[place]) + 1)]
    return changed
