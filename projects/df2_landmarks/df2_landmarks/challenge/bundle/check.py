"""Check a bundle before its upload: what the server refuses, ignores or takes for something else.

Codabench has no validator: the upload is one, and some mistakes leave it unpacking for ever, or are
seen in the middle of the challenge. Each rule here stands for such a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from df2_landmarks.challenge.bundle import keys
from df2_landmarks.challenge.bundle.bundle_files import BundleFiles
from df2_landmarks.challenge.bundle.competition import (
    COMPETITION_FILE,
    DATE_FORMAT,
    DOCKER_IMAGE,
)
from df2_landmarks.common import UserError

OLD_IMAGES = ("codalab/codalab-legacy:py37", "codalab/codalab-legacy:py39")
"""Their Python is older than the scorer's."""
MAX_SECONDS = 600
"""The default queue cuts a longer execution_time_limit."""
MAX_SOLUTION_BYTES = 1 << 30
"""With a sample submission of 1.6 GB, the server unpacked for ever."""
FACT_KEYS = ("key", "type", "title", "selection", "is_required", "is_on_leaderboard")
FACT_TYPES = ("checkbox", "text", "select")
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")

Mappings = Sequence[tuple[str, Mapping[Any, Any]]]
"""Place in competition.yaml, and the mapping there."""


def check_bundle(path: str | Path) -> list[str]:
    """Return a line for each mistake in a bundle: where, what is wrong, what to do.

    Args:
        path: the zip.

    Raises:
        UserError: it is not a zip with a competition.yaml that can be read.
    """
    with closing(BundleFiles(Path(path))) as files:
        content = files.competition()
        if not isinstance(content, dict):
            raise UserError(f"{COMPETITION_FILE}: must be a mapping with a title and other keys")
        problems = [*files.check_names()]
        return problems + [f"{COMPETITION_FILE}, {line}" for line in _check(content, files)]


def _check(content: Mapping[str, Any], files: BundleFiles) -> Iterator[str]:
    yield from keys.check_keys("", content, keys.COMPETITION)
    if "version" in content and content["version"] != 2:
        yield "version: must be 2, or the server takes it for the old format"
    yield from _check_values(content)
    if "image" in content:
        yield from files.check_image("image", content["image"])
    if "terms" in content:
        yield from files.check_text("terms", content["terms"])
    for place, page in _mappings(content, "pages"):
        yield from keys.check_keys(place, page, keys.PAGE)
        if "file" in page:
            yield from files.check_text(f"{place}.file", page["file"])
    for name in ("pages", "tasks", "phases", "leaderboards", "solutions"):
        yield from _check_list(content, name)
    yield from _check_fact_sheet(content.get("fact_sheet"))
    yield from _check_tasks(content, files)
    yield from _check_phases(content, files)
    yield from _check_solutions(content, files)
    yield from _check_leaderboard(content)


def _check_list(content: Mapping[str, Any], name: str) -> Iterator[str]:
    values = content.get(name)
    if not isinstance(values, list):  # said by check_keys
        return
    if not values:
        yield f"{name}: must have an entry"
    for number, value in enumerate(values):
        if not isinstance(value, dict):
            yield f"{name}[{number}]: must be a mapping, but got {value!r}"


def _mappings(content: Mapping[str, Any], name: str) -> Mappings:
    values = content.get(name)
    if not isinstance(values, list):
        return []
    return [(f"{name}[{i}]", value) for i, value in enumerate(values) if isinstance(value, dict)]


def _check_values(content: Mapping[str, Any]) -> Iterator[str]:
    image, email = content.get("docker_image"), content.get("contact_email")
    if image in OLD_IMAGES:
        yield f"docker_image: {image} has an old Python; write {DOCKER_IMAGE}"
    if isinstance(email, str) and not _EMAIL.fullmatch(email):
        yield f"contact_email: must be an address, but got {email!r}; correct it or leave it out"


def _check_fact_sheet(sheet: Any) -> Iterator[str]:
    for name, field in sheet.items() if isinstance(sheet, dict) else ():
        place = f"fact_sheet.{name}"
        if not isinstance(field, dict) or set(field) != set(FACT_KEYS):
            yield f"{place}: must have exactly the keys {', '.join(FACT_KEYS)}"
            continue
        if field["key"] != name:
            yield f"{place}.key: must be {name!r}, but got {field['key']!r}"
        selection: dict[Any, bool] = {
            "checkbox": field["selection"] == [True, False],
            "text": field["selection"] == "",
            "select": isinstance(field["selection"], list) and bool(field["selection"]),
        }
        if field["type"] not in FACT_TYPES:
            yield f"{place}.type: must be {', '.join(FACT_TYPES)}, but got {field['type']!r}"
        elif not selection[field["type"]]:
            yield (
                f'{place}.selection: must be [true, false] of a checkbox, "" of a text, a list of '
                f"a select, but got {field['selection']!r}"
            )
        for flag in ("is_required", "is_on_leaderboard"):
            if field[flag] not in ("true", "false"):
                yield f'{place}.{flag}: must be "true" or "false" in quotes, got {field[flag]!r}'


def _check_tasks(content: Mapping[str, Any], files: BundleFiles) -> Iterator[str]:
    tasks = _mappings(content, "tasks")
    yield from _check_unique(tasks, "index")
    columns = [
        column["key"]
        for _, board in _mappings(content, "leaderboards")[:1]
        for _, column in _mappings(board, "columns")
        if isinstance(column.get("key"), str) and "computation" not in column
    ]
    for place, task in tasks:
        if "key" in task:
            yield from keys.check_keys(place, task, keys.TASK_BY_KEY)
            continue
        yield from keys.check_keys(place, task, keys.TASK)
        for name in ("scoring_program", "reference_data", "input_data", "ingestion_program"):
            if name in task:
                yield from files.check_zip(f"{place}.{name}", task[name])
        program = task.get("scoring_program")
        yield from files.check_program(f"{place}.scoring_program", program, columns)


def _check_unique(mappings: Mappings, name: str) -> Iterator[str]:
    seen: dict[str, str] = {}
    for place, content in mappings:
        value = repr(content.get(name))
        if name in content and value in seen:
            yield f"{place}.{name}: must be unique, but {value} is that of {seen[value]}; change it"
        seen.setdefault(value, place)


def _check_phases(content: Mapping[str, Any], files: BundleFiles) -> Iterator[str]:
    phases = _mappings(content, "phases")
    indexes = [task.get("index") for _, task in _mappings(content, "tasks")]
    for place, phase in phases:
        yield from keys.check_keys(place, phase, keys.PHASE)
        yield from _check_task_indexes(place, phase, indexes)
        for name in ("starting_kit", "public_data"):
            if name in phase:
                yield from files.check_zip(f"{place}.{name}", phase[name])
        limit = phase.get("execution_time_limit")
        if isinstance(limit, int) and limit > MAX_SECONDS and "queue" not in content:
            yield (
                f"{place}.execution_time_limit: must be at most {MAX_SECONDS} s on the default "
                f"queue, which cuts it, but got {limit}; give a queue of your own"
            )
        for name in ("max_submissions_per_day", "max_submissions"):
            if isinstance(phase.get(name), int) and phase[name] < 0:
                yield f"{place}.{name}: must be 0 (no limit) or more, but got {phase[name]}"
    ordered = sorted(phases, key=lambda entry: _index(entry[1]))
    yield from _check_dates(ordered)
    for place, phase in ordered[:1]:
        if phase.get("auto_migrate_to_this_phase"):
            yield f"{place}.auto_migrate_to_this_phase: must not be true in the first phase"
    for place, phase in ordered[-1:] if len(ordered) > 1 else ():
        for name in ("hide_output", "hide_score_output"):
            if phase.get(name) is not True:
                yield (
                    f"{place}.{name}: must be true in the last phase, or participants can download "
                    "what the program prints and writes about hidden annotations"
                )


def _index(phase: Mapping[str, Any]) -> int:
    index = phase.get("index", 0)
    return index if isinstance(index, int) else 0


def _check_task_indexes(
    place: str, content: Mapping[str, Any], indexes: Sequence[Any]
) -> Iterator[str]:
    tasks = content.get("tasks")
    if isinstance(tasks, list):
        if not tasks:
            yield f"{place}.tasks: must have the index of a task"
        for index in tasks:
            if index not in indexes:
                yield f"{place}.tasks: must be of {indexes}, the tasks' indexes, but got {index!r}"


def _check_dates(phases: Mappings) -> Iterator[str]:
    """Check the dates of the phases, in their order."""
    earlier: datetime | None = None
    for number, (place, phase) in enumerate(phases):
        dates: dict[str, datetime] = {}
        for name in ("start", "end"):
            if phase.get(name) is None:
                continue
            value = _date(phase[name])
            if value is None:
                yield f"{place}.{name}: {_about_date(phase[name])}"
            else:
                dates[name] = value
        start, end = dates.get("start"), dates.get("end")
        if phase.get("end") is None and number < len(phases) - 1:
            yield f"{place}: needs an end, as every phase but the last"
        if start is not None and end is not None and end <= start:
            yield f"{place}.end: must be later than the start, but is {phase['end']}"
        if start is not None and earlier is not None and start < earlier + timedelta(seconds=1):
            yield (
                f"{place}.start: phases must not overlap: must be at least 1 s after "
                f"{earlier}, the end of the phase before, but is {start}"
            )
        earlier = end or start or earlier


def _date(value: Any) -> datetime | None:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return None
    try:
        return datetime.strptime(value, DATE_FORMAT)
    except ValueError:
        return None


def _about_date(value: Any) -> str:
    if isinstance(value, date):  # and a datetime, which is one
        return (
            f"must be in quotes, or the server drops the time of day: "
            f'"{datetime(*value.timetuple()[:6]).strftime(DATE_FORMAT)}"'
        )
    return (
        'must be "YYYY-MM-DD HH:MM:SS" in UTC, in quotes and without a zone, which the server '
        f"drops, but got {value!r}"
    )


def _check_solutions(content: Mapping[str, Any], files: BundleFiles) -> Iterator[str]:
    indexes = [task.get("index") for _, task in _mappings(content, "tasks")]
    for place, solution in _mappings(content, "solutions"):
        table = keys.SOLUTION_BY_KEY if "key" in solution else keys.SOLUTION
        yield from keys.check_keys(place, solution, table)
        yield from _check_task_indexes(place, solution, indexes)
        if "path" in solution:
            yield from files.check_zip(f"{place}.path", solution["path"])
            if files.size(str(solution["path"])) > MAX_SOLUTION_BYTES:
                yield f"{place}.path: too large, the server would unpack for ever; leave it out"


def _check_leaderboard(content: Mapping[str, Any]) -> Iterator[str]:
    boards = _mappings(content, "leaderboards")
    if len(boards) > 1:
        yield (
            f"leaderboards: must be one, since the server uses only the first, but are "
            f"{len(boards)}; make the others columns"
        )
    for place, board in boards[:1]:
        yield from keys.check_keys(place, board, keys.LEADERBOARD)
        columns = [(f"{place}.{name}", column) for name, column in _mappings(board, "columns")]
        yield from (f"{place}.{line}" for line in _check_list(board, "columns"))
        yield from _check_unique(columns, "key")
        yield from _check_unique(columns, "index")
        indexes = [column.get("index") for _, column in columns]
        primary = board.get("primary_index", 0)
        if primary not in indexes:
            yield (
                f"{place}.primary_index: must be the index of the ranking column, of {indexes}, "
                f"but is {primary!r}"
            )
        for name, column in columns:
            yield from keys.check_keys(name, column, keys.COLUMN)
            yield from _check_computation(name, column, indexes)


def _check_computation(
    place: str, column: Mapping[str, Any], indexes: Sequence[Any]
) -> Iterator[str]:
    if "computation" not in column and "computation_indexes" not in column:
        return
    sources = column.get("computation_indexes")
    others = [index for index in indexes if index != column.get("index")]
    if "computation" not in column or not isinstance(sources, list) or not sources:
        yield f"{place}: needs both computation and computation_indexes, or it would be n/a"
    elif not all(source in others for source in sources):
        yield (
            f"{place}.computation_indexes: must be of {others}, the other columns, or it would be "
            f"n/a, but got {sources}"
        )
