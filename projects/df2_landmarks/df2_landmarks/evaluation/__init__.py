"""The official landmark score, exactly, fast, and explained. Nothing here needs torch but
``landmark_evaluator``."""
