"""The keys of competition.yaml that the server reads; it ignores all others in silence.

From Codabench's own code (unpackers and serializers of March 2026), which knows more and less than
its documentation.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Key:
    """What the value of a key must be.

    Attributes:
        kind: its type; a whole number is no bool.
        required: the bundle cannot do without it.
        longest: most characters of a text; None for any number.
        choices: the values that are known; empty for all.
        why: for the message where it is missing or of another value.
    """

    kind: type
    required: bool = False
    longest: int | None = None
    choices: tuple[str, ...] = ()
    why: str = ""


Table = Mapping[str, Key]
TEXT, FLAG, NUMBER, LIST = Key(str), Key(bool), Key(int), Key(list)
NEEDED_TEXT, NEEDED_LIST = Key(str, required=True), Key(list, required=True)

COMPETITION: Table = {
    "version": Key(int, required=True),
    "title": Key(str, required=True, longest=256),
    "description": TEXT,
    "image": NEEDED_TEXT,
    "terms": NEEDED_TEXT,
    "pages": NEEDED_LIST,
    "tasks": NEEDED_LIST,
    "phases": NEEDED_LIST,
    "leaderboards": NEEDED_LIST,
    "solutions": LIST,
    "registration_auto_approve": FLAG,
    "docker_image": Key(
        str, required=True, longest=128, why="the server's default image has Python 3.7"
    ),
    "queue": TEXT,
    "enable_detailed_results": FLAG,
    "show_detailed_results_in_submission_panel": FLAG,
    "show_detailed_results_in_leaderboard": FLAG,
    "auto_run_submissions": FLAG,
    "can_participants_make_submissions_public": FLAG,
    "forum_enabled": FLAG,
    "make_programs_available": FLAG,
    "make_input_data_available": FLAG,
    "competition_type": Key(str, choices=("competition", "benchmark")),
    "fact_sheet": Key(dict),
    "reward": Key(str, longest=256),
    "contact_email": TEXT,
}
PAGE: Table = {"title": NEEDED_TEXT, "file": NEEDED_TEXT}
SOLUTION: Table = {
    "index": Key(int, required=True),
    "name": TEXT,
    "description": TEXT,
    "path": NEEDED_TEXT,
    "tasks": NEEDED_LIST,
}
SOLUTION_BY_KEY: Table = {
    "index": Key(int, required=True),
    "key": NEEDED_TEXT,
    "tasks": NEEDED_LIST,
}
TASK: Table = {
    "index": Key(int, required=True),
    "name": Key(str, required=True, longest=256),
    "description": TEXT,
    "scoring_program": NEEDED_TEXT,
    "reference_data": TEXT,
    "input_data": TEXT,
    "ingestion_program": TEXT,
    "ingestion_only_during_scoring": FLAG,
}
TASK_BY_KEY: Table = {"index": Key(int, required=True), "key": NEEDED_TEXT}
"""A task that is on the server: all else is ignored."""
PHASE: Table = {
    "index": NUMBER,
    "name": Key(str, required=True, longest=256),
    "description": TEXT,
    "start": Key(object, required=True),
    "end": Key(object),
    "tasks": NEEDED_LIST,
    "max_submissions_per_day": NUMBER,
    "max_submissions": NUMBER,
    "execution_time_limit": NUMBER,
    "auto_migrate_to_this_phase": FLAG,
    "hide_output": FLAG,
    "hide_prediction_output": FLAG,
    "hide_score_output": FLAG,
    "starting_kit": TEXT,
    "public_data": TEXT,
}
LEADERBOARD: Table = {
    "title": Key(str, required=True, longest=64),
    "key": Key(str, required=True, longest=36),
    "columns": NEEDED_LIST,
    "hidden": FLAG,
    "submission_rule": Key(
        str,
        required=True,
        choices=(
            "Force_Best",
            "Add",
            "Add_And_Delete",
            "Add_And_Delete_Multiple",
            "Force_Last",
            "Force_Latest_Multiple",
        ),
        why="the server unpacks for ever with another one; Force_Best keeps each user's best entry",
    ),
    "primary_index": NUMBER,
}
COLUMN: Table = {
    "title": Key(str, required=True, longest=36),
    "key": Key(str, required=True, longest=36),
    "index": Key(int, required=True),
    "sorting": Key(str, choices=("desc", "asc")),
    "precision": Key(
        int, required=True, why="the default of 2 shows an AP of .5346 as 0.53; write 4"
    ),
    "hidden": FLAG,
    "computation": Key(str, choices=("sum", "avg", "min", "max")),
    "computation_indexes": LIST,
}

INSTEAD = {
    "leaderboard": "write leaderboards, a list",
    "max_submissions_per_person": "write max_submissions",
    "accepts_only_result_submissions": "leave it out: it is documented, but nothing reads it",
    "is_public": "leave it out",
}
"""Keys of the documentation and of examples that the server does not read -> what to do."""


def check_keys(where: str, content: Mapping[Any, Any], table: Table) -> Iterator[str]:
    """Yield a line for each key that is unknown or missing, and each value that is wrong.

    Args:
        where: place in competition.yaml, "" for its top.
        content: the mapping there.
        table: the keys that it may have.

    Example:
        >>> from df2_landmarks.challenge.bundle.keys import PAGE, check_keys
        >>> print(*check_keys("pages[0]", {"titel": "Overview", "file": "overview.md"}, PAGE))
        pages[0].titel: the server ignores this key in silence; write title pages[0]: needs the \
key title
    """
    for name, value in content.items():
        place = f"{where}.{name}" if where else str(name)
        if name not in table:
            close = difflib.get_close_matches(str(name), table, n=1)
            advice = INSTEAD.get(name) or (f"write {close[0]}" if close else "leave it out")
            yield f"{place}: the server ignores this key in silence; {advice}"
            continue
        yield from _check_value(place, value, table[name])
    for name, key in table.items():
        if key.required and name not in content:
            why = f": {key.why}" if key.why else ""
            yield f"{where or 'top level'}: needs the key {name}{why}"


def _check_value(place: str, value: Any, key: Key) -> Iterator[str]:
    if key.kind is not object and type(value) is not key.kind:
        kind = _KINDS[key.kind]
        yield f"{place}: must be {kind}, but got {_shown(value)}"
    elif isinstance(value, str) and not value.strip() and key != TEXT:
        yield f"{place}: must not be empty; {key.why or 'write a text'}"
    elif key.longest is not None and len(value) > key.longest:
        yield f"{place}: must have at most {key.longest} characters, has {len(value)}; shorten it"
    elif key.choices and value not in key.choices:
        why = f"; {key.why}" if key.why else ""
        yield f"{place}: must be {', '.join(key.choices)}, but got {_shown(value)}{why}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_KINDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    list: "a list",
    dict: "a mapping",
}
