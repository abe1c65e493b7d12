"""Seconds and memory of the box, mask and landmark evaluators at the size of the validation set.

    python benchmarks/training/evaluation.py                  # 32,153 images
    python benchmarks/training/evaluation.py --images 2000

*alone* is a training on one GPU: its process keeps all predictions and scores them. *worker* is one
of the other processes of a training on 8 GPUs: it keeps its eighth of the predictions and sends
them. Neither runs a model. Each is measured in a process of its own; memory is the growth of the
resident memory after the imports, at its peak, with the predictions that are kept.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.evaluator_speed import _item, peak_mb

ROLES = {"alone": 1, "worker": 8}
"""Role -> number of processes that share the images."""
NAME = "evaluation_in_training"
SIZE = (1000, 800)
PER_IMAGE = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=32_153)
    parser.add_argument("--run", nargs=2, metavar=("ROLE", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        role, folder = args.run
        print(json.dumps(measure(role, Path(folder), args.images)))
        return
    with tempfile.TemporaryDirectory() as folder:
        size = write_truth(Path(folder, "truth.json"), args.images)
        print(f"{args.images:,} images, {size / 1e6:.0f} MB of ground truth")
        for role in ROLES:
            command = [sys.executable, __file__, "--images", str(args.images), "--run", role]
            ended = subprocess.run([*command, folder], check=True, stdout=subprocess.PIPE)
            measured = json.loads(ended.stdout.splitlines()[-1])
            print(f"{role:7}", "  ".join(f"{key} {value:.1f}" for key, value in measured.items()))


def write_truth(path: Path, num_images: int) -> int:
    """Write a COCO JSON with polygons and all landmark slots; return its size in bytes."""
    rng = np.random.default_rng(0)
    annotations: list[str] = []
    for image_id in range(1, num_images + 1):
        for _ in range(rng.choice([1, 2, 3], p=[0.5, 0.4, 0.1])):
            _, item = _item(rng, image_id, len(annotations))
            x, y, w, h = item["bbox"]
            angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
            outline = np.stack((np.cos(angles), np.sin(angles)), axis=1) * (w / 2, h / 2)
            polygon = (outline + (x + w / 2, y + h / 2)).round(1).ravel().tolist()
            annotations.append(json.dumps({**item, "segmentation": [polygon]}))
    from df2_landmarks.taxonomy import DEEPFASHION2

    images = [
        {"id": i, "height": SIZE[0], "width": SIZE[1], "file_name": f"{i:06}.jpg"}
        for i in range(1, num_images + 1)
    ]
    categories = [{"id": c.id, "name": c.official_name} for c in DEEPFASHION2.categories]
    head = json.dumps({"images": images, "categories": categories})[:-1]
    return path.write_text(f'{head}, "annotations": [{", ".join(annotations)}]}}')


def measure(role: str, folder: Path, num_images: int) -> dict[str, float]:
    """Construct the evaluators of a training, let them keep predictions, and evaluate if alone."""
    from df2_landmarks.data import register_landmark_dataset
    from df2_landmarks.engine import Trainer, setup_config

    register_landmark_dataset(NAME, folder / "truth.json", folder)
    cfg = setup_config(opts=["OUTPUT_DIR", str(folder / role)], on_cpu=True)
    before_mb = peak_mb()
    clock = [time.perf_counter()]
    evaluators = Trainer.build_evaluator(cfg, NAME)
    evaluators.reset()
    clock.append(time.perf_counter())
    keeping = 0.0
    for inputs, outputs in predictions(num_images // ROLES[role]):
        started = time.perf_counter()
        evaluators.process(inputs, outputs)
        keeping += time.perf_counter() - started
    clock.append(time.perf_counter())
    measured = {"construct s": clock[1] - clock[0], "keep s": keeping}
    if role == "alone":
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints tables of its own
            evaluators.evaluate()
        measured["evaluate s"] = time.perf_counter() - clock[2]
    return {**measured, "growth MB": peak_mb() - before_mb}


def predictions(num_images: int) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """Yield the inputs and outputs of a model, an image at a time."""
    import torch
    from detectron2.structures import Boxes, Instances

    from df2_landmarks.taxonomy import DEEPFASHION2

    generator = torch.Generator().manual_seed(0)
    for image_id in range(1, num_images + 1):
        instances = Instances(SIZE)
        unit = torch.rand(PER_IMAGE, 4, generator=generator)
        corners = unit[:, :2] * 200
        boxes_xyxy = torch.cat((corners, corners + 60 + unit[:, 2:] * 340), dim=1)
        instances.pred_boxes = Boxes(boxes_xyxy)
        instances.scores = torch.rand(PER_IMAGE, generator=generator)
        instances.pred_classes = torch.randint(DEEPFASHION2.num_categories, (PER_IMAGE,))
        instances.pred_masks = torch.zeros(PER_IMAGE, *SIZE, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(
            instances.pred_masks, boxes_xyxy.int().tolist(), strict=True
        ):
            mask[y1:y2, x1:x2] = True
        instances.pred_keypoints = torch.rand(PER_IMAGE, DEEPFASHION2.max_landmarks, 3) * 400
        yield [{"image_id": image_id}], [{"instances": instances}]


if __name__ == "__main__":
    main()
