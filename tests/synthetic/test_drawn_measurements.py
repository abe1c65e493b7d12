"""The measurements of a drawn garment are those of the pattern that it was cut from."""

from itertools import pairwise

import numpy as np
import pytest

from df2_landmarks.synthetic.garment import (
    FRONT,
    MIDDLE_JOINTS,
    PATTERNS,
    Shape,
    on_axis,
    sign_of,
)
from df2_landmarks.synthetic.labels import annotate
from df2_landmarks.synthetic.paint import label_map_of, sample_fabric
from df2_landmarks.synthetic.scene import Camera, Garment, compose
from df2_landmarks.synthetic.scene.actor import Actor
from df2_landmarks.synthetic.scene.pose import Pose
from df2_landmarks.synthetic.scene.scene import Scene
from df2_landmarks.taxonomy import measure

PX_PER_CM = 8.0
CURVE, PIXEL_CM = 0.02, 1.0 / PX_PER_CM
"""Tolerance: seams are drawn as curves and measured in straight segments, which makes a neckline
up to 2 % shorter; and files hold the nearest pixel."""
DOWN = ("body_", "skirt_", "front_length", "outseam", "inseam", "rise", "side_")
each_pattern = pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.category.official_name)


def flat_pose(pattern):
    """Nothing bends or warps: the sleeves lie as in the pattern."""
    arms = []
    for limb in ("arm_left", "arm_right"):
        (x0, y0), (x1, y1) = on_axis(pattern.axes[limb], np.array([0.0, MIDDLE_JOINTS[limb]]))
        arms.append(float(np.arctan2(sign_of(limb) * (x1 - x0), y1 - y0)))
    still = (0.0, 0.0)
    return Pose((arms[0], arms[1]), still, still, still, waves=np.empty((0, 5)))


def measured(pattern, shape):
    """The measurements from the annotation of a garment that lies flat, turned by ten degrees."""
    fabric = sample_fabric(np.random.default_rng(0))
    cos, sin = PX_PER_CM * np.cos(np.radians(10)), PX_PER_CM * np.sin(np.radians(10))
    camera = Camera(np.array([[cos, -sin, 700.0], [sin, cos, 200.0], [0.0, 0.0, 1.0]]))
    garment = Garment(pattern, shape, fabric, style=1, layer=30)
    actor = Actor((garment,), flat_pose(pattern), None, camera)
    scene = Scene((1500, 1400), "shop", 1, (actor,), ())
    layers, items = compose(scene)
    label_map = label_map_of(layers, scene.size)
    annotation = annotate(scene, layers, items, label_map, np.random.default_rng(0), box_slack=0.0)
    x_y_v = np.reshape(annotation["item1"]["landmarks"], (-1, 3))
    lengths = measure(
        pattern.category, x_y_v[:, :2], known=x_y_v[:, 2] > 0, pixels_per_cm=PX_PER_CM
    )
    assert not [length for length in lengths if length.reason]
    return {length.name: length for length in lengths}


def seam_cm(pattern, first, second):
    """Length in the pattern: along the seam, where one joins two neighbours; else straight."""
    a, b = pattern.row(first), pattern.row(second)
    for panel in pattern.panels[FRONT]:
        if not {a, b} <= set(panel.rows) or panel.name.startswith("strap"):
            continue
        closed = np.vstack([panel.outline, panel.outline[:1]])[:, :2]
        gaps = np.abs(closed[:-1, None] - pattern.points[list(panel.rows), :2]).max(-1)
        place = dict(zip(panel.rows, gaps.argmin(0).tolist(), strict=True))
        start, end = sorted((place[a], place[b]))
        steps = np.hypot(*np.diff(closed, axis=0).T)
        if not any(start < vertex < end for vertex in place.values()):
            return steps[start:end].sum()
        if not any(vertex < start or vertex > end for vertex in place.values()):
            return steps.sum() - steps[start:end].sum()
    return np.hypot(*(pattern.points[a] - pattern.points[b])[:2])


@each_pattern
def test_centimetres_and_ratios_are_those_of_the_pattern(pattern):
    lengths = measured(pattern, Shape())
    true_cm = {
        name: sum(seam_cm(pattern, *step) for step in pairwise(length.path))
        for name, length in lengths.items()
    }
    garment_cm = true_cm[next(iter(lengths))]
    for name, length in lengths.items():
        tolerance_cm = CURVE * true_cm[name] + PIXEL_CM
        assert abs(length.centimetres - true_cm[name]) < tolerance_cm, name
        assert abs(length.ratio - true_cm[name] / garment_cm) < 2 * tolerance_cm / garment_cm, name


@each_pattern
def test_lengths_run_down_the_pattern_and_widths_across_it(pattern):
    """A path that takes a wrong landmark turns back, or leaves the level of its ends."""
    for name, length in measured(pattern, Shape()).items():
        x, y = pattern.points[[pattern.row(n) for n in length.path], :2].T
        if name.startswith(DOWN):
            assert (np.diff(y) > 0).all() and y[-1] - y[0] > np.ptp(x), name
        elif name.startswith(("sleeve_", "strap_", "armhole")):
            assert (np.diff(y) > 0).all(), name
        elif name.endswith("_width"):
            assert (np.diff(x) > 0).all() and np.ptp(y) < 0.2 * np.ptp(x), name
        elif name.startswith(("thigh_", "knee_")):
            assert np.ptp(y) < 0.2 * np.ptp(x), name


def test_dimensions_by_hand():
    """From the boxes of `SIZES_CM` and the shares of them in `FIGURE_XY`."""
    trousers = measured(PATTERNS[7], Shape())  # 46 x 100 cm
    assert trousers["rise"].centimetres == pytest.approx(0.2708 * 100, abs=0.2)
    assert trousers["waist_width"].centimetres == pytest.approx((0.8700 - 0.1504) * 46, abs=0.2)
    vest = measured(PATTERNS[4], Shape())  # 40 x 60 cm
    assert vest["body_length"].centimetres == pytest.approx((0.9972 - 0.1377) * 60, abs=0.2)
    assert vest["underarm_width"].centimetres == pytest.approx((0.9905 - 0.0811) * 40, abs=0.2)
    assert vest["underarm_width"].ratio == pytest.approx(36.376 / 51.57, abs=0.005)


@pytest.mark.parametrize("pattern", [p for p in PATTERNS if p.sleeve_length])
def test_the_edges_of_a_sleeve_are_on_average_as_long_as_the_sleeve(pattern):
    lengths = measured(pattern, Shape())
    edges_cm = [lengths[f"sleeve_{edge}_left"].centimetres for edge in ("length", "inseam")]
    assert sum(edges_cm) / 2 == pytest.approx(pattern.sleeve_length, abs=0.3)


@each_pattern
def test_a_garment_that_is_drawn_a_quarter_wider_is_measured_a_quarter_wider(pattern):
    before, after = measured(pattern, Shape()), measured(pattern, Shape(width=1.25))
    across = [name for name, m in before.items() if name.endswith("_width") and len(m.path) == 2]
    for name in across:
        assert after[name].centimetres == pytest.approx(1.25 * before[name].centimetres, abs=0.3)
    down = [name for name in before if name in ("body_length", "skirt_length", "rise")]
    for name in down:
        assert after[name].centimetres == pytest.approx(before[name].centimetres, abs=0.3)
    assert across or down
