"""Examine one split: which files it has, what is in them, and its counts."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from converters.check.facts import SplitFacts, find_facts
from converters.raw import ANNOTATION_SUFFIX, IMAGE_SUFFIX, list_numbered, split_folders
from df2_landmarks.common import UserError, map_chunks, progress_bar

# Images and items of the released subset, from the challenge's pages of 2019 and 2020. The table in
# the data set's README (390,884 training images) describes a full set that was not released.
RELEASED = {"train": (191_961, 312_186), "validation": (32_153, 51_490), "test": (62_629, None)}
CHUNK_SIZE = 100
"""Images."""


def check_split(root: Path, name: str, *, jobs: int = 1, decode: bool = False) -> SplitFacts:
    """Collect the facts about one split.

    Args:
        root: the data folder.
        name: "train", "validation" or "test"; the last needs no annotations.
        jobs: number of processes.
        decode: decode every image completely.
    """
    images, annos = split_folders(root, name)
    folders = {images: IMAGE_SUFFIX}
    if annos is not None:
        folders[annos] = ANNOTATION_SUFFIX
    facts = SplitFacts()
    stems: set[str] = set()
    for folder, suffix in folders.items():
        try:
            names, problems = list_numbered(folder, suffix)
        except UserError as error:
            facts.add_finding("missing_folder", str(error))
            return facts
        stems.update(names)
        for problem in problems:
            facts.add_finding(problem.reason, problem.line())
    ordered = sorted(stems, key=lambda stem: (int(stem), stem))
    find = partial(find_facts, images, annos, decode)
    with progress_bar(name, "images") as on_progress:
        for part in map_chunks(find, ordered, jobs=jobs, chunk_size=CHUNK_SIZE):
            facts.add(part)
            on_progress(facts.examined, len(ordered))
    _check_counts(name, ordered, facts, annos is not None)
    return facts


def _check_counts(name: str, stems: list[str], facts: SplitFacts, with_annotations: bool) -> None:
    """Compare ids and counts with those of the released subset."""
    numbers = [int(stem) for stem in stems]
    last = max(numbers, default=0)
    gaps = set(range(1, last + 1)).difference(numbers) if last < 10**7 else {0}
    if gaps:
        facts.add_finding("gap_in_ids", f"{name}: {min(gaps):06d}", len(gaps))
    images, items = RELEASED[name]
    if facts.images != images:
        facts.add_finding("other_count", f"{name}: {facts.images:,} of {images:,} images")
    if with_annotations and items is not None and facts.items != items:
        facts.add_finding("other_count", f"{name}: {facts.items:,} of {items:,} items")
