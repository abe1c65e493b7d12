"""The findings about a data folder, for machines and for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters.check.facts import ATTRIBUTES, SplitFacts
from converters.check.meanings import LEVELS, meaning_of
from converters.check.mirror_fit import MirrorFit
from converters.check.split import RELEASED
from df2_landmarks.taxonomy import DEEPFASHION2


def make_report(root: Path, facts_of_split: Mapping[str, SplitFacts]) -> dict[str, Any]:
    """Return the facts about the splits of a folder as JSON values."""
    mirror = MirrorFit()
    for facts in facts_of_split.values():
        mirror += facts.mirror
    splits = {name: _split_report(name, facts) for name, facts in facts_of_split.items()}
    findings = [finding for split in splits.values() for finding in split["findings"]]
    return {
        "root": str(root),
        "ok": all(finding["level"] != "error" for finding in findings),
        "splits": splits,
        "flip_pairs": mirror.pairs(),
        "disputed_pairs": mirror.verdicts(),
    }


def _split_report(name: str, facts: SplitFacts) -> dict[str, Any]:
    findings = [
        {
            "rule": rule,
            "level": meaning_of(rule).level,
            "count": count,
            "meaning": meaning_of(rule).text,
            "examples": facts.examples[rule],
        }
        for rule, count in facts.findings.items()
    ]
    findings.sort(key=lambda f: (LEVELS.index(f["level"]), f["rule"]))
    images, items = RELEASED[name]
    attributes: dict[str, dict[str, int]] = {attribute: {} for attribute in ATTRIBUTES}
    for (attribute, value), count in sorted(facts.attributes.items()):
        attributes[attribute][str(value)] = count
    return {
        "images": facts.images,
        "items": facts.items,
        "released_images": images,
        "released_items": items,
        "findings": findings,
        "landmarks": {
            "not labelled": facts.landmarks[0],
            "occluded": facts.landmarks[1],
            "visible": facts.landmarks[2],
        },
        "categories": {c.name: facts.categories[c.id] for c in DEEPFASHION2.categories},
        "attributes": attributes,
        "sources": dict(sorted(facts.sources.items())),
    }


def report_text(report: dict[str, Any]) -> str:
    """Return the report as text for people."""
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
    lines += ["", "ready for training" if report["ok"] else "training would suffer"]
    return "\n".join(lines)


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
