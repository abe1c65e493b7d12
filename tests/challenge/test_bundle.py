"""A bundle is the same bytes for the same input, whole or not there, and hides annotations."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from PIL import Image

from df2_landmarks.challenge.bundle import Challenge, write_bundle
from df2_landmarks.cli.challenge import main
from df2_landmarks.common import UserError
from tests.support import run_python


def members(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def all_files(data: bytes, name: str = "") -> Iterator[tuple[str, bytes]]:
    """Name and content of the files in a zip and in the zips in it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            content = archive.read(info)
            place = f"{name}/{info.filename}"
            if info.filename.endswith(".zip"):
                yield from all_files(content, place)
            else:
                yield place, content


@pytest.mark.parametrize("name", ["clothes", "animals"])
def test_the_same_input_gives_the_same_bytes(
    challenges: dict[str, Challenge],
    bundles: dict[str, Path],
    wheel: Path,
    tmp_path: Path,
    name: str,
) -> None:
    challenge = challenges[name]
    packed = {split: tmp_path / f"{split}.json.gz" for split in challenge.ground_truths}
    for split, file in challenge.ground_truths.items():
        packed[split].write_bytes(gzip.compress(file.read_bytes()))
    write_bundle(tmp_path / "again.zip", replace(challenge, ground_truths=packed), wheel=wheel)
    assert (tmp_path / "again.zip").read_bytes() == bundles[name].read_bytes()


def test_all_that_the_server_would_pack_is_packed(bundles: dict[str, Path]) -> None:
    """And says nothing of when or by whom."""
    for bundle in bundles.values():
        with zipfile.ZipFile(bundle) as archive:
            for info in archive.infolist():
                assert info.date_time == (1980, 1, 1, 0, 0, 0)
                assert not info.is_dir()
        for name, data in members(bundle).items():
            if name.endswith(".zip"):
                with zipfile.ZipFile(io.BytesIO(data)) as inner:
                    assert all(i.date_time == (1980, 1, 1, 0, 0, 0) for i in inner.infolist())


@pytest.mark.parametrize("name", ["clothes", "animals"])
def test_the_test_annotations_are_in_the_reference_data_only(
    challenges: dict[str, Challenge], bundles: dict[str, Path], name: str
) -> None:
    truth = challenges[name].ground_truths["test"].read_bytes()
    items = json.loads(truth)["annotations"]
    keypoints = [json.dumps(item["keypoints"]) for item in items if any(item["keypoints"])]
    sources = {}
    for place, content in all_files(bundles[name].read_bytes()):
        text = content.replace(b", ", b",")
        if any(one.replace(", ", ",").encode() in text for one in keypoints):
            sources[place] = content
    assert sources == {"/reference_test.zip/ground_truth.json": truth}


def test_phases_keep_the_time_of_day_and_do_not_touch(bundles: dict[str, Path]) -> None:
    content = yaml.safe_load(members(bundles["clothes"])["competition.yaml"])
    validation, test = content["phases"]
    assert (validation["start"], test["start"]) == ("2027-01-01 00:00:00", "2027-03-01 13:30:00")
    assert validation["end"] == "2027-03-01 13:29:59" and "end" not in test


def test_the_ranking_is_by_visible_and_occluded_landmarks(bundles: dict[str, Path]) -> None:
    content = yaml.safe_load(members(bundles["clothes"])["competition.yaml"])
    (board,) = content["leaderboards"]
    assert board["submission_rule"] == "Force_Best"
    ranking = board["columns"][board["primary_index"]]
    assert (ranking["key"], ranking["sorting"]) == ("visible_and_occluded_AP", "desc")
    assert {column["precision"] for column in board["columns"]} == {4}


@pytest.mark.parametrize("name", ["clothes", "animals"])
def test_the_logo_is_a_drawing(bundles: dict[str, Path], name: str) -> None:
    with Image.open(io.BytesIO(members(bundles[name])["logo.png"])) as logo:
        assert logo.format == "PNG" and logo.width == logo.height
        colours = logo.convert("RGB").getcolors(1 << 20)
    assert colours is not None and len(colours) > 5


def test_a_page_begins_no_formula_and_names_each_category(
    challenges: dict[str, Challenge], wheel: Path, tmp_path: Path
) -> None:
    challenge = replace(challenges["animals"], title="Win $5 or $6")
    write_bundle(tmp_path / "b.zip", challenge, wheel=wheel)
    files = members(tmp_path / "b.zip")
    pages = [data.decode() for name, data in files.items() if name.endswith(".md")]
    assert len(pages) == 4 and not any("$" in page for page in pages)
    overview = files["pages/overview.md"].decode()
    for category in challenge.taxonomy.categories:
        assert f"| {category.official_name} | {category.num_landmarks} |" in overview


def test_an_own_logo_is_taken(
    challenges: dict[str, Challenge], wheel: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (30, 20), "red").save(tmp_path / "red.GIF", "GIF")
    challenge = replace(challenges["animals"], image=tmp_path / "red.GIF")
    write_bundle(tmp_path / "b.zip", challenge, wheel=wheel)
    assert members(tmp_path / "b.zip")["logo.gif"] == (tmp_path / "red.GIF").read_bytes()


def without_labels(path: Path) -> None:
    content = json.loads(path.read_text())
    for item in content["annotations"]:
        item["keypoints"] = [0] * len(item["keypoints"])
        item["num_keypoints"] = 0
    path.write_text(json.dumps(content))


def without_annotations(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "annotations": []}))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (without_labels, "must have items with labelled landmarks"),
        (without_annotations, "has no annotations"),
    ],
)
def test_ground_truth_on_which_nobody_can_score_is_refused(
    challenges: dict[str, Challenge], wheel: Path, tmp_path: Path, edit, message: str
) -> None:
    challenge = challenges["animals"]
    file = tmp_path / "test.json"
    file.write_bytes(challenge.ground_truths["test"].read_bytes())
    edit(file)
    changed = replace(challenge, ground_truths={**challenge.ground_truths, "test": file})
    with pytest.raises(UserError, match=message):
        write_bundle(tmp_path / "out" / "b.zip", changed, wheel=wheel)
    assert not (tmp_path / "out" / "b.zip").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": "t" * 257}, "title: must have at most 256 characters"),
        ({"contact_email": "nobody"}, "contact_email: must be an address"),
        ({"test_start": datetime(2026, 12, 1)}, r"phases\[0\].end: must be later than the start"),
        ({"end": datetime(2027, 2, 1)}, r"phases\[1\].end: must be later than the start"),
    ],
)
def test_what_the_server_would_refuse_is_not_written(
    challenges: dict[str, Challenge], wheel: Path, tmp_path: Path, changes, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        write_bundle(tmp_path / "b.zip", replace(challenges["animals"], **changes), wheel=wheel)
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_must_be_of_the_servers_python(
    challenges: dict[str, Challenge], wheel: Path, tmp_path: Path
) -> None:
    other = tmp_path / wheel.name.replace("cp312", "cp313")
    other.write_bytes(wheel.read_bytes())
    damaged = tmp_path / wheel.name
    damaged.write_bytes(b"PK")
    for file, message in (
        (other, "must be of Python 3.12 on Linux, .*; get it by `pip download msgspec=="),
        (damaged, "must be a wheel of msgspec, but"),
        (tmp_path / "none.whl", "there is no such file"),
    ):
        with pytest.raises(UserError, match=message):
            write_bundle(tmp_path / "b.zip", challenges["animals"], wheel=file)


def test_without_a_network_the_way_out_is_named(
    challenges: dict[str, Challenge], tmp_path: Path
) -> None:
    truths = challenges["clothes"].ground_truths
    arguments = ["--title", "T", "--val", truths["val"], "--test", truths["test"]]
    dates = ["--start", "2027-01-01", "--test-start", "2027-02-01"]
    command = ["-m", "df2_landmarks.cli.main", "challenge", "bundle"]
    output = ["--output", tmp_path / "b.zip"]
    done = run_python(*command, *arguments, *dates, *output, PIP_NO_INDEX="1")
    assert done.returncode == 2 and not (tmp_path / "b.zip").exists()
    (line,) = done.stderr.splitlines()
    assert "cannot be downloaded" in line and "--msgspec-wheel" in line


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ("2027-02-01 2027-02-01", "--test-start 2027-02-01 00:00:00: must be later than --start"),
        (
            "2027-01-01 2027-02-01 2027-02-01",
            "--end 2027-02-01 00:00:00: must be later than --test",
        ),
    ],
)
def test_dates_in_another_order_are_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dates: str, message: str
) -> None:
    options = ("--start", "--test-start", "--end")
    given = [word for pair in zip(options, dates.split(), strict=False) for word in pair]
    files = ["--val", "none.json", "--test", "none.json", "--output", str(tmp_path / "b.zip")]
    assert main(["bundle", "--title", "T", *files, *given]) == 1
    assert message in capsys.readouterr().err


def test_a_date_that_is_none_is_a_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["bundle", "--start", "1-2-2027"])
    assert "must be like 2027-01-31 or 2027-01-31 13:30:00" in capsys.readouterr().err
