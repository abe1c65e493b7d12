"""Landmarks <-> heatmaps, encode and decode side by side.

Shapes: R = regions (boxes), K = landmarks of one category, S = side of a heatmap in cells,
N = heatmaps decoded together.

Spaces: *image*: continuous pixels, the centre of the first pixel at 0.5. *cell*: index in the S x S
map, the map spans the box. *fine*: index in the map resized to ceil(width) x ceil(height) of its
box, on which Detectron2 looks for the maximum.
"""

from __future__ import annotations

import torch
from detectron2.structures import Keypoints

WINDOW_CELLS = 2.5
"""The maximum of the resized map is looked for this far around the maximal cell."""

CUBIC_A = -0.75
"""Parameter of the cubic kernel in torch's ``interpolate(mode="bicubic")``."""

MAX_FINE_VALUES = 2**22
"""Upper bound of fine values that are held at once (16 MiB of float32)."""


def encode_landmarks(
    landmarks: torch.Tensor, boxes_xyxy: torch.Tensor, side: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cell of each landmark in the heatmap of its box.

    Args:
        landmarks: (R, K, 3) x, y in image space and visibility.
        boxes_xyxy: (R, 4) in image space.
        side: S.

    Returns:
        ``(cells, valid)``, both (R, K): cells int64, row * S + column; valid bool, True for a
        labelled landmark inside its box.
    """
    cells, valid = Keypoints(landmarks).to_heatmap(boxes_xyxy, side)
    return cells, valid.bool()


def decode_heatmaps(logits: torch.Tensor, boxes_xyxy: torch.Tensor) -> torch.Tensor:
    """Landmarks at the maxima of the heatmaps.

    The result of Detectron2's `heatmaps_to_keypoints` (bicubic resize of each map to its box,
    arg-max), but the resized map is computed only around the maximal cell, for all boxes together.
    Where a box has fewer pixels than cells on a side, the resized map skips cells, and all of it is
    searched.

    Args:
        logits: (R, K, S, S).
        boxes_xyxy: (R, 4) in image space.

    Returns:
        (R, K, 3) float32: x, y in image space; score = exp(maximum) / sum of exp over the cells.
        The score says how peaked the heatmap is. It is no probability of being right, and may
        exceed 1 a little, as the resized map's maximum lies above the cells'.
    """
    num_regions, num_landmarks, side = logits.shape[:3]
    maps = logits.detach().float()
    decoded = maps.new_zeros(num_regions, num_landmarks, 3)
    num_fine = _box_sizes(boxes_xyxy).ceil()
    coarse_grid = (num_fine <= side).any(dim=1)
    for chosen, whole in ((coarse_grid, True), (~coarse_grid, False)):
        rows = chosen.nonzero()[:, 0]
        if len(rows) == 0:
            continue
        found = _search(
            maps[rows].flatten(0, 1),
            num_fine[rows].repeat_interleave(num_landmarks, dim=0),
            whole=whole,
        )
        decoded[rows] = found.view(len(rows), num_landmarks, 3)
    scale = _box_sizes(boxes_xyxy) / num_fine
    decoded[..., :2] = (decoded[..., :2] + 0.5) * scale[:, None] + boxes_xyxy[:, None, :2]
    return decoded


def _box_sizes(boxes_xyxy: torch.Tensor) -> torch.Tensor:
    """(R, 2) width, height; at least 1 px, as in Detectron2."""
    return (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).float().clamp(min=1)


def _search(maps: torch.Tensor, num_fine: torch.Tensor, *, whole: bool) -> torch.Tensor:
    """Maxima of N resized maps.

    Args:
        maps: (N, S, S).
        num_fine: (N, 2) columns and rows of each resized map.
        whole: look everywhere rather than only around the maximal cell.

    Returns:
        (N, 3): fine column, fine row, score.
    """
    side = maps.shape[-1]
    peak = maps.flatten(1).argmax(dim=1)
    peak_xy = torch.stack((peak % side, peak // side), dim=1)
    if whole:
        first, count = torch.zeros_like(peak_xy), num_fine.long()
    else:
        first, count = _fine_window(peak_xy, num_fine, side)
    longest_x, longest_y = count.amax(dim=0).tolist()
    step = max(1, MAX_FINE_VALUES // (longest_x * longest_y))
    chunks = [
        _search_chunk(
            maps[i : i + step],
            peak_xy[i : i + step],
            num_fine[i : i + step],
            first[i : i + step],
            count[i : i + step],
            whole=whole,
        )
        for i in range(0, len(maps), step)
    ]
    return torch.cat(chunks)


def _fine_window(
    peak_xy: torch.Tensor, num_fine: torch.Tensor, side: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """First fine index and number of fine indices to look at, (N, 2) each."""
    fine_per_cell = num_fine / side
    low = ((peak_xy + 0.5 - WINDOW_CELLS) * fine_per_cell - 0.5).ceil().clamp(min=0)
    high = ((peak_xy + 0.5 + WINDOW_CELLS) * fine_per_cell - 0.5).floor()
    high = torch.minimum(high, num_fine - 1)
    return low.long(), (high - low + 1).long()


def _search_chunk(
    maps: torch.Tensor,
    peak_xy: torch.Tensor,
    num_fine: torch.Tensor,
    first: torch.Tensor,
    count: torch.Tensor,
    *,
    whole: bool,
) -> torch.Tensor:
    """`_search` for as many maps as fit into memory."""
    side = maps.shape[-1]
    # A fine value reads cells up to two away; border cells repeat outside the map.
    reach = int(WINDOW_CELLS + 0.5) + 1
    start = torch.full_like(peak_xy, -2) if whole else peak_xy - reach
    num_cells = side + 4 if whole else 2 * reach + 1
    cells = start[..., None] + torch.arange(num_cells, device=maps.device)
    inside = cells.clamp(0, side - 1)
    items = torch.arange(len(maps), device=maps.device)[:, None, None]
    patches = maps[items, inside[:, 1, :, None], inside[:, 0, None, :]]

    longest = count.amax(dim=0).tolist()
    columns, weights_x = _axis_weights(0, longest[0], first, num_fine, cells, side)
    rows, weights_y = _axis_weights(1, longest[1], first, num_fine, cells, side)
    fine = weights_y @ patches @ weights_x.transpose(1, 2)
    outside_x = columns >= (first + count)[:, :1]
    outside_y = rows >= (first + count)[:, 1:]
    fine.masked_fill_(outside_x[:, None, :] | outside_y[:, :, None], -torch.inf)

    best, position = fine.flatten(1).max(dim=1)
    x = columns.gather(1, (position % longest[0])[:, None])[:, 0]
    y = rows.gather(1, (position // longest[0])[:, None])[:, 0]
    score = (best - maps.flatten(1).logsumexp(dim=1)).exp()
    return torch.stack((x.float(), y.float(), score), dim=1)


def _axis_weights(
    axis: int,
    longest: int,
    first: torch.Tensor,
    num_fine: torch.Tensor,
    cells: torch.Tensor,
    side: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fine indices (N, P) of one axis, and the weight (N, P, L) of each of the L cells for them."""
    fine = first[:, axis, None] + torch.arange(longest, device=first.device)
    # torch's align_corners=False: the centre of fine index i lies at this cell coordinate
    position = (fine + 0.5) * (side / num_fine[:, axis, None]) - 0.5
    return fine, _cubic_kernel((position[..., None] - cells[:, axis, None, :]).abs())


def _cubic_kernel(distance: torch.Tensor) -> torch.Tensor:
    """Weight of a cell at a distance in cells (Keys 1981, doi:10.1109/TASSP.1981.1163711)."""
    d = distance
    near = ((CUBIC_A + 2) * d - (CUBIC_A + 3)) * d * d + 1
    far = ((CUBIC_A * d - 5 * CUBIC_A) * d + 8 * CUBIC_A) * d - 4 * CUBIC_A
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))
