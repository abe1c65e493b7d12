"""Converters from the raw DeepFashion2 files to COCO JSON, and tools for a data folder.

Commands, run from the repository root:

    python -m converters.deepfashion2_to_coco --root datasets/deepfashion2
    python -m converters.check_dataset datasets/deepfashion2
    python -m converters.make_subset datasets/deepfashion2 datasets/df2_subset --images 1000
"""
