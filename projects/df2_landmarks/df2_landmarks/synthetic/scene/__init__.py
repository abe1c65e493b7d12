"""What is in a picture: garments in poses, on people, seen by cameras. Numbers only, no pixels.

* ``outfit``: garments that are worn together; ``pose``: how a person stands.
* ``placement``, ``view``: from a garment at rest to the posed and turned person.
* ``actor``: who stands where; ``clothes``, ``body``: the layers of an actor.
* ``occluders``: things in front of the clothes.
* ``scene``: the scene of a picture; ``composition``: its layers, and its garments with landmarks.
"""

from df2_landmarks.synthetic.scene.actor import Camera
from df2_landmarks.synthetic.scene.composition import PlacedItem, compose
from df2_landmarks.synthetic.scene.outfit import PUBLISHED_COUNTS, Garment
from df2_landmarks.synthetic.scene.scene import Scene, sample_scene

__all__ = [
    "PUBLISHED_COUNTS",
    "Camera",
    "Garment",
    "PlacedItem",
    "Scene",
    "compose",
    "sample_scene",
]
