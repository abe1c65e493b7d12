"""What a report says, section by section: numbers as text, charts as SVG, ready for the page."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from df2_landmarks.evaluation import (
    RECALL_STEPS,
    TITLES,
    Intervals,
    PaperTable,
    Score,
    ap_intervals,
    best_points,
    break_down,
    compare_scores,
    counts_line,
    gain,
    interval_ends,
    is_real_validation_set,
    mean_shapes,
    number,
    operating_points,
    paper_tables,
    provenance_line,
    score,
    taxonomy_notes,
)
from df2_landmarks.evaluation.diagnosis import (
    ERROR_SCORE,
    LANDMARK_TYPES,
    MEANINGS,
    Cases,
    Diagnosis,
    LandmarkErrors,
    calibration,
    confusion,
    diagnose,
)
from df2_landmarks.formats import (
    ATTRIBUTES,
    MIN_SCORE,
    PROTOCOLS,
    VISIBLE_AND_OCCLUDED,
    Detections,
    GroundTruth,
    read_image_records,
)
from df2_landmarks.report import charts
from df2_landmarks.report.pictures import Gallery, Picture
from df2_landmarks.report.run_files import RunFiles, read_run
from df2_landmarks.taxonomy import DEEPFASHION2

SECTIONS = (
    ("score", "Score"),
    ("categories", "Categories"),
    ("errors", "What limits the score"),
    ("garments", "Garments"),
    ("calibration", "Calibration"),
    ("pictures", "Pictures"),
    ("comparison", "Comparison"),
    ("run", "The run"),
)
RESAMPLES = 200
TRUTH_TOGGLE = ("show-truth", "ground truth")
PREDICTED_TOGGLE = ("show-predicted", "prediction")
"""Name and text of the boxes that show and hide what is drawn into the pictures."""
NUM_COMPARED = 12
"""Pictures in which two results differ most."""


@dataclass(frozen=True)
class Inputs:
    """The files of a report.

    Attributes:
        ground_truth_file: COCO JSON.
        results_file: results, or a submission.
        images: folder of the photos; None where there is none.
        run: OUTPUT_DIR; None where there is none.
        other_file: results to compare with; None for none.
        num_pictures: at most so many pictures.
        resamples: bootstrap draws of the intervals.
    """

    ground_truth_file: Path
    results_file: Path
    images: Path | None = None
    run: Path | None = None
    other_file: Path | None = None
    num_pictures: int = 200
    resamples: int = RESAMPLES


class Rows(NamedTuple):
    """A table of the page."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def content_of(
    inputs: Inputs,
    ground_truth: GroundTruth,
    detections: Detections,
    other: Detections | None = None,
) -> dict[str, Any]:
    """Return everything that the page shows, by the names of its template.

    Args:
        inputs: the files.
        ground_truth: the items.
        detections: the results.
        other: results to compare with.
    """
    scores = [score(ground_truth, detections, protocol) for protocol in PROTOCOLS]
    ranking = scores[0]
    assert ranking.protocol == VISIBLE_AND_OCCLUDED
    num_images = len(ground_truth.image_ids)
    intervals = [
        ap_intervals(result, num_images=num_images, resamples=inputs.resamples) for result in scores
    ]
    files = [("ground truth", inputs.ground_truth_file), ("results", inputs.results_file)]
    run = read_run(inputs.run, files)
    cases = Cases(ground_truth, ranking)
    shapes = mean_shapes(ground_truth)
    diagnosis = diagnose(ground_truth, ranking, shapes)
    gallery = _Pages(inputs, ground_truth, ranking, cases)
    content: dict[str, Any] = {
        "title": f"{inputs.results_file.name} on {inputs.ground_truth_file.name}",
        "sections": [part for part in SECTIONS if other is not None or part[0] != "comparison"],
        "counts": counts_line(ground_truth, scores, len(detections)),
        "cards": _cards(scores, intervals, run),
        "overall": _overall(scores),
        "provenance": _provenance(ground_truth, detections, inputs),
        "categories": _categories(ground_truth, scores, intervals[0], run),
        "precision_recall": _precision_recall(ground_truth, ranking),
        "breakdowns": _breakdowns(ground_truth, scores, inputs.resamples),
        "breakdown_note": "Each subset is scored on the images that show an item of it; the other "
        "items on these images are ignored. The paper's AP is of the real validation set.",
        "confusion": _confusion(ground_truth, ranking),
        "best_points": _best_points(ground_truth, ranking),
        "sigma_legend": _sigma_legend(),
        "outlines": _outlines(ground_truth, cases, shapes),
        "calibration": _calibration(ranking, cases),
        **_errors(ground_truth, diagnosis),
        **gallery.worst(),
        "run": run,
        "commands": _commands(inputs),
        "comparison": None,
    }
    if other is not None:
        content["comparison"] = _comparison(inputs, ground_truth, ranking, cases, other)
    return content


def _cards(
    scores: Sequence[Score], intervals: Sequence[Intervals], run: RunFiles
) -> list[dict[str, str]]:
    cards = [
        {
            "name": f"landmark AP, {TITLES[result.protocol]}",
            "value": number(result.curves.ap),
            "note": f"{interval_ends(interval.overall)} (95 %)" if interval.overall else "",
        }
        for result, interval in zip(scores, intervals, strict=True)
    ]
    for task, name in (("bbox", "box AP"), ("segm", "mask AP")):
        value = run.detection.get(task, {}).get("AP")
        note = "from scores.json" if value is not None else "not in the output folder"
        cards.append({"name": name, "value": number(value), "note": note})
    return cards


def _overall(scores: Sequence[Score]) -> Rows:
    names = list(scores[0].curves.summary())
    rows = [
        [TITLES[result.protocol], *(number(result.curves.summary()[name]) for name in names)]
        for result in scores
    ]
    return Rows(["landmarks", *names], rows)


def _provenance(ground_truth: GroundTruth, detections: Detections, inputs: Inputs) -> list[str]:
    taxonomy = ground_truth.taxonomy
    if taxonomy != DEEPFASHION2:
        comparable = "Not to be compared with published scores: another taxonomy."
    elif is_real_validation_set(ground_truth):
        comparable = "May be compared with published scores: the released validation set."
    else:
        comparable = (
            "Not to be compared with published scores: this is not the released validation set "
            f"({len(ground_truth.image_ids):,} images, {ground_truth.num_items:,} items)."
        )
    return [
        comparable,
        f"OKS sigmas: those of the taxonomy {taxonomy.name} (fingerprint {taxonomy.fingerprint}).",
        "Only the landmarks of the predicted category count. Against items without a labelled "
        "landmark all slots of a detection count, as in the official evaluation.",
        "The size of a detection, which decides between medium and large, is that of all its slots "
        "with their zeros, as in the official evaluation.",
        "Ignored: crowds, and items without a labelled landmark of the protocol.",
        f"{provenance_line(ground_truth)}.",
        f"Intervals: {inputs.resamples} bootstrap draws of images, 95 %.",
        *taxonomy_notes(ground_truth),
        *ground_truth.remarks,
        *([] if detections.has_boxes else ["The results have no boxes: extents of the landmarks."]),
    ]


def _categories(
    ground_truth: GroundTruth, scores: Sequence[Score], intervals: Intervals, run: RunFiles
) -> Rows:
    header = ["category", "items", "box AP", "mask AP"]
    header += ["AP", "95 %", "AP50", "AP75", f"AP {TITLES[scores[1].protocol]}"]
    rows = []
    for c, category in enumerate(ground_truth.taxonomy.categories):
        summary = scores[0].curves.summary(c)
        rows.append(
            [
                category.official_name,
                f"{len(ground_truth.classes[c]):,}",
                *(_of_category(run, task, category.official_name) for task in ("bbox", "segm")),
                number(summary["AP"]),
                interval_ends(intervals.per_category[c]),
                number(summary["AP50"]),
                number(summary["AP75"]),
                number(scores[1].curves.per_category()[c]),
            ]
        )
    return Rows(header, rows)


def _of_category(run: RunFiles, task: str, name: str) -> str:
    values = run.detection.get(task, {})
    return number(values.get("per_category", {}).get(name, values.get(f"AP-{name}")))


def _precision_recall(ground_truth: GroundTruth, result: Score) -> list[str]:
    drawn = []
    for c, category in enumerate(ground_truth.taxonomy.categories):
        precision = result.curves.precision[:, :, c, 0]
        if (precision < 0).all():
            continue
        lines = [
            charts.Line(name, RECALL_STEPS.tolist(), precision[row].tolist())
            for name, row in (("OKS .50", 0), ("OKS .75", 5), ("OKS .90", 8))
        ]
        drawn.append(
            charts.line_chart(
                category.official_name,
                lines,
                x_label="recall",
                y_label="precision",
                x_range=(0, 1),
                y_range=(0, 1),
            )
        )
    return drawn


def _breakdowns(
    ground_truth: GroundTruth, scores: Sequence[Score], resamples: int
) -> list[PaperTable]:
    """Return a table for each attribute that the ground truth has."""
    axes = [
        axis
        for column, axis in enumerate(ATTRIBUTES)
        if any((truth.attributes[:, column] > 0).any() for truth in ground_truth.classes)
    ]
    breakdowns = [break_down(ground_truth, result, axes, resamples=resamples) for result in scores]
    return paper_tables(ground_truth, scores, breakdowns, [None] * len(scores))[1:]


class _Confusion(NamedTuple):
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str


def _confusion(ground_truth: GroundTruth, result: Score) -> _Confusion:
    categories = ground_truth.taxonomy.categories
    names = [f"{category.id} {category.official_name}" for category in categories]
    matrix = confusion(ground_truth, result).counts
    rows = [
        [name, *(str(count) if count else "" for count in counts)]
        for name, counts in zip([*names, "no garment"], matrix.tolist(), strict=True)
    ]
    note = (
        f"Detections from score {MIN_SCORE} on, given to garments of any category by the overlap "
        "of their boxes (IoU >= .5)."
    )
    return _Confusion(["garment", *(str(c.id) for c in categories), "missed"], rows, note)


def _best_points(ground_truth: GroundTruth, result: Score) -> Rows:
    rows = []
    for category, point in zip(ground_truth.taxonomy.categories, best_points(result), strict=True):
        if point is not None:
            values = (point.precision, point.recall, point.f1)
            rows.append([category.official_name, f"{point.threshold:.2f}", *map(number, values)])
    overall = max(operating_points(result), key=lambda point: point.f1 or 0)
    values = (overall.precision, overall.recall, overall.f1)
    rows.append(["all, with one threshold", f"{overall.threshold:.2f}", *map(number, values)])
    return Rows(["category", "score from", "precision", "recall", "F1"], rows)


def _errors(ground_truth: GroundTruth, diagnosis: Diagnosis) -> dict[str, Any]:
    base = diagnosis.base
    ladder = [(name, step.ap, number(step.ap)) for name, step in diagnosis.ladder.items()]
    corrections = {**diagnosis.detection_errors, **diagnosis.landmark_errors}
    corrected = [
        [name, f"{step.count or 0:,}", number(step.ap), gain(step.ap, base.ap), step.meaning]
        for name, step in corrections.items()
    ]
    gains = [
        [
            category.official_name,
            number(ap),
            *(gain(step.per_category[c], ap) for step in corrections.values()),
        ]
        for c, category in enumerate(ground_truth.taxonomy.categories)
        if (ap := base.per_category[c]) is not None
    ]
    costly = sorted(diagnosis.per_landmark, key=lambda errors: -(errors.ap_gain or 0))
    return {
        "ladder": charts.bars("AP of the baseline, as predicted, and with each correction", ladder),
        "corrections": Rows(["error type", "count", "AP", "gain", "meaning"], corrected),
        "category_gains": Rows(["category", "AP", *corrections], gains),
        "per_landmark": Rows(
            ["landmark", "AP gain", "count", *LANDMARK_TYPES, "median px", "sigmas"],
            [_landmark_row(errors) for errors in costly if errors.count],
        ),
    }


def _landmark_row(errors: LandmarkErrors) -> list[str]:
    return [
        f"{errors.category} {errors.landmark}",
        gain(errors.ap_gain, 0),
        f"{errors.count:,}",
        *(number(errors.shares[name]) for name in LANDMARK_TYPES),
        "n/a" if errors.median_px is None else f"{errors.median_px:.1f}",
        number(errors.mean_sigmas),
    ]


def _sigma_legend() -> list[dict[str, str]]:
    edges = [0.0, *charts.SIGMA_STEPS]
    texts = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]
    texts.append(f"{edges[-1]:g} and more")
    rows = [{"kind": str(kind), "text": text} for kind, text in enumerate(texts)]
    return [*rows, {"kind": "none", "text": "none measured"}]


def _outlines(ground_truth: GroundTruth, cases: Cases, shapes: Sequence[Any]) -> list[list[str]]:
    """Return for each category with items its drawing of visible and of occluded landmarks."""
    rows = []
    for c, category in enumerate(ground_truth.taxonomy.categories):
        truth, part = ground_truth.classes[c], cases.landmarks[c]
        if not len(truth):
            continue
        sizes = truth.boxes_xywh[:, 2:]
        aspect = float(np.median(sizes[:, 1] / np.maximum(sizes[:, 0], 1)))
        drawings = []
        for visibility, word in ((2, "visible"), (1, "occluded")):
            spots: list[tuple[str, float | None]] = []
            for k, name in enumerate(category.landmark_names):
                rows_of_k = (part.visibility[:, k] == visibility) & (part.error_type[:, k] >= 0)
                types = part.error_type[rows_of_k, k]
                if not len(types):
                    spots.append((f"{k + 1} {name}: none measured", None))
                    continue
                error = float(part.error_sigmas[rows_of_k, k].mean())
                counts = np.bincount(types, minlength=len(LANDMARK_TYPES)).tolist()
                shares = ", ".join(
                    f"{count} {kind}" for kind, count in zip(LANDMARK_TYPES, counts, strict=True)
                )
                spots.append(
                    (f"{k + 1} {name}: {error:.2f} sigmas, n {len(types)}, {shares}", error)
                )
            title = f"{category.official_name}, {word} landmarks"
            drawings.append(charts.garment(title, shapes[c], aspect, category.outlines, spots))
        rows.append(drawings)
    return rows


def _calibration(result: Score, cases: Cases) -> dict[str, Any]:
    """Return the reliability curves, and the calibration per category."""
    measured = calibration(result, cases)
    drawn = []
    for kind, calibrated in measured.kinds.items():
        bins = calibrated.overall.bins
        line = charts.Line(kind, [b.predicted for b in bins], [b.observed for b in bins])
        meaning = f"{MEANINGS[kind]}: ECE {number(calibrated.overall.ece)}"
        drawn.append(
            charts.line_chart(
                meaning[0].upper() + meaning[1:],
                [line],
                x_label=f"predicted {kind}",
                y_label="observed",
                x_range=(0, 1),
                y_range=(0, 1),
                diagonal=True,
            )
        )
    absent = [kind for kind in MEANINGS if kind not in measured.kinds]
    note = f"These results have no {' and no '.join(absent)} of landmarks." if absent else ""
    return {"charts": drawn, "table": Rows(*measured.rows()), "note": note}


class _Pages:
    """The pictures of a report."""

    def __init__(
        self, inputs: Inputs, ground_truth: GroundTruth, result: Score, cases: Cases
    ) -> None:
        self._inputs = inputs
        self._ground_truth = ground_truth
        self._result = result
        self._cases = cases

    def worst(self) -> dict[str, Any]:
        """Return the costliest pictures and what they can be filtered by."""
        indices = self._cases.worst(self._inputs.num_pictures)
        pictures = self.pictures(indices)
        shown = f"The {len(pictures):,} of {len(self._ground_truth.image_ids):,} pictures that cost"
        note = (
            f"{shown} most, the costliest first. A garment costs 1 - OKS with its detection, 1 if "
            "it is missed or of another category; a detection too many costs its score, from "
            f"{ERROR_SCORE:g} on. Point at a landmark for its name and its error."
        )
        if self._inputs.images is None:
            note += " The photos are not here: give their folder (--images)."
        return {
            **gallery_of([[(picture, _cost(picture))] for picture in pictures]),
            "pictures_note": note,
            "toggles": [TRUTH_TOGGLE, PREDICTED_TOGGLE],
        }

    def pictures(self, indices: Sequence[int]) -> list[Picture]:
        ids = {int(self._ground_truth.image_ids[index]) for index in indices}
        records = read_image_records(self._inputs.ground_truth_file, ids)
        gallery = Gallery(self._ground_truth, self._result, records, self._inputs.images)
        return [gallery.picture(self._cases.of_image(index)) for index in indices]


def gallery_of(rows: Sequence[Sequence[tuple[Picture, str]]]) -> dict[str, Any]:
    """Return rows of pictures for the template, and what the rows can be filtered by.

    Args:
        rows: pictures beside each other, each with a note. The first one has the tags of the row.
    """
    values: dict[str, set[str]] = {}
    for row in rows:
        for key, tags in row[0][0].tags.items():
            values.setdefault(key, set()).update(tags)
    return {
        "gallery": [
            {
                "words": row[0][0].words,
                "pictures": [_shown_picture(picture, note) for picture, note in row],
            }
            for row in rows
        ],
        "filters": [(key, sorted(tags)) for key, tags in values.items() if tags],
    }


def _cost(picture: Picture) -> str:
    return f"costs {picture.loss:.2f}"


def _shown_picture(picture: Picture, note: str) -> dict[str, Any]:
    """Return a picture as the template wants it; its overlay is SVG of this package."""
    from markupsafe import Markup

    return {
        "title": picture.title,
        "note": note,
        "source": picture.source,
        "width": picture.width,
        "height": picture.height,
        "radius": f"{max(picture.width, picture.height) / 110:.1f}",
        "svg": Markup(picture.overlay),
        "lines": picture.lines,
    }


def _comparison(
    inputs: Inputs, ground_truth: GroundTruth, first: Score, cases: Cases, other: Detections
) -> dict[str, Any]:
    """Return the differences to other results, and the pictures in which they differ most."""
    second = score(ground_truth, other, VISIBLE_AND_OCCLUDED)
    compared = compare_scores(
        first, second, num_images=len(ground_truth.image_ids), resamples=inputs.resamples
    )
    names = ["all", *(category.official_name for category in ground_truth.taxonomy.categories)]
    rows = [
        [
            name,
            number(difference.first),
            number(difference.second),
            f"{difference.difference:+.3f}",
            f"{difference.low:+.3f} to {difference.high:+.3f}",
            "clear" if difference.is_clear else "",
        ]
        for name, difference in zip(names, (compared.overall, *compared.per_category), strict=True)
        if difference is not None
    ]
    other_cases = Cases(ground_truth, second)
    apart = np.abs(cases.image_losses - other_cases.image_losses)
    indices = [int(i) for i in np.argsort(-apart, kind="stable")[:NUM_COMPARED] if apart[i] > 0]
    pictures = [
        [
            _shown_picture(picture, f"{_cost(picture)} {where}")
            for picture in _Pages(inputs, ground_truth, result, of).pictures(indices)
        ]
        for result, of, where in ((first, cases, "here"), (second, other_cases, "there"))
    ]
    assert inputs.other_file is not None
    return {
        "name": inputs.other_file.name,
        "header": ["category", "AP here", "AP there", "difference", "95 %", ""],
        "rows": rows,
        "caption": f"Difference in AP, {TITLES[first.protocol]}, with its paired interval",
        "pictures": list(zip(*pictures, strict=True)),
    }


def _commands(inputs: Inputs) -> list[str]:
    """Return the commands that make the numbers and this page again."""
    command = ["df2", "report", "--gt", inputs.ground_truth_file, "--results", inputs.results_file]
    options: Mapping[str, Path | None] = {
        "--images": inputs.images,
        "--run": inputs.run,
        "--compare": inputs.other_file,
    }
    for option, path in options.items():
        command += [] if path is None else [option, path]
    lines = [shlex.join(map(str, command))]
    if inputs.run is not None:
        config = inputs.run / "config.yaml"
        train = ["python", "projects/df2_landmarks/train_net.py", "--config-file", config]
        lines.insert(0, shlex.join(map(str, [*train, "--eval-only"])))
        lines.insert(0, shlex.join(map(str, train)))
    return lines
