"""Take a small, reproducible part of a raw DeepFashion2 folder.

    # 1,000 images of each split
    python -m converters.make_subset datasets/deepfashion2 datasets/df2_small --images 1000

    # about 50 items of each category in each split, rare categories first
    python -m converters.make_subset datasets/deepfashion2 datasets/df2_even --per-category 50

    # only some splits; copies instead of links
    python -m converters.make_subset datasets/deepfashion2 out --images 100 --splits train --copy

Writes OUTPUT/{train,validation,test}/{annos,image} in the raw layout, with the same file names, and
OUTPUT/subset.json with the choice. Images are linked (hard links, copies where the file system
does not allow these). Whole images are taken, with all their items: no item of a chosen image is
missing. A test split without annotations takes part with ``--images`` only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from converters.coco.chunks import read_annotation
from converters.command_line import positive, run_command, show
from converters.raw.folder import ANNOTATION_SUFFIX, IMAGE_SUFFIX, list_numbered
from converters.raw.problems import DataError, Problem, UsageError
from df2_landmarks.taxonomy import LAYOUT

SPLITS = ("train", "validation", "test")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    args = _parse(arguments)
    return run_command(lambda: _make(args), "correct it, or see python -m converters.check_dataset")


def _make(args: argparse.Namespace) -> int:
    output = args.output.resolve()
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UsageError(f"{args.output}: expected a folder that is empty or not there yet")
    found = [name for name in args.splits if (args.root / name / "image").is_dir()]
    if not found:
        raise UsageError(
            f"{args.root}: expected one of {', '.join(f'{n}/image' for n in args.splits)} in it, "
            "there is none"
        )
    chosen = {}
    for name in found:
        folder = args.root / name
        with_annotations = (folder / "annos").is_dir()
        if args.per_category and not with_annotations:
            continue
        chosen[name] = choose(folder, args.images, args.per_category, args.seed)
    if not chosen:
        raise UsageError(
            f"{args.root}: --per-category needs annotations, and there are none in "
            f"{', '.join(found)}; give --images"
        )
    for name, stems in chosen.items():
        _check_images(args.root / name / "image", stems)
    choice = {"images": args.images, "per_category": args.per_category, "seed": args.seed}
    content = {"choice": choice, "splits": {name: list(map(int, s)) for name, s in chosen.items()}}
    output.parent.mkdir(parents=True, exist_ok=True)
    # Made under another name first: nothing half-written is left if it fails.
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".subset_") as temporary:
        new = Path(temporary, "new")
        new.mkdir()
        for name, stems in chosen.items():
            _take(args.root / name, new / name, stems, args.copy)
        (new / "subset.json").write_text(json.dumps(content) + "\n")
        os.replace(new, output)
    for name, stems in chosen.items():
        show(f"{args.output / name}: {len(stems):,} images")
    return 0


def _check_images(images: Path, stems: list[str]) -> None:
    for stem in stems:
        file = str(images / (stem + IMAGE_SUFFIX))
        if not os.path.isfile(file):
            message = "missing image of an annotation file that is there"
            raise DataError(Problem("missing_image", file, None, message))


def choose(folder: Path, num_images: int | None, per_category: int | None, seed: int) -> list[str]:
    """Choose images of a split; the same for the same files and arguments.

    Args:
        folder: the split, with ``image`` and perhaps ``annos``.
        num_images: how many images, at random.
        per_category: instead: at least so many items of each category, as far as there are.
        seed: of the random order.

    Returns:
        File names without suffix, in order.

    Raises:
        UsageError: a folder is missing or empty.
        DataError: an annotation file cannot be read, or an image is missing.
    """
    images, annos = folder / "image", folder / "annos"
    if annos.is_dir():
        stems, problems = list_numbered(annos, ANNOTATION_SUFFIX)
    else:
        stems, problems = list_numbered(images, IMAGE_SUFFIX)
    if problems:
        raise DataError(problems[0])
    random.Random(seed).shuffle(stems)
    if num_images is not None:
        return sorted(stems[:num_images], key=int)
    assert per_category is not None
    counts = {stem: _categories(annos / (stem + ANNOTATION_SUFFIX)) for stem in stems}
    return sorted(_choose_per_category(counts, per_category), key=int)


def _choose_per_category(counts: dict[str, Counter[int]], per_category: int) -> list[str]:
    """Fill up one category after another, the rarest first: its images also hold common ones."""
    total: Counter[int] = Counter()
    for count in counts.values():
        total.update(count)
    have: Counter[int] = Counter()
    chosen: dict[str, None] = {}
    for category in sorted(LAYOUT.categories, key=lambda c: (total[c.id], c.id)):
        for stem, count in counts.items():
            if have[category.id] >= per_category:
                break
            if count[category.id] and stem not in chosen:
                chosen[stem] = None
                have.update(count)
    return list(chosen)


def _categories(file: Path) -> Counter[int]:
    annotation = read_annotation(str(file))
    return Counter(item.category_id for _, item in annotation.items)


def _take(source: Path, target: Path, stems: list[str], copy: bool) -> None:
    for name, suffix in (("image", IMAGE_SUFFIX), ("annos", ANNOTATION_SUFFIX)):
        if not (source / name).is_dir():
            continue
        (target / name).mkdir(parents=True)
        for stem in stems:
            file = stem + suffix
            try:
                _link_or_copy(source / name / file, target / name / file, copy)
            except OSError as error:
                raise UsageError(f"{source / name / file}: {error.strerror}") from None


def _link_or_copy(source: Path, target: Path, copy: bool) -> None:
    if not copy:
        try:
            # Not a link to a link, whose relative path would lead nowhere from the new folder.
            os.link(os.path.realpath(source), target)
            return
        except OSError:
            pass  # another file system, or one without hard links
    shutil.copyfile(source, target)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m converters.make_subset",
        description="Take a reproducible part of a raw DeepFashion2 folder.",
    )
    parser.add_argument("root", type=Path, help="folder with train, validation and/or test in it")
    parser.add_argument("output", type=Path, help="the new folder")
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--images", type=positive, metavar="N", help="images of each split")
    size.add_argument(
        "--per-category", type=positive, metavar="N", help="items of each category in each split"
    )
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=list(SPLITS))
    parser.add_argument("--seed", type=int, default=0, help="of the random choice (default: 0)")
    parser.add_argument("--copy", action="store_true", help="copy the files instead of linking")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
