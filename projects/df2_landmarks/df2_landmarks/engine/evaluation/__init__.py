"""What an evaluation measures and leaves behind.

* ``evaluators``: box, mask and landmark AP, and error types.
* ``scores_file``: ``scores.json``, all scores of an evaluation as plain data.
* ``tables``: results as text.
* ``pictures``: ground truth beside detections, drawn.
"""

from df2_landmarks.engine.evaluation.evaluators import (
    RESULTS_FILE,
    TASKS,
    BoxMaskEvaluator,
    LandmarkEvaluator,
)
from df2_landmarks.engine.evaluation.pictures import (
    landmark_pictures,
    picture_sheets,
    write_pictures,
)
from df2_landmarks.engine.evaluation.scores_file import ScoresFile
from df2_landmarks.engine.evaluation.tables import TASK_TITLES, augmented_table

__all__ = [
    "RESULTS_FILE",
    "TASKS",
    "TASK_TITLES",
    "BoxMaskEvaluator",
    "LandmarkEvaluator",
    "ScoresFile",
    "augmented_table",
    "landmark_pictures",
    "picture_sheets",
    "write_pictures",
]
