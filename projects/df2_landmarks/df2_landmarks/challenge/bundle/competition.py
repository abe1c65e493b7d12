"""What a challenge is, and its competition.yaml as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from df2_landmarks.challenge.bundle.program import COLUMNS
from df2_landmarks.evaluation import TITLES
from df2_landmarks.formats import VISIBLE_AND_OCCLUDED
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

DOCKER_IMAGE = "codalab/codalab-legacy:py312"
"""The server's image of Python 3.12, with numpy 1.26; its default has Python 3.7."""
DATE_FORMAT = "%Y-%m-%d %H:%M:%S"
PRECISION = 4
"""Decimals of the leaderboard; by default the server shows an AP of .5346 as 0.53."""
RANKING = f"{VISIBLE_AND_OCCLUDED}_AP"

COMPETITION_FILE, TERMS_FILE, LOGO_FILE = "competition.yaml", "terms.md", "logo.png"
PROGRAM_FILE, KIT_FILE = "scoring_program.zip", "starting_kit.zip"
PAGE_FILES = {
    "Overview": "pages/overview.md",
    "Evaluation": "pages/evaluation.md",
    "Submit": "pages/submit.md",
}
REFERENCE_FILES = {"val": "reference_val.zip", "test": "reference_test.zip"}


@dataclass(frozen=True)
class Challenge:
    """A challenge of two phases: validation, with public annotations, and test, with hidden ones.

    Attributes:
        title: up to 256 characters.
        ground_truths: "val" and "test" -> COCO file with annotations.
        start: of the validation phase, UTC.
        test_start: of the test phase; the validation phase ends a second before.
        end: of the test phase; None for never.
        taxonomy: the categories.
        contact_email: shown to participants; "" for none.
        image: logo, .png, .jpg, .gif or .webp; None to draw one.
    """

    title: str
    ground_truths: dict[str, Path]
    start: datetime
    test_start: datetime
    end: datetime | None = None
    taxonomy: Taxonomy = DEEPFASHION2
    contact_email: str = ""
    image: Path | None = None

    @property
    def image_file(self) -> str:
        """Name of the logo in the bundle."""
        return LOGO_FILE if self.image is None else f"logo{self.image.suffix.lower()}"


def competition(challenge: Challenge) -> dict[str, Any]:
    """Return the content of competition.yaml. Dates are text, which YAML writes in quotes."""
    contact = {"contact_email": challenge.contact_email} if challenge.contact_email else {}
    return {
        "version": 2,
        "title": challenge.title,
        "description": f"Landmark estimation: {challenge.taxonomy.name}",
        "image": challenge.image_file,
        "terms": TERMS_FILE,
        **contact,
        "docker_image": DOCKER_IMAGE,
        "registration_auto_approve": True,
        "make_programs_available": True,
        "pages": [{"title": title, "file": file} for title, file in PAGE_FILES.items()],
        "fact_sheet": _fact_sheet(),
        "tasks": [
            _task(0, "Validation", REFERENCE_FILES["val"]),
            _task(1, "Test", REFERENCE_FILES["test"]),
        ],
        "phases": _phases(challenge),
        "leaderboards": [_leaderboard()],
    }


def _task(index: int, name: str, reference: str) -> dict[str, Any]:
    return {
        "index": index,
        "name": name,
        "scoring_program": PROGRAM_FILE,
        "reference_data": reference,
    }


def _phases(challenge: Challenge) -> list[dict[str, Any]]:
    validation = {
        "index": 0,
        "name": "Validation",
        "description": "Practice: the annotations are public. Output and scores are shown.",
        "start": challenge.start.strftime(DATE_FORMAT),
        "end": (challenge.test_start - timedelta(seconds=1)).strftime(DATE_FORMAT),
        "tasks": [0],
        "max_submissions_per_day": 5,
        "max_submissions": 100,
        "execution_time_limit": 600,
        "starting_kit": KIT_FILE,
    }
    end = {} if challenge.end is None else {"end": challenge.end.strftime(DATE_FORMAT)}
    test = {
        "index": 1,
        "name": "Test",
        "description": "The ranking: the annotations are hidden, and so is the program's output.",
        "start": challenge.test_start.strftime(DATE_FORMAT),
        **end,
        "tasks": [1],
        "max_submissions_per_day": 1,
        "max_submissions": 10,
        "execution_time_limit": 600,
        "hide_output": True,
        "hide_score_output": True,
        "starting_kit": KIT_FILE,
    }
    return [validation, test]


def _leaderboard() -> dict[str, Any]:
    columns = [
        {
            "title": f"{name}, {TITLES[protocol]}",
            "key": key,
            "index": index,
            "sorting": "desc",
            "precision": PRECISION,
        }
        for index, (key, (protocol, name)) in enumerate(COLUMNS.items())
    ]
    return {
        "title": "Landmark AP",
        "key": "landmark_ap",
        "submission_rule": "Force_Best",
        "primary_index": list(COLUMNS).index(RANKING),
        "columns": columns,
    }


def _fact_sheet() -> dict[str, dict[str, Any]]:
    """What a participant says of each submission; shown on the leaderboard."""
    return {
        "method_description": {
            "key": "method_description",
            "type": "text",
            "title": "Method description",
            "selection": "",
            "is_required": "true",
            "is_on_leaderboard": "true",
        },
        "external_data": {
            "key": "external_data",
            "type": "select",
            "title": "External data used",
            "selection": ["no", "yes"],
            "is_required": "true",
            "is_on_leaderboard": "true",
        },
    }
