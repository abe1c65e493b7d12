"""Targets as wide as the metric, and landmarks where the metric expects most."""

import math

import pytest
import torch

from df2_landmarks.modeling.landmark_loss import landmark_loss, soft_landmark_loss
from df2_landmarks.modeling.oks_heatmaps import decode_expected_oks, encode_soft, oks_std_cells

SIDE = 28
BOX = torch.tensor([[10.0, 20.0, 110.0, 270.0]])
SIGMAS = torch.tensor([0.02, 0.06])


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


def test_nothing_to_decode():
    assert decode_expected_oks(torch.zeros(0, 2, 8, 8), torch.zeros(0, 4), SIGMAS).shape == (
        0,
        2,
        3,
    )


def test_many_regions_are_decoded_as_each_alone(monkeypatch):
    logits = torch.randn(7, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    boxes = BOX + torch.arange(7.0)[:, None] * torch.tensor([0.0, 0.0, 9.0, 4.0])
    alone = torch.cat(
        [decode_expected_oks(logits[i : i + 1], boxes[i : i + 1], SIGMAS) for i in range(7)]
    )
    monkeypatch.setattr("df2_landmarks.modeling.oks_heatmaps.MAX_VALUES", 4 * SIDE * SIDE * 3)
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
            found = loss(logits, labels)
        assert found.item() == expected.item()
        gradients = (torch.autograd.grad(x, logits)[0] for x in (found, expected))
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
