"""How hard the drawn pictures are: one record of numbers, chosen by a preset."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Difficulty:
    """Ranges and probabilities that scenes are drawn from. Lengths in cm, angles in degrees.

    Attributes:
        worn: probability that an actor is a person; else the garments lie flat.
        second_actor: probability of a second person or heap of garments in the picture.
        partner: probability that a garment comes with the one people wear with it.
        fill: smallest and largest share of its region that an actor's garments fill, before
            cropping; above 1 they are cut by the border.
        off_centre: largest shift of an actor from the middle of its region, as a share of it.
        tilt: in-plane rotation; perspective: largest change of scale across the picture.
        shape: spread of width, length, flare, neckline (1 = as clothes differ).
        warp: amplitude of the smooth non-rigid warp.
        arm, elbow, leg, knee: half ranges of the limb angles.
        side_view, back_view: probabilities among worn actors.
        long_hair: probability that hair falls over the shoulders.
        occluders: mean number of things in front of the actors.
        clutter: 0 plain background to 1 full of things.
        degrade: strength of blur, noise, colour cast in user photos, 0..1.
        box_slack: largest gap between a garment and its box, as a share of the box side.
        group_size: pictures that show the same outfit (one shop picture, the others user).
        aspects: (height / width) of the pictures to choose from.
        size_spread: short side varies by this share around the nominal size.
    """

    worn: float
    second_actor: float
    partner: float
    fill: tuple[float, float]
    off_centre: float
    tilt: float
    perspective: float
    shape: float
    warp: float
    arm: float
    elbow: float
    leg: float
    knee: float
    side_view: float
    back_view: float
    long_hair: float
    occluders: float
    clutter: float
    degrade: float
    box_slack: float
    group_size: int
    aspects: tuple[float, ...]
    size_spread: float


MODERATE = Difficulty(
    worn=0.6,
    second_actor=0.2,
    partner=0.4,
    fill=(0.65, 1.0),
    off_centre=0.08,
    tilt=12.0,
    perspective=0.1,
    shape=0.8,
    warp=1.0,
    arm=22.0,
    elbow=30.0,
    leg=8.0,
    knee=8.0,
    side_view=0.0,
    back_view=0.0,
    long_hair=0.15,
    occluders=0.25,
    clutter=0.6,
    degrade=0.4,
    box_slack=0.01,
    group_size=2,
    aspects=(1.0, 1.25, 1.33),
    size_spread=0.12,
)
"""What a small network learns from scratch in minutes."""

RICH = Difficulty(
    worn=0.72,
    second_actor=0.35,
    partner=0.7,
    fill=(0.45, 1.25),
    off_centre=0.15,
    tilt=18.0,
    perspective=0.2,
    shape=1.0,
    warp=1.6,
    arm=45.0,
    elbow=75.0,
    leg=14.0,
    knee=25.0,
    side_view=0.15,
    back_view=0.08,
    long_hair=0.5,
    occluders=1.4,
    clutter=1.0,
    degrade=1.0,
    box_slack=0.05,
    group_size=3,
    aspects=(0.75, 1.0, 1.25, 1.33, 1.5, 1.78),
    size_spread=0.25,
)
"""Poses, views, occlusion and photo quality as photos have them."""
