"""Any folder is a data set: named by its folder, its file, or its place below the data root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from df2_landmarks.common import UserError
from df2_landmarks.data import TRAIN, VALIDATION, registered_name
from tests.formats.coco_cases import coco, write

KEY = "DATASETS.TRAIN"


@pytest.fixture(autouse=True)
def _clean_catalogs() -> Iterator[None]:
    before = set(DatasetCatalog.list())
    yield
    for name in set(DatasetCatalog.list()) - before:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def make(root: Path, *files: str) -> Path:
    """Make JSON files and folders of images."""
    for file in files:
        path = root / file
        if path.suffix == ".json":
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, coco())
        else:
            path.mkdir(parents=True)
    return root


def places(name: str) -> tuple[str, str]:
    metadata = MetadataCatalog.get(name)
    return metadata.json_file, metadata.image_root


@pytest.mark.parametrize(
    ("files", "split", "json_file", "images"),
    [
        (
            ("annotations/train.json", "annotations/validation.json", "train/image"),
            TRAIN,
            "annotations/train.json",
            "train/image",
        ),
        (
            ("annotations/train.json", "annotations/val.json", "val"),
            VALIDATION,
            "annotations/val.json",
            "val",
        ),
        (("annotations/instances_default.json", "images"), TRAIN, "annotations/*", "images"),
        (("result.json", "images"), TRAIN, "result.json", "images"),
        (("a.json",), VALIDATION, "a.json", "."),
        (
            ("train/_annotations.coco.json", "valid/_annotations.coco.json"),
            VALIDATION,
            "valid/_annotations.coco.json",
            "valid",
        ),
    ],
)
def test_a_folder_is_a_data_set(
    tmp_path: Path, files: tuple[str, ...], split: str, json_file: str, images: str
) -> None:
    name = registered_name(str(make(tmp_path / "set", *files)), split, KEY)
    (expected,) = (tmp_path / "set").glob(json_file)
    assert places(name) == (str(expected), str(tmp_path / "set" / images))
    assert len(DatasetCatalog.get(name)) == 2
    assert name == f"{expected}@{tmp_path / 'set' / images}"
    assert registered_name(name, split, KEY) == name


def test_a_file_with_its_images_is_a_data_set(tmp_path: Path) -> None:
    make(tmp_path, "some/file.json", "else/where")
    source = f"{tmp_path}/some/file.json@{tmp_path}/else/where"
    name = registered_name(source, TRAIN, KEY)
    assert name == source
    assert DatasetCatalog.get(name)[0]["file_name"] == f"{tmp_path}/else/where/000005.jpg"


def test_a_folder_below_the_data_root_goes_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    make(tmp_path / "classroom", "annotations/train.json", "annotations/validation_visible.json")
    assert registered_name("classroom_train", TRAIN, KEY) == "classroom_train"
    assert places("classroom_train") == (
        str(tmp_path / "classroom/annotations/train.json"),
        str(tmp_path / "classroom/train/image"),
    )
    name = registered_name("classroom_validation_visible", VALIDATION, KEY)
    assert places(name)[1] == str(tmp_path / "classroom/validation/image")
    with pytest.raises(UserError, match=r"'clasroom_train'\. Did you mean classroom_train\?"):
        registered_name("clasroom_train", TRAIN, KEY)


@pytest.mark.parametrize(
    ("files", "source", "message"),
    [
        ((), "nowhere", r"there is no data set 'nowhere'.* a folder, or FILE\.json@IMAGES"),
        (("images",), "", r"must have annotations/train\.json .*or a JSON file of its own"),
        (("a.json", "b.json"), "", r"must have train\.json or one JSON file, but has 2 \(a\.json"),
        (("a.json",), "a.json@{root}/none", r"there is no folder .*/none with the images"),
        (("images",), "none.json@{root}/images", r"none\.json does not exist"),
        (
            ("annotations/train.json",),
            "annotations/train.json",
            r"there is no folder .*train/image with the images",
        ),
    ],
)
def test_what_is_missing_is_named_at_the_start(
    tmp_path: Path, files: tuple[str, ...], source: str, message: str
) -> None:
    make(tmp_path, *files)
    if source != "nowhere":
        source = f"{tmp_path}/{source.format(root=tmp_path)}"
    with pytest.raises(UserError, match=message) as caught:
        registered_name(source, TRAIN, KEY)
    assert str(caught.value).startswith(KEY)
    assert "\n" not in str(caught.value)
