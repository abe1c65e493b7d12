"""Training examples per second of the loader: ours beside Detectron2's own mapper.

    python benchmarks/data/loader_speed.py                  # 750 px photos, short side 640 to 800
    python benchmarks/data/loader_speed.py --workers 1 2 4  # processes of the loader

Pictures are drawn, saved as JPEG and in the page cache. Both read the same records; stock is
`DatasetMapper` with masks and keypoints, on records whose landmarks it can read. "Mapper" is one
thread of one process, "loader" Detectron2's training loader with that many processes. Medians of
`--repeats` passes in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import torch
from detectron2.data import DatasetMapper, build_detection_train_loader

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import head_cases as cases
from df2_landmarks.taxonomy import DEEPFASHION2

NUM_PICTURES = 48
BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=750, help="of the pictures, in pixels")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as datasets:
        cases.drawn_data(Path(datasets), num_images=NUM_PICTURES, size_px=args.size)
        cases.use_datasets(datasets)
        rows = measure(args.workers, args.repeats)
    print("| | ours, images/s | stock, images/s | x as fast |\n|---|---|---|---|")
    for name, row in rows.items():
        ours, stock = row["ours"], row["stock"]
        print(f"| {name} | {ours:.1f} | {stock:.1f} | {ours / stock:.2f} |")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


def measure(workers: list[int], repeats: int) -> dict[str, dict[str, float]]:
    from detectron2.data import DatasetCatalog

    import df2_landmarks.data  # noqa: F401 (registers the splits)
    from df2_landmarks.data import LandmarkDatasetMapper, LandmarkRecords

    cfg = cases.model_config("ours", "cpu", cases.R_50, train=True)
    records: LandmarkRecords = DatasetCatalog.get("deepfashion2_synthetic_train")
    mappers = {"ours": LandmarkDatasetMapper(cfg, is_train=True), "stock": stock_mapper(cfg)}
    contents = {"ours": list(records), "stock": [padded(record) for record in records]}
    runs: dict[str, dict[str, list[float]]] = {}
    for _ in range(repeats):
        for number in (0, *workers):
            name = f"loader, {number} processes" if number else "mapper"
            for contender, mapper in mappers.items():
                images = contents[contender]
                rate = loaded(images, mapper, number) if number else mapped(images, mapper)
                runs.setdefault(name, {}).setdefault(contender, []).append(rate)
    return {
        name: {contender: statistics.median(rates) for contender, rates in row.items()}
        for name, row in runs.items()
    }


def stock_mapper(cfg: Any) -> DatasetMapper:
    """Detectron2's, which needs to know which landmarks change places in a mirrored image."""
    from detectron2.data import detection_utils

    width = cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS
    return DatasetMapper(
        is_train=True,
        augmentations=detection_utils.build_augmentation(cfg, is_train=True),
        image_format=cfg.INPUT.FORMAT,
        use_instance_mask=True,
        use_keypoint=True,
        keypoint_hflip_indices=list(range(width)),
    )


def padded(record: dict[str, Any]) -> dict[str, Any]:
    """A record whose garments all have the same number of landmarks, as stock expects."""
    annotations = []
    for annotation in record["annotations"]:
        keypoints = list(annotation["keypoints"])
        keypoints += [0.0] * (3 * DEEPFASHION2.max_landmarks - len(keypoints))
        annotations.append({**annotation, "keypoints": keypoints})
    return {**record, "annotations": annotations}


def mapped(records: list[dict[str, Any]], mapper: Any) -> float:
    started = time.perf_counter()
    for record in records:
        mapper(record)
    return len(records) / (time.perf_counter() - started)


def loaded(records: list[dict[str, Any]], mapper: Any, workers: int) -> float:
    loader = build_detection_train_loader(
        records, mapper=mapper, total_batch_size=BATCH, num_workers=workers
    )
    batches = iter(loader)
    for _ in range(2 * workers + 1):  # what the processes have loaded ahead
        next(batches)
    num_batches = 12
    started = time.perf_counter()
    for _ in range(num_batches):
        next(batches)
    return num_batches * BATCH / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
