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
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from converters.raw import (
    ANNOTATION_SUFFIX,
    IMAGE_SUFFIX,
    SPLITS,
    Problem,
    RawFileError,
    list_numbered,
    read_annotation,
)
from df2_landmarks.common import UserError, atomic_path, positive, run_command, say
from df2_landmarks.taxonomy import DEEPFASHION2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    args = _parse(arguments)
    return run_command(
        lambda: _make(args),
        "make_subset",
        advice="correct it, or see python -m converters.check_dataset",
        interrupted="interrupted; nothing was written",
    )


def _make(args: argparse.Namespace) -> None:
    output = Path(os.path.realpath(args.output))
    if os.path.lexists(output) and not _is_empty_folder(output):
        raise UserError(
            f"{args.output}: expected a folder that is empty or does not exist", exit_code=2
        )
    names = [name for name in args.splits if os.path.isdir(args.root / name / "image")]
    if not names:
        folders = ", ".join(f"{name}/image" for name in args.splits)
        raise UserError(f"{args.root}: expected one of {folders} in it, there is none", exit_code=2)
    chosen = {
        name: choose(args.root / name, args.images, args.per_category, args.seed)
        for name in names
        if args.images or os.path.isdir(args.root / name / "annos")
    }
    if not chosen:
        raise UserError(
            f"{args.root}: --per-category needs annotations, and there are none in "
            f"{', '.join(names)}; give --images",
            exit_code=2,
        )
    choice = {"images": args.images, "per_category": args.per_category, "seed": args.seed}
    content = {"choice": choice, "splits": {name: list(map(int, s)) for name, s in chosen.items()}}
    with atomic_path(output) as temporary:
        for name, stems in chosen.items():
            _take(args.root / name, temporary / name, stems, args.copy)
        (temporary / "subset.json").write_text(json.dumps(content) + "\n")
    for name, stems in chosen.items():
        say(f"{args.output / name}: {len(stems):,} images")


def _is_empty_folder(path: Path) -> bool:
    try:
        return not os.listdir(path)
    except OSError:
        return False


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
        UserError: a folder is missing or empty.
        RawFileError: an annotation file cannot be read, or an image is missing.
    """
    images, annos = folder / "image", folder / "annos"
    if os.path.isdir(annos):
        stems, problems = list_numbered(annos, ANNOTATION_SUFFIX)
    else:
        stems, problems = list_numbered(images, IMAGE_SUFFIX)
    if problems:
        raise RawFileError(problems[0])
    random.Random(seed).shuffle(stems)
    if num_images is not None:
        chosen = stems[:num_images]
    else:
        assert per_category is not None
        counts = {stem: _categories(annos / (stem + ANNOTATION_SUFFIX)) for stem in stems}
        chosen = _choose_per_category(counts, per_category)
    for stem in chosen:
        image = images / (stem + IMAGE_SUFFIX)
        if not os.path.isfile(image):
            raise RawFileError(Problem("missing_image", str(image), None, "missing image"))
    return sorted(chosen, key=int)


def _choose_per_category(counts: dict[str, Counter[int]], per_category: int) -> list[str]:
    """Fill up one category after another, the rarest first: its images also hold common ones."""
    num_items: Counter[int] = Counter()
    for count in counts.values():
        num_items.update(count)
    num_chosen: Counter[int] = Counter()
    chosen: dict[str, None] = {}
    for category in sorted(DEEPFASHION2.categories, key=lambda c: (num_items[c.id], c.id)):
        for stem, count in counts.items():
            if num_chosen[category.id] >= per_category:
                break
            if count[category.id] and stem not in chosen:
                chosen[stem] = None
                num_chosen.update(count)
    return list(chosen)


def _categories(file: Path) -> Counter[int]:
    annotation = read_annotation(str(file))
    return Counter(item.category_id for _, item in annotation.items)


def _take(source: Path, target: Path, stems: list[str], copy: bool) -> None:
    for name, suffix in (("image", IMAGE_SUFFIX), ("annos", ANNOTATION_SUFFIX)):
        if not os.path.isdir(source / name):
            continue
        (target / name).mkdir(parents=True)
        for stem in stems:
            file = source / name / (stem + suffix)
            try:
                _link_or_copy(file, target / name / file.name, copy)
            except OSError as error:
                raise UserError(f"{file}: {error.strerror}", exit_code=2) from None


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
