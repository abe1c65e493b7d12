"""An exported file finds what its model finds, and a file that does not is not written."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from detectron2.modeling import build_model
from PIL import Image

from df2_landmarks import Predictor
from df2_landmarks.cli.export import main as export
from df2_landmarks.common import UserError
from df2_landmarks.export import NOT_EXPORTED, TraceableRCNN, export_model, find_format
from df2_landmarks.export import parity as parity_module
from df2_landmarks.export.parity import LANDMARK_PX, compare, drawn_pictures
from df2_landmarks.formats import RECORD_KEY, Mask, check_record, model_record
from df2_landmarks.modeling import detect
from df2_landmarks.predict import Detected, Prepared
from df2_landmarks.predict.models.torch_model import TorchModel
from df2_landmarks.taxonomy import DEEPFASHION2, category_rows
from tests.predict.conftest import NUM_DETECTIONS
from tests.support import ROOT, tiny_config

SHAPES = [(1, 1), (2, 2), (4, 3000), (3000, 4), (33, 31), (500, 700)]
STEP = 1.2 / 8 / 56
HEAD = "MODEL.ROI_LANDMARK_HEAD"
VARIANTS = {
    "plain": ["MODEL.MASK_ON", "False", f"{HEAD}.VISIBILITY", "False"],
    "no_rescoring": [
        *(f"{HEAD}.CONFIDENCE_POWER", "0.0", f"{HEAD}.SUPPRESS_ACROSS_CATEGORIES", "False"),
        *(f"{HEAD}.SHARE_BY_NAME", "False"),
    ],
    "own_convolutions": [
        *(f"{HEAD}.CLASS_CONV_DIMS", "[32]", f"{HEAD}.NORM", "GN", "INPUT.FORMAT", "RGB"),
        *("MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "[32]", "MODEL.ROI_MASK_HEAD.CONV_DIM", "32"),
        *("MODEL.ROI_MASK_HEAD.NORM", "GN"),
        # As R_50_FPN_lsj:
        *("MODEL.ROI_BOX_HEAD.NUM_CONV", "4", "MODEL.ROI_BOX_HEAD.CONV_DIM", "32"),
        *("MODEL.ROI_BOX_HEAD.NUM_FC", "1", "MODEL.ROI_BOX_HEAD.NORM", "GN"),
        *("MODEL.RESNETS.NORM", "SyncBN", "MODEL.FPN.NORM", "SyncBN"),
        *("MODEL.RPN.CONV_DIMS", "[-1, -1]"),
    ],
    "surroundings": [f"{HEAD}.BOX_SCALE", "1.3", f"{HEAD}.COORDINATES", "True"],
    "oks_branch": [f"{HEAD}.OKS_BRANCH", "True"],
    "second_look": [f"{HEAD}.SECOND_LOOK", "True", f"{HEAD}.BOX_SCALE", "1.2"],
    "one_for_all_classes": [
        *("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", "True"),
        *("MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK", "True"),
    ],
    "cascade": [
        *("MODEL.ROI_HEADS.NAME", "LandmarkCascadeROIHeads"),
        *("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", "True"),
    ],
    "one_level": [
        *("MODEL.ROI_HEADS.IN_FEATURES", "['p3']", "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO", "0"),
    ],
    "coco_person": [
        f"{HEAD}.TAXONOMY",
        str(ROOT / "docs/examples/coco_person.yaml"),
    ],
}


def random_picture(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def untrained(*opts):
    """A tiny model whose scores and places differ."""
    cfg = tiny_config("TEST.DETECTIONS_PER_IMAGE", NUM_DETECTIONS, *opts)
    torch.manual_seed(1)
    model = build_model(cfg)
    with torch.no_grad():
        for name, weight in model.roi_heads.named_parameters():
            if name.endswith("cls_score.weight"):  # one for each stage of a cascade
                weight *= 60
        for name, parameter in model.roi_heads.keypoint_head.named_parameters():
            if name.startswith(("coordinates.", "oks_branch.")):  # 0 at the start
                parameter.normal_()
            if name == "shared_predictor.weight":  # heatmaps with clear maxima
                parameter.normal_(std=2)
    return TorchModel(cfg, model)


@pytest.fixture(scope="module")
def onnx_predictor(onnx_file):
    return Predictor.load(onnx_file, min_score=0.0)


@pytest.mark.parametrize("name", ["onnx_file", "torchscript_file"])
def test_an_exported_file_finds_what_the_model_finds(name, predictor, photos, request):
    """On pictures of other sizes and categories than the one that was traced."""
    exported = Predictor.load(request.getfixturevalue(name), min_score=0.0)
    pictures = [(str(i), photo) for i, photo in enumerate(photos)]
    pictures += [(str(shape), random_picture(shape)) for shape in SHAPES]
    parity = compare(predictor.model, exported.model, pictures, step=STEP)
    assert parity.is_equal, parity.text()
    assert parity.num_compared > 0.8 * NUM_DETECTIONS * len(pictures)
    categories = {frozenset(g.category for g in exported(p, channels="RGB")) for _, p in pictures}
    assert len(categories) > 3, "the routing by category has to be tried"
    assert exported.fingerprint == predictor.fingerprint


@pytest.mark.parametrize("min_score", [0.1, 0.3, 1.0])
def test_the_threshold_is_an_input_of_the_graph(min_score, model_file, onnx_file, photos):
    """Nothing at all, too; the best score is that of everything detected."""
    model, exported = (
        Predictor.load(f, device="cpu", min_score=min_score) for f in (model_file, onnx_file)
    )
    for photo in photos[:4]:
        a, b = model(photo, channels="RGB"), exported(photo, channels="RGB")
        assert [g.category for g in a] == [g.category for g in b]
        assert a.best_score == pytest.approx(b.best_score, abs=1e-5) and b.best_score > 0
    assert min_score < 1 or len(b) == 0


def test_a_batch_gives_what_single_pictures_give(onnx_predictor, photos):
    single = [onnx_predictor(photo, channels="RGB").to_dict() for photo in photos]
    batch = onnx_predictor.batch(photos, channels="RGB", batch_size=3, threads=2)
    assert [garments.to_dict() for garments in batch] == single
    assert list(onnx_predictor.batch([])) == []


@pytest.mark.parametrize("name", VARIANTS)
def test_every_kind_of_model_is_traced_as_it_is(name):
    """The traceable inference is equal to Detectron2's, its boxes bit by bit."""
    close = torch.testing.assert_close
    predictor = untrained(*VARIANTS[name])
    traceable = TraceableRCNN(predictor.model)
    num_detections = 0
    for shape in SHAPES:
        prepared = predictor.prepare(random_picture(shape))
        with torch.no_grad():
            image_input = {"image": prepared.data, "height": shape[0], "width": shape[1]}
            expected, best = detect(predictor.model, [image_input], 0.0)[0]
            image = prepared.data.permute(1, 2, 0).contiguous()
            outputs = traceable(image, torch.tensor(0.0))
        got = dict(zip(traceable.output_names, outputs, strict=True))
        num_detections += len(expected)
        assert float(got["best_score"]) == pytest.approx(best, abs=1e-6)
        assert torch.equal(got["boxes"], expected.pred_boxes.tensor)
        assert torch.equal(got["classes"], expected.pred_classes)
        # Another order of the regions in the landmark head may round in another way.
        close(got["scores"], expected.scores, rtol=0, atol=1e-6)
        close(got["landmarks"][..., 2], expected.pred_keypoints[..., 2], rtol=0, atol=1e-5)
        moved = (got["landmarks"] - expected.pred_keypoints).abs().amax(dim=2) > 1e-3
        assert moved.float().mean() < 0.01  # two places that are equally good
        assert ("visible" in got) == expected.has("pred_visibility")
        if "visible" in got:
            close(got["visible"], expected.pred_visibility, rtol=0, atol=1e-6)
        assert ("masks" in got) == predictor.cfg.MODEL.MASK_ON
        if expected.has("pred_masks"):
            close(got["masks"], expected.pred_masks[:, 0], rtol=0, atol=1e-5)
    assert num_detections > 10


@pytest.mark.parametrize("name", sorted(VARIANTS.keys() - {"plain", "one_level"}))
def test_every_kind_of_model_is_exported(name, tmp_path):
    output = tmp_path / "model.onnx"
    weights = tmp_path / "model.pth"
    model = untrained(*VARIANTS[name])
    record = model_record(model.cfg.dump(), model.taxonomy)
    torch.save({"model": model.model.state_dict(), "df2_landmarks": record}, weights)
    assert export([str(weights), "--output", str(output)]) == 0
    exported = Predictor.load(output, min_score=0.0)
    assert exported.model.taxonomy == model.taxonomy
    assert not Predictor.load(output, min_score=1.0)(random_picture((50, 60)), channels="RGB")
    for garment in exported(drawn_pictures()[0][1], channels="RGB"):
        assert [x.name for x in garment.landmarks] == list(garment.definition.landmark_names)


def test_the_file_knows_itself(onnx_file, predictor):
    metadata = onnxruntime.InferenceSession(str(onnx_file)).get_modelmeta().custom_metadata_map
    record = json.loads(metadata[RECORD_KEY])
    check_record(record, "", DEEPFASHION2)
    assert record["categories"] == category_rows(DEEPFASHION2)
    assert {"keypoints", "flip_pairs", "sigmas"} <= set(record["categories"][0])
    own = record["export"]
    assert own["fingerprint"] == predictor.fingerprint
    assert own["input"]["min_size_px"] == predictor.model.cfg.INPUT.MIN_SIZE_TEST
    assert own["input"]["channels"] == predictor.model.cfg.INPUT.FORMAT
    assert own["thresholds"]["detections"] == NUM_DETECTIONS
    assert own["software"]["torch"] == torch.__version__ and own["software"]["opset"]


def test_the_same_model_gives_the_same_bytes(onnx_file, model_file, tmp_path):
    export_model(model_file, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == onnx_file.read_bytes()


def test_the_table_of_parity_is_printed_and_written(model_file, tmp_path, capsys):
    output = tmp_path / "model.ts"
    command = [str(model_file), "--format", "torchscript", "--output", str(output)]
    assert export(command) == 0
    printed = capsys.readouterr().out
    table = (tmp_path / "model.ts.parity.txt").read_text()
    assert table in printed and table.count("same") == 4 and "nothing on it" in table
    assert set(tmp_path.iterdir()) == {output, tmp_path / "model.ts.parity.txt"}


def test_own_pictures_are_compared_too(model_file, photos, tmp_path, capsys):
    files = [tmp_path / f"photo{index}.png" for index in range(2)]
    for file, photo in zip(files, photos, strict=False):
        Image.fromarray(photo).save(file)
    command = [str(model_file), "--format", "torchscript", "--output", str(tmp_path / "model.ts")]
    assert export([*command, "--pictures", *map(str, files)]) == 0
    assert "photo1.png" in capsys.readouterr().out
    table = (tmp_path / "model.ts.parity.txt").read_text()
    assert table.count("same") == 6
    files[1].write_bytes(b"no picture")
    assert export([*command, "--pictures", *map(str, files)]) == 1
    assert "photo1.png: not a picture" in capsys.readouterr().err


def test_a_file_that_differs_is_not_written(model_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(parity_module, "BOX_PX", -1.0)
    command = [str(model_file), "--format", "torchscript", "--output", str(tmp_path / "model.ts")]
    assert export(command) == 1
    written = capsys.readouterr()
    assert written.out.count("DIFFERENT") == 4
    assert re.search(r"not written: .* differs .* on 4 of 4 pictures", written.err)
    assert not list(tmp_path.iterdir())


class Found:
    """A model that finds one garment, with a change to it."""

    def __init__(self, **changes):
        self.changes = changes

    def prepare(self, rgb):
        return Prepared(*rgb.shape[:2], rgb, rgb.shape[:2])

    def detect(self, batch, min_score):
        change = SimpleNamespace(
            **{
                "box_px": 0.0,
                "landmark_px": 0.0,
                "score": 0.0,
                "confidence": 0.0,
                "visible": 0.0,
                "class_index": 0,
                "count": 1,
                "mask": True,
                **self.changes,
            }
        )
        landmarks = np.array([[[20, 20, 0.5], [30, 30, 0.5]]], dtype=np.float32)
        landmarks[0, 1] += (change.landmark_px, 0, change.confidence)
        rows = [0] * change.count
        mask = np.zeros((100, 100), dtype=bool)
        mask[:50] = change.mask
        return [
            Detected(
                classes=np.array([change.class_index])[rows],
                scores=np.array([0.9 + change.score])[rows],
                boxes_xyxy=np.array([[10, 10, 66 + change.box_px, 66]])[rows],
                landmarks=landmarks[rows],
                visible=np.array([[0.5, 0.5 + change.visible]])[rows],
                masks=[Mask.from_array(mask)] * change.count,
                best_score=0.9,
            )
        ]


@pytest.mark.parametrize(
    ("changes", "is_equal", "ties"),
    [
        ({}, True, 0),
        ({"box_px": 0.04, "landmark_px": 0.09, "score": 9e-5, "visible": 9e-5}, True, 0),
        ({"box_px": 0.06}, False, 0),
        ({"landmark_px": 2 * LANDMARK_PX, "confidence": 1e-4}, False, 0),
        ({"score": 2e-4}, False, 0),
        ({"visible": 2e-4}, False, 0),
        ({"confidence": 2e-4}, False, 0),
        ({"class_index": 1}, False, 0),
        ({"count": 2}, False, 0),
        ({"count": 0}, False, 0),
        ({"mask": False}, False, 0),
        # The box is 56 px wide: a step of the decoder is 0.125 px.
        ({"landmark_px": 0.125}, True, 1),
        ({"landmark_px": 0.3}, False, 0),
    ],
    ids=str,
)
def test_parity_finds_every_difference(changes, is_equal, ties):
    """But for two places of the decoder's grid that are equally good."""
    picture = [("", np.zeros((100, 100, 3), dtype=np.uint8))]
    parity = compare(Found(), Found(**changes), picture, step=STEP)
    assert parity.is_equal == is_equal, parity.text()
    assert parity.rows[0].ties == ties


def test_the_pictures_of_parity_have_several_sizes_and_one_is_empty():
    shapes = [image.shape[:2] for _, image in drawn_pictures()]
    assert len(set(shapes)) == 4 and len({max(s) / min(s) for s in shapes}) > 1
    assert drawn_pictures()[-1][0] == "nothing on it"


def test_what_cannot_be_exported_is_said_in_one_line(model_file, onnx_file, tmp_path, monkeypatch):
    output = tmp_path / "model.onnx"
    for name, reason in NOT_EXPORTED.items():
        with pytest.raises(UserError, match=re.escape(reason)):
            find_format(name)
    with pytest.raises(UserError, match="no format 'tflite'"):
        find_format("tflite")
    with pytest.raises(UserError, match=r"must end in \.ts"):
        export_model(model_file, output, format_name="torchscript")
    with pytest.raises(UserError, match="is an exported file"):
        export_model(onnx_file, output)
    with pytest.raises(UserError, match=r"DECODER.*expected_oks"):
        export_model(model_file, output, opts=[f"{HEAD}.DECODER", "peak"])
    with pytest.raises(UserError, match=r"COVARIANCE: cannot be exported"):
        export_model(model_file, output, opts=[f"{HEAD}.COVARIANCE", "True"])
    monkeypatch.setattr(torch.onnx, "export", lambda model, args, f: None)
    with pytest.raises(UserError, match="has lost its tracing ONNX exporter"):
        export_model(model_file, output)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs onnx, onnxruntime: `pip install .*\[onnx\]"):
        find_format("onnx")


@pytest.mark.parametrize("output", ["missing/model.onnx", "folder.onnx"])
def test_an_output_that_cannot_be_written(model_file, tmp_path, output, capsys):
    (tmp_path / "folder.onnx").mkdir()
    assert export([str(model_file), "--output", str(tmp_path / output)]) != 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and output in error
