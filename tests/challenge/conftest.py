"""Two bundles: of DeepFashion2's categories, and of a taxonomy from a COCO file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

from df2_landmarks.challenge.bundle import Challenge, write_bundle
from df2_landmarks.formats import read_taxonomy
from tests.evaluation.cases import make_ground_truth, write_json
from tests.own_data.drawing import ANIMALS, write_data

WHEEL_NAME = "msgspec-0.0-cp312-cp312-manylinux2014_x86_64.whl"
DATES = {"start": datetime(2027, 1, 1), "test_start": datetime(2027, 3, 1, 13, 30)}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This Python's msgspec in a wheel with the name of Python 3.12's: nothing is downloaded."""
    path = tmp_path_factory.mktemp("wheel") / WHEEL_NAME
    installed = distribution("msgspec")
    with zipfile.ZipFile(path, "w") as archive:
        for file in installed.files or ():
            if file.parts[0].startswith("msgspec") and "__pycache__" not in file.parts:
                archive.write(str(file.locate()), file.as_posix())
    return path


@pytest.fixture(scope="session")
def challenges(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Challenge]:
    """Name -> challenge: "clothes" with DeepFashion2's categories, "animals" with its own."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    clothes = {
        split: write_json(folder / f"{split}.json", make_ground_truth(rng, num_images=20))
        for split in ("val", "test")
    }
    annotations = write_data(folder / "animals", ANIMALS, all_slots=False) / "annotations"
    animals = {"val": annotations / "train.json", "test": annotations / "validation.json"}
    taxonomy = read_taxonomy(animals["val"])
    return {
        "clothes": Challenge("Clothes", clothes, **DATES),
        "animals": Challenge("Animals", animals, **DATES, taxonomy=taxonomy),
    }


@pytest.fixture(scope="session")
def bundles(
    challenges: dict[str, Challenge], wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Path]]:
    """Name -> zip of the challenge."""
    folder = tmp_path_factory.mktemp("bundles")
    for name, challenge in challenges.items():
        write_bundle(folder / f"{name}.zip", challenge, wheel=wheel)
    yield {name: folder / f"{name}.zip" for name in challenges}
