"""Heatmaps read and taught as the metric reads them, encode and decode side by side.

A softmax over a heatmap is a probability for each cell to hold the landmark. Object keypoint
similarity (OKS) gives a place at distance d the value exp(-d^2 / (2 (2 sigma)^2 area)), with the
landmark's sigma and the area of the garment's box (https://cocodataset.org/#keypoints-eval); it is
a product of one factor for x and one for y. So its width in cells is known per landmark and box.

Shapes and spaces as in `heatmap_codec`: R = regions (boxes), K = landmarks of one category, N =
landmarks of any, S = side of a heatmap in cells. *Cell* coordinates are 0 at the centre of the
first cell.
"""

from __future__ import annotations

import torch

from df2_landmarks.modeling.heatmap_codec import box_sizes

MIN_TARGET_STD_CELLS = 0.5
"""A target narrower than this would depend on where in its cell a landmark lies."""

REFINEMENT = torch.linspace(-1, 1, 17)
"""Places around the best cell, in cells, at which the expected OKS is looked at again."""

MAX_VALUES = 2**22
"""Upper bound of values that one step of decoding holds (16 MiB of float32)."""


def oks_std_cells(boxes_xyxy: torch.Tensor, sigmas: torch.Tensor, side: int) -> torch.Tensor:
    """Standard deviation of OKS around a landmark, in cells.

    Args:
        boxes_xyxy: (N, 4) box of each landmark in image space; its area stands for the garment's.
        sigmas: (N,) of the landmarks.
        side: S.

    Returns:
        (N, 2) along x and y.
    """
    size = box_sizes(boxes_xyxy)
    std_px = 2 * sigmas * size.prod(dim=1).sqrt()
    return std_px[:, None] * side / size


def encode_soft(
    landmarks_xy: torch.Tensor,
    boxes_xyxy: torch.Tensor,
    sigmas: torch.Tensor,
    side: int,
    *,
    width: float,
) -> torch.Tensor:
    """Target distributions with the shape of OKS, as factors along x and y.

    Args:
        landmarks_xy: (N, 2) in image space.
        boxes_xyxy: (N, 4) box of each landmark in image space.
        sigmas: (N,).
        side: S.
        width: standard deviation of the target in those of OKS.

    Returns:
        (N, 2, S): weights of the columns and of the rows, each with sum 1. The weight of a cell is
        the product of its column's and its row's.
    """
    cell_xy = (landmarks_xy - boxes_xyxy[:, :2]) * (side / box_sizes(boxes_xyxy)) - 0.5
    std = (width * oks_std_cells(boxes_xyxy, sigmas, side)).clamp(min=MIN_TARGET_STD_CELLS)
    cells = torch.arange(side, device=boxes_xyxy.device)
    distance = (cells - cell_xy[..., None]) / std[..., None]
    return (-0.5 * distance.square()).softmax(dim=-1)


def decode_expected_oks(
    logits: torch.Tensor, boxes_xyxy: torch.Tensor, sigmas: torch.Tensor
) -> torch.Tensor:
    """The places with the highest expected OKS.

    The expectation is taken over the softmax of a heatmap. Its maximum is found among the cells,
    then among places a sixteenth of a cell apart around the best one.

    Args:
        logits: (R, K, S, S).
        boxes_xyxy: (R, 4) in image space.
        sigmas: (K,).

    Returns:
        (R, K, 3) float32: x, y in image space; score = expected OKS at that place, 0..1. It is as
        good as the heatmap is calibrated: on pictures unlike the training data it is too high.
    """
    num_regions, num_landmarks, side = logits.shape[:3]
    std = oks_std_cells(
        boxes_xyxy.repeat_interleave(num_landmarks, dim=0), sigmas.repeat(num_regions), side
    )
    maps = logits.detach().flatten(0, 1)
    step = max(1, MAX_VALUES // (4 * side * side))
    best = [
        _best_places(maps[i : i + step].float(), std[i : i + step])
        for i in range(0, len(maps), step)
    ]
    decoded = torch.cat(best) if best else maps.new_zeros(0, 3)
    decoded = decoded.float().view(num_regions, num_landmarks, 3)
    scale = box_sizes(boxes_xyxy) / side
    decoded[..., :2] = (decoded[..., :2] + 0.5) * scale[:, None] + boxes_xyxy[:, None, :2]
    return decoded


def _best_places(maps: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """(N, S, S) logits, (N, 2) OKS deviations in cells -> (N, 3) cell x, y and expected OKS."""
    side = maps.shape[-1]
    probability = maps.flatten(1).softmax(dim=1).view_as(maps)
    rows, columns = _similarity_of_cells(std[:, 1], side), _similarity_of_cells(std[:, 0], side)
    # max, since argmax takes three times as long on a CPU
    peak = (rows @ probability @ columns).flatten(1).max(dim=1).indices

    around = REFINEMENT.to(maps.device)
    x = ((peak % side)[:, None] + around).clamp(-0.5, side - 0.5)
    y = ((peak // side)[:, None] + around).clamp(-0.5, side - 0.5)
    rows, columns = _similarity(y, std[:, 1], side), _similarity(x, std[:, 0], side)
    expected = rows @ probability @ columns.transpose(1, 2)
    score, place = expected.flatten(1).max(dim=1)
    row, column = place // len(around), place % len(around)
    x, y = x.gather(1, column[:, None])[:, 0], y.gather(1, row[:, None])[:, 0]
    return torch.stack((x, y, score), dim=1)


def _similarity_of_cells(std: torch.Tensor, side: int) -> torch.Tensor:
    """One axis' factor of OKS between all S cells, (N,) -> (N, S, S), symmetric."""
    distance = torch.arange(1 - side, side, device=std.device) / std[:, None]
    return (-0.5 * distance.square()).exp().unfold(1, side, 1).flip(1)


def _similarity(places: torch.Tensor, std: torch.Tensor, side: int) -> torch.Tensor:
    """One axis' factor of OKS between P places and S cells: (P,) or (N, P), (N,) -> (N, P, S)."""
    cells = torch.arange(side, device=places.device)
    distance = (places[..., None] - cells) / std[:, None, None]
    return (-0.5 * distance.square()).exp()
