"""A simple person: skin and hair behind and in front of the clothes."""

from __future__ import annotations

import numpy as np

from df2_landmarks.synthetic.actor import Actor
from df2_landmarks.synthetic.axes import ARM_LENGTH, LEG_LENGTH, LIMBS, axis, on_axis
from df2_landmarks.synthetic.layers import NOBODY, Layer
from df2_landmarks.synthetic.outfit import Garment
from df2_landmarks.synthetic.pose import bent, warped
from df2_landmarks.synthetic.templates import FloatArray, template

TORSO = np.array(
    [[5, -14], [5, 0], [16, 4], [15, 18], [9, 38], [10, 58], [10, 74]], dtype=np.float64
)
HALF_WIDTHS = {"arm": (5.0, 3.2), "leg": (8.0, 4.0)}
HEAD, HEAD_RADII = (0.0, -21.0), (8.5, 11.5)
SKIN_DEPTH, LEG_DEPTH, BARE_ARM_DEPTH, ARM_DEPTH, HEAD_DEPTH = 10.0, 9.0, 11.0, 60.0, 80.0


def body_layers(actor: Actor) -> list[Layer]:
    """Torso, limbs, head and hair of the person, posed as the clothes are."""
    torso = np.vstack([TORSO, TORSO[::-1] * [-1, 1]])
    layers = [_layer(actor, torso, SKIN_DEPTH, "torso", actor.skin)]
    for limb in LIMBS:
        layers += _limb(actor, limb)
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    face = ring * HEAD_RADII + HEAD
    cap = face[ring[:, 1] < 0.1] * [1.12, 1.0] + [0.0, -1.5]
    fringe = np.vstack([cap, [[4.0, -26.0], [-4.0, -26.0]]])
    back = ring * [10.0, 13.0] + [0.0, -19.0]
    layers.append(_layer(actor, back, 2.0, "hair", actor.hair))
    layers.append(_layer(actor, face, HEAD_DEPTH, "head", actor.skin))
    layers.append(_layer(actor, fringe, HEAD_DEPTH + 1, "hair", actor.hair))
    return layers


def _limb(actor: Actor, limb: str) -> list[Layer]:
    is_arm = limb.startswith("arm")
    dress = actor.top or actor.bottom
    garment = dress if is_arm else actor.bottom or actor.top
    if garment is None:
        return []
    length = ARM_LENGTH if is_arm else LEG_LENGTH
    outline = _tube(garment, limb, actor, length)
    sleeved = bool(template(garment.class_index).sleeve_length)
    depth = (ARM_DEPTH if sleeved else BARE_ARM_DEPTH) if is_arm else LEG_DEPTH
    name = "arm" if is_arm else "leg"
    return [_layer(actor, outline, depth, name, actor.skin, posed=True)]


def _tube(garment: Garment, limb: str, actor: Actor, length: float) -> FloatArray:
    """(P, 2) cm: outline of a bare arm or leg around the axis of its sleeve."""
    rows = axis(garment.class_index, limb)
    along = np.linspace(0.0, length, 15)
    middle = np.column_stack([on_axis(rows, along) * [garment.shape.width, 1.0], along])
    rest = template(garment.class_index)
    line = bent(middle, rest, garment.shape, limb, actor.pose)
    heading = np.gradient(line, axis=0)
    normal = np.stack([-heading[:, 1], heading[:, 0]], axis=1)
    normal /= np.hypot(*normal.T)[:, None]
    wide, narrow = HALF_WIDTHS[limb.partition("_")[0]]
    half = np.linspace(wide, narrow, len(along))[:, None]
    half[-1] *= 0.5
    return warped(np.vstack([line + half * normal, (line - half * normal)[::-1]]), actor.pose)


def _layer(
    actor: Actor,
    outline: FloatArray,
    depth: float,
    name: str,
    colour: tuple[int, int, int],
    *,
    posed: bool = False,
) -> Layer:
    cm = outline if posed else warped(outline, actor.pose)
    px = actor.camera(cm)
    return Layer(px, depth, NOBODY, name, colour, px_per_cm=actor.camera.px_per_cm)
