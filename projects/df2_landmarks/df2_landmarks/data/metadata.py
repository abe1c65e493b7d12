"""Metadata of a landmark data set, as Detectron2's tools expect it."""

from __future__ import annotations

from typing import Any

from df2_landmarks.taxonomy import CATEGORIES


def landmark_metadata() -> dict[str, Any]:
    """Values for ``MetadataCatalog``: class names and colours, ids, and the landmark tables.

    ``keypoint_names``, ``keypoint_flip_map`` and ``keypoint_connection_rules`` describe one set of
    landmarks in Detectron2 and there are several here: they are given per category instead, as
    ``landmark_names``, ``landmark_flip_map`` and ``landmark_connection_rules``, each a tuple over
    the classes.
    """
    return {
        "thing_classes": [category.official_name for category in CATEGORIES],
        "thing_colors": [category.rgb for category in CATEGORIES],
        "thing_dataset_id_to_contiguous_id": {c.id: i for i, c in enumerate(CATEGORIES)},
        "landmark_names": tuple(category.landmark_names for category in CATEGORIES),
        "landmark_flip_map": tuple(
            tuple(
                (category.landmark_names[a - 1], category.landmark_names[b - 1])
                for a, b in category.flip_pairs
            )
            for category in CATEGORIES
        ),
        "landmark_connection_rules": tuple(
            tuple(
                (category.landmark_names[a - 1], category.landmark_names[b - 1], category.rgb)
                for a, b in category.skeleton
            )
            for category in CATEGORIES
        ),
    }
