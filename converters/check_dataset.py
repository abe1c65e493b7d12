"""Examine a raw DeepFashion2 folder before hours of training go into it.

    python -m converters.check_dataset datasets/deepfashion2
    python -m converters.check_dataset datasets/deepfashion2 --json > report.json
    python -m converters.check_dataset datasets/deepfashion2 --decode    # read every pixel, slow

Looks at the splits ``train``, ``validation`` and ``test``: counts against the published ones,
missing, empty, unreadable and truncated files, ids, categories, geometry, attributes, what stock
Detectron2 would drop, and how well garments fit their own mirror image under each flip pair.

Ends with code 0, or 1 if training would suffer, or 2 if the command cannot be carried out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from converters.check.facts import FactFinder, SplitFacts
from converters.check.meanings import LEVELS, meaning_of
from converters.check.mirror_fit import MirrorFit
from converters.command_line import positive, progress_bar, run_command, show
from converters.parallel import default_jobs, map_chunks
from converters.raw.folder import ANNOTATION_SUFFIX, IMAGE_SUFFIX, list_numbered
from converters.raw.problems import UsageError
from df2_landmarks.taxonomy import LAYOUT

# Images and items of the released subset, from the challenge's pages of 2019 and 2020. The table in
# the data set's README (390,884 training images) describes a full set that was not released.
RELEASED = {"train": (191_961, 312_186), "validation": (32_153, 51_490), "test": (62_629, None)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    args = _parse(arguments)
    return run_command(lambda: _check(args))


def _check(args: argparse.Namespace) -> int:
    found = [name for name in RELEASED if (args.root / name).is_dir()]
    if not found:
        raise UsageError(
            f"{args.root}: expected a folder train, validation or test in it, there is none; "
            "see datasets/README.md"
        )
    mirror = MirrorFit()
    splits = {}
    for name in found:
        facts = check_split(args.root, name, jobs=args.jobs, decode=args.decode)
        mirror.add(facts.mirror)
        splits[name] = _split_report(name, facts)
    num_errors = sum(
        finding["count"]
        for split in splits.values()
        for finding in split["findings"]
        if finding["level"] == "error"
    )
    report = {
        "root": str(args.root),
        "ok": not num_errors,
        "splits": splits,
        "flip_pairs": mirror.pairs(),
        "disputed_pairs": mirror.verdicts(),
    }
    show(json.dumps(report, indent=2) if args.json else "\n".join(_text(report, num_errors)))
    return 1 if num_errors else 0


def check_split(root: Path, name: str, *, jobs: int = 1, decode: bool = False) -> SplitFacts:
    """Collect the facts about one split.

    Args:
        root: the data folder.
        name: "train", "validation" or "test"; the last needs no annotations.
        jobs: number of processes.
        decode: decode every image completely.
    """
    images, annos = root / name / "image", root / name / "annos"
    facts = SplitFacts()
    stems: set[str] = set()
    with_annotations = name != "test" or annos.is_dir()
    for folder, suffix in ((images, IMAGE_SUFFIX), (annos, ANNOTATION_SUFFIX)):
        if folder == annos and not with_annotations:
            continue
        try:
            names, problems = list_numbered(folder, suffix)
        except UsageError as error:
            facts.found("missing_folder", str(error))
            return facts
        stems.update(names)
        for problem in problems:
            facts.found(problem.reason, problem.line())
    finder = FactFinder(images, annos if with_annotations else None, decode)
    ordered = sorted(stems, key=lambda stem: (int(stem), stem))
    with progress_bar(name) as on_progress:
        for part in map_chunks(finder, ordered, jobs):
            facts.add(part)
            on_progress(facts.looked_at, len(ordered))
    _check_numbers(name, ordered, facts, with_annotations)
    return facts


def _check_numbers(name: str, stems: list[str], facts: SplitFacts, with_annotations: bool) -> None:
    """Compare ids and counts with those of the released subset."""
    numbers = [int(stem) for stem in stems]
    last = max(numbers, default=0)
    gaps = set(range(1, last + 1)).difference(numbers) if last < 10**7 else {0}
    if gaps:
        facts.found("gap_in_ids", f"{name}: {min(gaps):06d}", len(gaps))
    images, items = RELEASED[name]
    if facts.images != images:
        facts.found("other_count", f"{name}: {facts.images:,} of {images:,} images")
    if with_annotations and items is not None and facts.items != items:
        facts.found("other_count", f"{name}: {facts.items:,} of {items:,} items")


def _split_report(name: str, facts: SplitFacts) -> dict[str, Any]:
    findings = []
    for rule, finding in facts.findings.items():
        level, text = meaning_of(rule)
        findings.append(
            {
                "rule": rule,
                "level": level,
                "count": finding.count,
                "meaning": text,
                "examples": finding.examples,
            }
        )
    findings.sort(key=lambda f: (LEVELS.index(f["level"]), f["rule"]))
    images, items = RELEASED[name]
    return {
        "images": facts.images,
        "items": facts.items,
        "released_images": images,
        "released_items": items,
        "findings": findings,
        "landmarks": dict(
            zip(("not labelled", "occluded", "visible"), facts.visibility, strict=True)
        ),
        "categories": {c.name: facts.categories[c.id] for c in LAYOUT.categories},
        "attributes": {
            attribute: {str(value): counts[value] for value in sorted(counts)}
            for attribute, counts in facts.attributes.items()
        },
        "sources": dict(sorted(facts.sources.items())),
    }


def _text(report: dict[str, Any], num_errors: int) -> list[str]:
    lines = [report["root"]]
    for name, split in report["splits"].items():
        lines += ["", f"{name}: {split['images']:,} images, {split['items']:,} items"]
        for finding in split["findings"]:
            lines.append(
                f"  {finding['level']}: {finding['count']:,} x {finding['rule']} "
                f"({finding['meaning']}), first: {finding['examples'][0]}"
            )
        if split["items"]:
            for title in ("landmarks", "categories", "sources"):
                lines.append(f"  {title}: {_counts(split[title])}")
            for attribute, counts in split["attributes"].items():
                lines.append(f"  {attribute}: {_counts(counts)}")
    lines += _mirror_text(report)
    lines += ["", "training would suffer" if num_errors else "ready for training"]
    return lines


def _mirror_text(report: dict[str, Any]) -> list[str]:
    worst: dict[str, dict[str, Any]] = {}
    for row in report["flip_pairs"]:
        if row["residual"] > worst.get(row["category"], {"residual": -1.0})["residual"]:
            worst[row["category"]] = row
    lines = []
    if worst:
        lines += ["", "mirrored garments, the pair that fits worst (distance / sqrt(box area)):"]
    for category, row in worst.items():
        pair = "-".join(map(str, row["pair"]))
        lines.append(f"  {category}: {pair} {row['residual']:.3f} in {row['garments']:,} garments")
    for verdict in report["disputed_pairs"]:
        lines.append(_verdict_text(verdict))
    return lines


def _verdict_text(verdict: dict[str, Any]) -> str:
    head = f"disputed pairs of {verdict['category']}: "
    if not verdict["garments"]:
        return head + "no frontal garment with all of these landmarks, cannot tell"
    ours, other = (
        " ".join(f"{a}-{b}" for a, b in verdict[key])
        for key in ("this_project_pairs", "other_pairs")
    )
    winner = {"this project": f"{ours} fits better", "other": f"{other} fits better"}
    return (
        f"{head}{ours} (this project) {verdict['this_project_residual']:.3f}, "
        f"{other} ({verdict['other_source']}) {verdict['other_residual']:.3f}, "
        f"in {verdict['garments']:,} garments: "
        f"{winner.get(verdict['better'], 'cannot tell, this could be chance')}"
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m converters.check_dataset",
        description="Examine a raw DeepFashion2 folder; code 1 if training would suffer.",
    )
    parser.add_argument("root", type=Path, help="folder with train, validation and/or test in it")
    parser.add_argument("--json", action="store_true", help="print a report for machines")
    parser.add_argument("--decode", action="store_true", help="decode every image completely")
    parser.add_argument(
        "--jobs", type=positive, metavar="N", default=default_jobs(), help="processes to use"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
