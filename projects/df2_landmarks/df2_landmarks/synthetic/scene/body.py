"""A simple person: skin and hair behind and in front of the clothes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from df2_landmarks.synthetic.garment import DRESS, LENGTHS, FloatArray, halves, is_arm, on_axis
from df2_landmarks.synthetic.paint import NOBODY, Colour, Layer
from df2_landmarks.synthetic.scene.actor import Actor, Person
from df2_landmarks.synthetic.scene.outfit import Garment
from df2_landmarks.synthetic.scene.pose import bent, warped
from df2_landmarks.synthetic.scene.view import silhouette_scale

CHEST = ((4.8, -14), (4.8, -2), (8, 1.5), (14, 4), (17, 8), (15, 19), (9, 38))
HIPS = ((13, 58), (15.5, 68), (15, 77), (1, 80))
HIPS_UNDER_A_DRESS = ((9, 58), (9, 70), (8, 77), (1, 80))
"""Right half of the outline of the torso, cm. Dresses are cut narrow at the hips."""
UNDER_A_DRESS_CM = 25.0
"""Length of the part of the legs that a dress always hides."""
ARM_HALF_WIDTHS, LEG_HALF_WIDTHS = (4.8, 2.8), (8.0, 3.6)
HAIR_DEPTH, FAR_ARM_DEPTH, LEG_DEPTH, SKIN_DEPTH, BARE_ARM_DEPTH = 2.0, 2.5, 9.0, 10.0, 11.0
ARM_DEPTH, HEAD_DEPTH = 60.0, 80.0
_TURN = np.linspace(0, 2 * np.pi, 28, endpoint=False)
RING = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
FACE = RING * [8.5, 11.5] + [0.0, -21.0]
LONG_BACK_HAIR = np.array([[11.0, 2.0], [8.0, 9.0], [-8.0, 9.0], [-11.0, 2.0]])


def body_layers(actor: Actor, person: Person) -> list[Layer]:
    """Return torso, limbs, head and hair of the person, posed as the clothes are."""
    is_dress = actor.top is not None and actor.top.pattern.kind == DRESS
    half = np.array([*CHEST, *(HIPS_UNDER_A_DRESS if is_dress else HIPS)])
    torso = np.vstack([half, half[::-1] * [-1, 1]])
    torso[:, 0] *= silhouette_scale(actor.pose.yaw)
    layers = [_layer(actor, torso, SKIN_DEPTH, "torso", person.skin)]
    for limb in LENGTHS:
        layers.append(_limb(actor, limb, person))
    return layers + _head(actor, person)


def _head(actor: Actor, person: Person) -> list[Layer]:
    if actor.pose.back:
        back = RING * [10.0, 12.5] + [0.0, -21.0]
        if person.long_hair:
            back = np.vstack([back[RING[:, 1] < 0], LONG_BACK_HAIR])
        return [_layer(actor, back, HEAD_DEPTH, "hair", person.hair)]
    turn = np.array([9.0 * np.sin(actor.pose.yaw) * 0.5, 0.0])
    cap = FACE[RING[:, 1] < 0.1] * [1.12, 1.0] + [0.0, -1.5]
    fringe = np.vstack([cap, [[4.0, -26.0], [-4.0, -26.0]]]) - turn
    layers = [
        _layer(actor, RING * [10.0, 13.0] + [0.0, -19.0] - turn, HAIR_DEPTH, "hair", person.hair),
        _layer(actor, FACE, HEAD_DEPTH, "head", person.skin),
        _layer(actor, fringe, HEAD_DEPTH + 1, "hair", person.hair),
    ]
    for sign in (-1.0, 1.0) if person.long_hair else ():
        strand = np.array([[7.0, -28.0], [10.5, -24.0], [12.0, -8.0], [12.5, 8.0], [9.5, 14.0]])
        strand = np.vstack([strand, [[7.5, 6.0], [7.5, -10.0]]]) * [sign, 1.0] - turn
        layers.append(_layer(actor, strand, HEAD_DEPTH + 1, "hair", person.hair))
    return layers


def _limb(actor: Actor, limb: str, person: Person) -> Layer:
    garment = (actor.top or actor.bottom) if is_arm(limb) else (actor.bottom or actor.top)
    assert garment is not None
    along, outline = _bare_limb(garment, limb, actor)
    name, depth = "leg", LEG_DEPTH
    if is_arm(limb):
        name, depth = "arm", ARM_DEPTH if garment.pattern.sleeve_length else BARE_ARM_DEPTH
        if actor.far_side and limb.endswith(actor.far_side):
            depth = FAR_ARM_DEPTH
    layer = _layer(actor, outline, depth, name, person.skin, posed=True)
    return replace(layer, fills=halves(along, limb))


def _bare_limb(garment: Garment, limb: str, actor: Actor) -> tuple[FloatArray, FloatArray]:
    """Return (P,) along and (P, 2) cm of a bare arm or leg around the axis of its sleeve."""
    pattern = garment.pattern
    start = UNDER_A_DRESS_CM if pattern.kind == DRESS and not is_arm(limb) else 0.0
    along = np.linspace(start, LENGTHS[limb], 15)
    middle = on_axis(pattern.axes[limb], along) * [garment.shape.width, 1.0]
    line = bent(np.column_stack([middle, along]), pattern, garment.shape, limb, actor.pose)
    line[:, 0] *= np.cos(actor.pose.yaw)
    heading = np.gradient(line, axis=0)
    normal = np.stack([-heading[:, 1], heading[:, 0]], axis=1)
    normal /= np.hypot(*normal.T)[:, None] + 1e-9
    half = np.linspace(*(ARM_HALF_WIDTHS if is_arm(limb) else LEG_HALF_WIDTHS), len(along))
    half[[0, -2, -1]] *= [0.5 if is_arm(limb) else 0.8, 1.15, 0.6]  # a joint, and a hand or foot
    offset = half[:, None] * normal
    outline = np.vstack([line + offset, (line - offset)[::-1]])
    return np.concatenate([along, along[::-1]]), warped(outline, actor.pose)


def _layer(
    actor: Actor,
    outline: FloatArray,
    depth: float,
    name: str,
    colour: Colour,
    *,
    posed: bool = False,
) -> Layer:
    cm = outline if posed else warped(outline, actor.pose)
    px = actor.camera(cm)
    return Layer(px, depth, NOBODY, name, colour, px_per_cm=actor.camera.px_per_cm)
