"""Accuracy of the 13 heads beside the naive head, and of each setting, trained side by side.

    python benchmarks/landmark_accuracy.py                      # naive, plain, recommended
    python benchmarks/landmark_accuracy.py --minutes 3 --contenders recommended
    python benchmarks/landmark_accuracy.py --base suppression --contenders class_convs,ema
    python benchmarks/landmark_accuracy.py --base no_visibility --contenders recommended
    python benchmarks/landmark_accuracy.py --base recommended --contenders augmented,cascade
    python benchmarks/landmark_accuracy.py --config df2_landmark_rcnn_R_18_FPN_demo.yaml
    python benchmarks/landmark_accuracy.py --base recommended --contenders no_box_scale,balanced
    python benchmarks/landmark_accuracy.py --base recommended --contenders batch_8 --minutes 4

Every contender is trained in a process of its own, on the small drawn data set (`make synth`
first), with the recipe of --config, by default the demo's: the learning rate is annealed to the end
of the run, whether that is given in iterations or in minutes. A contender that only reads a trained
model differently is evaluated on another one's weights, such as `no_oks_branch` on those of
`recommended`: the same landmarks with other scores. What is trained already in --output is not
trained again. The difference to --base comes with the 95 % interval of a paired bootstrap over the
images. ECE is the calibration error of the confidence of landmarks, and of the score of detections.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = REPOSITORY / "projects" / "df2_landmarks"
sys.path[:0] = [str(REPOSITORY), str(PROJECT)]

DEMO = "df2_landmark_rcnn_lite0_FPN_demo.yaml"
HEAD = "MODEL.ROI_LANDMARK_HEAD."
PLAIN = {
    HEAD + "BOX_SCALE": "1.0",
    HEAD + "COORDINATES": "False",
    HEAD + "CLASS_CONV_DIMS": "[]",
    HEAD + "SHARE_BY_NAME": "False",
    HEAD + "TARGET_WIDTH": "0.0",
    HEAD + "DECODER": "peak",
    HEAD + "CONFIDENCE_POWER": "0.0",
    HEAD + "SUPPRESS_ACROSS_CATEGORIES": "False",
    HEAD + "VISIBILITY": "False",
    HEAD + "OKS_BRANCH": "False",
    "SOLVER.EMA_DECAY": "0.0",
}
EXPECTED_OKS = {HEAD + "DECODER": "expected_oks"}
CONFIDENCE = EXPECTED_OKS | {HEAD + "CONFIDENCE_POWER": "2.0"}
SUPPRESSION = CONFIDENCE | {HEAD + "SUPPRESS_ACROSS_CATEGORIES": "True"}
SECOND_LOOK = {HEAD + "SECOND_LOOK": "True"}
CASCADE = {
    "MODEL.ROI_HEADS.NAME": "LandmarkCascadeROIHeads",
    "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": "True",
}
NO_CASCADE = {
    "MODEL.ROI_HEADS.NAME": "LandmarkROIHeads",
    "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": "False",
}
AUGMENTATIONS = {
    "rotation": {"INPUT.AUGMENT.ROTATION": "10.0"},
    "scale": {"INPUT.AUGMENT.SCALE": "(0.8, 1.25)"},
    "colour": {"INPUT.AUGMENT.COLOR": "0.2"},
    "blur": {"INPUT.AUGMENT.BLUR": "1.0"},
    "cut_out": {"INPUT.AUGMENT.CUT_OUT": "0.3"},
}
"""Those of the 3x recipes."""


@dataclass(frozen=True)
class Contender:
    """Options of --config; `weights_of` names the contender whose trained model it reads."""

    options: dict[str, str]
    weights_of: str | None = None


CONTENDERS = {
    "naive": Contender({"MODEL.ROI_KEYPOINT_HEAD.NAME": "NaiveLandmarkHead"}),
    "plain": Contender(PLAIN),
    "expected_oks": Contender(PLAIN | EXPECTED_OKS, weights_of="plain"),
    "confidence": Contender(PLAIN | CONFIDENCE, weights_of="plain"),
    "suppression": Contender(PLAIN | SUPPRESSION, weights_of="plain"),
    "class_convs": Contender(PLAIN | SUPPRESSION | {HEAD + "CLASS_CONV_DIMS": "[128]"}),
    "soft_targets": Contender(PLAIN | SUPPRESSION | {HEAD + "TARGET_WIDTH": "0.25"}),
    "shared_names": Contender(PLAIN | SUPPRESSION | {HEAD + "SHARE_BY_NAME": "True"}),
    "ema": Contender(PLAIN | SUPPRESSION | {"SOLVER.EMA_DECAY": "0.998"}),
    "high_resolution": Contender(
        PLAIN | SUPPRESSION | {"MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION": "28"}
    ),
    "recommended": Contender({}),
    "no_visibility": Contender({HEAD + "VISIBILITY": "False"}),
    **{name: Contender(options) for name, options in AUGMENTATIONS.items()},
    "augmented": Contender({k: v for o in AUGMENTATIONS.values() for k, v in o.items()}),
    "copy_paste": Contender({"INPUT.COPY_PASTE": "0.5"}),
    "balanced": Contender(
        {
            "DATALOADER.SAMPLER_TRAIN": "RepeatFactorTrainingSampler",
            "DATALOADER.REPEAT_THRESHOLD": "0.1",
        }
    ),
    "cascade": Contender(CASCADE),
    "no_cascade": Contender(NO_CASCADE),
    "gn_box_head": Contender(
        {
            "MODEL.ROI_BOX_HEAD.NUM_CONV": "4",
            "MODEL.ROI_BOX_HEAD.CONV_DIM": "64",
            "MODEL.ROI_BOX_HEAD.NUM_FC": "1",
            "MODEL.ROI_BOX_HEAD.NORM": "GN",
        }
    ),
    "large_scale_jittering": Contender(
        {"INPUT.AUGMENT.SCALE": "(0.1, 2.0)", "INPUT.AUGMENT.SQUARE_PX": "256"}
    ),
    "freeze_2": Contender({"MODEL.BACKBONE.FREEZE_AT": "2"}),
    "freeze_3": Contender({"MODEL.BACKBONE.FREEZE_AT": "3"}),
    "batch_2": Contender({"SOLVER.IMS_PER_BATCH": "2"}),
    "batch_8": Contender({"SOLVER.IMS_PER_BATCH": "8"}),
    "regions_32": Contender({"MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": "32"}),
    "mixed_sizes": Contender({"INPUT.MIN_SIZE_TRAIN": "(128, 160, 192)"}),
    "double_rate": Contender({"SOLVER.BASE_LR": "0.002"}),
    "averaged_weights": Contender({"SOLVER.EMA_DECAY": "0.998"}),
    "no_box_scale": Contender({HEAD + "BOX_SCALE": "1.0"}),
    "no_coordinates": Contender({HEAD + "COORDINATES": "False"}),
    "second_look": Contender(SECOND_LOOK, weights_of="recommended"),
    "group_norm": Contender({HEAD + "NORM": "GN"}),
    "no_oks_branch": Contender({HEAD + "OKS_BRANCH": "False"}, weights_of="recommended"),
    "confidence_power_1": Contender({HEAD + "CONFIDENCE_POWER": "1.0"}, weights_of="recommended"),
    "confidence_power_3": Contender({HEAD + "CONFIDENCE_POWER": "3.0"}, weights_of="recommended"),
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contenders", default="naive,plain,recommended", help="comma-separated")
    parser.add_argument("--base", default="naive", help="what the others are compared with")
    parser.add_argument("--config", default=DEMO, help="the recipe: a file, or one of the project")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--opts", nargs="*", default=[], metavar="KEY VALUE", help="of the recipe, for all"
    )
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--minutes", type=float, help="train this long instead")
    parser.add_argument("--output", type=Path, help="folder of the runs")
    parser.add_argument("--json", type=Path, help="also write all numbers here")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "SEED"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    length = f"{args.minutes:g}min" if args.minutes else f"{args.iterations}it"
    recipe = Path(args.config).stem.removeprefix("df2_landmark_rcnn_")
    folder = args.output or REPOSITORY / "output" / "landmark_accuracy" / recipe / length
    if args.run:
        run(args.run[0], int(args.run[1]), folder, args)
        return 0
    names = [*dict.fromkeys([args.base, *args.contenders.split(",")])]
    unknown = set(names) - CONTENDERS.keys()
    if unknown:
        parser.error(f"no contender {sorted(unknown)[0]!r}; there are {', '.join(CONTENDERS)}")
    rows = []
    for seed in args.seeds.split(","):
        for name in with_weights(names):
            if not (folder / f"{name}-seed{seed}" / "run.json").is_file():
                print(f"{name}, seed {seed}", flush=True)
                again = [sys.executable, __file__, "--run", name, seed, "--output", str(folder)]
                again += ["--iterations", str(args.iterations)]
                again += ["--config", args.config, "--device", args.device]
                again += ["--minutes", str(args.minutes)] if args.minutes else []
                again += ["--opts", *args.opts]
                subprocess.run(again, check=True)
        rows += [compare(folder, name, args.base, seed) for name in names]
    print(as_table(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


def use_drawn_data() -> None:
    """Read the data of `make synth`, unless the environment names another folder."""
    os.environ.setdefault("DETECTRON2_DATASETS", str(REPOSITORY / "datasets"))


def with_weights(names: Sequence[str]) -> list[str]:
    """The contenders, each behind the one whose weights it needs."""
    needed = [[CONTENDERS[name].weights_of, name] for name in names]
    return [*dict.fromkeys(name for pair in needed for name in pair if name is not None)]


def run(name: str, seed: int, folder: Path, args: argparse.Namespace) -> None:
    """Train and evaluate one contender; writes its results and run.json."""
    use_drawn_data()
    from detectron2.utils.env import seed_all_rng

    import benchmarks.baselines.naive_head  # noqa: F401 (registers the head)
    from df2_landmarks.engine import (
        Trainer,
        evaluation_weights,
        load_for_evaluation,
        setup_config,
        train_within,
    )

    contender = CONTENDERS[name]
    output = folder / f"{name}-seed{seed}"
    options = {
        "OUTPUT_DIR": str(output),
        "SEED": str(seed),
        "DATALOADER.NUM_WORKERS": "0",  # the data are drawn from one random state
        "SOLVER.MAX_ITER": str(10**6 if args.minutes else args.iterations),
    }
    output.mkdir(parents=True, exist_ok=True)
    words = [word for pair in options.items() for word in pair]
    words += [*args.opts, *(word for pair in contender.options.items() for word in pair)]
    cfg = setup_config(args.config, words, on_cpu=args.device == "cpu")
    seed_all_rng(seed)
    numbers: dict[str, Any] = {}
    if contender.weights_of:
        weights = folder / f"{contender.weights_of}-seed{seed}" / "model_final.pth"
    else:
        trained = train_within(cfg, args.minutes or 10**6)
        numbers = {"iterations": trained.iterations, "minutes": trained.minutes}
        weights = Path(evaluation_weights(cfg, ()))
    model = Trainer.build_model(cfg)
    load_for_evaluation(model, str(weights))
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints tables of its own
        results = Trainer.test(cfg, model)
    numbers["evaluation_s"] = time.perf_counter() - started
    numbers |= {
        task: {key: float(value[key]) / 100 for key in ("AP", "AP50", "AP75")}
        for task, value in results.items()
        if "AP" in value
    }
    numbers |= {k: v / 100 for k, v in results.get("visibility", {}).items()}
    (output / "run.json").write_text(json.dumps(numbers, indent=1))


def compare(folder: Path, name: str, base: str, seed: str) -> dict[str, Any]:
    """A contender's numbers and its difference to the base."""
    from df2_landmarks.engine import RESULTS_FILE
    from df2_landmarks.evaluation import compare_scores, score
    from df2_landmarks.evaluation.diagnosis import Cases, calibration
    from df2_landmarks.formats import VISIBLE_AND_OCCLUDED, read_ground_truth, read_results

    root = Path(os.environ.get("DETECTRON2_DATASETS", REPOSITORY / "datasets"))
    truth = read_ground_truth(root / "deepfashion2_synthetic" / "annotations" / "validation.json")
    protocol = VISIBLE_AND_OCCLUDED
    first, second = (
        score(truth, read_results(folder / f"{n}-seed{seed}" / RESULTS_FILE, truth), protocol)
        for n in (name, base)
    )
    overall = compare_scores(first, second, num_images=len(truth.image_ids)).overall
    assert overall is not None  # the validation split has garments
    numbers = json.loads((folder / f"{name}-seed{seed}" / "run.json").read_text())
    kinds = calibration(first, Cases(truth, first)).kinds
    ece = {f"ECE-{k}": kinds[k].overall.ece for k in ("confidence", "score") if k in kinds}
    row = {"contender": name, "seed": seed, **numbers, **ece}
    return {**row, "difference": overall.difference, "low": overall.low, "high": overall.high}


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """Landmark AP on visible and occluded landmarks, as fractions."""
    from df2_landmarks.evaluation import number

    lines = [
        f"{'contender':<21} {'seed':>4} {'iterations':>10} {'minutes':>7} {'box AP':>6} "
        f"{'AP':>5} {'AP50':>5} {'AP75':>5} {'ECE':>5} {'score':>5}  difference (95 % interval)"
    ]
    for row in rows:
        landmarks = row["landmarks"]
        minutes = f"{row['minutes']:.1f}" if "minutes" in row else ""
        lines.append(
            f"{row['contender']:<21} {row['seed']:>4} {row.get('iterations', ''):>10} "
            f"{minutes:>7} {row['bbox']['AP']:>6.3f} "
            f"{landmarks['AP']:>5.3f} {landmarks['AP50']:>5.3f} {landmarks['AP75']:>5.3f} "
            f"{number(row.get('ECE-confidence')):>5} {number(row.get('ECE-score')):>5}  "
            f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
        )
        if "AP-visible" in row:
            lines.append(
                f"  visible: AP {row['AP-visible']:.3f}, share {row['share-visible']:.3f}; "
                f"occluded: AP {row['AP-occluded']:.3f}, share {row['share-occluded']:.3f}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
