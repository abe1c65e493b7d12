"""Prediction beside Detectron2's `DefaultPredictor` with the same weights, in pairs in one run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/predict_speed.py --weights output/demo/model_final.pth

(numpy's threads, as `df2 predict` sets them.)

Draws pictures of about 800 px once. Three comparisons:

* one picture at a time: `Predictor(path)` against `DefaultPredictor(cv2.imread(path))`;
* a folder: the pipeline of `df2 predict` with JSON and drawings against a loop of
  `DefaultPredictor` that writes nothing;
* the same folder without drawings, whose difference is the cost of drawing and writing them.

Prints medians over the repetitions.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
from detectron2.config import CfgNode
from detectron2.engine import DefaultPredictor

from df2_landmarks.cli.predict import MAX_THREADS
from df2_landmarks.common import num_processors
from df2_landmarks.formats import read_picture
from df2_landmarks.predict import Journal, Outputs, Predictor, predict_all, stream_inputs
from df2_landmarks.synthetic import write_dataset
from df2_landmarks.visualization import draw_garments

FOLDER = "predict_speed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("output/demo/model_final.pth"))
    parser.add_argument("--config", help="YAML, for weights that do not contain their own")
    parser.add_argument("--opts", nargs="*", default=[], help="of the configuration")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    paths = draw_pictures(args.pictures)
    predictor = Predictor.load(args.weights, config=args.config, opts=args.opts, device=args.device)
    model: Any = predictor.model
    stock = stock_predictor(model.cfg, args.weights)
    sizes = [read_picture(path).shape for path in paths]
    print(f"{len(paths)} pictures, median {statistics.median(max(s[:2]) for s in sizes):.0f} px")

    def stock_folder() -> None:
        for path in paths:
            stock(cv2.imread(str(path)))

    def pipeline(with_drawings: bool) -> Callable[[], None]:
        def run() -> None:
            folder = Path(tempfile.mkdtemp())
            journal = Journal(folder, {}, resume=False)
            outputs = Outputs(folder, draw=draw_garments if with_drawings else None)
            inputs = stream_inputs([str(paths[0].parent)])
            for _ in predict_all(
                predictor,
                inputs,
                journal,
                outputs,
                batch_size=args.batch,
                workers=args.workers,
                threads=min(MAX_THREADS, num_processors()) if model.is_parallel else 1,
            ):
                pass
            journal.close()
            shutil.rmtree(folder)

        return run

    few = paths[:50]
    single = compare(
        {
            "DefaultPredictor": lambda: [stock(cv2.imread(str(path))) for path in few],
            "Predictor": lambda: [predictor(str(path)) for path in few],
        },
        args.repeat,
    )
    print("One picture at a time, ms per picture:")
    for name, seconds in single.items():
        print(f"  {name:<32}{1000 * seconds / len(few):8.1f}")
    folder = compare(
        {
            "DefaultPredictor, no output": stock_folder,
            "df2 predict, JSON": pipeline(False),
            "df2 predict, JSON and drawings": pipeline(True),
        },
        args.repeat,
    )
    print("Folder, ms per picture:")
    for name, seconds in folder.items():
        print(f"  {name:<32}{1000 * seconds / len(paths):8.1f}")
    stock_time, plain, drawn = folder.values()
    print(f"Folder with all output: {stock_time / drawn:.2f} times as fast as DefaultPredictor")
    print(f"Drawing and writing pictures: {(drawn - plain) / drawn:.0%} of the time")


def compare(runs: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Return the median seconds of each, run in turn; a first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeat + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds[1:]) for name, seconds in times.items()}


def stock_predictor(cfg: CfgNode, weights: Path) -> DefaultPredictor:
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = str(weights)
    return DefaultPredictor(cfg)


def draw_pictures(count: int) -> list[Path]:
    folder = Path(tempfile.gettempdir(), f"{FOLDER}_{count}")
    if not (folder / "validation").is_dir():
        write_dataset(folder, {"validation": count}, size_px=800)
    return sorted((folder / "validation" / "image").iterdir())[:count]


if __name__ == "__main__":
    main()
