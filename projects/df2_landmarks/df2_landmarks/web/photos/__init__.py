"""The section *Try* of the page, and ``/predict``: a photo in, its garments out.

* ``records``: what a request may say; the answer is a line of `df2 predict` (`PictureRecord`).
* ``routes``: `photo_section`. ``worker``: `Worker`, the queue before the process with the model.
* ``process``: that process and its limits; ``finding``: from a photo's bytes to the answer.
"""

from df2_landmarks.web.photos.records import PredictOptions
from df2_landmarks.web.photos.routes import photo_section
from df2_landmarks.web.photos.worker import Worker

__all__ = ["PredictOptions", "Worker", "photo_section"]
