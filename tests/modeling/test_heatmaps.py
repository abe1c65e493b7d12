"""Encoding and decoding of heatmaps: round trips, the metric's expectation, and the losses."""

import math

import pytest
import torch
import torch.nn.functional as F
from detectron2.structures import heatmaps_to_keypoints

from df2_landmarks.modeling import decode_expected_oks, decode_peak, encode_cells
from df2_landmarks.modeling.heatmaps import encode_soft, heatmap_covariance, oks_std_cells
from df2_landmarks.modeling.landmark_loss import landmark_loss, soft_landmark_loss

SIDE = 28
BOX = torch.tensor([[10.0, 20.0, 110.0, 270.0]])
SIGMAS = torch.tensor([0.02, 0.06])


def peaked_heatmaps(num_regions, num_landmarks):
    """Maps with one smooth bump each and low noise, like a trained head's."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.rand(num_regions, num_landmarks, 2, 1, 1, generator=generator) * SIDE
    grid = torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="xy"))
    distance = ((grid - centres) ** 2).sum(dim=2)
    noise = torch.rand(num_regions, num_landmarks, SIDE, SIDE, generator=generator)
    return 10 * torch.exp(-distance / 18) + 0.1 * noise


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_peak_is_the_one_of_detectron2_with_its_score(dtype):
    logits = peaked_heatmaps(3, 7).to(dtype)
    boxes = torch.tensor([[5.0, 9.0, 140.0, 180.5], [0.0, 0.0, 0.4, 3.0], [7.0, 7.0, 35.0, 35.0]])
    expected = heatmaps_to_keypoints(logits.float(), boxes)
    decoded = decode_peak(logits, boxes)
    assert decoded.dtype == torch.float32
    assert torch.equal(decoded, expected[..., [0, 1, 3]])


def test_the_confidence_of_a_peak_is_its_share_of_the_softmax():
    logits = torch.zeros(1, 2, 4, 4)
    logits[0, 1, 1, 2] = 20.0
    flat, sharp = decode_peak(logits, torch.tensor([[0.0, 0.0, 4.0, 4.0]]))[0].tolist()
    assert flat[2] == pytest.approx(1 / 16)
    assert sharp == pytest.approx([2.5, 1.5, 1.0], abs=1e-5)


def test_encoding_then_decoding_returns_within_half_a_cell():
    generator = torch.Generator().manual_seed(3)
    boxes = torch.tensor([[10.0, 20.0, 122.0, 244.0], [40.0, 0.0, 600.0, 280.0]])
    unit = torch.rand(2, 9, 2, generator=generator)
    xy = boxes[:, None, :2] + unit * (boxes[:, None, 2:] - boxes[:, None, :2])
    landmarks = torch.cat((xy, torch.full((2, 9, 1), 2.0)), dim=2)
    cells, valid = encode_cells(landmarks, boxes, SIDE)
    assert valid.all()
    logits = 20 * F.one_hot(cells, SIDE * SIDE).float().view(2, 9, SIDE, SIDE)
    half_cell = (boxes[:, 2:] - boxes[:, :2])[:, None] / SIDE / 2
    # The resized map, in which the peak is searched, adds up to a pixel.
    for decoded, slack in (
        (decode_peak(logits, boxes), 1.0),
        (decode_expected_oks(logits, boxes, torch.full((9,), 0.02)), 0.1),
    ):
        assert ((decoded[..., :2] - xy).abs() <= half_cell + slack).all()


def test_a_soft_target_decodes_to_its_landmark():
    xy = torch.tensor([[61.3, 143.7], [30.0, 70.0]])
    weights = encode_soft(xy, BOX.repeat(2, 1), SIGMAS, SIDE, width=0.5)
    target = weights[:, 1, :, None] * weights[:, 0, None, :]
    decoded = decode_expected_oks(target.clamp(min=1e-30).log()[None], BOX, SIGMAS)[0]
    eighth_of_a_cell = torch.tensor([100.0, 250.0]) / SIDE / 8
    assert ((decoded[:, :2] - xy).abs() <= eighth_of_a_cell).all()


def test_encoding_marks_what_cannot_be_learnt():
    landmarks = torch.tensor([[[5.0, 5.0, 2], [5.0, 5.0, 0], [50.0, 5.0, 2], [10.0, 10.0, 1]]])
    cells, valid = encode_cells(landmarks, torch.tensor([[0.0, 0.0, 10.0, 10.0]]), 4)
    assert valid.tolist() == [[True, False, False, True]]
    assert cells[0, 0] == 2 * 4 + 2
    assert cells[0, 3] == 15  # on the far border: the last cell


def test_no_region_has_the_shape_of_its_landmarks():
    cells, valid = encode_cells(torch.zeros(0, 5, 3), torch.zeros(0, 4), SIDE)
    assert cells.shape == valid.shape == (0, 5)
    logits, no_boxes = torch.zeros(0, 2, 8, 8), torch.zeros(0, 4)
    assert decode_peak(logits, no_boxes).shape == (0, 2, 3)
    assert decode_expected_oks(logits, no_boxes, SIGMAS).shape == (0, 2, 3)


def expected_oks(logits, box, sigma, x, y):
    """The definition: a sum over the cells, with OKS in pixels."""
    probability = logits.flatten().softmax(0)
    left, top, right, bottom = box.tolist()
    width, height = right - left, bottom - top
    total = 0.0
    for cell, p in enumerate(probability.tolist()):
        cell_x = left + (cell % SIDE + 0.5) * width / SIDE
        cell_y = top + (cell // SIDE + 0.5) * height / SIDE
        squared = (cell_x - x) ** 2 + (cell_y - y) ** 2
        total += p * math.exp(-squared / (2 * (2 * sigma) ** 2 * width * height))
    return total


def test_score_is_the_expected_oks_at_the_place():
    logits = torch.randn(1, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 3
    decoded = decode_expected_oks(logits, BOX, SIGMAS)[0]
    for k in range(2):
        x, y, score = decoded[k].tolist()
        expected = expected_oks(logits[0, k], BOX[0], SIGMAS[k].item(), x, y)
        assert score == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_no_place_on_a_fine_grid_is_better(seed):
    logits = torch.randn(1, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) * 2
    decoded = decode_expected_oks(logits, BOX, SIGMAS)[0]
    probability = logits[0].flatten(1).softmax(1).view(2, SIDE, SIDE).double()
    std = oks_std_cells(BOX.repeat(2, 1), SIGMAS, SIDE).double()
    places = torch.linspace(-0.5, SIDE - 0.5, 8 * SIDE + 1, dtype=torch.float64)
    cells = torch.arange(SIDE)
    for k in range(2):
        columns, rows = (
            (-0.5 * ((places[:, None] - cells) / std[k, axis]) ** 2).exp() for axis in (0, 1)
        )
        best = (rows @ probability[k] @ columns.T).max().item()
        assert decoded[k, 2].item() == pytest.approx(best, rel=2e-3)


def test_a_certain_heatmap_gives_the_centre_of_its_cell_and_score_one():
    logits = torch.zeros(1, 2, SIDE, SIDE)
    logits[0, 0, 5, 9] = logits[0, 1, 0, SIDE - 1] = 50.0
    decoded = decode_expected_oks(logits, BOX, SIGMAS)[0]
    width, height = 100 / SIDE, 250 / SIDE
    expected = [10 + 9.5 * width, 20 + 5.5 * height, 1.0]
    assert decoded[0].tolist() == pytest.approx(expected, rel=1e-5)
    assert decoded[1, :2].tolist() == pytest.approx([110 - width / 2, 20 + height / 2], rel=1e-5)


def test_many_near_cells_outweigh_one_high_cell():
    """Where stock decoding takes the single highest cell."""
    probability = torch.full((SIDE, SIDE), 1e-6)
    probability[3, 3] = 0.2
    probability[20:22, 20:22] = 0.15
    decoded = decode_expected_oks(probability.log()[None, None], BOX, SIGMAS[1:])[0, 0]
    assert decoded[0].item() == pytest.approx(10 + 21 * 100 / SIDE, abs=0.5)
    assert decoded[1].item() == pytest.approx(20 + 21 * 250 / SIDE, abs=0.5)


@pytest.mark.parametrize(
    "box", [[0, 0, 1, 1], [0, 0, 0.2, 0.1], [0, 0, 4000, 3000], [5, 5, 900, 8]]
)
def test_places_stay_in_boxes_of_any_size(box):
    logits = torch.randn(1, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    decoded = decode_expected_oks(logits, torch.tensor([box], dtype=torch.float32), SIGMAS)[0]
    assert torch.isfinite(decoded).all()
    left, top, right, bottom = box
    assert ((decoded[:, 0] >= left) & (decoded[:, 0] <= max(right, left + 1))).all()
    assert ((decoded[:, 1] >= top) & (decoded[:, 1] <= max(bottom, top + 1))).all()


def test_many_regions_are_decoded_as_each_alone(monkeypatch):
    logits = torch.randn(7, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    boxes = BOX + torch.arange(7.0)[:, None] * torch.tensor([0.0, 0.0, 9.0, 4.0])
    alone = torch.cat(
        [decode_expected_oks(logits[i : i + 1], boxes[i : i + 1], SIGMAS) for i in range(7)]
    )
    monkeypatch.setattr("df2_landmarks.modeling.heatmaps.MAX_VALUES", 4 * SIDE * SIDE * 3)
    torch.testing.assert_close(decode_expected_oks(logits, boxes, SIGMAS), alone)


def test_target_has_the_mean_and_the_deviation_that_it_should():
    xy = torch.tensor([[61.3, 143.7], [60.0, 150.0]])
    weights = encode_soft(xy, BOX.repeat(2, 1), SIGMAS, SIDE, width=1.0)
    assert weights.shape == (2, 2, SIDE)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2))
    cells = torch.arange(SIDE)
    mean = (weights * cells).sum(-1)
    deviation = (weights * (cells - mean[..., None]) ** 2).sum(-1).sqrt()
    x, y = (61.3 - 10) / 100 * SIDE - 0.5, (143.7 - 20) / 250 * SIDE - 0.5
    torch.testing.assert_close(mean[0], torch.tensor([x, y]), atol=0.02, rtol=0)
    std_px = 2 * SIGMAS * math.sqrt(100 * 250)
    expected = std_px[:, None] * SIDE / torch.tensor([100.0, 250.0])
    torch.testing.assert_close(deviation[0], expected[0], atol=0.02, rtol=0.02)
    torch.testing.assert_close(deviation[1, 1], expected[1, 1], atol=0.02, rtol=0.02)
    narrow = encode_soft(xy, BOX.repeat(2, 1), SIGMAS / 100, SIDE, width=1.0)
    assert (narrow.max(-1).values < 0.9).all()  # never narrower than half a cell


def test_soft_loss_is_the_cross_entropy_with_the_product_of_the_weights():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(3, 6, 6, generator=generator)
    weights = torch.rand(3, 2, 6, generator=generator)
    weights = weights / weights.sum(-1, keepdim=True)
    target = weights[:, 1, :, None] * weights[:, 0, None, :]
    expected = -(target.flatten(1) * logits.flatten(1).log_softmax(1)).sum() / 3
    torch.testing.assert_close(soft_landmark_loss(logits, weights), expected)


def test_soft_loss_with_all_weight_in_one_cell_is_the_hard_loss():
    logits = torch.randn(1, 6, 6, generator=torch.Generator().manual_seed(4))
    weights = torch.zeros(1, 2, 6)
    weights[0, 0, 4] = weights[0, 1, 2] = 1
    hard = landmark_loss(logits, torch.tensor([2 * 6 + 4]))
    torch.testing.assert_close(soft_landmark_loss(logits, weights), hard)


def test_mixed_precision_leaves_the_losses_as_they_are():
    """In bfloat16 a loss may come out below the entropy of its target, which is its least."""
    xy, boxes = torch.tensor([[61.3, 143.7], [30.0, 70.0]]), BOX.repeat(2, 1)
    weights = encode_soft(xy, boxes, SIGMAS, SIDE, width=0.5)
    target = weights[:, 1, :, None] * weights[:, 0, None, :]
    logits = (target.clamp(min=1e-30).log() + 20).requires_grad_()
    for loss, labels in ((soft_landmark_loss, weights), (landmark_loss, torch.tensor([7, 300]))):
        expected = loss(logits, labels)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = loss(logits, labels)
        assert mixed.item() == expected.item()
        gradients = (torch.autograd.grad(x, logits)[0] for x in (mixed, expected))
        torch.testing.assert_close(*gradients, rtol=0, atol=0)


def test_nothing_labelled_is_a_connected_zero():
    logits = torch.randn(2, 6, 6, requires_grad=True)
    for loss in (
        soft_landmark_loss(logits[:0], torch.zeros(0, 2, 6)),
        landmark_loss(logits[:0], torch.zeros(0, dtype=torch.int64)),
    ):
        logits.grad = None
        loss.backward()
        assert loss.item() == 0
        assert not logits.grad.any()


def test_covariance_is_the_second_moment_of_the_heatmap_in_pixels():
    """Of two equally likely cells: 4 px apart in x and 20 px in y."""
    logits = torch.full((1, 2, 10, 10), -100.0)
    logits[0, 0, 3, 5] = logits[0, 0, 5, 7] = 9.0
    logits[0, 1, 8, 1] = 9.0
    boxes = torch.tensor([[30.0, 40.0, 50.0, 140.0]])  # a cell is 2 x 10 px
    covariance = heatmap_covariance(logits, boxes)[0]
    expected = torch.tensor([[2.0**2, 10.0**2, 2.0 * 10], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(covariance, expected, atol=1e-4, rtol=0)
    mirrored = heatmap_covariance(logits.flip(-1), boxes)[0]
    torch.testing.assert_close(mirrored[0], torch.tensor([4.0, 100.0, -20.0]))
    assert heatmap_covariance(logits[:0], boxes[:0]).shape == (0, 2, 3)


def test_covariance_of_random_heatmaps_cell_by_cell():
    logits = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(6)) * 2
    boxes = torch.tensor([[0.0, 0.0, 70.0, 35.0], [5.0, 5.0, 12.0, 19.0]])
    actual = heatmap_covariance(logits, boxes)
    for r, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        cell = torch.tensor([(x2 - x1) / 7, (y2 - y1) / 7])
        rows, columns = torch.meshgrid(torch.arange(7), torch.arange(7), indexing="ij")
        xy = torch.stack((columns.flatten(), rows.flatten())) * cell[:, None]
        for k in range(3):
            expected = torch.cov(xy, correction=0, aweights=logits[r, k].flatten().softmax(0))
            unique = torch.stack((expected[0, 0], expected[1, 1], expected[0, 1]))
            torch.testing.assert_close(actual[r, k], unique, rtol=1e-4, atol=1e-4)
