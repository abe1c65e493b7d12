"""What joins data, model and evaluation into training and testing."""

from df2_landmarks.engine.setup import setup_config
from df2_landmarks.engine.trainer import Trainer

__all__ = ["Trainer", "setup_config"]
