"""The commands around a training: ``demo``, ``curves`` and ``convert_checkpoint``."""
