"""A file that would train badly is refused before training, or its doubts are counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from df2_landmarks.common import UserError
from df2_landmarks.data import load_landmark_json
from df2_landmarks.formats import CocoReader, CocoReport, read_ground_truth
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.formats.coco_cases import HEIGHT, WIDTH, Json, coco, write

MANY = tuple(c % DEEPFASHION2.num_categories for c in range(60))


def report_of(folder: Path, content: Json) -> CocoReport:
    reader = CocoReader(write(folder / "train.json", content), needs_pictures=True)
    for _ in reader.blocks():
        pass
    return reader.report


def warnings(folder: Path, content: Json) -> list[str]:
    return [f.line() for f in report_of(folder, content).findings if f.level == "warning"]


def moved(annotation: Json, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change x and y of the labelled landmarks."""
    rows = np.reshape(annotation["keypoints"], (-1, 3)).astype(float)
    rows[:, :2] = change(rows[:, :2])
    annotation["keypoints"] = rows.ravel().tolist()


def normalised(annotation: Json) -> None:
    moved(annotation, lambda xy: xy / (WIDTH, HEIGHT))


def a_quarter(annotation: Json) -> None:
    moved(annotation, lambda xy: xy / 4)


def twice_as_large(annotation: Json) -> None:
    moved(annotation, lambda xy: 2 * xy)
    annotation["bbox"] = [2 * value for value in annotation["bbox"]]


def corners(annotation: Json) -> None:
    x, y, w, h = annotation["bbox"]
    annotation["bbox"] = [x + 20, y + 20, x + 20 + w, y + 20 + h]


def box_in_shares(annotation: Json) -> None:
    annotation["bbox"] = [0.2, 0.2, 0.5, 0.7]


ERRORS = [
    (normalised, "all landmarks lie within 0..1, so they are in shares of the image; multiply by"),
    (a_quarter, "most landmarks lie beside the box; are they in other units"),
    (twice_as_large, "most landmarks lie beside the image|the box leaves the image"),
    (corners, "the box leaves the image as x, y, width, height, but not as x1, y1, x2, y2: write"),
    (box_in_shares, "the box lies within 0..1, so it is in shares of the image"),
    (lambda a: a.update(bbox=[40, 60, 0, 200]), "the box has no width or height; bbox must be x,"),
    (lambda a: a.update(bbox=[40, 60, 100, -200]), "the box has no width or height"),
    (lambda a: a.update(bbox=[500, 60, 100, 200]), "the box lies beside the image"),
]


@pytest.mark.parametrize(("change", "message"), ERRORS)
def test_a_file_in_which_all_garments_are_wrong_is_refused_with_share_and_examples(
    tmp_path: Path, change: Callable[[Json], None], message: str
) -> None:
    content = coco()
    for annotation in content["annotations"]:
        change(annotation)
    path = write(tmp_path / "train.json", content)
    messages = []
    for read in (read_ground_truth, lambda p: load_landmark_json(p, tmp_path)):
        with pytest.raises(
            UserError, match=rf"[34] of 4 garments \(\d+ %\): ({message})"
        ) as caught:
            read(path)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "such as annotation 1 of image 9: box " in messages[0]
    assert "\n" not in messages[0]
    assert not list(tmp_path.glob(".cache/*.bin"))


@pytest.mark.parametrize("value", [1e8, 1e10, -1e30, 1e308])
def test_polygons_that_would_crash_or_fill_the_memory_are_refused(
    tmp_path: Path, value: float
) -> None:
    content = coco()
    content["annotations"][1]["segmentation"] = [[1, 2, 3, 4, 5, 6], [0, 0, 9, 0, value, 9]]
    path = write(tmp_path / "train.json", content)
    with pytest.raises(UserError, match="record 1: segmentation: coordinates must be pixels"):
        read_ground_truth(path)


@pytest.mark.parametrize(("change", "message"), ERRORS)
def test_one_wrong_garment_of_many_is_a_counted_warning(
    tmp_path: Path, change: Callable[[Json], None], message: str
) -> None:
    content = coco(MANY * 3)
    change(content["annotations"][17])
    (warning,) = warnings(tmp_path, content)
    assert warning.startswith("1 of 180 garments (0.556 %): ")
    assert "such as annotation 18 of image " in warning


def test_a_right_file_has_no_findings_and_a_summary(tmp_path: Path) -> None:
    report = report_of(tmp_path, coco())
    assert not report.findings
    num_landmarks = sum(DEEPFASHION2.counts[c] for c in (0, 7, 12, 0))
    start, missing = report.summary().split("; no ", 1)
    assert start == (
        "train.json: 2 images, 4 garments; "
        f"landmarks: {num_landmarks - 4} visible, 4 occluded, 0 not labelled"
    )
    assert len(missing.split(", no ")) == DEEPFASHION2.num_categories - 3
    assert "no long_sleeved_shirt" in report.summary()


def test_crowds_and_garments_without_landmarks_are_counted_apart(tmp_path: Path) -> None:
    content = coco()
    content["annotations"][0]["iscrowd"] = 1
    content["annotations"][1]["keypoints"] = [0] * (3 * DEEPFASHION2.counts[7])
    content["annotations"][1]["num_keypoints"] = 0
    report = report_of(tmp_path, content)
    assert (report.garments, report.crowds, report.without_landmarks) == (3, 1, 1)
    assert report.landmarks[0] == DEEPFASHION2.counts[7]
    assert report.categories["short_sleeved_shirt"] == 1
    assert "3 garments and 1 crowds" in report.summary()
    assert "1 garments without landmarks" in report.summary()
    assert not report.findings


def test_crowds_may_have_any_box(tmp_path: Path) -> None:
    content = coco()
    content["annotations"][0] |= {"iscrowd": 1, "bbox": [0, 0, 0, 0]}
    assert not report_of(tmp_path, content).findings


def test_a_confidence_as_visibility_is_refused(tmp_path: Path) -> None:
    content = coco()
    content["annotations"][2]["keypoints"][5] = 0.93
    message = r"record 2: keypoints: v must be 0, 1 or 2, but got 0\.93; write 2 for visible"
    with pytest.raises(UserError, match=message):
        read_ground_truth(write(tmp_path / "train.json", content))


def test_landmarks_of_smaller_images_are_a_warning(tmp_path: Path) -> None:
    content = coco(MANY)
    for annotation in content["annotations"]:
        moved(annotation, lambda xy: xy / 3)
        annotation["bbox"] = [value / 3 for value in annotation["bbox"]]
    (warning,) = warnings(tmp_path, content)
    assert warning.startswith("60 of 60 garments (100 %): all landmarks lie in the upper left quar")


def test_num_keypoints_that_is_not_the_number_of_landmarks_is_a_warning(tmp_path: Path) -> None:
    content = coco()
    content["annotations"][1]["num_keypoints"] = 0
    (warning,) = warnings(tmp_path, content)
    assert warning.startswith("1 of 4 garments (25 %): num_keypoints is not the number")


def test_a_file_without_any_labelled_landmark_is_a_warning(tmp_path: Path) -> None:
    content = coco((0, 0))
    for annotation in content["annotations"]:
        annotation |= {"keypoints": [0] * (3 * DEEPFASHION2.counts[0]), "num_keypoints": 0}
    (warning,) = warnings(tmp_path, content)
    assert warning.startswith("2 of 2 garments (100 %): no landmark is labelled, in the whole file")


@pytest.mark.parametrize(
    "file_name", [r"train\1.jpg", "a%20b.jpg", "https://some.place/1.jpg", r"C:\1.jpg"]
)
def test_file_names_that_cannot_be_found_are_counted_when_the_file_is_read(
    tmp_path: Path, file_name: str
) -> None:
    content = coco()
    content["images"][0]["file_name"] = file_name
    (warning,) = warnings(tmp_path, content)
    assert warning.startswith("1 of 2 images (50 %): the file name has a backslash, a %-code or a")
    assert repr(file_name) in warning


def test_several_kinds_of_errors_are_one_line_that_says_so(tmp_path: Path) -> None:
    content = coco()
    normalised(content["annotations"][0])
    content["annotations"][1]["bbox"] = [0, 0, 0, 0]
    with pytest.raises(UserError, match=r"; `df2 check` lists 1 more$"):
        read_ground_truth(write(tmp_path / "train.json", content))


def test_images_without_a_size_do_not_disturb_the_score(tmp_path: Path) -> None:
    content = coco()
    for image in content["images"]:
        del image["width"], image["height"], image["file_name"]
    path = write(tmp_path / "train.json", content)
    assert read_ground_truth(path).num_items == 4
    with pytest.raises(UserError, match=r"2 of 2 images \(100 %\): an image must have file_name"):
        load_landmark_json(path, tmp_path)
