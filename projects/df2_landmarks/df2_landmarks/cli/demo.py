"""Do the whole job on drawn data: draw, convert, train, evaluate.

    df2 demo
    df2 demo --minutes 3 --output output/short
    df2 demo --config df2_landmark_rcnn_R_18_FPN_demo.yaml   # from scratch

Runs on a CPU, from ImageNet weights that come with a package. The data set is drawn once and used
again by the next run.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from df2_landmarks.cli import report
from df2_landmarks.common import UserError, locked_folder, make_output_folder, run_command, say

if TYPE_CHECKING:
    from detectron2.config import CfgNode
    from torch import nn

PROJECT = Path(__file__).resolve().parents[2]
REPOSITORY = PROJECT.parents[1]
CONFIG = "df2_landmark_rcnn_lite0_FPN_demo.yaml"
FOLDER = "deepfashion2_synthetic"
SHEET = "contact_sheet.jpg"
NUM_PICTURES = 9
LOGGERS = ("detectron2", "df2_landmarks", "fvcore")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    args = parse_arguments(argv)
    return run_command(lambda: run(args), "df2 demo")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root = Path(os.environ.get("DETECTRON2_DATASETS", "datasets"))
    parser.add_argument("--datasets", type=Path, default=root, help="folder of the data folders")
    parser.add_argument("--output", type=Path, default=Path("output/demo"), help="of the results")
    parser.add_argument("--minutes", type=float, default=8, help="training time at most")
    parser.add_argument(
        "--config", default=CONFIG, help="a file, or the name of one of the project"
    )
    parser.add_argument("--draw", default="", metavar="'ARGS'", help="options of make_synthetic.py")
    parser.add_argument("--opts", nargs="*", default=[], metavar="KEY VALUE", help="of the config")
    args = parser.parse_args(argv)
    if not 0 < args.minutes < math.inf:
        parser.error(f"--minutes must be more than 0, but got {args.minutes}")
    args.datasets, args.output = args.datasets.resolve(), args.output.resolve()
    return args


def run(args: argparse.Namespace) -> None:
    # The named splits are registered under this folder when df2_landmarks.data is imported.
    os.environ["DETECTRON2_DATASETS"] = str(args.datasets)
    started = time.perf_counter()
    if not (REPOSITORY / "datasets" / "make_synthetic.py").is_file():
        raise UserError("the demo needs a clone of the repository; run it there", exit_code=2)
    make_output_folder(args.output, "--output")
    with locked_folder(args.output, "--output"):
        draw_train_and_report(args, started)


def draw_train_and_report(args: argparse.Namespace, started: float) -> None:
    heading("1/4 Data")
    draw_and_convert(args.datasets / FOLDER, args.draw)

    from df2_landmarks.engine import (  # torch: seconds
        FEW_ITERATIONS,
        find_config,
        setup_config,
        train_within,
    )

    log_to_file(args.output / "log.txt")
    # The time ends the training.
    opts = ["OUTPUT_DIR", str(args.output), "SOLVER.MAX_ITER", "1000000", *args.opts]
    cfg = setup_config(args.config, opts, on_cpu=True)
    start = f"from {cfg.MODEL.WEIGHTS}" if cfg.MODEL.WEIGHTS else "from scratch"
    heading(f"2/4 Training on the CPU, {start}")
    trained = train_within(cfg, args.minutes)
    heading("3/4 Evaluation on held-out pictures")
    annotations = args.datasets / FOLDER / "annotations"
    summary = evaluate(cfg, annotations)
    heading("4/4 Results")
    say(summary)
    if trained.iterations < FEW_ITERATIONS:
        needed = math.ceil(args.minutes * FEW_ITERATIONS / max(1, trained.iterations))
        say(
            f"These scores say little: {trained.iterations} iterations are few. Close other "
            f"programs, or give the training more time: --minutes {needed}"
        )
    if importlib.util.find_spec("jinja2"):
        report.main(
            [
                *("--gt", str(annotations / "validation.json"), "--run", str(args.output)),
                *("--results", str(args.output / "landmark_results.json")),
            ]
        )
    say(
        f"\nTrained for {trained.minutes:.1f} minutes, {trained.iterations} iterations; "
        f"{(time.perf_counter() - started) / 60:.1f} minutes in all. Files in {args.output}:"
    )
    for name in sorted(path.name for path in args.output.iterdir()):
        say(f"  {args.output / name}")
    say(
        "Evaluate again:\n  python projects/df2_landmarks/train_net.py --eval-only --config-file "
        f"{os.path.relpath(find_config(args.config))} OUTPUT_DIR {args.output}"
    )


def draw_and_convert(data: Path, draw_options: str) -> None:
    """Draw the data set unless it exists, and convert it."""
    draw = ["datasets/make_synthetic.py", "--preset", "small", "--resume", "--output", str(data)]
    run_program([*draw, *draw_options.split()])
    run_program(["-m", "converters.deepfashion2_to_coco", "--root", str(data)])


def run_program(arguments: list[str]) -> None:
    """Run one of the repository's programs and show its output.

    Raises:
        SystemExit: it failed, and has said why.
    """
    say(f"$ python {' '.join(arguments)}")
    done = subprocess.run([sys.executable, *arguments], cwd=REPOSITORY, check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)


def evaluate(cfg: CfgNode, annotations: Path) -> str:
    """Score the trained model, draw the contact sheet, and return the table of numbers."""
    from df2_landmarks.engine import Trainer, evaluation_weights, load_for_evaluation

    model = Trainer.build_model(cfg)
    weights = evaluation_weights(cfg, ())
    load_for_evaluation(model, weights)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints tables of its own
        results = Trainer.test(cfg, model, weights=weights)
    draw_contact_sheet(cfg, model)
    return results_table(results, score_baseline(Path(cfg.OUTPUT_DIR), annotations))


def draw_contact_sheet(cfg: CfgNode, model: nn.Module) -> None:
    """Draw ground truth beside detections, for pictures spread over the validation split."""
    import cv2

    from df2_landmarks.engine import landmark_pictures
    from df2_landmarks.visualization import contact_sheet

    sheet = contact_sheet(landmark_pictures(cfg, model, NUM_PICTURES))
    cv2.imwrite(str(Path(cfg.OUTPUT_DIR, SHEET)), sheet, [cv2.IMWRITE_JPEG_QUALITY, 80])


def score_baseline(output: Path, annotations: Path) -> dict[str, dict[str, float | None]]:
    """Return the landmark score of mean shapes in the predicted boxes: the baseline to beat."""
    from df2_landmarks.evaluation import mean_shapes, place_mean_shapes, score
    from df2_landmarks.formats import PROTOCOLS, read_ground_truth, read_results

    truth = read_ground_truth(annotations / "validation.json")
    shapes = mean_shapes(read_ground_truth(annotations / "train.json"))
    detections = read_results(output / "landmark_results.json", truth)
    baseline = place_mean_shapes(detections, shapes)
    return {p: score(truth, baseline, p).curves.summary() for p in PROTOCOLS}


def results_table(results: dict[str, Any], baseline: dict[str, dict[str, float | None]]) -> str:
    """Return the table of AP, AP50 and AP75 of boxes, masks, landmarks and the baseline.

    Below it is a line on the predicted visibility, if there is one.
    """
    from df2_landmarks.engine import TASK_TITLES
    from df2_landmarks.evaluation import TITLES, number, table, visibility_text
    from df2_landmarks.formats import PROTOCOLS

    columns = ("AP", "AP50", "AP75")
    rows = [
        [title, *(number(results[task][column] / 100) for column in columns)]
        for task, title in TASK_TITLES.items()
        if task in results
    ]
    for protocol in PROTOCOLS:
        numbers = (number(baseline[protocol][column]) for column in columns)
        rows.append([f"mean shapes in the same boxes, {TITLES[protocol]}", *numbers])
    text = table(["", *columns], rows)
    if "visibility" in results:
        fractions = {
            name: None if math.isnan(value) else value / 100
            for name, value in results["visibility"].items()
        }
        answers = visibility_text(fractions)
        text += f"\nVisible or occluded, landmarks of detected garments: {answers}"
    return text


def heading(text: str) -> None:
    say(f"\n== {text}")


def log_to_file(path: Path) -> None:
    """Send the libraries' log into a file, so that the terminal shows the demo's own lines."""
    handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        logger.propagate = False


if __name__ == "__main__":
    sys.exit(main())
