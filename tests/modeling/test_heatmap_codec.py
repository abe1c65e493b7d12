"""Encoding and decoding of heatmaps, against Detectron2's own and as a round trip."""

import pytest
import torch
import torch.nn.functional as F
from detectron2.structures.keypoints import heatmaps_to_keypoints

from df2_landmarks.modeling import decode_heatmaps, encode_landmarks

SIDE = 56


def peaked_heatmaps(num_regions, num_landmarks, seed=0):
    """Maps with one smooth bump each and low noise, like a trained head's."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(num_regions, num_landmarks, 2, 1, 1, generator=generator) * SIDE
    grid = torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="xy"))
    distance = ((grid - centres) ** 2).sum(dim=2)
    noise = torch.rand(num_regions, num_landmarks, SIDE, SIDE, generator=generator)
    return 10 * torch.exp(-distance / 18) + 0.1 * noise


def boxes(sizes, seed=1):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(len(sizes), 2, generator=generator) * 300
    return torch.cat((corners, corners + torch.tensor(sizes)), dim=1)


@pytest.mark.parametrize(
    "sizes",
    [
        [(200.0, 300.0), (57.3, 90.1)],
        [(700.5, 640.0), (61.0, 1200.0)],
        [(20.0, 33.3), (1.0, 1.0), (0.2, 0.4)],
        [(12.0, 400.0), (400.0, 12.0), (56.0, 56.0)],
    ],
    ids=["usual", "huge", "tiny", "narrow"],
)
def test_decoding_equals_detectron2(sizes):
    logits = peaked_heatmaps(len(sizes), 7)
    boxes_xyxy = boxes(sizes)
    expected = heatmaps_to_keypoints(logits, boxes_xyxy)
    found = decode_heatmaps(logits, boxes_xyxy)
    torch.testing.assert_close(found[..., :2], expected[..., :2], atol=1e-3, rtol=0)
    torch.testing.assert_close(found[..., 2], expected[..., 3], atol=1e-4, rtol=1e-3)


def test_decoding_equals_detectron2_at_borders_and_corners():
    logits = torch.zeros(1, 8, SIDE, SIDE)
    places = [(0, 0), (0, 55), (55, 0), (55, 55), (0, 30), (30, 0), (55, 30), (1, 54)]
    for index, (row, column) in enumerate(places):
        logits[0, index, row, column] = 8.0
    boxes_xyxy = boxes([(130.0, 170.0)])
    expected = heatmaps_to_keypoints(logits, boxes_xyxy)
    found = decode_heatmaps(logits, boxes_xyxy)
    torch.testing.assert_close(found[..., :2], expected[..., :2], atol=1e-3, rtol=0)


def test_decoding_of_nothing_is_nothing():
    assert decode_heatmaps(torch.zeros(0, 5, SIDE, SIDE), torch.zeros(0, 4)).shape == (0, 5, 3)


def test_decoding_in_chunks_is_the_same(monkeypatch):
    logits, boxes_xyxy = peaked_heatmaps(3, 5), boxes([(90.0, 90.0), (300.0, 70.0), (30.0, 30.0)])
    whole = decode_heatmaps(logits, boxes_xyxy)
    monkeypatch.setattr("df2_landmarks.modeling.heatmap_codec.MAX_FINE_VALUES", 1)
    torch.testing.assert_close(decode_heatmaps(logits, boxes_xyxy), whole)


def test_encoding_then_decoding_returns_within_half_a_cell():
    generator = torch.Generator().manual_seed(3)
    boxes_xyxy = boxes([(112.0, 224.0), (560.0, 280.0)])
    unit = torch.rand(2, 9, 2, generator=generator)
    xy = boxes_xyxy[:, None, :2] + unit * (boxes_xyxy[:, None, 2:] - boxes_xyxy[:, None, :2])
    landmarks = torch.cat((xy, torch.full((2, 9, 1), 2.0)), dim=2)
    cells, valid = encode_landmarks(landmarks, boxes_xyxy, SIDE)
    assert valid.all()
    logits = 20 * F.one_hot(cells, SIDE * SIDE).float().view(2, 9, SIDE, SIDE)
    decoded = decode_heatmaps(logits, boxes_xyxy)[..., :2]
    cell_size = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2])[:, None] / SIDE
    assert ((decoded - xy).abs() <= 0.5 * cell_size + 1).all()  # the fine grid adds up to a pixel


def test_encoding_marks_what_cannot_be_learnt():
    landmarks = torch.tensor([[[5.0, 5.0, 2], [5.0, 5.0, 0], [50.0, 5.0, 2], [10.0, 10.0, 1]]])
    cells, valid = encode_landmarks(landmarks, torch.tensor([[0.0, 0.0, 10.0, 10.0]]), 4)
    assert valid.tolist() == [[True, False, False, True]]
    assert cells[0, 0] == 2 * 4 + 2
    assert cells[0, 3] == 15  # on the far border: the last cell
