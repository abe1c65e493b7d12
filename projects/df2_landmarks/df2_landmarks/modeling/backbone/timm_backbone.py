"""A feature pyramid over any network of timm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, FPN, Backbone
from detectron2.modeling.backbone.fpn import LastLevelMaxPool
from torch import nn

from df2_landmarks.common import UserError

INSTALL = (
    "pip install '.[pretrained]'. Or take another config: df2_landmark_rcnn_R_18_FPN_demo.yaml "
    "trains from scratch without it"
)
STRIDES = {"res2": 4, "res3": 8, "res4": 16, "res5": 32}
"""Names of features, those of Detectron2's ResNets, and their strides in pixels."""
NORMS = ("BN", "FrozenBN")


class TimmBackbone(Backbone):
    """A network of timm that gives its features at some strides.

    Its weights keep timm's names, behind ``body.``.
    """

    def __init__(
        self,
        name: str,
        out_features: Sequence[str] = tuple(STRIDES),
        *,
        norm: str = "FrozenBN",
        freeze_at: int = 0,
    ) -> None:
        """
        Args:
            name: of a network, as `timm.list_models()` has it.
            out_features: some of `STRIDES`, from fine to coarse.
            norm: "BN" trains batch normalization, "FrozenBN" keeps its statistics and weights.
            freeze_at: keep the weights up to this feature of the network, counted from 1 at its
                finest (mostly that of stride 2); 0: train all.

        Raises:
            UserError: timm is not installed, has no such network, or this one gives no such
                features.

        Example:
            >>> backbone = TimmBackbone("tf_efficientnet_lite0", ["res3", "res4"])
            >>> {name: tuple(x.shape) for name, x in backbone(torch.zeros(1, 3, 64, 64)).items()}
            {'res3': (1, 40, 8, 8), 'res4': (1, 112, 4, 4)}
        """
        super().__init__()
        if norm not in NORMS:
            raise UserError(f"MODEL.TIMM.NORM must be one of {NORMS}, but got {norm!r}")
        self.out_features = tuple(out_features)
        self.body, self._shapes = _network(name, self.out_features)
        _freeze(self.body, freeze_at)
        self._frozen_norms = []
        for module in self.body.modules():
            if norm == "FrozenBN" and isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)
                self._frozen_norms.append(module)
            if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
                module.forward = partial(_in_float32, module.forward)  # type: ignore[method-assign]

    def train(self, mode: bool = True) -> TimmBackbone:
        super().train(mode)
        for norm in self._frozen_norms:
            norm.eval()
        return self

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the features of a batch.

        Args:
            images: (N, 3, H, W), normalized.

        Returns:
            (N, channels, H / stride, W / stride) by name.
        """
        return dict(zip(self.out_features, self.body(images), strict=True))

    def output_shape(self) -> dict[str, ShapeSpec]:
        return self._shapes


def import_timm(setting: str) -> ModuleType:
    """Import timm, which is slow to import and may be missing.

    Args:
        setting: what needs it, for the message.

    Raises:
        UserError: it is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise UserError(f"{setting} needs timm: {INSTALL}", exit_code=2) from error
    module: ModuleType = timm
    return module


def _network(name: str, out_features: Sequence[str]) -> tuple[nn.Module, dict[str, ShapeSpec]]:
    timm = import_timm(f"MODEL.TIMM.NAME {name}")
    if not timm.is_model(name):
        raise UserError(f"MODEL.TIMM.NAME: timm {timm.__version__} has no network {name!r}")
    try:
        strides = timm.create_model(name, features_only=True).feature_info.reduction()
        indices = [strides.index(STRIDES[feature]) for feature in out_features]
    except (KeyError, ValueError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"MODEL.TIMM.NAME {name}: cannot give the features {list(out_features)} (strides "
            f"{[STRIDES.get(feature) for feature in out_features]})"
        ) from error
    body = timm.create_model(name, features_only=True, out_indices=indices)
    channels = body.feature_info.channels()
    shapes = {
        feature: ShapeSpec(channels=count, stride=STRIDES[feature])
        for feature, count in zip(out_features, channels, strict=True)
    }
    return body, shapes


def _freeze(body: Any, freeze_at: int) -> None:
    """Stop the training of all parameters up to the end of a feature, in the network's order."""
    if not freeze_at:
        return
    parameters = dict(body.named_parameters())
    modules = [info["module"] for info in body.feature_info.info]
    module = modules[freeze_at - 1] if freeze_at <= len(modules) else ""
    starts = (f"{module}.", f"{module.replace('.', '_')}.")  # timm flattens some names
    inside = [i for i, name in enumerate(parameters) if name.startswith(starts)]
    if not module or not inside:
        raise UserError(
            f"MODEL.BACKBONE.FREEZE_AT must be 0 to {len(modules)}, a feature with weights, but "
            f"got {freeze_at}"
        )
    for parameter in list(parameters.values())[: inside[-1] + 1]:
        parameter.requires_grad_(False)


def _in_float32(forward: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Compute a depthwise convolution in float32 on a CPU.

    There, its gradients take up to ten times as long in bfloat16.
    """
    if x.device.type != "cpu":
        return forward(x)
    with torch.autocast("cpu", enabled=False):
        return forward(x.float())


@BACKBONE_REGISTRY.register()
def build_timm_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """Return Detectron2's feature pyramid over MODEL.TIMM.NAME.

    Args:
        cfg: configuration; MODEL.FPN.IN_FEATURES names the features (`STRIDES`).
        input_shape: of the images: three channels.

    Raises:
        UserError: as `TimmBackbone`.
    """
    features = cfg.MODEL.FPN.IN_FEATURES
    return FPN(
        bottom_up=TimmBackbone(
            cfg.MODEL.TIMM.NAME,
            features,
            norm=cfg.MODEL.TIMM.NORM,
            freeze_at=cfg.MODEL.BACKBONE.FREEZE_AT,
        ),
        in_features=features,
        out_channels=cfg.MODEL.FPN.OUT_CHANNELS,
        norm=cfg.MODEL.FPN.NORM,
        top_block=LastLevelMaxPool(),
        fuse_type=cfg.MODEL.FPN.FUSE_TYPE,
    )
