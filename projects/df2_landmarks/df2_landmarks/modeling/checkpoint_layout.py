"""Weights of a stock head with a channel for every slot <-> weights of a head per category.

A stock head with a channel for every slot and 13 heads with the same trunk compute the same: the
stock predictor's channels of a category are the category's predictor. So a checkpoint of one is a
checkpoint of the other with other names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from df2_landmarks.common import UserError
from df2_landmarks.modeling.layers import channels_by_name
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

HEAD = "roi_heads.keypoint_head."
SINGLE = f"{HEAD}score_lowres."
BRANCHES = f"{HEAD}branches."
SHARED = f"{HEAD}shared_predictor."
COORDINATES = f"{HEAD}coordinates."
BESIDE = {f"{HEAD}visibility.": "VISIBILITY", f"{HEAD}oks_branch.": "OKS_BRANCH"}
"""Names of weights that landmarks do not depend on, and their key in MODEL.ROI_LANDMARK_HEAD."""
CHANNEL_DIM = {"weight": 1, "bias": 0}
"""The landmark's dimension: a transposed convolution's weight is (in, out, height, width)."""


def has_single_predictor(state_dict: Mapping[str, Any], taxonomy: Taxonomy = DEEPFASHION2) -> bool:
    """Return whether these are the weights of a stock head with a channel for every slot."""
    bias = state_dict.get(f"{SINGLE}bias")
    return bias is not None and len(bias) == taxonomy.num_slots


def has_category_predictors(
    state_dict: Mapping[str, Any], taxonomy: Taxonomy = DEEPFASHION2
) -> bool:
    """Return whether these are the weights of a head with a predictor per category."""
    return all(_branch_key(c, "weight") in state_dict for c in range(taxonomy.num_categories))


def has_class_convolutions(state_dict: Mapping[str, Any]) -> bool:
    """Return whether categories have convolutions of their own, which no stock head can have."""
    return any(key.startswith(BRANCHES) and ".conv_fcn" in key for key in state_dict)


def to_category_predictors(
    state_dict: Mapping[str, Any], taxonomy: Taxonomy = DEEPFASHION2
) -> dict[str, Any]:
    """Convert the weights of a model with a stock head to a head per category.

    Args:
        state_dict: arrays or tensors by name; not changed.
        taxonomy: the categories.

    Returns:
        The same with the predictor's channels under the names of their categories.

    Raises:
        UserError: there is no stock predictor with a channel for every slot.
    """
    if not has_single_predictor(state_dict, taxonomy):
        bias = state_dict.get(f"{SINGLE}bias")
        given = "there is none" if bias is None else f"it has {len(bias)}"
        raise UserError(
            f"needs a stock head with {taxonomy.num_slots} channels, one for every landmark of "
            f"every category ({SINGLE}weight), but {given}"
        )
    converted = {k: v for k, v in state_dict.items() if not k.startswith(SINGLE)}
    for name, dim in CHANNEL_DIM.items():
        channels = torch.as_tensor(state_dict[SINGLE + name])
        for class_index, category in enumerate(channels.split(taxonomy.counts, dim=dim)):
            converted[_branch_key(class_index, name)] = category.clone()
    return converted


def to_single_predictor(
    state_dict: Mapping[str, Any], taxonomy: Taxonomy = DEEPFASHION2
) -> dict[str, Any]:
    """Convert back, the inverse of `to_category_predictors`; a shared predictor is added in.

    The weights of visibility and of an OKS branch are left out: a stock head has none.

    Raises:
        UserError: there is no predictor per category, or categories have convolutions of their own,
            or the head sees coordinates.
    """
    if not has_category_predictors(state_dict, taxonomy):
        raise UserError(f"needs a head with a predictor for every category ({BRANCHES}*)")
    if has_class_convolutions(state_dict):
        raise UserError(
            "its categories have convolutions of their own (MODEL.ROI_LANDMARK_HEAD."
            "CLASS_CONV_DIMS), which a stock head does not have: it cannot be merged into one"
        )
    if any(key.startswith(COORDINATES) for key in state_dict):
        raise UserError(
            "its head sees coordinates (MODEL.ROI_LANDMARK_HEAD.COORDINATES), which a stock head "
            "does not: it cannot be merged into one"
        )
    replaced = (BRANCHES, SHARED, *BESIDE)
    converted = {k: v for k, v in state_dict.items() if not k.startswith(replaced)}
    _, channels_of = channels_by_name([c.landmark_names for c in taxonomy.categories])
    shared_channels = torch.tensor([channel for row in channels_of for channel in row])
    for name, dim in CHANNEL_DIM.items():
        keys = [_branch_key(c, name) for c in range(taxonomy.num_categories)]
        single = torch.cat([torch.as_tensor(state_dict[key]) for key in keys], dim=dim)
        if SHARED + name in state_dict:
            shared = torch.as_tensor(state_dict[SHARED + name])
            single = single + shared.index_select(dim, shared_channels)
        converted[SINGLE + name] = single
    return converted


def _branch_key(class_index: int, name: str) -> str:
    return f"{BRANCHES}{class_index}.score_lowres.{name}"
