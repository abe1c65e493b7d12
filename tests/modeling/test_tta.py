"""Test-time augmentation: views agree in the frame of the original image, landmarks included."""

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone
from detectron2.structures import Boxes, Instances
from fvcore.transforms import TransformList
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.engine import Trainer
from df2_landmarks.modeling import decode_peak
from df2_landmarks.modeling.landmark_head import ClassOutput
from df2_landmarks.modeling.tta import LandmarkRCNNWithTTA, mirror_heatmaps
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.support import tiny_config

HEIGHT, WIDTH = 96, 128
AS_IT_IS = "(0,)"  # Detectron2's word for "do not resize"


@BACKBONE_REGISTRY.register()
class CellMeans(Backbone):
    """Features that mirror with the image: means of 8 x 8 pixels, mixed."""

    def __init__(self, cfg, input_shape):
        super().__init__()
        self.mix = nn.Conv2d(3, 16, kernel_size=1)

    def forward(self, images):
        return {"p3": self.mix(nn.functional.avg_pool2d(images, 8)).relu()}

    def output_shape(self):
        return {"p3": ShapeSpec(channels=16, stride=8)}


def config(sizes=AS_IT_IS, flip=False, **changes):
    opts = {
        "MODEL.BACKBONE.NAME": "CellMeans",
        "MODEL.RPN.IN_FEATURES": ["p3"],
        "MODEL.ROI_HEADS.IN_FEATURES": ["p3"],
        "MODEL.ANCHOR_GENERATOR.SIZES": [[40]],
        "MODEL.ANCHOR_GENERATOR.OFFSET": 0.5,
        "MODEL.ROI_BOX_HEAD.NUM_CONV": 1,
        "MODEL.ROI_BOX_HEAD.CONV_DIM": 8,
        # a symmetric head is made by hand below, from the categories' own weights
        "MODEL.ROI_LANDMARK_HEAD.SHARE_BY_NAME": False,
        "MODEL.ROI_LANDMARK_HEAD.DECODER": "peak",
        "MODEL.ROI_LANDMARK_HEAD.CONFIDENCE_POWER": 0.0,
        "MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES": False,
        # boxes of many categories, by weights that nobody trained
        "MODEL.ROI_HEADS.SCORE_THRESH_TEST": 0.02,
        "MODEL.ROI_HEADS.NMS_THRESH_TEST": 0.2,
        "TEST.DETECTIONS_PER_IMAGE": 60,
        "TEST.AUG.ENABLED": True,
        "TEST.AUG.MIN_SIZES": sizes,
        "TEST.AUG.FLIP": flip,
        **changes,
    }
    return tiny_config(*(word for pair in opts.items() for word in pair))


def build(cfg, seed=0):
    """A model of random weights that finds garments of many categories."""
    torch.manual_seed(seed)
    model = Trainer.build_model(cfg).eval()
    for name, parameter in model.named_parameters():
        if "predictor.cls_score" in name:
            nn.init.normal_(parameter, std=0.5)
        if "score_lowres.weight" in name:
            nn.init.normal_(parameter, std=5)  # heatmaps with clear maxima
        if "keypoint_head.visibility" in name or "keypoint_head.oks_branch" in name:
            nn.init.normal_(parameter, std=0.1)
    return model


def image(seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (3, HEIGHT, WIDTH), generator=generator, dtype=torch.uint8)
    return {"image": pixels, "height": HEIGHT, "width": WIDTH}


def mirrored(image_input):
    return {**image_input, "image": image_input["image"].flip(-1)}


@torch.no_grad()
def detect(model, image_input):
    (output,) = model([image_input])
    return output["instances"]


def assert_same(actual, expected, atol=1e-3):
    assert set(actual.get_fields()) == set(expected.get_fields())
    assert actual.image_size == expected.image_size
    assert len(expected) > 3
    assert actual.pred_classes.tolist() == expected.pred_classes.tolist()
    close = {"atol": atol, "rtol": 0}
    torch.testing.assert_close(actual.pred_boxes.tensor, expected.pred_boxes.tensor, **close)
    for name in set(expected.get_fields()) - {"pred_boxes", "pred_masks"}:
        torch.testing.assert_close(actual.get(name), expected.get(name), **close)
    if expected.has("pred_masks"):
        assert (actual.pred_masks != expected.pred_masks).float().mean() < 1e-3


def mirror_results(instances):
    """Convert detections of the mirrored image to the image."""
    x1, y1, x2, y2 = instances.pred_boxes.tensor.clone().unbind(1)
    instances.pred_boxes.tensor = torch.stack((WIDTH - x2, y1, WIDTH - x1, y2), dim=1)
    instances.pred_masks = instances.pred_masks.flip(-1)
    for row, class_index in zip(instances.pred_keypoints, instances.pred_classes, strict=True):
        row[:] = row[torch.from_numpy(DEEPFASHION2.flip_indices[class_index].copy())]
        row[: DEEPFASHION2.counts[class_index], 0] = (
            WIDTH - row[: DEEPFASHION2.counts[class_index], 0]
        )
    for row, class_index in zip(instances.pred_visibility, instances.pred_classes, strict=True):
        row[:] = row[torch.from_numpy(DEEPFASHION2.flip_indices[class_index].copy())]
    return instances


def make_symmetric(model):
    """Make a model whose detections of a mirrored image are those of the image, mirrored."""
    for name, parameter in model.named_parameters():
        weight = parameter.data
        if "bbox_pred" in name or "anchor_deltas" in name:
            weight.zero_()  # boxes are the anchors
        elif name.endswith("box_head.fc1.weight"):
            cells = weight.view(len(weight), -1, 7, 7)
            cells.copy_((cells + cells.flip(-1)) / 2)
        elif "score_lowres" in name:
            class_index = int(name.split(".")[-3])
            order = torch.from_numpy(DEEPFASHION2.flip_indices[class_index].copy())
            order = order[: DEEPFASHION2.counts[class_index]]
            swapped = weight[:, order].flip(-1) if weight.dim() == 4 else weight[order]
            weight.copy_((weight + swapped) / 2)
        elif "keypoint_head.visibility" in name or "oks_branch.local" in name:
            for class_index, own in enumerate(weight.split(DEEPFASHION2.counts)):
                partners = torch.from_numpy(DEEPFASHION2.flip_indices[class_index].copy())
                own.copy_((own + own[partners[: len(own)]]) / 2)
        elif weight.dim() == 4:
            weight.copy_((weight + weight.flip(-1)) / 2)
    return model


RESCORED = {
    "MODEL.ROI_LANDMARK_HEAD.DECODER": "expected_oks",
    "MODEL.ROI_LANDMARK_HEAD.CONFIDENCE_POWER": 0.5,
    "MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES": True,
}


SURROUNDINGS = {
    **RESCORED,
    "MODEL.ROI_LANDMARK_HEAD.BOX_SCALE": 1.3,
    "MODEL.ROI_LANDMARK_HEAD.OKS_BRANCH": True,
}
SECOND_LOOK = {"MODEL.ROI_LANDMARK_HEAD.SECOND_LOOK": True}


@pytest.mark.parametrize("options", [{}, RESCORED, SURROUNDINGS, SECOND_LOOK])
def test_one_view_is_plain_inference(options):
    cfg = config(**options)
    model = build(cfg)
    assert_same(detect(LandmarkRCNNWithTTA(cfg, model), image()), detect(model, image()), atol=1e-4)


def test_without_masks():
    cfg = config(**{"MODEL.MASK_ON": False})
    model = build(cfg)
    actual = detect(LandmarkRCNNWithTTA(cfg, model), image())
    assert_same(actual, detect(model, image()), atol=1e-4)


@pytest.mark.parametrize("options", [{}, SURROUNDINGS, SECOND_LOOK])
def test_flip_changes_nothing_for_a_model_that_mirrors_with_its_image(options):
    cfg = config(flip=True, **options)
    model = make_symmetric(build(cfg))
    plain = detect(model, image())
    assert len(set(plain.pred_classes.tolist())) > 2
    assert_same(mirror_results(detect(model, mirrored(image()))), plain)
    assert_same(detect(LandmarkRCNNWithTTA(cfg, model), image()), plain)


def test_mirrored_image_has_mirrored_results():
    cfg = config(flip=True)
    model = build(cfg)
    tta = LandmarkRCNNWithTTA(cfg, model)
    actual, of_mirrored = detect(tta, image()), detect(tta, mirrored(image()))
    assert_same(mirror_results(of_mirrored), actual)
    plain = mirror_results(detect(model, mirrored(image())))
    assert plain.scores.tolist() != detect(model, image()).scores.tolist()


@pytest.mark.parametrize("class_index", range(DEEPFASHION2.num_categories))
def test_mirrored_heatmaps_exchange_left_and_right_of_the_own_category(class_index):
    count, side = DEEPFASHION2.counts[class_index], 56
    box = torch.tensor([[20.0, 30.0, 76.0, 86.0]])  # a pixel per cell
    generator = torch.Generator().manual_seed(class_index)
    row, column = torch.randint(0, side, (2, count), generator=generator)
    seen = torch.zeros(1, count, side, side)
    for j, partner in enumerate(DEEPFASHION2.flip_indices[class_index, :count].tolist()):
        # in the mirrored image the partner is what looks like j
        seen[0, partner, row[j], side - 1 - column[j]] = 9
    actual = decode_peak(mirror_heatmaps(seen, class_index, DEEPFASHION2), box)[0]
    torch.testing.assert_close(actual[:, 0], 20.5 + column)
    torch.testing.assert_close(actual[:, 1], 30.5 + row)


def test_scales_give_results_in_the_original_image():
    cfg = config(sizes="(64, 96, 144)", flip=True)
    tta = LandmarkRCNNWithTTA(cfg, build(cfg))
    small = nn.functional.interpolate(image()["image"][None].float(), size=(48, 64))[0].byte()
    actual = detect(tta, {"image": small, "height": HEIGHT, "width": WIDTH})
    assert 3 < len(actual) <= cfg.TEST.DETECTIONS_PER_IMAGE
    assert actual.scores.tolist() == sorted(actual.scores.tolist(), reverse=True)
    assert actual.pred_masks.shape == (len(actual), HEIGHT, WIDTH)
    boxes = actual.pred_boxes.tensor
    assert boxes[:, 2].max() > 64
    for box, class_index, landmarks in zip(
        boxes, actual.pred_classes, actual.pred_keypoints, strict=True
    ):
        valid = landmarks[: DEEPFASHION2.counts[class_index]]
        beside = (cfg.MODEL.ROI_LANDMARK_HEAD.BOX_SCALE - 1) / 2 * (box[2:] - box[:2])
        assert (valid[:, :2] > box[:2] - beside).all()
        assert (valid[:, :2] < box[2:] + beside).all()
        assert not landmarks[DEEPFASHION2.counts[class_index] :].any()
    padding = ~torch.from_numpy(DEEPFASHION2.own_landmarks.copy())[actual.pred_classes]
    assert not actual.pred_visibility[padding].any()
    assert ((actual.pred_visibility > 0) & (actual.pred_visibility < 1))[~padding].all()


def test_without_a_size_the_results_are_in_the_image_as_it_is():
    cfg = config(flip=True)
    tta = LandmarkRCNNWithTTA(cfg, build(cfg))
    assert_same(detect(tta, {"image": image()["image"]}), detect(tta, image()), atol=0)


def test_nothing_detected():
    cfg = config(flip=True, **{"MODEL.ROI_HEADS.SCORE_THRESH_TEST": 1.0})
    model = build(cfg)
    actual = detect(LandmarkRCNNWithTTA(cfg, model), image())
    expected = detect(model, image())
    assert len(actual) == len(expected) == 0
    for name, value in expected.get_fields().items():
        assert len(actual.get(name)) == len(value) == 0
        if isinstance(value, torch.Tensor):
            assert actual.get(name).shape == value.shape


def test_model_is_left_as_it_was():
    cfg = config(flip=True)
    model = build(cfg)
    before = detect(model, image())
    tta = LandmarkRCNNWithTTA(cfg, model)
    detect(tta, image())
    assert not model.training
    assert not tta.training
    with pytest.raises(RuntimeError, match="out of memory"), tta._summed_heatmaps([]):
        raise RuntimeError("out of memory")
    assert_same(detect(model, image()), before, atol=0)


def test_another_landmark_head_is_named():
    cfg = config(**{"MODEL.ROI_KEYPOINT_HEAD.NAME": "KRCNNConvDeconvUpsampleHead"})
    with pytest.raises(UserError, match="LandmarkRCNNHead, but the model has KRCNNConvDeconv"):
        LandmarkRCNNWithTTA(cfg, Trainer.build_model(cfg))


def test_views_that_disagree_count_alike_and_lower_the_confidence(monkeypatch):
    """Also where one view is more confident: probabilities are averaged, not logits."""
    tta = LandmarkRCNNWithTTA(config(), build(config(**RESCORED)))
    head = tta.model.roi_heads.keypoint_head
    views = torch.zeros(2, 1, DEEPFASHION2.counts[0], 56, 56)
    views[0, ..., 10, 12] = 12  # 98 % here
    views[1, ..., 40, 45] = 40
    visibility = torch.tensor([0.9, 0.3])[:, None, None].expand(2, 1, DEEPFASHION2.counts[0])
    answers = iter(
        [ClassOutput(0, torch.tensor([0]), *of_view)]
        for of_view in zip(views, visibility, strict=True)
    )
    monkeypatch.setattr(head, "class_outputs", lambda features, classes: next(answers))
    detected = Instances((HEIGHT, WIDTH))
    detected.pred_boxes = Boxes(torch.tensor([[20.0, 30.0, 76.0, 86.0]]))  # a pixel per cell
    detected.pred_classes, detected.scores = torch.tensor([0]), torch.tensor([1.0])
    no_flip = TransformList([])
    with tta._summed_heatmaps([no_flip, no_flip]) as heatmaps:
        heatmaps(torch.zeros(2, 16, 14, 14), [detected, detected])
    landmarks, visibility = heatmaps.decode(detected.pred_boxes.tensor)
    confidence = landmarks[0, : DEEPFASHION2.counts[0], 2]
    torch.testing.assert_close(confidence, torch.full_like(confidence, 0.5), atol=0.02, rtol=0)
    visibility = visibility[0, : DEEPFASHION2.counts[0]]
    torch.testing.assert_close(visibility, torch.full_like(visibility, 0.6))
