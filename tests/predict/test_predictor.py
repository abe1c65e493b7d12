"""What a `Predictor` finds is what the model finds, whatever form the picture has."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
import torch
from detectron2.engine import DefaultPredictor
from PIL import Image

from df2_landmarks import Predictor
from df2_landmarks.common import UserError
from df2_landmarks.formats import garments_of_instances
from df2_landmarks.modeling import detect
from df2_landmarks.predict.predictor import category_ids
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.predict.conftest import NUM_DETECTIONS
from tests.predict.fake_model import FakeModel

TOLERANCE_PX = 1e-4
TOLERANCE = 1e-6


def assert_equal_garments(given, expected, tolerance_px=0.0, tolerance=0.0):
    assert [g.category for g in given] == [g.category for g in expected]
    for a, b in zip(given, expected, strict=True):
        assert a.score == pytest.approx(b.score, abs=tolerance)
        np.testing.assert_allclose(a.box_xyxy, b.box_xyxy, rtol=0, atol=tolerance_px)
        np.testing.assert_allclose(a.landmarks.xy, b.landmarks.xy, rtol=0, atol=tolerance_px)
        np.testing.assert_allclose(
            a.landmarks.confidence, b.landmarks.confidence, rtol=0, atol=tolerance
        )


@pytest.fixture(scope="module")
def default_predictor(model_file, predictor):
    cfg = predictor.model.cfg.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = str(model_file)
    stock = DefaultPredictor(cfg)
    # The same order of sums: a heatmap with two equal maxima decides by rounding.
    stock.model.to(memory_format=torch.channels_last)
    return stock


@pytest.mark.parametrize("min_score", [0.0, 0.1, 0.3])
def test_garments_are_those_of_detectron2_above_the_threshold(
    model_file, photos, default_predictor, min_score
):
    """Masks are only made of detections above the threshold, which must change nothing."""
    predictor = Predictor.load(model_file, device="cpu", min_score=min_score)
    num_garments = 0
    for rgb in photos:
        instances = default_predictor(rgb[:, :, ::-1])["instances"].to("cpu")
        expected = garments_of_instances(instances, min_score)
        garments = predictor(rgb, channels="RGB")
        assert_equal_garments(garments, expected, TOLERANCE_PX, TOLERANCE)
        assert garments.best_score == pytest.approx(float(instances.scores.max()), abs=TOLERANCE)
        for a, b in zip(garments, expected, strict=True):
            # A probability within rounding of the threshold may fall on either side.
            assert (a.mask.array != b.mask.array).mean() < 1e-3
        num_garments += len(garments)
    num_detected = NUM_DETECTIONS * len(photos)
    assert num_garments == num_detected if min_score == 0 else 0 < num_garments < num_detected


def test_every_form_of_a_picture_gives_the_same_garments(predictor, photos, tmp_path):
    rgb = photos[0]
    Image.fromarray(rgb).save(tmp_path / "photo.png")
    expected = predictor(rgb, channels="RGB")
    content = (tmp_path / "photo.png").read_bytes()
    for image in (str(tmp_path / "photo.png"), tmp_path / "photo.png", content, bytearray(content)):
        assert_equal_garments(predictor(image), expected)
    assert_equal_garments(predictor(Image.open(io.BytesIO(content))), expected)
    assert_equal_garments(predictor(rgb[:, :, ::-1], channels="BGR"), expected)
    assert_equal_garments(predictor(rgb[:, ::-1][:, ::-1], channels="RGB"), expected)
    assert (expected.width, expected.height) == rgb.shape[1::-1]


def test_an_array_is_not_changed(predictor, photos):
    before = photos[1].copy()
    predictor(photos[1], channels="RGB").draw(photos[1], channels="RGB")
    np.testing.assert_array_equal(photos[1], before)


def test_landmarks_lie_in_the_upright_picture(predictor, photos):
    """As they do for the same pixels stored upright."""
    exif = Image.Exif()
    exif[274] = 6
    stored = io.BytesIO()
    Image.fromarray(np.rot90(photos[0])).save(stored, "PNG", exif=exif)
    expected = predictor(photos[0], channels="RGB")
    garments = predictor(stored.getvalue())
    assert (garments.width, garments.height) == (expected.width, expected.height)
    assert_equal_garments(garments, expected)


@pytest.mark.parametrize("shape", [(4, 3000), (3000, 4), (1, 1), (20, 50000), (1, 9000), (2, 2)])
@pytest.mark.parametrize("tta", [False, True])
def test_thin_and_tiny_pictures(model_file, shape, tta):
    predictor = Predictor.load(model_file, device="cpu", min_score=0.0, tta=tta)
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    garments = predictor(rgb, channels="RGB")
    assert (garments.height, garments.width) == shape
    for garment in garments:
        assert np.isfinite(garment.landmarks.xy).all()
        assert (garment.box_xyxy >= 0).all()
        assert (garment.box_xyxy <= [shape[1], shape[0]] * 2).all()
        assert garment.mask.array.shape == shape


def test_nothing_found_is_an_empty_list(model_file, photos):
    garments = Predictor.load(model_file, device="cpu", min_score=1.0)(photos[0], channels="RGB")
    assert len(garments) == 0 and 0 < garments.best_score < 1
    assert garments.to_dict()["garments"] == [] and garments.to_coco() == []
    np.testing.assert_array_equal(garments.draw(photos[0], channels="RGB"), photos[0])


def test_half_precision_gives_nearly_the_same(model_file, predictor, photos):
    half = Predictor.load(model_file, device="cpu", min_score=0.0, half=True)
    assert half.fingerprint != predictor.fingerprint
    pairs = [(half(rgb, channels="RGB"), predictor(rgb, channels="RGB")) for rgb in photos]
    # Of an untrained model many scores are nearly equal, and may change places.
    assert sum(num_near(*pair) for pair in pairs) >= 0.75 * 3 * len(photos)


def test_augmentation_keeps_the_places(model_file, predictor, photos):
    augmented = Predictor.load(model_file, device="cpu", min_score=0.0, tta=True)
    assert augmented.fingerprint != predictor.fingerprint
    for rgb in photos[:2]:
        garments = augmented(rgb, channels="RGB")
        assert len(garments) > 0
        height, width = rgb.shape[:2]
        for garment in garments:
            x1, y1, x2, y2 = garment.box_xyxy
            assert 0 <= x1 <= x2 <= width and 0 <= y1 <= y2 <= height
            beside = 0.1 * np.array([x2 - x1, y2 - y1]) + 1  # BOX_SCALE 1.2
            assert (garment.landmarks.xy >= [x1, y1] - beside).all()
            assert (garment.landmarks.xy <= [x2, y2] + beside).all()
            assert garment.mask.array.shape == (height, width)


def test_augmentation_with_one_plain_view_is_the_plain_prediction(model_file, predictor, photos):
    opts = ["TEST.AUG.FLIP", "False", "TEST.AUG.MIN_SIZES", "(96,)", "TEST.AUG.MAX_SIZE", "320"]
    one_view = Predictor.load(model_file, device="cpu", min_score=0.0, tta=True, opts=opts)
    for rgb in photos[:3]:
        # Boxes are selected a second time, in the picture: equal scores may change places.
        garments = one_view(rgb, channels="RGB")
        assert num_near(garments, predictor(rgb, channels="RGB"), min_overlap=0.95) == 3


def num_near(garments, expected, min_overlap=0.5):
    """Of the best three garments, those with one of the same category in nearly the same box."""
    return sum(
        any(
            other.category == garment.category
            and overlap(garment.box_xyxy, other.box_xyxy) > min_overlap
            for other in garments
        )
        for garment in expected[:3]
    )


def overlap(a, b):
    corners = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = np.prod(np.clip(corners, 0, None))
    areas = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])
    return shared / (areas - shared)


def test_only_the_wanted_categories_come_out(model_file, predictor, photos):
    everything = predictor(photos[0], channels="RGB")
    name = everything[1].category
    wanted = Predictor.load(model_file, device="cpu", min_score=0.0, categories=name)
    garments = wanted(photos[0], channels="RGB")
    expected = [garment for garment in everything if garment.category == name]
    assert 0 < len(expected) < len(everything)
    assert_equal_garments(garments, expected)


@pytest.mark.parametrize(
    "categories",
    [["Long Sleeve Top", "9"], ["long_sleeve-top", 9], ("long  sleeve top", "SKIRT")],
)
def test_categories_by_name_and_by_id(categories):
    assert category_ids(categories) == {2, 9}


def test_one_category_need_not_be_a_list():
    assert category_ids("vest dress") == {12} and category_ids(9) == {9}
    assert category_ids(category.name for category in DEEPFASHION2.categories) == set(range(1, 14))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categories": ["trouser"]}, "there is no 'trouser'. Did you mean 'trousers'?"),
        ({"categories": "trouser"}, "there is no 'trouser'. Did you mean 'trousers'?"),
        ({"categories": [14]}, r"there is no 14. There are short sleeve top, .*sling dress"),
        ({"categories": ["zzz"]}, "There are short sleeve top"),
        ({"min_score": 1.5}, r"min_score must be 0\.\.1, but got 1\.5"),
        ({"min_score": float("nan")}, "min_score must be"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UserError, match=message):
        Predictor(FakeModel(), **options)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "meta", "cpu0"])
def test_a_device_with_a_typo_is_named(model_file, device):
    with pytest.raises(UserError, match=rf'must be "cpu", "cuda" or "cuda:N", but got {device!r}'):
        Predictor.load(model_file, device=device)


def test_a_gpu_that_is_not_there_is_named(model_file, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="device cuda:7: this machine has 1 GPUs"):
        Predictor.load(model_file, device="cuda:7")


def test_options_may_choose_the_device(model_file, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    predictor = Predictor.load(model_file, opts=["MODEL.DEVICE", "cpu"])
    assert predictor.model.cfg.MODEL.DEVICE == "cpu"


def test_the_fingerprint_follows_weights_and_configuration(model_file, plain_file, predictor):
    def fingerprint(file, **options):
        return Predictor.load(file, device="cpu", **options).fingerprint

    assert len(predictor.fingerprint) == 16 and int(predictor.fingerprint, 16) >= 0
    assert fingerprint(model_file) == predictor.fingerprint
    size = ["INPUT.MIN_SIZE_TEST", "128"]
    assert fingerprint(model_file, opts=size) != predictor.fingerprint
    other = torch.load(plain_file)
    other["model"]["roi_heads.box_predictor.cls_score.bias"] += 1
    path = plain_file.with_name("other.pth")
    torch.save({**torch.load(model_file), **other}, path)
    assert fingerprint(path) != predictor.fingerprint


def test_garments_travel_between_processes(predictor, photos):
    garments = predictor(photos[0], channels="RGB")
    copy = pickle.loads(pickle.dumps(garments))
    assert_equal_garments(copy, garments)
    assert copy.to_dict() == garments.to_dict()
    assert len(pickle.dumps(garments)) < 2e5, "a mask travels as the grid of the mask head"
    assert pickle.loads(pickle.dumps(copy)).to_dict() == garments.to_dict()
    error = pickle.loads(pickle.dumps(UserError("photo.jpg: the file is empty")))
    assert str(error) == "photo.jpg: the file is empty"


def test_a_prediction_keeps_no_gradients(predictor, photos):
    assert not torch.is_inference_mode_enabled()
    predictor(photos[0], channels="RGB")
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()


def test_covariance_comes_when_it_is_asked_for_in_pixels_of_the_picture(
    model_file, predictor, photos
):
    key = "MODEL.ROI_LANDMARK_HEAD.COVARIANCE"
    asked = Predictor.load(model_file, device="cpu", min_score=0.0, opts=[key, "True"])
    rgb = np.repeat(np.repeat(photos[0], 2, axis=0), 3, axis=1)  # another shape than the model's
    plain, garments = predictor(rgb, channels="RGB"), asked(rgb, channels="RGB")
    assert_equal_garments(garments, plain)
    prepared = asked.prepare(rgb, channels="RGB")
    with torch.no_grad():
        image_input = {"image": prepared.data, "height": rgb.shape[0], "width": rgb.shape[1]}
        ((instances, _),) = detect(asked.model.model, [image_input], 0.0)
    height, width = instances.image_size
    x, y = rgb.shape[1] / width, rgb.shape[0] / height
    for row, (garment, without) in enumerate(zip(garments, plain, strict=True)):
        expected = instances.pred_covariance[row, : len(garment.landmarks)].numpy()
        expected = expected * [x * x, y * y, x * y]
        np.testing.assert_allclose(garment.landmarks.covariance, expected, rtol=1e-3)
        assert (garment.landmarks.covariance[:, :2] > 0).all()
        record = garment.to_dict()["landmarks"][garment.landmarks.names[0]]
        assert record["covariance"] == pytest.approx(expected[0].tolist(), abs=0.01, rel=1e-3)
        assert without.landmarks.covariance is None
        assert "covariance" not in without.to_dict()["landmarks"][garment.landmarks.names[0]]


def test_test_time_augmentation_has_covariance_too(model_file, photos):
    key = "MODEL.ROI_LANDMARK_HEAD.COVARIANCE"
    opts = [key, "True"]
    predictor = Predictor.load(model_file, device="cpu", min_score=0.0, opts=opts, tta=True)
    garments = predictor(photos[0], channels="RGB")
    assert garments
    for garment in garments:
        assert garment.landmarks.covariance.shape == (len(garment.landmarks), 3)
