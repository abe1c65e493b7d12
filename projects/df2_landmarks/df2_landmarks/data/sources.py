"""What DATASETS.TRAIN and DATASETS.TEST may hold besides registered names: folders and files.

* ``gloves_train``: ``annotations/train.json`` of the folder ``gloves`` in ``DETECTRON2_DATASETS``;
* ``path/to/folder``: the training or validation split in it, by the key that names it;
* ``path/to/file.json``, ``path/to/file.json@path/to/images``.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from df2_landmarks.common import UserError
from df2_landmarks.data.catalog import SPLITS, data_root, register_landmark_dataset
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

TRAIN, VALIDATION = "train", "validation"
_OTHER_NAMES = {TRAIN: (TRAIN,), VALIDATION: (VALIDATION, "val", "valid")}
"""Split -> what its file or folder is called."""


def registered_name(source: str, split: str, key: str, taxonomy: Taxonomy = DEEPFASHION2) -> str:
    """Return the name of a data set in Detectron2's catalogs; register it unless it is.

    The name of a folder or file is ``FILE.json@IMAGES``, so that a written configuration says what
    was read, and one folder can be trained and evaluated on.

    Args:
        source: a registered name, or one of the forms above.
        split: TRAIN or VALIDATION, the split to take of a folder.
        key: where the user wrote it, for messages.
        taxonomy: the categories of a folder or file.

    Raises:
        UserError: there is no such data set, or a part of it is missing.
    """
    if source in DatasetCatalog.list() and "@" not in source:
        return source
    below_root = splits_below(data_root())
    if source in below_root:
        register_landmark_dataset(source, *below_root[source], taxonomy)
        return source
    if "@" in source or Path(source).exists():
        json_file, images = _files(source, split, f"{key} {source}")
        name = f"{json_file}@{images}"
        if name in DatasetCatalog.list() and MetadataCatalog.get(name).taxonomy != taxonomy:
            DatasetCatalog.remove(name)  # another run of this process used another taxonomy
            MetadataCatalog.remove(name)
        if name not in DatasetCatalog.list():
            register_landmark_dataset(name, json_file, images, taxonomy)
        return name
    close = difflib.get_close_matches(source, [*DatasetCatalog.list(), *below_root], n=1)
    hint = f"Did you mean {close[0]}? " if close else ""
    raise UserError(
        f"{key}: there is no data set {source!r}. {hint}Give a name, a folder, or FILE.json@IMAGES "
        "(see datasets/README.md)"
    )


def splits_below(root: Path) -> dict[str, tuple[Path, Path]]:
    """Return name -> JSON and images of each split that `make convert` wrote below a folder."""
    found = {}
    for json_file in sorted(root.glob("*/annotations/*.json")):
        folder = json_file.parent.parent
        found[f"{folder.name}_{json_file.stem}"] = json_file, _images_in_tree(json_file)
    return found


def _images_in_tree(json_file: Path) -> Path:
    stem = json_file.stem
    return json_file.parent.parent / SPLITS.get(stem, stem) / "image"


def _files(source: str, split: str, where: str) -> tuple[Path, Path]:
    """Return the JSON and the folder of the images of a folder, a file, or FILE@IMAGES."""
    file, _, images = source.rpartition("@") if "@" in source else (source, "", "")
    json_file = Path(file)
    if json_file.is_dir():
        json_file = _json_in(json_file, split, where)
    if not json_file.is_file():
        raise UserError(f"{where}: {json_file} does not exist")
    image_root = Path(images) if images else _image_root(json_file)
    if not image_root.is_dir():
        raise UserError(f"{where}: there is no folder {image_root} with the images")
    return json_file, image_root


def _json_in(folder: Path, split: str, where: str) -> Path:
    """Return the annotations of a split in a folder: by its name, or the only JSON there is."""
    places = [folder / "annotations", folder, *(folder / name for name in _OTHER_NAMES[split])]
    for name in _OTHER_NAMES[split]:
        if (json_file := folder / "annotations" / f"{name}.json").is_file():
            return json_file
        if (json_file := folder / f"{name}.json").is_file():
            return json_file
    for place in reversed(places):  # the folder of the split first
        files = sorted(place.glob("*.json"))
        if len(files) == 1:
            return files[0]
        if files:
            raise UserError(
                f"{where}: {place} must have {split}.json or one JSON file, but has {len(files)} "
                f"({', '.join(file.name for file in files[:3])}); name one, as FILE.json@IMAGES"
            )
    raise UserError(
        f"{where}: must have annotations/{split}.json (`make convert` writes it) or a JSON file of "
        "its own; or give FILE.json@IMAGES"
    )


def _image_root(json_file: Path) -> Path:
    """Return where the images of a file are: as `make convert` has them, else nearby."""
    folder = json_file.parent
    if folder.name == "annotations":
        stem = SPLITS.get(json_file.stem, json_file.stem)
        root = folder.parent
        places = [root / stem / "image", root / stem, root / "images" / stem, root / "images"]
    else:
        places = [folder / "images", folder / "image", folder]
    return next((place for place in places if place.is_dir()), places[0])
