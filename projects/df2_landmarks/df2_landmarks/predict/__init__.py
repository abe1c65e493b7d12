"""From photos to garments with named landmarks.

* ``predictor``: `Predictor`, from a picture to its `Garments`; ``garments``: what it returns.
* ``model``: what it needs of a model; ``torch_model``: a trained model of Detectron2.
"""

from df2_landmarks.predict.garments import Garments
from df2_landmarks.predict.model import Detected, Model, Prepared
from df2_landmarks.predict.predictor import MIN_SCORE, Predictor

__all__ = ["MIN_SCORE", "Detected", "Garments", "Model", "Predictor", "Prepared"]
