"""Compare the landmark score with its peers on the same files, each in a process of its own.

    python benchmarks/evaluator_speed.py                      # 10,000 images, every installed tool
    python benchmarks/evaluator_speed.py --images 32153        # the size of the validation set
    python benchmarks/evaluator_speed.py --slots filled        # foreign slots filled, not zero
    python benchmarks/evaluator_speed.py --slots filled --without-bbox   # areas from all slots
    python benchmarks/evaluator_speed.py --tools ours,hotcoco,ultrafast --repeat 7  # in turns

Tools that are not installed are left out: `pip install hotcoco==1.3.0
ultrafast-pycocotools==0.1.14 vernier==0.5.4 faster-coco-eval==1.8.0`. Results have ``bbox``,
because vernier needs it; without it the areas come from all slots. The tools run in turns; the
table has the median of each column. *load* is reading the files, *score* is evaluation and
accumulation under one protocol, *total* is both, *cpu* is the processor time of both over all
threads, *peak* is the largest resident memory of the process.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "projects" / "df2_landmarks"))

from df2_landmarks.taxonomy import DEEPFASHION2

Measured = dict[str, Any]
ATTRIBUTES = ("scale", "occlusion", "zoom_in", "viewpoint")
SOURCES = ("user", "shop")


def ours(truth: Path, results: Path) -> Measured:
    """This project."""
    from df2_landmarks.evaluation import score
    from df2_landmarks.formats import read_ground_truth, read_results

    clock = Clock()
    ground_truth = read_ground_truth(truth)
    detections = read_results(results, ground_truth)
    clock.loaded()
    summary = score(ground_truth, detections, "visible_and_occluded").curves.summary()
    return clock.done([-1 if value is None else value for value in summary.values()])


def pycocotools(truth: Path, results: Path) -> Measured:
    """pycocotools with the 294 sigmas: the official score."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return _coco_style(COCO, COCOeval, truth, results)


def faster_coco_eval(truth: Path, results: Path) -> Measured:
    """faster-coco-eval with the 294 sigmas."""
    from faster_coco_eval import COCO, COCOeval_faster

    return _coco_style(COCO, COCOeval_faster, truth, results)


def detectron2(truth: Path, results: Path) -> Measured:
    """Detectron2's COCOeval_opt, where its C++ part is there."""
    from detectron2.evaluation.fast_eval_api import COCOeval_opt
    from pycocotools.coco import COCO

    return _coco_style(COCO, COCOeval_opt, truth, results)


def hotcoco(truth: Path, results: Path) -> Measured:
    """hotcoco with the 294 sigmas."""
    from hotcoco import COCO, COCOeval

    return _coco_style(COCO, COCOeval, truth, results)


def ultrafast(truth: Path, results: Path) -> Measured:
    """ultrafast-pycocotools with the 294 sigmas."""
    from ultrafast_pycocotools.coco import COCO
    from ultrafast_pycocotools.cocoeval import COCOeval

    return _coco_style(COCO, COCOeval, truth, results)


def vernier(truth: Path, results: Path) -> Measured:
    """vernier in strict mode; it reads the files while it evaluates."""
    from vernier.instance import Evaluator, Keypoints

    clock = Clock()
    sigmas = tuple(DEEPFASHION2.slot_sigmas.tolist())
    kernel = Keypoints(sigmas={c.id: sigmas for c in DEEPFASHION2.categories})
    evaluator = Evaluator(iou=kernel, parity_mode="strict")
    contents = truth.read_bytes(), results.read_bytes()
    clock.loaded()
    return clock.done(list(evaluator.evaluate(*contents).stats))


TOOLS: dict[str, Callable[[Path, Path], Measured]] = {
    tool.__name__: tool
    for tool in (ours, hotcoco, ultrafast, vernier, faster_coco_eval, detectron2, pycocotools)
}
COLUMNS = {"load": "8.2f", "score": "9.3f", "total": "9.2f", "cpu": "8.2f", "peak_mb": "9.0f"}
"""Measured value -> its format in the table."""


def _coco_style(coco: Any, evaluator: Any, truth: Path, results: Path) -> Measured:
    clock = Clock()
    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth = coco(str(truth))
        detections = ground_truth.loadRes(str(results))
        clock.loaded()
        run = evaluator(ground_truth, detections, "keypoints")
        run.params.kpt_oks_sigmas = DEEPFASHION2.slot_sigmas.copy()
        run.evaluate()
        run.accumulate()
        run.summarize()
    return clock.done(list(run.stats)[:10])


class Clock:
    """Seconds of loading and scoring, and the peak memory."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.cpu_start = time.process_time()

    def loaded(self) -> None:
        self.middle = time.perf_counter()

    def done(self, stats: list[float]) -> Measured:
        end = time.perf_counter()
        return {
            "load": self.middle - self.start,
            "score": end - self.middle,
            "total": end - self.start,
            "cpu": time.process_time() - self.cpu_start,
            "peak_mb": peak_mb(),
            "stats": [float(value) for value in stats],
        }


def peak_mb() -> float:
    """Peak resident memory; ``ru_maxrss`` would count the parent process on Linux."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_case(
    folder: Path,
    num_images: int,
    slots: str,
    *,
    with_bbox: bool = True,
    complete: bool = False,
    seed: int = 0,
) -> tuple[Path, Path]:
    """Write ground truth as the official script does, and results with about 3 per item.

    Args:
        folder: to write into.
        num_images: number of images.
        slots: of the results: "zero", "compact" or "filled".
        with_bbox: results have ``bbox``.
        complete: add names of files and attributes to the ground truth, and ``box_xywh``,
            confidence and visibility to the results.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    more = np.random.default_rng(seed + 1)  # so that the rest is the same with it and without it
    items_per_image = rng.choice([1, 2, 3], num_images, p=[0.5, 0.4, 0.1])
    truth, results = folder / "truth.json", folder / "results.json"
    images: list[Measured] = [{"id": i + 1, "width": 600, "height": 800} for i in range(num_images)]
    if complete:
        for record in images:
            record["file_name"] = f"{record['id']:06d}.jpg"
    categories = [{"id": c.id, "name": c.official_name} for c in DEEPFASHION2.categories]
    with truth.open("w") as truth_file, results.open("w") as results_file:
        truth_file.write(f'{{"info": {{}}, "licenses": [], "images": {json.dumps(images)}, ')
        truth_file.write(f'"categories": {json.dumps(categories)}, "annotations": [')
        number = 0
        for image in range(num_images):
            for _ in range(items_per_image[image]):
                own, item = _item(rng, image + 1, number)
                if complete:
                    item |= {name: int(more.integers(1, 4)) for name in ATTRIBUTES}
                    item["source"] = SOURCES[more.integers(0, 2)]
                truth_file.write((", " if number else "") + json.dumps(item))
                for k in range(rng.integers(1, 6)):
                    record = _detection(rng, own, item, slots)
                    if not with_bbox:
                        del record["bbox"]
                    if complete:
                        record["box_xywh"] = item["bbox"]
                        record["landmark_scores"] = more.random(len(own)).round(3).tolist()
                        record["landmark_visible"] = more.random(len(own)).round(3).tolist()
                    results_file.write((", " if number or k else "[") + json.dumps(record))
                number += 1
        truth_file.write("]}")
        results_file.write("]")
    return truth, results


def _item(rng: np.random.Generator, image_id: int, number: int) -> tuple[np.ndarray, Measured]:
    c = int(rng.integers(0, DEEPFASHION2.num_categories))
    x, y, w, h = (rng.integers(0, 200, 2).tolist()) + rng.integers(60, 400, 2).tolist()
    own = np.zeros((DEEPFASHION2.counts[c], 3))
    own[:, :2] = np.round(rng.random((len(own), 2)) * (w, h)) + (x, y)
    own[:, 2] = rng.choice([0, 1, 2], len(own), p=[0.16, 0.24, 0.6])
    own[own[:, 2] == 0] = 0
    full = np.zeros((DEEPFASHION2.num_slots, 3))
    full[DEEPFASHION2.slots(c)] = own
    return own, {
        "area": w * h,
        "bbox": [x, y, w, h],
        "category_id": c + 1,
        "id": number + 1,
        "image_id": image_id,
        "iscrowd": 0,
        "num_keypoints": int((own[:, 2] > 0).sum()),
        "keypoints": full.ravel().tolist(),
    }


def _detection(rng: np.random.Generator, own: np.ndarray, item: Measured, slots: str) -> Measured:
    full = np.zeros((DEEPFASHION2.num_slots, 3))
    if slots == "filled":
        full[:, :2] = (rng.random((DEEPFASHION2.num_slots, 2)) * 600).round(2)
        full[:, 2] = 1
    c = item["category_id"] - 1
    noise = rng.normal(size=(len(own), 2)) * rng.choice([3, 10, 40])
    full[DEEPFASHION2.slots(c), :2] = (own[:, :2] + noise).round(2)
    full[DEEPFASHION2.slots(c), 2] = 1
    numbers = full.ravel().tolist()
    if slots == "compact":
        numbers = [int(n) if n == int(n) else n for n in numbers]
    return {
        "image_id": item["image_id"],
        "category_id": c + 1,
        "keypoints": numbers,
        "bbox": item["bbox"],
        "score": float(rng.random()),
    }


def measure(tool: str, truth: Path, results: Path) -> Measured | None:
    """Run one tool in a process of its own; None where it is not installed."""
    command = [sys.executable, __file__, "--run", tool, str(truth), str(results)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        print(f"{tool}: left out ({ended.stderr.strip().splitlines()[-1]})", file=sys.stderr)
        return None
    measured: Measured = json.loads(ended.stdout.splitlines()[-1])
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--slots", choices=("zero", "compact", "filled"), default="zero")
    parser.add_argument("--without-bbox", action="store_true", help="no bbox in the results")
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--repeat", type=int, default=1, help="runs of each tool")
    parser.add_argument("--run", nargs=3, metavar=("TOOL", "GT", "RESULTS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        tool, truth, results = args.run
        print(json.dumps(TOOLS[tool](Path(truth), Path(results))))
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = write_case(Path(folder), args.images, args.slots, with_bbox=not args.without_bbox)
        sizes = ", ".join(f"{path.name} {path.stat().st_size / 1e6:.0f} MB" for path in paths)
        print(f"{args.images} images, foreign slots {args.slots}: {sizes}")
        report(args.tools.split(","), paths, args.repeat)


def report(tools: list[str], paths: tuple[Path, Path], repeat: int) -> None:
    """Print one line per tool; its difference is the largest of the ten numbers to the first."""
    print(f"{'':18}  load s  score s  total s   cpu s  peak MB        AP  difference")
    runs: dict[str, list[Measured]] = {tool: [] for tool in tools}
    for _ in range(repeat):
        for tool in list(runs):
            measured = measure(tool, *paths)
            if measured is None:
                del runs[tool]
            else:
                runs[tool].append(measured)
    reference = next(iter(runs.values()))[0]["stats"]
    for tool, measurements in runs.items():
        medians = (
            format(statistics.median(run[column] for run in measurements), form)
            for column, form in COLUMNS.items()
        )
        stats = measurements[0]["stats"]
        difference = np.abs(np.subtract(stats, reference)).max()
        print(f"{tool:18}{''.join(medians)}  {stats[0]:8.5f}  {difference:.1e}")


if __name__ == "__main__":
    main()
