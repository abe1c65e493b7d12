"""Taxonomies as plain data: the ``categories`` of a COCO file, with flip pairs and sigmas.

The same rows stand in COCO files, in taxonomy files, in checkpoints and in configurations.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec

from df2_landmarks.common import UserError
from df2_landmarks.taxonomy.category import DEFAULT_SIGMA, Category
from df2_landmarks.taxonomy.deepfashion2 import DEEPFASHION2
from df2_landmarks.taxonomy.taxonomy import Taxonomy

Landmark = int | str
"""Its number, from 1, or its name."""
Edge = Annotated[list[Landmark], msgspec.Meta(min_length=2, max_length=2)]


TEXT_PREFIX = "json:"
"""What the text of a taxonomy in a configuration begins with."""


class CategoryRow(msgspec.Struct, omit_defaults=True):
    """A record of ``categories``. Landmarks are given by number, from 1, or by name.

    Attributes:
        name: unique.
        keypoints: names of the landmarks, in the order of the annotations.
        id: the order of the categories; the place in the list by default.
        skeleton: pairs of landmarks that a drawing joins.
        flip_pairs: pairs of landmarks that change places in a mirrored image; by default guessed
            from "left" and "right" in the names.
        sigmas: OKS sigma of each landmark, of some by name, or one for all; DEFAULT_SIGMA where
            there is none.
        color: of drawings, "#rrggbb".
        official_name: another name, for tables.
        supercategory: of COCO files.
    """

    name: Annotated[str, msgspec.Meta(min_length=1)]
    keypoints: list[str]
    id: int | None = None
    skeleton: list[Edge] = []
    flip_pairs: list[Edge] | None = None
    sigmas: list[float] | dict[str, float] | float | None = None
    color: Annotated[str, msgspec.Meta(pattern="^#[0-9a-fA-F]{6}$")] | None = None
    official_name: str | None = None
    supercategory: str = ""


class TaxonomyFile(msgspec.Struct, omit_defaults=True):
    """A taxonomy file; its other members, those of a COCO file, are not looked at.

    Attributes:
        categories: the table.
        name: what people call it; the name of the file by default.
    """

    categories: Annotated[list[CategoryRow], msgspec.Meta(min_length=1)]
    name: str = ""


def taxonomy_from_rows(rows: Any, *, name: str, where: str, notes: Sequence[str] = ()) -> Taxonomy:
    """Make a taxonomy of the ``categories`` of a COCO file or of a taxonomy file.

    Args:
        rows: a list of dicts, as `CategoryRow`; other keys are not looked at.
        name: of the taxonomy.
        where: place of the rows, for messages.
        notes: of an earlier reader of the same rows.

    Raises:
        UserError: a row is wrong; the message names it.

    Example:
        >>> from df2_landmarks.taxonomy import taxonomy_from_rows
        >>> row = {"name": "fox", "keypoints": ["ear_left", "ear_right", "nose"]}
        >>> foxes = taxonomy_from_rows([row], name="foxes", where="foxes.yaml")
        >>> foxes.categories[0].flip_pairs
        ((1, 2),)
        >>> print(*foxes.notes, sep="; ")
        fox: flip pairs guessed from the names: ear_left - ear_right; sigmas: .05, the default, for fox
    """  # noqa: E501
    try:
        checked = msgspec.convert(rows, list[CategoryRow])
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: {_readable(error)}") from None
    ids = [place if row.id is None else row.id for place, row in enumerate(checked, 1)]
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise UserError(f"{where}: category ids must be unique, but {twice} occurs again")
    ordered = [row for _, row in sorted(zip(ids, checked, strict=True), key=lambda pair: pair[0])]
    assumed: list[str] = [*notes]
    without_sigmas: list[str] = []
    try:
        categories = [
            _category(number, row, assumed, without_sigmas) for number, row in enumerate(ordered, 1)
        ]
        if without_sigmas:
            default = f"{DEFAULT_SIGMA:g}".lstrip("0")
            assumed.append(f"sigmas: {default}, the default, for {', '.join(without_sigmas)}")
        supercategories = {row.supercategory for row in ordered}
        taxonomy = Taxonomy(
            name,
            categories,
            notes=tuple(dict.fromkeys(assumed)),
            supercategory=supercategories.pop() if len(supercategories) == 1 else "",
        )
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
    return DEEPFASHION2 if taxonomy == DEEPFASHION2 else taxonomy


def category_rows(taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Return the ``categories`` of a COCO file, as `taxonomy_from_rows` reads them.

    Example:
        >>> from df2_landmarks.taxonomy import DEEPFASHION2, category_rows
        >>> skirt = category_rows(DEEPFASHION2)[8]
        >>> skirt["id"], skirt["name"], len(skirt["keypoints"]), skirt["flip_pairs"]
        (9, 'skirt', 8, [[1, 3], [4, 8], [5, 7]])
    """
    extra = {"supercategory": taxonomy.supercategory} if taxonomy.supercategory else {}
    return [
        {
            "id": category.id,
            "name": category.name,
            **extra,
            **({} if own == category.name else {"official_name": own}),
            "keypoints": list(category.landmark_names),
            "skeleton": [list(edge) for edge in category.skeleton],
            "flip_pairs": [list(pair) for pair in category.flip_pairs],
            "sigmas": [float(sigma) for sigma in category.sigmas],
            "color": category.color,
        }
        for category in taxonomy.categories
        for own in (category.official_name,)
    ]


def taxonomy_text(taxonomy: Taxonomy) -> str:
    """Return a taxonomy as the text that a configuration holds: "" for DeepFashion2.

    Others are JSON behind ``json:``: without it, yacs would take the text for a Python literal.
    """
    if taxonomy == DEEPFASHION2:
        return ""
    content = {
        "name": taxonomy.name,
        "notes": taxonomy.notes,
        "categories": category_rows(taxonomy),
    }
    return TEXT_PREFIX + msgspec.json.encode(content).decode()


def taxonomy_of(cfg: Any) -> Taxonomy:
    """Return the taxonomy of a finished configuration, a ``CfgNode`` of Detectron2.

    Raises:
        UserError: MODEL.ROI_LANDMARK_HEAD.TAXONOMY is not a text of `taxonomy_text`.
    """
    text = cfg.MODEL.ROI_LANDMARK_HEAD.TAXONOMY
    if not text:
        return DEEPFASHION2
    where = "MODEL.ROI_LANDMARK_HEAD.TAXONOMY"
    try:
        content = msgspec.json.decode(text.removeprefix(TEXT_PREFIX), type=_Text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UserError(f"{where}: must be a taxonomy, but got {text[:60]!r} ({error})") from None
    return taxonomy_from_rows(
        content.categories, name=content.name, where=where, notes=content.notes
    )


def guessed_pairs(landmark_names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return the numbers, from 1, of landmarks whose names differ in left and right only.

    Example:
        >>> from df2_landmarks.taxonomy import guessed_pairs
        >>> guessed_pairs(["nose", "left_eye", "right_eye", "L paw", "R paw", "tail"])
        ((2, 3), (4, 5))
    """
    numbers = {_words(name): number for number, name in enumerate(landmark_names, 1)}
    pairs = []
    for words, number in numbers.items():
        partner = numbers.get(tuple(_RIGHT_OF.get(word, word) for word in words))
        if partner is not None and partner != number:
            pairs.append((min(number, partner), max(number, partner)))
    return tuple(sorted(pairs))


_RIGHT_OF = {"left": "right", "l": "r"}


def _words(name: str) -> tuple[str, ...]:
    """``"leftEye_1"`` -> ``("left", "eye", "1")``."""
    return tuple(word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+", name))


class _Text(msgspec.Struct):
    name: str
    categories: list[dict[str, Any]]
    notes: list[str] = []


def _category(
    number: int, row: CategoryRow, notes: list[str], without_sigmas: list[str]
) -> Category:
    where = f"category {number} ({row.name})"
    names = tuple(row.keypoints)
    guessed = guessed_pairs(names)
    if row.flip_pairs is not None:
        flip_pairs = tuple(_edge(edge, names, f"{where}, flip_pairs") for edge in row.flip_pairs)
        unpaired = set(guessed) - {(min(pair), max(pair)) for pair in flip_pairs}
        if unpaired:
            notes.append(
                f"{row.name}: these names differ in left and right only, but are no flip pairs: "
                f"{_shown_pairs(sorted(unpaired), names)} (numbers count from 1)"
            )
    elif guessed:
        flip_pairs = guessed
        shown = _shown_pairs(guessed, names)
        notes.append(f"{row.name}: flip pairs guessed from the names: {shown}")
    else:
        flip_pairs = ()
        if len(names) > 1:
            notes.append(f"{row.name}: no flip pairs: no names differ in left and right only")
    if row.sigmas is None:
        without_sigmas.append(row.name)
    elif isinstance(row.sigmas, dict) and len(row.sigmas) < len(names):
        without_sigmas.append(f"{len(names) - len(row.sigmas)} landmarks of {row.name}")
    return Category(
        id=number,
        name=row.name,
        official_name=row.official_name or row.name,
        color=row.color or _color(number),
        landmark_names=names,
        flip_pairs=flip_pairs,
        outlines=_skeleton(row, names, where, notes),
        sigmas=_sigmas(row, names, where),
    )


def _sigmas(row: CategoryRow, names: Sequence[str], where: str) -> tuple[float, ...]:
    if isinstance(row.sigmas, list):
        return tuple(row.sigmas)
    if isinstance(row.sigmas, dict):
        unknown = next((name for name in row.sigmas if name not in names), None)
        if unknown is not None:
            raise ValueError(f"{where}, sigmas: there is no landmark {unknown!r}")
        return tuple(row.sigmas.get(name, DEFAULT_SIGMA) for name in names)
    return (DEFAULT_SIGMA if row.sigmas is None else row.sigmas,) * len(names)


def _skeleton(
    row: CategoryRow, names: Sequence[str], where: str, notes: list[str]
) -> tuple[tuple[int, int], ...]:
    """Return the edges of landmarks that there are: more than a drawing does not depend on them."""
    edges, left_out = [], []
    for edge in row.skeleton:
        try:
            edges.append(_edge(edge, names, f"{where}, skeleton"))
        except ValueError:
            left_out.append(" - ".join(map(str, edge)))
    if left_out:
        notes.append(
            f"{row.name}: lines of the skeleton left out, numbers are 1..{len(names)}: "
            + ", ".join(left_out)
        )
    return tuple(edges)


def _shown_pairs(pairs: Iterable[tuple[int, int]], names: Sequence[str]) -> str:
    return ", ".join(f"{names[a - 1]} - {names[b - 1]}" for a, b in pairs)


def _edge(edge: Sequence[Landmark], names: Sequence[str], where: str) -> tuple[int, int]:
    """Return the numbers of two landmarks that are given by name or by number."""
    for landmark in edge:
        if isinstance(landmark, str) and landmark not in names:
            raise ValueError(f"{where}: there is no landmark {landmark!r}")
        if isinstance(landmark, int) and not 1 <= landmark <= len(names):
            raise ValueError(f"{where}: numbers must be 1..{len(names)}, but got {landmark}")
    a, b = (names.index(one) + 1 if isinstance(one, str) else one for one in edge)
    return a, b


def _color(number: int) -> str:
    """Return a colour that is unlike those of the numbers nearby: hues a golden angle apart."""
    rgb = colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.85, 0.8)
    return "#" + "".join(f"{round(255 * value):02x}" for value in rgb)


def _readable(error: msgspec.ValidationError) -> str:
    """``Expected `str`, got `int` - at `$[0].name``` -> ``category 1, name: expected ...``."""
    text = str(error)
    message, _, place = text.partition(" - at `$")
    match = re.match(r"\[(\d+)\](.*)`$", place)
    if not match:
        return text
    field = match[2].lstrip(".")
    where = f"category {int(match[1]) + 1}" + (f", {field}" if field else "")
    return f"{where}: {message[0].lower()}{message[1:]}"
