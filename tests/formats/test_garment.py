"""A garment has its own landmarks only, by name, by number and as plain data."""

import numpy as np
import pytest

from df2_landmarks.formats import Mask, detected_garments
from df2_landmarks.taxonomy import DEEPFASHION2


def detect(class_index=8, *, visible=None, confidence=0.8):
    """One detection whose padding is full of numbers that must never come out."""
    landmarks = np.full((1, DEEPFASHION2.max_landmarks, 3), -777.0)
    count = DEEPFASHION2.counts[class_index]
    landmarks[0, :count, 0] = np.arange(count) + 0.25
    landmarks[0, :count, 1] = 7.0
    landmarks[0, :count, 2] = confidence
    (garment,) = detected_garments(
        taxonomy=DEEPFASHION2,
        classes=np.array([class_index]),
        scores=np.array([0.91]),
        boxes_xyxy=np.array([[1.0, 2, 30, 40]]),
        landmarks=landmarks,
        visible=visible,
        masks=[Mask.from_array(np.ones((4, 4), dtype=bool))],
    )
    return garment


@pytest.mark.parametrize("class_index", range(len(DEEPFASHION2.categories)))
def test_exactly_the_landmarks_of_its_category_come_out(class_index):
    garment, category = detect(class_index), DEEPFASHION2.categories[class_index]
    assert [p.name for p in garment.landmarks] == list(category.landmark_names)
    assert [p.number for p in garment.landmarks] == list(range(1, category.num_landmarks + 1))
    record = garment.to_dict()
    assert list(record["landmarks"]) == list(category.landmark_names)
    assert "-777" not in str(record)


def test_a_landmark_by_name_and_by_number():
    landmarks = detect().landmarks
    assert landmarks["hem_left"].xy == (4.25, 7.0)
    assert landmarks["hem_left"] == landmarks[5]
    assert "hem_left" in landmarks and "crotch" not in landmarks


@pytest.mark.parametrize(
    ("key", "message"),
    [("hem_lift", "Did you mean 'hem_left'"), (0, r"1\.\.8, but got 0"), (9, "but got 9")],
)
def test_an_unknown_landmark_is_named(key, message):
    with pytest.raises(KeyError, match=message):
        detect().landmarks[key]


def test_visibility_follows_the_probability():
    visible = np.full((1, DEEPFASHION2.max_landmarks), 0.9)
    visible[0, 2] = 0.1
    landmarks = detect(visible=visible).landmarks
    assert landmarks.visibility.tolist() == [2, 2, 1, 2, 2, 2, 2, 2]
    assert landmarks[3].visible == pytest.approx(0.1)
    assert detect().landmarks[3].visible is None
    assert detect(visible=visible).to_dict()["landmarks"]["waist_right"]["visible"] == 0.1


def test_plain_data_says_what_the_garment_is():
    record = detect().to_dict()
    assert record["category"] == "skirt" and record["category_id"] == 9
    assert record["score"] == 0.91
    assert record["box_xyxy"] == [1, 2, 30, 40]
    assert record["landmarks"]["hem_left"] == {
        "number": 5,
        "x": 4.25,
        "y": 7.0,
        "confidence": 0.8,
    }
    assert record["mask"]["size"] == [4, 4]
    assert "mask" not in detect().to_dict(with_mask=False)
