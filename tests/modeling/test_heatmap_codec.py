"""Encoding and decoding of heatmaps, against Detectron2's own and as a round trip."""

import pytest
import torch
import torch.nn.functional as F
from detectron2.structures.keypoints import heatmaps_to_keypoints

from df2_landmarks.modeling import decode_heatmaps, encode_landmarks
from df2_landmarks.modeling.bicubic_maximum import FAR_WEIGHT, _Search
from df2_landmarks.modeling.heatmap_codec import decode_maps

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


def white_noise(num_regions, num_landmarks, side=SIDE, seed=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_regions, num_landmarks, side, side, generator=generator)


def plateaus(num_regions, num_landmarks, side=SIDE):
    return (white_noise(num_regions, num_landmarks, side) * 0.7).round()


def nearly_equal_peaks(num_regions, num_landmarks, side=SIDE):
    """Some cells of 5, apart by 1e-4 at most, in flat surroundings."""
    noise = white_noise(num_regions, num_landmarks, side)
    return torch.where(noise > 2.2, 5 + 1e-4 * noise.clamp(max=1), torch.zeros(()))


def checkerboard(num_regions, num_landmarks, side=SIDE):
    parity = (torch.arange(side)[:, None] + torch.arange(side)) % 2
    return parity + 1e-3 * white_noise(num_regions, num_landmarks, side)


def steps(num_regions, num_landmarks, side=SIDE):
    """Maps whose largest cell is not next to the maximum: the resize overshoots at a step."""
    maps = torch.zeros(num_regions, num_landmarks, side, side)
    maps[..., side // 2 :, side // 3 :] = 1.0
    maps[..., 2, 2:5] = 1.0 + 1e-3
    maps[..., 1:4, 1:6].clamp_(min=1.0)
    return maps


def ramps(num_regions, num_landmarks, side=SIDE):
    slope = torch.arange(side, dtype=torch.float32)
    return (slope + 2 * slope[:, None]).expand(num_regions, num_landmarks, side, side) - 300


def single_cells(num_regions, num_landmarks, side=SIDE):
    """One cell at a border or in a corner, far above or far below the others."""
    places = [(0, 0), (0, -1), (-1, 0), (-1, -1), (0, side // 2), (side // 2, 0), (1, -2)]
    maps = torch.zeros(num_regions, num_landmarks, side, side)
    for index in range(num_landmarks):
        row, column = places[index % len(places)]
        maps[:, index, row, column] = 50.0 if index < len(places) else -50.0
    return maps


def constant(num_regions, num_landmarks, side=SIDE):
    return torch.full((num_regions, num_landmarks, side, side), -3.7)


def resized_value(one_map, box_xyxy, xy):
    """Value of the resized map at a decoded place, and its maximum."""
    size = (box_xyxy[2:] - box_xyxy[:2]).clamp(min=1)
    columns, rows = size.ceil().long().tolist()
    resized = F.interpolate(one_map[None, None], (rows, columns), mode="bicubic")[0, 0]
    fine = (xy - box_xyxy[:2]) / (size / size.ceil()) - 0.5
    column, row = fine.round().long().tolist()
    assert (fine - fine.round()).abs().max() < 0.05
    return resized[row, column].item(), resized.max().item()


def assert_equal_but_for_ties(logits, boxes_xyxy):
    """Our place is stock's place, or one where the resized map has its maximum too: to 1e-5 of the
    largest magnitude. The confidence is stock's in either case."""
    expected = heatmaps_to_keypoints(logits, boxes_xyxy)
    found = decode_heatmaps(logits, boxes_xyxy)
    assert found.shape == (*logits.shape[:2], 3)
    torch.testing.assert_close(found[..., 2], expected[..., 3], atol=1e-6, rtol=1e-3)
    elsewhere = ((found[..., :2] - expected[..., :2]).abs() > 1e-2).any(dim=2)
    for region, landmark in elsewhere.nonzero().tolist():
        one_map = logits[region, landmark]
        value, maximum = resized_value(one_map, boxes_xyxy[region], found[region, landmark, :2])
        assert value >= maximum - 1e-5 * one_map.abs().max().item(), (region, landmark)
    return elsewhere


ADVERSARIAL = [
    white_noise,
    plateaus,
    nearly_equal_peaks,
    checkerboard,
    steps,
    ramps,
    single_cells,
    constant,
]
SIZES = {
    "usual": [(200.0, 300.0), (157.3, 90.1)],
    "tiny": [(0.0, 0.0), (1.0, 0.3), (0.2, 5.0), (2.0, 3.0)],
    "smaller than the map": [(20.0, 33.3), (55.0, 55.5), (56.0, 56.0), (57.0, 7.0)],
    "extreme aspect": [(3.0, 900.0), (1200.0, 12.0), (0.5, 700.0)],
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("maps", ADVERSARIAL)
def test_decoding_equals_detectron2_on_adversarial_maps(maps, sizes):
    assert_equal_but_for_ties(maps(len(sizes), 9), boxes(sizes))


@pytest.mark.parametrize("maps", [white_noise, peaked_heatmaps, steps, constant])
def test_decoding_equals_detectron2_in_a_huge_box(maps):
    assert_equal_but_for_ties(maps(1, 2), boxes([(4000.0, 2500.5)]))


@pytest.mark.parametrize("side", [1, 2, 3, 28, 96])
def test_decoding_equals_detectron2_at_other_resolutions(side):
    sizes = [(150.0, 80.0), (10.0, 200.0)]
    assert_equal_but_for_ties(white_noise(2, 6, side), boxes(sizes))


def test_without_ties_the_place_is_the_very_same():
    for seed in range(4):
        sizes = (torch.rand(6, 2, generator=torch.Generator().manual_seed(seed)) * 250).tolist()
        maps = white_noise(6, 20, seed=seed)
        assert not assert_equal_but_for_ties(maps, boxes(sizes)).any()


def test_bounds_hold_for_every_square():
    """No value of the resized map exceeds the bounds, by which squares are left out."""
    side, zoom = 7, 9
    maps = white_noise(1, 50, side)[0]
    fine = F.interpolate(maps[:, None], scale_factor=zoom, mode="bicubic")[:, 0]
    position = (torch.arange(side * zoom) + 0.5) / zoom - 0.5
    square = position.floor().long() + 1
    search = _Search(maps, torch.tensor([[side * zoom] * 2]), torch.zeros(50, dtype=torch.long))
    squares = torch.ones(50, side + 1, side + 1, dtype=torch.bool).nonzero()
    second = search._upper_bound(squares).view(50, side + 1, side + 1)
    around = F.max_pool2d(F.pad(maps[:, None], (1, 1, 1, 1), "replicate"), 2, 1)[:, 0]
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    first = around + ((1 + FAR_WEIGHT) ** 2 - 1) * (around - low) + FAR_WEIGHT**2 * (high - low)
    for bound in (first, second):
        assert (fine <= bound[:, square][:, :, square] + 1e-5).all()


def test_most_squares_of_a_peaked_map_are_not_evaluated(monkeypatch):
    evaluated = []
    evaluate = _Search._evaluate

    def count(self, squares):
        evaluated.append(len(squares))
        return evaluate(self, squares)

    monkeypatch.setattr(_Search, "_evaluate", count)
    decode_heatmaps(peaked_heatmaps(4, 25), boxes([(200.0, 300.0)] * 4))
    assert sum(evaluated) < 4 * 100
    evaluated.clear()
    decode_heatmaps(constant(4, 25), boxes([(200.0, 300.0)] * 4))
    assert sum(evaluated) < 2 * 100


def test_confidence_is_the_softmax_at_the_peak():
    logits = torch.zeros(1, 2, 4, 4)
    logits[0, 1, 1, 2] = 20.0
    flat, sharp = decode_heatmaps(logits, torch.tensor([[0.0, 0.0, 4.0, 4.0]]))[0, :, 2].tolist()
    assert flat == pytest.approx(1 / 16)
    assert sharp == pytest.approx(1.0, abs=1e-5)


def test_decoding_of_half_precision_is_float32():
    logits, boxes_xyxy = peaked_heatmaps(2, 3).bfloat16(), boxes([(90.0, 60.0), (40.0, 120.0)])
    found = decode_heatmaps(logits, boxes_xyxy)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, decode_heatmaps(logits.float(), boxes_xyxy))


def test_decoding_of_nothing_is_nothing():
    assert decode_heatmaps(torch.zeros(2, 0, SIDE, SIDE), torch.zeros(2, 4)).shape == (2, 0, 3)
    assert decode_heatmaps(torch.zeros(0, 5, SIDE, SIDE), torch.zeros(0, 4)).shape == (0, 5, 3)


def test_decoding_in_chunks_is_the_same(monkeypatch):
    logits, boxes_xyxy = peaked_heatmaps(3, 5), boxes([(90.0, 90.0), (300.0, 70.0), (30.0, 30.0)])
    logits[2] = white_noise(1, 5)
    whole = decode_heatmaps(logits, boxes_xyxy)
    monkeypatch.setattr("df2_landmarks.modeling.heatmap_codec.MAX_VALUES", 1)
    monkeypatch.setattr("df2_landmarks.modeling.bicubic_maximum.MAX_VALUES", 1)
    torch.testing.assert_close(decode_heatmaps(logits, boxes_xyxy), whole)


def test_maps_of_regions_with_different_numbers_of_landmarks():
    logits, boxes_xyxy = peaked_heatmaps(2, 5), boxes([(90.0, 60.0), (40.0, 120.0)])
    expected = decode_heatmaps(logits, boxes_xyxy)
    flat = torch.cat((logits[0, :2], logits[1]))
    found = decode_maps(flat, boxes_xyxy, torch.tensor([0] * 2 + [1] * 5))
    torch.testing.assert_close(found, torch.cat((expected[0, :2], expected[1])))


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


def test_encoding_of_no_region_has_the_shape_of_its_landmarks():
    cells, valid = encode_landmarks(torch.zeros(0, 5, 3), torch.zeros(0, 4), SIDE)
    assert cells.shape == valid.shape == (0, 5)
