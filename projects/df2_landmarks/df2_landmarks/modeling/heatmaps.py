"""Landmarks and heatmaps: encoding for training and decoding for prediction, side by side.

A landmark is encoded as the cell that holds it (`encode_cells`) or as a distribution with the shape
of the metric (`encode_soft`). Heatmaps are decoded by their maximum (`decode_peak`, as stock) or by
the expected metric (`decode_expected_oks`).

A softmax over a heatmap is a probability for each cell to hold the landmark. Object keypoint
similarity (OKS) gives a place at distance d the value exp(-d^2 / (2 (2 sigma)^2 area)), with the
landmark's sigma and the area of the garment's box (https://cocodataset.org/#keypoints-eval). It is
a product of one factor for x and one for y, so its width in cells is known per landmark and box.

Shapes: R = regions (boxes), K = landmarks of one category, N = landmarks of any category, S = side
of a heatmap in cells. Spaces: *image*: continuous pixels, the centre of the first pixel at 0.5;
*cell*: position in the S x S map, which spans the box, 0 at the centre of the first cell.
"""

from __future__ import annotations

import torch
from detectron2.structures import Keypoints, heatmaps_to_keypoints

MIN_TARGET_STD_CELLS = 0.5
"""A narrower target would depend on where in its cell a landmark lies."""

STEP_CELLS = 0.125
REFINEMENT = torch.linspace(-1, 1, round(2 / STEP_CELLS) + 1)
"""Offsets from the best cell, in cells, at which the expected OKS is computed again."""

MAX_VALUES = 2**22
"""Most values that one step of decoding holds (16 MiB of float32)."""


def enlarge_boxes(boxes_xyxy: torch.Tensor, scale: float) -> torch.Tensor:
    """Return boxes (N, 4) with the same centre and `scale` times the width and height."""
    if scale == 1:
        return boxes_xyxy
    low, high = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    margin = (high - low) * ((scale - 1) / 2)
    return torch.cat((low - margin, high + margin), dim=1)


def encode_cells(
    landmarks: torch.Tensor, boxes_xyxy: torch.Tensor, side: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cell of each landmark in the heatmap of its box.

    Args:
        landmarks: (R, K, 3) x, y in image space and visibility.
        boxes_xyxy: (R, 4) in image space.
        side: S.

    Returns:
        ``(cells, valid)``, both (R, K): cells int64, row * S + column; valid bool, True for a
        labelled landmark inside its box.
    """
    cells, valid = Keypoints(landmarks).to_heatmap(boxes_xyxy, side)
    shape = landmarks.shape[:2]  # without a region Detectron2 drops the dimension K
    return cells.view(shape), valid.bool().view(shape)


def decode_peak(logits: torch.Tensor, boxes_xyxy: torch.Tensor) -> torch.Tensor:
    """Place landmarks at the maxima of the heatmaps, by Detectron2's `heatmaps_to_keypoints`.

    Args:
        logits: (R, K, S, S).
        boxes_xyxy: (R, 4) in image space.

    Returns:
        (R, K, 3) float32: x, y in image space and the confidence, the last column of
        `heatmaps_to_keypoints`: exp(maximum of the resized map) / sum of exp over the map's cells.

        The confidence is the share of the softmax over the map at its best place: near 1 for one
        sharp peak, 1 / S^2 for a flat map. It falls where the network sees several places, or a
        wide one, so it depends on the landmark's size in cells. It is not the probability that the
        landmark is right or visible, is not calibrated between landmarks or categories, and may
        exceed 1 a little, since the maximum of the resized map lies above the cells'. An occluded
        landmark gets one too: the maps do not tell visible from occluded.
    """
    decoded = heatmaps_to_keypoints(logits.detach().float(), boxes_xyxy.detach().float())
    return decoded[..., [0, 1, 3]]


def oks_std_cells(boxes_xyxy: torch.Tensor, sigmas: torch.Tensor, side: int) -> torch.Tensor:
    """Return the standard deviation of OKS around a landmark, in cells.

    Args:
        boxes_xyxy: (..., 4) box of each landmark in image space; its area is taken as the
            garment's.
        sigmas: (...) OKS sigmas of the landmarks; the shapes are broadcast.
        side: S.

    Returns:
        (..., 2) along x and y.
    """
    size = _box_sizes(boxes_xyxy)
    std_px = 2 * sigmas * size.prod(dim=-1).sqrt()
    return std_px[..., None] * side / size


def encode_soft(
    landmarks_xy: torch.Tensor,
    boxes_xyxy: torch.Tensor,
    sigmas: torch.Tensor,
    side: int,
    *,
    width: float,
) -> torch.Tensor:
    """Return target distributions with the shape of OKS, as factors along x and y.

    Args:
        landmarks_xy: (N, 2) in image space.
        boxes_xyxy: (N, 4) box of each landmark in image space.
        sigmas: (N,) OKS sigmas of the landmarks.
        side: S.
        width: standard deviation of the target, in standard deviations of OKS.

    Returns:
        (N, 2, S): weights of the columns and of the rows, each with sum 1. The weight of a cell is
        the product of its column's and its row's.
    """
    cell_xy = (landmarks_xy - boxes_xyxy[:, :2]) * (side / _box_sizes(boxes_xyxy)) - 0.5
    std = (width * oks_std_cells(boxes_xyxy, sigmas, side)).clamp(min=MIN_TARGET_STD_CELLS)
    cells = torch.arange(side, device=boxes_xyxy.device)
    distance = (cells - cell_xy[..., None]) / std[..., None]
    return (-0.5 * distance.square()).softmax(dim=-1)


def decode_expected_oks(
    logits: torch.Tensor,
    boxes_xyxy: torch.Tensor,
    sigmas: torch.Tensor,
    *,
    exporting: bool = False,
) -> torch.Tensor:
    """Place landmarks where the expected OKS is highest.

    The expectation is taken over the softmax of a heatmap. Its maximum is searched among the cells,
    then among places an eighth of a cell apart around the best cell.

    Args:
        logits: (R, K, S, S).
        boxes_xyxy: (R, 4) in image space.
        sigmas: (K,) OKS sigmas of the category's landmarks.
        exporting: decode all maps in one step. Steps bound the memory, but a tracer would keep the
            number of steps of its example.

    Returns:
        (R, K, 3) float32: x, y in image space and the confidence, the expected OKS at that place,
        0..1. It is as good as the heatmap is calibrated: on pictures unlike the training data it is
        too high.
    """
    num_landmarks, side = (int(n) for n in logits.shape[1:3])
    std = oks_std_cells(boxes_xyxy[:, None], sigmas, side).reshape(-1, 2)
    maps = logits.detach().reshape(-1, side, side)
    if exporting:
        best = _best_places(maps.float(), std, side)
    else:
        step = max(1, MAX_VALUES // (4 * side * side))
        steps = [
            _best_places(maps[i : i + step].float(), std[i : i + step], side)
            for i in range(0, len(maps), step)
        ]
        best = torch.cat(steps) if steps else maps.new_zeros(0, 3).float()
    decoded = best.view(-1, num_landmarks, 3)
    scale = _box_sizes(boxes_xyxy) / side
    places = (decoded[..., :2] + 0.5) * scale[:, None] + boxes_xyxy[:, None, :2]
    return torch.cat((places, decoded[..., 2:]), dim=-1)


def heatmap_covariance(logits: torch.Tensor, boxes_xyxy: torch.Tensor) -> torch.Tensor:
    """Return how far the softmax of each heatmap spreads around its mean.

    Args:
        logits: (R, K, S, S).
        boxes_xyxy: (R, 4) in image space.

    Returns:
        (R, K, 3) float32: the variances of x and of y and their covariance, in square pixels.
    """
    side = int(logits.shape[-1])
    probability = logits.detach().float().flatten(2).softmax(dim=2).view_as(logits)
    cells = torch.arange(side, device=logits.device, dtype=torch.float32)
    columns, rows = probability.sum(dim=2), probability.sum(dim=3)  # (R, K, S)
    mean_x, mean_y = columns @ cells, rows @ cells
    x, y = cells - mean_x[..., None], cells - mean_y[..., None]
    xy = ((probability @ x[..., None])[..., 0] * y).sum(dim=2)
    moments = torch.stack(((columns * x.square()).sum(2), (rows * y.square()).sum(2), xy), dim=-1)
    width, height = (_box_sizes(boxes_xyxy) / side).unbind(dim=1)
    scale = torch.stack((width.square(), height.square(), width * height), dim=1)
    return moments * scale[:, None]


def _box_sizes(boxes_xyxy: torch.Tensor) -> torch.Tensor:
    """(..., 2) width and height of (..., 4) boxes; at least 1 px, as Detectron2 decodes."""
    return (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).float().clamp(min=1)


def _best_places(maps: torch.Tensor, std: torch.Tensor, side: int) -> torch.Tensor:
    """(N, S, S) logits, (N, 2) OKS deviations in cells -> (N, 3) cell x, y and expected OKS."""
    # Shapes are written out: ONNX Runtime cannot flatten an empty tensor of an exported graph.
    probability = maps.reshape(-1, side * side).softmax(dim=1).reshape(-1, side, side)
    rows, columns = _similarity_of_cells(std[:, 1], side), _similarity_of_cells(std[:, 0], side)
    # max is three times as fast as argmax on a CPU.
    peak = (rows @ probability @ columns).reshape(-1, side * side).max(dim=1).indices

    around = REFINEMENT.to(maps.device)
    x = ((peak % side)[:, None] + around).clamp(-0.5, side - 0.5)
    y = ((peak // side)[:, None] + around).clamp(-0.5, side - 0.5)
    rows, columns = _similarity(y, std[:, 1], side), _similarity(x, std[:, 0], side)
    expected = rows @ probability @ columns.transpose(1, 2)
    score, place = expected.reshape(-1, len(around) ** 2).max(dim=1)
    row, column = place // len(around), place % len(around)
    x, y = x.gather(1, column[:, None])[:, 0], y.gather(1, row[:, None])[:, 0]
    return torch.stack((x, y, score), dim=1)


def _similarity_of_cells(std: torch.Tensor, side: int) -> torch.Tensor:
    """Factor of OKS along one axis between all S cells, (N,) -> (N, S, S), symmetric."""
    cells = torch.arange(side, device=std.device)
    of_distance = (-0.5 * (cells / std[:, None]).square()).exp()
    distances = (cells[:, None] - cells).abs().flatten()
    return of_distance.index_select(1, distances).reshape(-1, side, side)


def _similarity(places: torch.Tensor, std: torch.Tensor, side: int) -> torch.Tensor:
    """Factor of OKS along one axis between N x P places and S cells -> (N, P, S)."""
    cells = torch.arange(side, device=places.device)
    distance = (places[..., None] - cells) / std[:, None, None]
    return (-0.5 * distance.square()).exp()
