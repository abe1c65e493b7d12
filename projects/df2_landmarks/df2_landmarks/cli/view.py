"""Show what a training gets: annotated pictures, as sheets of PNG or as one HTML file.

    df2 view deepfashion2_train --output output/view
    df2 view datasets/deepfashion2 --augmented 4 --shuffle --output output/view
    df2 view val.json@val/image --results landmark_results.json --output output/errors
    df2 view train.json@train/image --suspicious --output output/suspicious
    df2 view deepfashion2_train --category skirt --attribute occlusion=heavy --output output/view
    df2 view deepfashion2_train --augmented 4 --html output/view.html

Each picture has its landmarks drawn with their numbers. With --augmented N follow N examples of it
from the training's own loader, with the seeds 0 to N-1. With --results follows the prediction that
the score gives to each garment (at OKS .5), with a line from each predicted landmark to the true
one, which is white. The line is green below 1 sigma of the score, yellow below 2, orange below 3,
and red from there on.

--html writes the pictures into one page with filters by category and attribute; point at a landmark
for its name. With --results it shows the predictions as a report does, with those on no garment.

Exit code: 0; 1 if the data is wrong, or no picture is chosen; 2 for a mistake in the call.
"""

from __future__ import annotations

import argparse
import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import (
    UserError,
    atomic_write,
    check_input_file,
    check_output_file,
    make_output_folder,
    positive,
    run_command,
    say,
)
from df2_landmarks.evaluation import VALUES, Score, score, sigma_px
from df2_landmarks.formats import (
    VISIBLE_AND_OCCLUDED,
    CocoImage,
    CocoItem,
    CocoReader,
    Garment,
    GroundTruth,
    garments_of_record,
    garments_of_targets,
    plain_name,
    polygons_of_annotation,
    read_ground_truth,
    read_picture,
    read_results,
    read_taxonomy,
    to_continuous,
)
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy, taxonomy_of
from df2_landmarks.visualization import (
    FAR_PX,
    DrawingStyle,
    LandmarkErrors,
    contact_sheet,
    draw_errors,
    draw_garments,
    drawable_detection,
)

if TYPE_CHECKING:
    from detectron2.config import CfgNode

Picture = NDArray[np.uint8]

PER_SHEET = 12
TILE_PX = 400
WIDTH_IN_TILES = 4
"""Short rows are placed beside each other up to this width."""
MAX_REASONS = 3
STYLE = DrawingStyle(landmark_text="numbers", scale=1.4)  # to be read in a tile
PREDICTION = replace(STYLE, lines=False, points=False)  # these are the errors'
TRUTH = "ground truth"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0, 1 (wrong data), 2 (wrong usage) or 130 (interrupted)."""
    args = parse_args(argv)
    return run_command(lambda: run(args), "df2 view")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 view", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("source", metavar="DATA", help="name of a data set, a folder, or FILE.json@IMAGES")
    add("--output", type=Path, metavar="DIR", help="of the sheets")
    add("--html", type=Path, metavar="FILE", help="one page with all pictures")
    add("--split", choices=("train", "validation"), default="train", help="of a folder (train)")
    add("--taxonomy", metavar="FILE", help="categories and landmarks (default: DeepFashion2's)")
    columns = parser.add_argument_group("what is shown beside the ground truth")
    add = columns.add_argument
    add("--augmented", type=positive, default=0, metavar="N", help="N examples of the loader")
    add("--config", metavar="FILE", help="with --augmented: configuration of the training")
    add("--opts", nargs="*", default=[], metavar="KEY VALUE", help="of the configuration")
    add("--results", metavar="FILE|ZIP", help="predictions, with the error of each landmark")
    chosen = parser.add_argument_group("which pictures are shown")
    add = chosen.add_argument
    add("--images", type=positive, default=24, metavar="N", help="at most so many (24)")
    order = chosen.add_mutually_exclusive_group()
    order.add_argument("--first", action="store_true", help="the first ones by id (default)")
    order.add_argument("--shuffle", action="store_true", help="a random choice")
    add("--seed", type=int, default=0, help="of --shuffle (0)")
    add("--category", nargs="+", default=[], metavar="NAME", help="with a garment of these")
    add(
        "--attribute",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="with a garment of these attributes, such as occlusion=heavy",
    )
    add("--suspicious", action="store_true", help="with a garment that `df2 check` warns of")
    args = parser.parse_args(argv)
    if args.output is None and args.html is None:
        parser.error("give --output DIR, --html FILE or both")
    if (args.config or args.opts) and not args.augmented:
        parser.error("--config and --opts need --augmented")
    if args.seed < 0:
        parser.error(f"--seed must be 0 or more, but got {args.seed}")
    return args


def run(args: argparse.Namespace) -> None:
    cfg = training_config(args) if args.augmented else None
    source = find_source(args, cfg)
    wanted = Wanted.from_words(args.category, args.attribute, source.taxonomy)
    if args.results:
        check_input_file(Path(args.results))
    if args.output:
        make_output_folder(args.output, "--output")
    if args.html:
        check_output_file("--html", args.html)
    image_ids, suspects = choose(source, wanted, args)
    examples = read_examples(source, image_ids)
    columns: dict[str, Column] = {TRUTH: true_tile}
    if cfg is not None:
        columns |= augmented_columns(source, cfg, args.augmented)
    scored = scored_results(source, args.results) if args.results else None
    if args.html:
        write_page(args, source, examples, columns, suspects, scored)
    if args.output:
        write_sheets(args.output, source, examples, columns, suspects, scored)


def write_sheets(
    folder: Path,
    source: Source,
    examples: Sequence[Example],
    columns: Mapping[str, Column],
    suspects: Mapping[int, Sequence[str]],
    scored: Scored | None,
) -> None:
    """Write the sheets, and print a line about each."""
    found = None
    if scored is not None:
        found = found_garments(source, scored, [example.image.id for example in examples])
        columns = {**columns, "prediction": partial(predicted_tile, found)}
    for start in range(0, len(examples), PER_SHEET):
        part = examples[start : start + PER_SHEET]
        sheet = contact_sheet(
            ([draw(tile) for tile in tiles(source, example, columns)] for example in part),
            headings=list(columns),
            captions=[caption(example, suspects, found) for example in part],
            num_columns=min(max(1, WIDTH_IN_TILES // len(columns)), len(part)),
            tile_px=TILE_PX,
        )
        file = folder / f"sheet_{start // PER_SHEET + 1:03d}.png"
        with atomic_write(file) as stream:
            stream.write(cv2.imencode(".png", sheet)[1].tobytes())
        say(f"{file}: {len(part)} pictures, images {', '.join(str(e.image.id) for e in part)}")


class Source(NamedTuple):
    """Annotated pictures.

    Attributes:
        json_file: COCO JSON.
        image_root: folder of the pictures.
        taxonomy: the categories.
        name: in Detectron2's catalogs; "" where they were not needed.
    """

    json_file: Path
    image_root: Path
    taxonomy: Taxonomy
    name: str = ""


class Example(NamedTuple):
    """A picture of the file, and its garments; crowds are left out, as in training."""

    image: CocoImage
    items: list[CocoItem]
    taxonomy: Taxonomy


class Found(NamedTuple):
    """The prediction that the score gives to an annotation."""

    garment: Garment
    errors: LandmarkErrors


class Tile(NamedTuple):
    """A picture (BGR), the garments in it, and, of predictions, their errors."""

    image: Picture
    garments: list[Garment]
    errors: list[LandmarkErrors] | None = None


class Scored(NamedTuple):
    """Results that were scored."""

    truth: GroundTruth
    result: Score


Column = Callable[[Example, Picture], Tile]
"""Gives the tile of an example and its picture."""


def training_config(args: argparse.Namespace) -> CfgNode:
    from df2_landmarks.engine import setup_config

    taxonomy = ["MODEL.ROI_LANDMARK_HEAD.TAXONOMY", args.taxonomy] if args.taxonomy else []
    opts = [*args.opts, *taxonomy, "INPUT.ON_BAD_IMAGE", "stop"]  # what is asked for is not skipped
    config = {"config_file": args.config} if args.config else {}
    return setup_config(**config, opts=opts, on_cpu=True)


def find_source(args: argparse.Namespace, cfg: CfgNode | None) -> Source:
    """Return where the data lies. Detectron2 is imported unless it is FILE.json@IMAGES.

    Raises:
        UserError: there is no such data, or it is of another taxonomy.
    """
    taxonomy = DEEPFASHION2 if cfg is None else taxonomy_of(cfg)
    if cfg is None and args.taxonomy:
        taxonomy = read_taxonomy(args.taxonomy)
    file, at, images = args.source.rpartition("@")
    if at and cfg is None:
        if not Path(images).is_dir():
            raise UserError(f"{args.source}: there is no folder {images} with the images")
        return Source(Path(file), Path(images), taxonomy)
    refuse_raw_data(Path(args.source), args.split)
    from detectron2.data import MetadataCatalog

    from df2_landmarks.data import EVALUATOR_TYPE, registered_name

    name = registered_name(args.source, args.split, "DATA", taxonomy)
    metadata = MetadataCatalog.get(name)
    if metadata.get("evaluator_type") != EVALUATOR_TYPE:
        raise UserError(f"DATA {name}: has no landmarks per category; name a landmark data set")
    if difference := metadata.taxonomy.difference(taxonomy, ("the data set", "--taxonomy")):
        raise UserError(f"DATA {name}: a data set of another taxonomy: {difference}")
    return Source(Path(metadata.json_file), Path(metadata.image_root), taxonomy, name)


def refuse_raw_data(folder: Path, split: str) -> None:
    """Say how to convert a folder of DeepFashion2's raw annotations.

    Raises:
        UserError: it is such a folder, and was not converted.
    """
    if any(folder.glob("*.json")) or any(folder.glob("annotations/*.json")):
        return
    if (folder / split / "annos").is_dir():
        raise UserError(
            f"{folder}: raw DeepFashion2, not yet converted: run "
            f"`python -m converters.deepfashion2_to_coco --root {folder}` first"
        )
    if (folder / "annos").is_dir():
        raise UserError(
            f"{folder}: raw DeepFashion2: run `python -m converters.deepfashion2_to_coco --annos "
            f"{folder / 'annos'} --images {folder / 'image'} --output FILE.json` first, then view "
            f"FILE.json@{folder / 'image'}"
        )


@dataclass(frozen=True)
class Wanted:
    """Which garment a picture must have.

    Attributes:
        classes: 0-based, one of them; any if empty.
        attributes: name -> its value in files, as number and as text.
    """

    classes: frozenset[int]
    attributes: Mapping[str, tuple[int, str]]

    @classmethod
    def from_words(
        cls, categories: Sequence[str], attributes: Sequence[str], taxonomy: Taxonomy
    ) -> Wanted:
        """Understand ``skirt`` and ``occlusion=heavy``.

        Raises:
            UserError: there is no such category, attribute or value.
        """
        known = {
            plain_name(name): c.id - 1
            for c in taxonomy.categories
            for name in (c.official_name, c.name)
        }
        for name in categories:
            if plain_name(name) not in known:
                names = ", ".join(category.name for category in taxonomy.categories)
                raise UserError(
                    f"--category: {taxonomy.name} has no {name!r}; it has {names}", exit_code=2
                )
        return cls(
            frozenset(known[plain_name(name)] for name in categories),
            dict(_attribute(words) for words in attributes),
        )

    def fits(self, item: CocoItem) -> bool:
        if item.annotation.iscrowd or (self.classes and item.class_index not in self.classes):
            return False
        return all(getattr(item.annotation, k) in values for k, values in self.attributes.items())

    @property
    def is_anything(self) -> bool:
        return not self.classes and not self.attributes


def _attribute(words: str) -> tuple[str, tuple[int, str]]:
    name, _, text = words.partition("=")
    values = VALUES.get(name)
    if values is None:
        raise UserError(
            f"--attribute: must be NAME=VALUE with a name of {', '.join(VALUES)}, "
            f"but got {words!r}",
            exit_code=2,
        )
    for number, value in enumerate(values, 1):
        if plain_name(text) in (value, str(number)):
            return name, (number, value)
    raise UserError(
        f"--attribute {name}: must be one of {', '.join(values)}, but got {text!r}", exit_code=2
    )


def choose(
    source: Source, wanted: Wanted, args: argparse.Namespace
) -> tuple[list[int], dict[int, list[str]]]:
    """Return the ids of the pictures to show, and what is suspicious in each.

    What `df2 check` calls an error does not end this: it is to be seen.

    Raises:
        UserError: a record is wrong, or there is no such picture.
    """
    reader = CocoReader(source.json_file, taxonomy=source.taxonomy)
    fitting = array("q")
    for images, items in reader.blocks(raise_errors=False):
        if wanted.is_anything:
            fitting.extend(image.id for image in images)
        else:
            fitting.extend(item.annotation.image_id for item in items if wanted.fits(item))
    image_ids = np.unique(np.asarray(fitting, dtype=np.int64))
    suspects: dict[int, list[str]] = {}
    if args.suspicious:
        suspects = reader.suspects
        image_ids = image_ids[np.isin(image_ids, list(suspects))]
    if not len(image_ids):
        raise UserError(f"{source.json_file}: none of its pictures is of the kind asked for")
    if args.shuffle:
        image_ids = np.random.default_rng(args.seed).permutation(image_ids)
    return image_ids[: args.images].tolist(), suspects


def read_examples(source: Source, image_ids: Sequence[int]) -> list[Example]:
    """Read some pictures' records, in this order."""
    images: dict[int, CocoImage] = {}
    items_of: dict[int, list[CocoItem]] = defaultdict(list)
    chosen = set(image_ids)
    reader = CocoReader(source.json_file, taxonomy=source.taxonomy)
    for some_images, items in reader.blocks(raise_errors=False):
        images |= {image.id: image for image in some_images if image.id in chosen}
        for item in items:
            if item.annotation.image_id in chosen and not item.annotation.iscrowd:
                own = item._replace(landmarks=item.landmarks.copy())  # lets go of its block
                items_of[item.annotation.image_id].append(own)
    return [Example(images[i], items_of[i], source.taxonomy) for i in image_ids]


def tiles(source: Source, example: Example, columns: Mapping[str, Column]) -> list[Tile]:
    """Return a row of the sheet."""
    path = source.image_root / example.image.file_name
    image = np.ascontiguousarray(read_picture(path)[:, :, ::-1])
    size, stated = image.shape[1::-1], (example.image.width, example.image.height)
    if size != stated:
        say(f"warning: {path}: width x height are {size}, the annotations say {stated}")
    return [column(example, image) for column in columns.values()]


def draw(tile: Tile) -> Picture:
    if tile.errors is None:
        return draw_garments(tile.image, tile.garments, STYLE)
    drawn = draw_garments(tile.image, tile.garments, PREDICTION)
    return draw_errors(drawn, tile.errors, scale=PREDICTION.scale)


def caption(
    example: Example,
    suspects: Mapping[int, Sequence[str]],
    found: Mapping[int, Found] | None,
) -> list[str]:
    """Return the lines below a row: file, categories, and what is suspicious."""
    names = [
        example.taxonomy.categories[item.class_index].name
        + ("" if found is None or item.annotation.id in found else " (not found)")
        for item in example.items
    ]
    reasons = suspects.get(example.image.id, ())
    more = len(reasons) - MAX_REASONS
    return [
        f"{example.image.file_name} (image {example.image.id})",
        ", ".join(names) or "no garments",
        *reasons[:MAX_REASONS],
        *([f"and {more} more"] if more > 0 else []),
    ]


def true_tile(example: Example, image: Picture) -> Tile:
    record = {
        "height": image.shape[0],
        "width": image.shape[1],
        "annotations": [_annotation(item) for item in example.items],
    }
    return Tile(image, garments_of_record(record, example.taxonomy))


def _annotation(item: CocoItem) -> dict[str, Any]:
    """Return an annotation of a dataset dict; other than the loader's, as the file has it."""
    polygons = polygons_of_annotation(item.annotation)
    xy = np.clip(to_continuous(item.landmarks[:, :2]), -FAR_PX, FAR_PX)
    return {
        "bbox": np.clip(item.annotation.bbox, -FAR_PX, FAR_PX),
        "category_id": item.class_index,
        "keypoints": np.column_stack([xy, item.landmarks[:, 2]]),
        "segmentation": [p for p in polygons if len(p) >= 6 and len(p) % 2 == 0],
    }


def augmented_columns(source: Source, cfg: CfgNode, count: int) -> dict[str, Column]:
    """Return columns with the examples that the loader of a training gives, one per seed."""
    from detectron2.data import DatasetCatalog

    from df2_landmarks.data import seed_by, training_mapper

    records = DatasetCatalog.get(source.name)
    mapper = training_mapper(cfg, records)

    def tile(seed: int, example: Example, _: Picture) -> Tile:
        seed_by(example.image.id, seed)
        mapped = mapper(record_of(records, example.image.id))
        assert mapped is not None  # bad images stop the command
        image = mapped["image"].numpy().transpose(1, 2, 0)
        image = image if cfg.INPUT.FORMAT == "BGR" else image[:, :, ::-1]
        garments = garments_of_targets(mapped["instances"], source.taxonomy)
        return Tile(np.ascontiguousarray(image), garments)

    return {f"augmented, seed {seed}": partial(tile, seed) for seed in range(count)}


def record_of(records: Sequence[dict[str, Any]], image_id: int) -> dict[str, Any]:
    """Return the record of an image; they are in the order of the ids."""
    low, high = 0, len(records) - 1
    while low < high:
        middle = (low + high) // 2
        if records[middle]["image_id"] < image_id:
            low = middle + 1
        else:
            high = middle
    assert records[low]["image_id"] == image_id, image_id
    return records[low]


def scored_results(source: Source, results: str) -> Scored:
    """Score results on all pictures of the file.

    Raises:
        UserError: these are no results for the file.
    """
    truth = read_ground_truth(source.json_file, needs_annotations=True, taxonomy=source.taxonomy)
    return Scored(truth, score(truth, read_results(results, truth), VISIBLE_AND_OCCLUDED))


def found_garments(source: Source, scored: Scored, image_ids: Sequence[int]) -> dict[int, Found]:
    """Return annotation id -> prediction, for the garments of some pictures that were found."""
    truth, result = scored
    shown = np.isin(truth.image_ids, image_ids)
    found: dict[int, Found] = {}
    for c, category in enumerate(source.taxonomy.categories):
        rows, item_rows = result.pairs.class_rows(c)
        items = result.matching.item[0, 0, rows] - item_rows.start  # all sizes, OKS .5
        detections, of_class = result.pairs.ranked[c], truth.classes[c]
        for row in np.flatnonzero((items >= 0) & shown[detections.image_index]):
            item = items[row]
            predicted, true = detections.landmarks_xy[row], of_class.landmarks_xy[item]
            labelled = of_class.labelled(VISIBLE_AND_OCCLUDED)[item]
            unit_px = sigma_px(of_class.areas[[item]], source.taxonomy.sigmas(c))[0]
            error_sigmas = np.hypot(*(predicted - true).T) / unit_px
            garment = drawable_detection(detections, int(row), category)
            found[int(of_class.ids[item])] = Found(
                garment,
                LandmarkErrors(
                    garment.landmarks.xy[labelled],
                    to_continuous(true)[labelled],
                    error_sigmas[labelled],
                ),
            )
    return found


def predicted_tile(found: Mapping[int, Found], example: Example, image: Picture) -> Tile:
    shown = [found[item.annotation.id] for item in example.items if item.annotation.id in found]
    return Tile(image, [one.garment for one in shown], [one.errors for one in shown])


def write_page(
    args: argparse.Namespace,
    source: Source,
    examples: Sequence[Example],
    columns: Mapping[str, Column],
    suspects: Mapping[int, Sequence[str]],
    scored: Scored | None,
) -> None:
    """Write the page, and print how large it is."""
    from df2_landmarks.report import picture_of_garments, scored_pictures, write_browser

    rows = []
    for example in examples:
        row = []
        for name, tile in zip(columns, tiles(source, example, columns), strict=True):
            title, *lines = caption(example, suspects, None)
            rgb = np.ascontiguousarray(tile.image[:, :, ::-1])
            shown = picture_of_garments(title, rgb, tile.garments, lines=lines, tags=tags(example))
            row.append((shown, name if len(columns) > 1 else ""))
        rows.append(row)
    note = "Point at a landmark for its name."
    if scored is not None:
        note = "Predictions over ground truth; point at a landmark for its name and its error."
        records = {example.image.id: example.image for example in examples}
        with_predictions = scored_pictures(*scored, list(records), records, source.image_root)
        for row, example, shown in zip(rows, examples, with_predictions, strict=True):
            reasons = caption(example, suspects, None)[2:]
            row[0] = replace(shown, lines=(*shown.lines, *reasons)), row[0][1]
    write_browser(
        args.html,
        rows,
        title=f"Pictures of {source.json_file.name}",
        counts=f"{len(examples)} pictures",
        note=note,
        has_predictions=scored is not None,
    )
    say(f"{args.html}: {len(examples)} pictures ({args.html.stat().st_size / 1e6:.1f} MB)")


def tags(example: Example) -> dict[str, list[str]]:
    """Return what a page can filter a picture by: category, and each attribute that is known."""
    found: dict[str, list[str]] = defaultdict(list)
    for item in example.items:
        found["category"].append(example.taxonomy.categories[item.class_index].official_name)
        for name, values in VALUES.items():
            value = getattr(item.annotation, name)
            found[name] += [text for n, text in enumerate(values, 1) if value in (n, text)]
    return {name: texts for name, texts in found.items() if texts}


if __name__ == "__main__":
    sys.exit(main())
