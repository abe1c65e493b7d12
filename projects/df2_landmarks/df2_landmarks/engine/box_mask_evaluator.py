"""Box and mask AP by Detectron2's COCO evaluator, beside the landmark evaluator."""

from __future__ import annotations

from typing import Any

from detectron2.evaluation import COCOEvaluator
from detectron2.structures import Instances


class BoxMaskEvaluator(COCOEvaluator):
    """`COCOEvaluator` for boxes and masks of a landmark data set.

    It gets copies without landmarks: the stock evaluator shifts CPU landmarks by half a pixel in
    place, and would write all of them as COCO keypoints. A garment without a usable polygon has
    its box as its ground-truth mask, since pycocotools cannot rasterize nothing.
    """

    def __init__(self, dataset_name: str, *, tasks: tuple[str, ...], output_dir: str) -> None:
        super().__init__(dataset_name, tasks=tasks, output_dir=output_dir, use_fast_impl=False)
        for annotation in self._coco_api.dataset.get("annotations", []):
            polygons = [p for p in annotation.get("segmentation", []) if len(p) >= 6]
            x, y, w, h = annotation["bbox"]
            annotation["segmentation"] = polygons or [[x, y, x + w, y, x + w, y + h, x, y + h]]
        self._do_evaluation = bool(self._coco_api.dataset.get("annotations"))

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        super().process(
            inputs, [{"instances": _without_landmarks(o["instances"])} for o in outputs]
        )


def _without_landmarks(instances: Instances) -> Instances:
    fields = {k: v for k, v in instances.get_fields().items() if k != "pred_keypoints"}
    return Instances(instances.image_size, **fields)
