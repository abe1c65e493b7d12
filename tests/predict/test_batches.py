"""Many pictures: in order, in bounded memory, each as if it were alone."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from df2_landmarks.common import UserError
from df2_landmarks.predict import Predictor
from df2_landmarks.predict.predictor import WINDOW_BATCHES
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.predict.fake_model import FakeModel

TOLERANCE_PX = 1e-3
"""Of boxes and landmarks on the CPU in float32. Measured for the demo's model on 60 pictures in
mixed sizes: 0.0001 px for detections from .4 on; of all detections, one landmark in 1400 moved by
up to 0.4 px, since two places in its heatmap are equally good."""


def pictures_of_sizes(*shapes):
    return [np.zeros((*shape, 3), np.uint8) for shape in shapes]


@pytest.fixture
def model():
    return FakeModel()


def sizes(results):
    return [(garments.height, garments.width) for garments in results]


def test_a_result_does_not_depend_on_the_batch(predictor, photos):
    """Whatever sizes it comes with, in whatever order."""
    alone = [predictor(rgb, channels="RGB") for rgb in photos]
    for seed, batch_size, threads in ((0, 3, 1), (1, 8, 1), (2, 2, 3)):
        order = np.random.default_rng(seed).permutation(len(photos)).tolist()
        shuffled = [photos[index] for index in order]
        options = {"batch_size": batch_size, "threads": threads}
        together = predictor.batch(shuffled, channels="RGB", **options)
        for index, garments in zip(order, together, strict=True):
            assert [g.category for g in garments] == [g.category for g in alone[index]]
            for a, b in zip(garments, alone[index], strict=True):
                assert a.score == pytest.approx(b.score, abs=1e-4)
                np.testing.assert_allclose(a.box_xyxy, b.box_xyxy, rtol=0, atol=TOLERANCE_PX)
                # A heatmap with two equal maxima decides by rounding: the median of a garment.
                distance_px = np.abs(a.landmarks.xy - b.landmarks.xy).max(axis=1)
                assert np.median(distance_px) < TOLERANCE_PX


def test_only_pictures_of_one_padded_size_pass_together(predictor, photos):
    groups = []
    detect = predictor.model.detect

    class Spy:
        prepare = predictor.model.prepare
        enter_thread = predictor.model.enter_thread
        fingerprint = predictor.fingerprint
        taxonomy = DEEPFASHION2
        max_pixels = 10**8

        def detect(self, batch, min_score):
            groups.append({prepared.group for prepared in batch})
            return detect(batch, min_score)

    list(Predictor(Spy()).batch(photos, channels="RGB"))
    assert all(len(group) == 1 for group in groups)
    assert 3 <= len(groups) < len(photos)


def test_the_order_is_kept_and_equal_sizes_are_put_together(model):
    shapes = [(2, 2), (3, 3)] * 10 + [(4, 4)]
    results = Predictor(model).batch(pictures_of_sizes(*shapes), batch_size=4, channels="RGB")
    assert sizes(results) == shapes
    assert all(len(set(batch)) == 1 and len(batch) <= 4 for batch in model.batches)
    assert [len(batch) for batch in model.batches] == [4, 4, 4, 4, 2, 2, 1]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("num_sizes", [1, 3, 100])
def test_memory_is_bounded(model, num_sizes, threads):
    """Never more pictures are on their way than the window and the model hold."""
    num_read = 0

    def endless():
        nonlocal num_read
        while True:
            num_read += 1
            yield np.zeros((1 + num_read % num_sizes, 1, 3), np.uint8)

    results = Predictor(model).batch(endless(), batch_size=2, channels="RGB", threads=threads)
    for num_yielded, _ in zip(range(1, 200), results, strict=False):
        assert num_read - num_yielded <= 2 * (WINDOW_BATCHES + 2 * (threads + 1))
    results.close()
    assert max(map(len, model.batches)) <= 2


def test_several_batches_are_in_the_model_at_once():
    both = threading.Barrier(2, timeout=20)

    class Meeting(FakeModel):
        def detect(self, batch, min_score):
            both.wait()  # breaks unless another batch comes here meanwhile
            return super().detect(batch, min_score)

    pictures = pictures_of_sizes((2, 2), (3, 3), (4, 4), (5, 5))
    results = Predictor(Meeting()).batch(pictures, batch_size=1, channels="RGB", threads=2)
    assert sizes(results) == [(2, 2), (3, 3), (4, 4), (5, 5)]


def test_an_exception_in_the_model_reaches_the_caller():
    class Broken(FakeModel):
        def detect(self, batch, min_score):
            raise ZeroDivisionError("a bug")

    results = Predictor(Broken()).batch(pictures_of_sizes((2, 2)), channels="RGB", threads=2)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(results)


def test_nothing_is_read_before_it_is_asked_for(model):
    read = []
    pictures = (read.append(rgb) or rgb for rgb in pictures_of_sizes((2, 2)))
    results = Predictor(model).batch(pictures, channels="RGB")
    assert read == []
    assert len(list(results)) == len(read) == 1


def test_no_pictures_no_results(model):
    assert list(Predictor(model).batch([])) == []


def test_an_unreadable_picture_ends_a_batch_after_those_before_it(model):
    pictures = [*pictures_of_sizes((2, 2), (3, 3)), "none.jpg", *pictures_of_sizes((4, 4))]
    results = Predictor(model).batch(pictures, channels="RGB")
    with pytest.raises(UserError, match="is for arrays"):
        list(results)
    results = Predictor(model).batch([b"", b"junk"])
    with pytest.raises(UserError, match="the file is empty"):
        next(results)


def test_errors_stand_in_the_place_of_their_pictures(model, photos):
    from io import BytesIO

    from PIL import Image

    png = BytesIO()
    Image.fromarray(photos[0]).save(png, "PNG")
    passed_on = UserError("url: cannot be fetched")
    pictures = [b"", png.getvalue(), b"junk", passed_on, png.getvalue(), "none.jpg"]
    results = list(Predictor(model).batch_with_errors(pictures, batch_size=2))
    assert [isinstance(result, UserError) for result in results] == [1, 0, 1, 1, 0, 1]
    assert results[3] is passed_on
    assert str(results[5]) == "none.jpg: cannot be read: No such file or directory"


def test_prepared_pictures_may_be_mixed_in(model):
    predictor = Predictor(model)
    prepared = predictor.prepare(np.zeros((5, 6, 3), np.uint8), channels="RGB")
    results = predictor.batch([prepared, *pictures_of_sizes((2, 2))], channels="RGB")
    assert sizes(results) == [(5, 6), (2, 2)]


@pytest.mark.parametrize("name", ["batch_size", "threads"])
def test_a_number_below_one_is_an_error(model, name):
    with pytest.raises(UserError, match=f"{name} must be 1 or more, but got 0"):
        list(Predictor(model).batch([b"x"], **{name: 0}))
