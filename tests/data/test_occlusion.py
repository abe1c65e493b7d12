"""What is hidden by a cut-out or a pasted garment: pixels, masks, boxes and landmarks agree."""

import copy

import cv2
import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances, Keypoints

from df2_landmarks.data import load_landmark_json, seed_by, training_mapper
from df2_landmarks.data.augmentation import OccludingMapper, cut_out, hide, paste
from df2_landmarks.data.polygon_masks import CheckedPolygonMasks
from df2_landmarks.formats import Mask, garments_of_targets
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.support import tiny_config

SIZE = HEIGHT, WIDTH = 70, 90
MAX = DEEPFASHION2.max_landmarks


def rectangle(left, top, right, bottom):
    return np.array((left, top, right, top, right, bottom, left, bottom), dtype=float)


def random_polygon(rng, size=SIZE):
    count = rng.integers(3, 9)
    return (rng.uniform(0, 1, (count, 2)) * size[::-1]).reshape(-1)


def garments(polygons_of_row, rng, size=SIZE):
    """Garments of given polygons, in boxes three pixels wider, with landmarks anywhere."""
    instances = Instances(size)
    boxes = []
    for polygons in polygons_of_row:
        points = np.concatenate(polygons).reshape(-1, 2)
        boxes.append([*(points.min(0) - 3).clip(0), *(points.max(0) + 3).clip(0, size[::-1])])
    instances.gt_boxes = Boxes(torch.tensor(np.array(boxes), dtype=torch.float32))
    instances.gt_classes = torch.arange(len(boxes)) % DEEPFASHION2.num_categories
    landmarks = np.zeros((len(boxes), MAX, 3), np.float32)
    count = min(DEEPFASHION2.counts)
    landmarks[:, :count, :2] = rng.uniform(0, 1, (len(boxes), count, 2)) * size[::-1]
    landmarks[:, :count, 2] = rng.integers(0, 3, (len(boxes), count))
    landmarks[landmarks[..., 2] == 0] = 0
    landmarks[0, 0] = size[1], size[0], 2  # on the border
    instances.gt_keypoints = Keypoints(torch.from_numpy(landmarks))
    instances.gt_masks = CheckedPolygonMasks(polygons_of_row)
    return instances


def example_of(instances, value):
    return {
        "image": torch.full((3, *instances.image_size), value, dtype=torch.uint8),
        "instances": instances,
    }


def pixels(polygons, size=SIZE):
    return Mask.from_polygons(polygons, *size).array


def slow_box(array):
    """x1, y1, x2, y2 around the pixels, one after the other."""
    places = [(x, y) for y in range(len(array)) for x in range(len(array[0])) if array[y, x]]
    xs, ys = zip(*places, strict=True)
    return np.array((min(xs), min(ys), max(xs) + 1, max(ys) + 1))


@pytest.mark.parametrize("seed", range(8))
def test_hidden_parts_are_those_of_a_slow_reference(seed):
    rng = np.random.default_rng(seed)
    before = garments([[random_polygon(rng), random_polygon(rng)] for _ in range(5)], rng)
    covers = [random_polygon(rng)]
    kept_before = copy.deepcopy(before)
    after = hide(before, covers)
    hidden = pixels(covers)
    row_after = 0
    for row in range(len(before)):
        whole = pixels(before.gt_masks.polygons[row])
        visible = whole & ~hidden
        if visible.sum() < 0.1 * whole.sum():
            continue
        # The mask that the mask head is taught in a box of the whole picture is that of the pixels.
        canvas = torch.tensor([[0.0, 0.0, HEIGHT, HEIGHT]])
        taught = after.gt_masks[row_after : row_after + 1].crop_and_resize(canvas, HEIGHT)[0]
        np.testing.assert_array_equal(taught.numpy()[:, :HEIGHT], visible[:, :HEIGHT])
        box = before.gt_boxes.tensor[row].numpy()
        moved = slow_box(visible) - slow_box(whole)
        np.testing.assert_allclose(after.gt_boxes.tensor[row_after], box + moved, atol=1e-4)
        for old, new in zip(
            before.gt_keypoints.tensor[row].tolist(),
            after.gt_keypoints.tensor[row_after].tolist(),
            strict=True,
        ):
            y, x = min(int(old[1]), HEIGHT - 1), min(int(old[0]), WIDTH - 1)
            occluded = old[2] == 2 and hidden[y, x]
            assert new == [*old[:2], 1 if occluded else old[2]]
        row_after += 1
    assert len(after) == row_after
    for name in ("gt_boxes", "gt_keypoints"):  # the input is as it was
        assert torch.equal(before.get(name).tensor, kept_before.get(name).tensor)
    assert before.gt_masks.covers == [[]] * len(before)


def test_what_nothing_hides_stays_and_what_is_hidden_almost_completely_goes():
    rng = np.random.default_rng(0)
    rows = [[rectangle(5, 5, 25, 25)], [rectangle(40, 40, 60, 60)], [rectangle(0, 0, 9, 9)]]
    before = garments(rows, rng)
    after = hide(before, [rectangle(42, 0, 90, 70), rectangle(0, 0, 10, 10)])
    assert after.gt_classes.tolist() == [0, 1]
    # 400 - 36 + ...: of the first a corner of 5 x 5 is hidden, which moves no side of its box.
    assert torch.equal(after.gt_boxes.tensor[0], before.gt_boxes.tensor[0])
    assert after.gt_boxes.tensor[1].tolist() == [37, 37, 45, 63]  # 63 - 18
    assert [len(covers) for covers in after.gt_masks.covers] == [2, 2]


def test_two_occlusions_add_up():
    rng = np.random.default_rng(0)
    before = garments([[rectangle(10, 10, 50, 50)]], rng)
    once = hide(before, [rectangle(10, 10, 30, 50)])
    twice = hide(once, [rectangle(30, 10, 90, 30)])
    assert twice.gt_boxes.tensor.tolist() == [[27, 27, 53, 53]]
    garment = garments_of_targets(twice)[0]
    assert garment.mask.area == 20 * 20
    assert [len(x.gt_masks.covers[0]) for x in (before, once, twice)] == [0, 1, 2]


def test_a_garment_without_polygons_counts_as_its_box():
    rng = np.random.default_rng(0)
    before = garments([[rectangle(10, 10, 50, 50)]] * 2, rng)
    before.gt_masks = CheckedPolygonMasks([[], []])
    assert len(hide(before, [rectangle(0, 0, 90, 70)])) == 0
    half = hide(before, [rectangle(0, 0, 30, 70)])
    assert half.gt_boxes.tensor.tolist() == [[30, 7, 53, 53]] * 2
    before.remove("gt_masks")
    assert torch.equal(
        hide(before, [rectangle(0, 0, 30, 70)]).gt_boxes.tensor, half.gt_boxes.tensor
    )


def test_a_box_that_was_smaller_than_its_mask_never_turns_inside_out():
    before = garments([[rectangle(10, 10, 60, 50)]], np.random.default_rng(0))
    before.gt_boxes.tensor[0] = torch.tensor([25.0, 10.0, 45.0, 50.0])
    assert len(hide(before, [rectangle(20, 0, 90, 70)])) == 0
    assert hide(before, [rectangle(50, 0, 90, 70)]).gt_boxes.tensor.tolist() == [[25, 10, 35, 50]]


def test_covers_stay_with_their_garments_when_these_are_chosen():
    masks = CheckedPolygonMasks(
        [[rectangle(0, 0, 8, 8)] for _ in range(3)], [[], [rectangle(0, 0, 4, 8)], []]
    )
    box = torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    shares = [float(masks[[row]].crop_and_resize(box, 8).float().mean()) for row in (2, 1, 0)]
    assert shares == [1, 0.5, 1]
    chosen = masks[torch.tensor([False, True, True])]
    assert chosen.crop_and_resize(box.repeat(2, 1), 8).float().mean((1, 2)).tolist() == [0.5, 1]


@pytest.mark.parametrize("offset", [(0, 0), (31, -17), (-25, 20), (60, 55)])
def test_pasted_garments_bring_their_pixels_and_annotations(offset):
    rng = np.random.default_rng(5)
    example = example_of(garments([[random_polygon(rng)] for _ in range(3)], rng), 10)
    source_size = (60, 64)
    source = example_of(
        garments([[random_polygon(rng, source_size)] for _ in range(3)], rng, source_size), 0
    )
    source["image"] = torch.from_numpy(rng.integers(100, 255, (3, *source_size), dtype=np.uint8))
    rows = [0, 2]
    pasted = paste(example, source, rows, offset)
    instances, image = pasted["instances"], pasted["image"].numpy()

    shift = np.array(offset)
    moved = [source["instances"].gt_masks.polygons[row][0].reshape(-1, 2) + shift for row in rows]
    inside = pixels(moved)
    own = hide(example["instances"], [polygon.reshape(-1) for polygon in moved])
    num_new = len(instances) - len(own)
    grown, shrunk = (
        change(inside.astype(np.uint8), np.ones((3, 3))).astype(bool)
        for change in (cv2.dilate, cv2.erode)
    )
    for y in range(HEIGHT):  # every pixel is either the source's or as it was
        for x in range(WIDTH):
            if grown[y, x] and not shrunk[y, x]:  # polygons are moved and cut, not their pixels
                continue
            sx, sy = x - offset[0], y - offset[1]
            is_source = inside[y, x] and 0 <= sx < source_size[1] and 0 <= sy < source_size[0]
            expected = source["image"][:, sy, sx].tolist() if is_source else [10, 10, 10]
            assert image[:, y, x].tolist() == expected
    assert torch.equal(instances.gt_keypoints.tensor[: len(own)], own.gt_keypoints.tensor)
    assert (instances.gt_boxes.tensor[: len(own)] - own.gt_boxes.tensor).abs().max() <= 1

    visible = [row for row, polygon in zip(rows, moved, strict=True) if pixels([polygon]).any()]
    assert num_new == len(visible)
    for row, new in zip(visible, range(len(own), len(instances)), strict=True):
        assert instances.gt_classes[new] == source["instances"].gt_classes[row]
        for old, landmark in zip(
            source["instances"].gt_keypoints.tensor[row].tolist(),
            instances.gt_keypoints.tensor[new].tolist(),
            strict=True,
        ):
            x, y = old[0] + offset[0], old[1] + offset[1]
            is_inside = old[2] > 0 and 0 <= x <= WIDTH and 0 <= y <= HEIGHT
            expected = [x, y, old[2]] if is_inside else [0, 0, 0]
            assert landmark == pytest.approx(expected, abs=1e-4)
        mask = pixels(instances.gt_masks.polygons[new])
        polygon = source["instances"].gt_masks.polygons[row][0].reshape(-1, 2) + shift
        assert (mask != pixels([polygon])).mean() < 0.002  # cut in polygons, not in pixels
        box = instances.gt_boxes.tensor[new].numpy()
        distance = (slow_box(mask) - box) * (1, 1, -1, -1)
        assert (distance > -1).all() and (distance < 4.5).all()


def test_of_a_garment_that_its_picture_cuts_only_the_seen_part_is_pasted():
    rng = np.random.default_rng(0)
    example = example_of(garments([[rectangle(0, 0, 90, 70)]], rng), 10)
    source = example_of(garments([[rectangle(20, 20, 60, 30)]], rng, (60, 40)), 200)
    pasted = paste(example, source, [0], (10, 0))
    changed = pasted["image"][0].numpy() == 200
    assert slow_box(changed).tolist() == [30, 20, 50, 30] and changed.sum() == 200
    garment = garments_of_targets(pasted["instances"])[1]
    assert garment.mask.area == 200
    assert garments_of_targets(pasted["instances"])[0].mask.area == 90 * 70 - 200


def test_pasted_garments_fit_into_the_picture_at_random_places():
    rng = np.random.default_rng(0)
    example = example_of(garments([[rectangle(40, 30, 50, 40)]], rng), 10)
    pair = garments([[rectangle(20, 30, 35, 42)], [rectangle(30, 30, 42, 50)]], rng, (60, 44))
    source = example_of(pair, 200)
    mapper = OccludingMapper(
        {"example": example, "source": source}.get, ["source"], copy_paste=1.0, cut_out=0.0
    )
    places, numbers = set(), set()
    for seed in range(40):
        seed_by(seed)
        out = mapper("example")
        added = out["instances"].gt_classes.tolist().count(1)
        numbers.add((len(out["instances"]), added))
        left, top, right, bottom = slow_box(out["image"][0].numpy() == 200)
        assert (right - left, bottom - top) in {(15, 12), (12, 20), (22, 20)}
        places.add((left, top))
    assert len(places) > 30
    assert max(x for x, _ in places) > 60 and max(y for _, y in places) > 40
    assert min(x for x, _ in places) < 12 and min(y for _, y in places) < 12
    assert len(numbers) >= 3  # one of them, the other, or both


def test_what_its_own_picture_cuts_does_not_decide_where_a_garment_is_pasted():
    rng = np.random.default_rng(0)
    example = example_of(garments([[rectangle(40, 30, 50, 40)]], rng), 10)
    source = example_of(garments([[rectangle(20, -300, 40, 15)]], rng, (60, 44)), 200)
    given = {"example": example, "source": source}
    mapper = OccludingMapper(given.get, ["source"], copy_paste=1.0, cut_out=0.0)
    for seed in range(20):
        seed_by(seed)
        assert (mapper("example")["image"] == 200).sum() == 3 * 20 * 15


def test_a_cut_out_is_grey_and_hides():
    rng = np.random.default_rng(0)
    example = example_of(garments([[rectangle(10, 10, 50, 50)]], rng), 10)
    out = cut_out(example, (30, 0, 90, 70))
    image = out["image"].numpy()
    assert (image[:, :, 30:] == 128).all() and (image[:, :, :30] == 10).all()
    assert out["instances"].gt_boxes.tensor.tolist() == [[7, 7, 33, 53]]
    assert (example["image"] == 10).all()


@pytest.fixture
def records(tiny_datasets):
    data = tiny_datasets / "deepfashion2_synthetic"
    return load_landmark_json(data / "annotations" / "train.json", data / "train" / "image")


OPTS = ("INPUT.COPY_PASTE", 1.0, "INPUT.AUGMENT.CUT_OUT", 0.5, "INPUT.AUGMENT.SCALE", (0.5, 1.5))


def test_a_place_of_the_order_has_one_example(records):
    mapper = training_mapper(tiny_config(*OPTS), records)
    plain = training_mapper(tiny_config(), records)
    more = 0
    for index in range(len(records)):
        seed_by(3, index)
        first = mapper(records[index])
        seed_by(3, index)
        second = mapper(records[index])
        assert torch.equal(first["image"], second["image"])
        assert torch.equal(
            first["instances"].gt_keypoints.tensor, second["instances"].gt_keypoints.tensor
        )
        more += len(first["instances"]) > len(plain(records[index])["instances"])
        boxes = first["instances"].gt_boxes
        assert boxes.nonempty().all() and boxes.inside_box(first["instances"].image_size, 1).all()
        assert first["instances"].gt_masks.nonempty().all()
    assert more >= 3


def test_a_source_that_cannot_be_read_or_has_no_garment_leaves_the_example_as_it_is(records):
    example = example_of(garments([[rectangle(10, 10, 50, 50)]], np.random.default_rng(0)), 10)
    empty = example_of(example["instances"][torch.tensor([False])], 0)
    for source in (None, empty):
        given = {"example": example, "source": source}
        mapper = OccludingMapper(given.get, ["source"], copy_paste=1.0, cut_out=0.0)
        assert mapper("example") is example
    assert OccludingMapper(given.get, ["source"], copy_paste=1.0, cut_out=1.0)("skipped") is None
