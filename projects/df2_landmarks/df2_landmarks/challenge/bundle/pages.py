"""Pages and terms of a competition, in Markdown. No dollar signs: they would begin a formula."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from df2_landmarks.challenge.bundle.competition import (
    DATE_FORMAT,
    PAGE_FILES,
    RANKING,
    TERMS_FILE,
    Challenge,
)
from df2_landmarks.evaluation import provenance
from df2_landmarks.formats import MAX_DETECTIONS, MEMBERS, GroundTruth
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy


def pages(
    challenge: Challenge,
    ground_truths: Mapping[str, GroundTruth],
    expected: Mapping[str, Mapping[str, float]],
) -> dict[str, str]:
    """Return file -> text of the pages and the terms.

    Args:
        challenge: what it is.
        ground_truths: "val" and "test" -> annotations.
        expected: name of a submission in the starting kit -> its numbers.
    """
    texts = {
        "Overview": _overview(challenge, ground_truths),
        "Evaluation": _evaluation(ground_truths["val"], expected),
        "Submit": _submit(challenge.taxonomy),
    }
    # A dollar sign of a title, say.
    files = {PAGE_FILES[title]: text.replace("$", "&#36;") for title, text in texts.items()}
    return {**files, TERMS_FILE: _TERMS}


def _overview(challenge: Challenge, ground_truths: Mapping[str, GroundTruth]) -> str:
    categories = "\n".join(
        f"| {category.id} | {category.official_name} | {category.num_landmarks} |"
        for category in challenge.taxonomy.categories
    )
    val, test = ground_truths["val"], ground_truths["test"]
    return f"""# {challenge.title}

Find every item in a picture, say which category it is of, and place the landmarks of that category.

| phase | pictures | opens (UTC) | closes (UTC) |
|---|---:|---|---|
| Validation | {len(val.image_ids)} | {_date(challenge.start)} | when Test opens |
| Test | {len(test.image_ids)} | {_date(challenge.test_start)} | {_date(challenge.end)} |

The annotations of the validation phase are public and are in the starting kit: it is for practice.
The test phase decides.

| id | category | landmarks |
|---:|---|---:|
{categories}
"""


def _date(date: datetime | None) -> str:
    return "never" if date is None else date.strftime(DATE_FORMAT)


def _evaluation(ground_truth: GroundTruth, expected: Mapping[str, Mapping[str, float]]) -> str:
    example = expected["example.zip"][RANKING]
    known = provenance(ground_truth)
    return f"""# Evaluation

Average precision (AP) of landmarks: the mean over the OKS thresholds .50, .55 ... .95, and over the
categories, with at most {MAX_DETECTIONS} results for each picture and category. OKS compares a
result with an item over the item's labelled landmarks.

- *visible and occluded*: all labelled landmarks count. **The ranking is by this AP.**
- *visible*: landmarks that are hidden do not count.

The leaderboard has the best entry of each participant. A number that is not defined is -1.

The scorer is {known["scorer"]}; it equals pycocotools with one category's landmarks at a time. The
same command gives the same numbers on your machine: see the README of the starting kit. Its
`example.zip` must get {example:.4f} in the validation phase. The ground truth of that phase has the
SHA-256 `{known["ground_truth_sha256"]}`.
"""


def _submit(taxonomy: Taxonomy) -> str:
    if taxonomy == DEEPFASHION2:
        form = (
            f"x, y and 1 for each of the {taxonomy.num_slots} landmarks of all categories, zeros "
            "but for those of the result's own category"
        )
    else:
        form = (
            "x, y and 1 for each landmark of the result's own category, in the order of the "
            "category's names"
        )
    return f"""# Submit

A zip with one file and no folder: `{MEMBERS["val"]}` in the validation phase,
`{MEMBERS["test"]}` in the test phase. The file is a JSON list of results:

```
[{{"image_id": 1, "category_id": 1, "score": 0.9, "keypoints": [...]}}, ...]
```

`keypoints` has {form}. x and y are pixel indices. Image and category ids are those of the
annotations.

```
df2 submission pack --results results.json --gt validation.json --output submission.zip
df2 submission check submission.zip --gt validation.json
```

The first command packs results, the second one finds what the server would refuse, and names record
and field. For a taxonomy file, add `--taxonomy FILE`.

| the server says | what to do |
|---|---|
| the zip must hold ... without a folder | zip the file itself: `zip -j submission.zip FILE` |
| ... that is of the other split | upload it in the other phase, or pack it for this one |
| numbers must be finite | remove NaN and Infinity |
| image_id: must be an image of the split | the results are of other pictures |

In the test phase the output is hidden: check the zip first. Each submission asks for a description
of the method and whether external data was used; both are shown on the leaderboard.
"""


_TERMS = """# Terms

- The pictures and annotations keep the licences that they were published with.
- The test annotations are not to be looked for, and the test pictures not to be labelled by hand.
- Each participant has one account.
- Say what data beyond the challenge's own was used (the field "External data used").
- The organisers may remove entries that break these terms.
"""
