"""Print and check a taxonomy: categories, their landmarks, mirror pairs and OKS sigmas.

    df2 taxonomy                                  DeepFashion2's
    df2 taxonomy foxes/annotations/train.json     the categories of a COCO file
    df2 taxonomy train.json --output foxes.yaml   write it down, with what was guessed
    df2 taxonomy foxes.yaml

What the file does not say is assumed, and said: mirror pairs from "left" and "right" in the names,
and one sigma for all landmarks. Correct it in the written file, and name that file in a training:
MODEL.ROI_LANDMARK_HEAD.TAXONOMY foxes.yaml

Exit code: 0; 1 if the table is wrong; 2 if the file cannot be read or written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from df2_landmarks.common import check_output_file, run_command, say
from df2_landmarks.formats import read_taxonomy, write_taxonomy
from df2_landmarks.taxonomy import DEEPFASHION2, Category, Taxonomy


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0, 1 (wrong data), 2 (wrong usage) or 130 (interrupted)."""
    args = parse_args(argv)
    return run_command(lambda: run(args), "df2 taxonomy")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 taxonomy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="taxonomy (YAML or JSON), or COCO file with categories (default: DeepFashion2's)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it as YAML")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    if args.output is not None:
        check_output_file("--output", args.output)
    taxonomy = DEEPFASHION2 if args.file is None else read_taxonomy(args.file)
    say("\n".join(taxonomy_lines(taxonomy)))
    if args.output is not None:
        write_taxonomy(taxonomy, args.output)
        say(f"Written to {args.output}")


def taxonomy_lines(taxonomy: Taxonomy) -> Iterator[str]:
    """Yield the lines about a taxonomy: its table, then what was assumed and what is odd in it."""
    yield (
        f"{taxonomy.name}: {taxonomy.num_categories} categories, {taxonomy.num_slots} landmarks "
        f"(fingerprint {taxonomy.fingerprint})"
    )
    width = max(len(name) for c in taxonomy.categories for name in c.landmark_names)
    for category in taxonomy.categories:
        also = "" if category.official_name == category.name else f" ({category.official_name})"
        yield f"\n{category.id} {category.name}{also}, {category.num_landmarks} landmarks"
        partner = dict(category.flip_pairs) | {b: a for a, b in category.flip_pairs}
        for number, name in enumerate(category.landmark_names, 1):
            mirrored = f"mirrored: {partner[number]}" if number in partner else ""
            sigma = f"{category.sigmas[number - 1]:.4f}"
            yield f"  {number:>2} {name:<{width}}  sigma {sigma}  {mirrored}".rstrip()
    yield ""
    for note in taxonomy.notes:
        yield f"note: {note}"
    oddities = [oddity for category in taxonomy.categories for oddity in _oddities(category)]
    yield from (f"warning: {oddity}" for oddity in oddities)
    if not taxonomy.notes and not oddities:
        yield "nothing was assumed, nothing is odd"


def _oddities(category: Category) -> Iterator[str]:
    names = category.landmark_names
    for a, b in category.flip_pairs:
        if category.sigmas[a - 1] != category.sigmas[b - 1]:
            yield (
                f"{category.name}: {names[a - 1]} and {names[b - 1]} are mirrored, but have the "
                f"sigmas {category.sigmas[a - 1]:.4f} and {category.sigmas[b - 1]:.4f}"
            )


if __name__ == "__main__":
    sys.exit(main())
