"""Landmarks <-> heatmaps, encode and decode side by side.

Shapes: R = regions (boxes), K = landmarks of one category, S = side of a heatmap in cells.

Spaces: *image*: continuous pixels, the centre of the first pixel at 0.5. *cell*: index in the S x S
map, the map spans the box. *fine*: index in the map resized to ceil(width) x ceil(height) of its
box, on which Detectron2 looks for the maximum.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from detectron2.structures import Keypoints

from df2_landmarks.modeling.bicubic_maximum import MAX_VALUES, bicubic_maxima


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
    shape = landmarks.shape[:2]  # stock has no K where there is no region
    return cells.view(shape), valid.bool().view(shape)


def decode_heatmaps(logits: torch.Tensor, boxes_xyxy: torch.Tensor) -> torch.Tensor:
    """Landmarks at the maxima of the heatmaps.

    The result of Detectron2's `heatmaps_to_keypoints` (bicubic resize of each map to its box,
    arg-max) but for ties, for all boxes together and without the resized maps: see
    `bicubic_maximum`.

    Args:
        logits: (R, K, S, S).
        boxes_xyxy: (R, 4) in image space.

    Returns:
        (R, K, 3) float32: x, y in image space and the confidence, the last column of
        `heatmaps_to_keypoints`: exp(maximum of the resized map) / sum of exp over the map's cells.

        The confidence is the share of the softmax over the map that its best place takes: near 1
        for one sharp peak, 1 / S^2 for a flat map. It falls where the network sees several
        places, or a wide one, so it depends on the landmark's size in cells. It is no probability
        of being right or visible, is not calibrated between landmarks or categories, and may
        exceed 1 a little, as the resized map's maximum lies above the cells'. An occluded landmark
        gets one too: the maps do not tell visible from occluded.
    """
    num_regions, num_landmarks = logits.shape[:2]
    region = torch.arange(num_regions, device=logits.device).repeat_interleave(num_landmarks)
    landmarks = decode_maps(logits.flatten(0, 1), boxes_xyxy, region)
    return landmarks.view(num_regions, num_landmarks, 3)


def decode_maps(
    logits: torch.Tensor, boxes_xyxy: torch.Tensor, region: torch.Tensor
) -> torch.Tensor:
    """`decode_heatmaps` for maps of regions with different numbers of landmarks.

    Args:
        logits: (N, S, S).
        boxes_xyxy: (R, 4) in image space.
        region: (N,) int64, index of each map's box.

    Returns:
        (N, 3) float32, as of `decode_heatmaps`.
    """
    boxes_xyxy = boxes_xyxy.detach().float()
    sizes = box_sizes(boxes_xyxy)
    num_fine = sizes.ceil()
    landmarks = boxes_xyxy.new_empty(len(logits), 3)
    step = max(1, MAX_VALUES // logits[:1].numel()) if len(logits) else 1
    for i in range(0, len(logits), step):
        maps, item = logits[i : i + step].detach().float(), region[i : i + step]
        values, places_xy, peak_cells = bicubic_maxima(maps, num_fine.long(), item)
        box_xy = (places_xy + 0.5) * (sizes / num_fine)[item]
        landmarks[i : i + step, :2] = box_xy + boxes_xyxy[item, :2]
        cells = maps.flatten(1)
        excess = values - cells.gather(1, peak_cells[:, None])[:, 0]
        surprise = F.cross_entropy(cells, peak_cells, reduction="none")  # -log softmax at the peak
        landmarks[i : i + step, 2] = (excess - surprise).exp()
    return landmarks


def box_sizes(boxes_xyxy: torch.Tensor) -> torch.Tensor:
    """(R, 2) float32 width and height of (R, 4) boxes; at least 1 px, as Detectron2 decodes."""
    return (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).float().clamp(min=1)
