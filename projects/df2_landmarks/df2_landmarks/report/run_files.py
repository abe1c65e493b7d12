"""What the output folder of a run says: curves, configuration, weights, versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from df2_landmarks.common import UserError
from df2_landmarks.report.charts import Line, line_chart
from df2_landmarks.report.metrics import Curves, read_metrics

PACKAGES = ("df2_landmarks", "torch", "torchvision", "numpy", "pycocotools")
CURVES = (
    ("Loss", ("total_loss", "loss_keypoint", "loss_mask", "loss_cls", "loss_box_reg")),
    ("Learning rate", ("lr",)),
    ("AP in percent", ("landmarks/AP", "landmarks_visible/AP", "bbox/AP", "segm/AP")),
)
MEMORY = "max_mem_mb"
WEIGHTS = ("model_final.pth", "model_best.pth")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class RunFiles:
    """What is known of a run.

    Attributes:
        facts: name -> value, in the order of the page.
        curves: charts of the training.
        changes: key, value, default: what the configuration changes.
        detection: the scores of boxes and masks in ``scores.json``: task -> name -> fraction.
        missing: what was not there, for the reader.
    """

    facts: dict[str, str]
    curves: list[str] = field(default_factory=list)
    changes: list[tuple[str, str, str]] = field(default_factory=list)
    detection: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def read_run(folder: Path | None, files: Sequence[tuple[str, Path]]) -> RunFiles:
    """Read the files of an output folder; what is not there is said in `RunFiles.missing`.

    Args:
        folder: OUTPUT_DIR of a training or an evaluation; None where there is none.
        files: name and path of files whose content is to be named by a hash.
    """
    facts = {name: f"{path.name}, sha256 {_sha256(path)}" for name, path in files}
    facts |= {name: version for name in PACKAGES if (version := _version(name))}
    run = RunFiles(facts)
    if folder is None:
        run.missing.append(
            "no output folder was given (--run): no curves, configuration or weights"
        )
        return run
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        run.missing.append("no weights (model_final.pth)")
    else:
        facts["weights"] = f"{weights.name}, sha256 {_sha256(weights)}"
    try:
        metrics = read_metrics(folder / "metrics.json")
    except UserError:
        run.missing.append("no training curves (metrics.json)")
    else:
        facts["iterations"] = f"{1 + max(max(values) for values in metrics.values()):,}"
        if "time" in metrics:
            seconds = np.median(list(metrics["time"].values()))
            facts["seconds per iteration"] = f"{seconds:.3f} (median)"
        if MEMORY in metrics:
            peak_gb = max(metrics[MEMORY].values()) / 1000
            facts["peak memory of the training"] = f"{peak_gb:.2f} GB (main process, or its GPU)"
        run.curves.extend(_curves(metrics))
    run.changes.extend(_changes(folder / "config.yaml", run.missing))
    run.detection.update(_detection(folder / "scores.json", run.missing))
    return run


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _curves(metrics: Curves) -> list[str]:
    charts = []
    for title, names in CURVES:
        lines = [
            Line(name, [*map(float, metrics[name])], [*metrics[name].values()])
            for name in names
            if name in metrics
        ]
        if lines:
            charts.append(line_chart(title, lines, x_label="iteration", y_label=title))
    return charts


def _changes(path: Path, missing: list[str]) -> list[tuple[str, str, str]]:
    """Return the keys of a configuration that differ from the defaults of the project."""
    if not path.is_file():
        missing.append("no configuration (config.yaml)")
        return []
    try:
        from df2_landmarks.engine import recorded_config, setup_config
    except ImportError:
        missing.append("the configuration is compared where Detectron2 is installed")
        return []
    defaults = dict(_flat(setup_config(on_cpu=True)))
    own = dict(_flat(recorded_config(path.read_text(encoding="utf-8"), str(path), on_cpu=True)))
    return [
        (key, str(value), str(defaults.get(key)))
        for key, value in own.items()
        if value != defaults.get(key)
    ]


def _flat(node: Any, prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key in sorted(node):
        value = node[key]
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((prefix + key, value))
    return pairs


def _detection(path: Path, missing: list[str]) -> dict[str, dict[str, Any]]:
    """Return the scores of boxes and masks that an evaluation wrote, of its only data set."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        (of_data_set,) = content["datasets"].values() if "datasets" in content else content.values()
        return {task: of_data_set[task] for task in ("bbox", "segm") if of_data_set.get(task)}
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        missing.append("no scores of boxes and masks of one data set (scores.json)")
        return {}
