"""The parts of a training, joined in `trainer`.

* ``step``: an iteration, and the loader that is watched; ``optimizer``: its optimizer.
* ``averaging``: averaged weights; ``memory``: how much it needs.
"""

from df2_landmarks.engine.training.averaging import AverageWeights, WeightAverage
from df2_landmarks.engine.training.memory import MEMORY, PeakMemory, peak_memory
from df2_landmarks.engine.training.optimizer import build_optimizer
from df2_landmarks.engine.training.step import (
    WatchedLoader,
    check_accumulation,
    training_step,
    trains_in_bfloat16,
)

__all__ = [
    "MEMORY",
    "AverageWeights",
    "PeakMemory",
    "WatchedLoader",
    "WeightAverage",
    "build_optimizer",
    "check_accumulation",
    "peak_memory",
    "training_step",
    "trains_in_bfloat16",
]
