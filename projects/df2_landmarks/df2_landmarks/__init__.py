"""Clothes landmark estimation on DeepFashion2 with Detectron2.

Nothing is imported here, so that the converter and the scorer start without torch.
"""
