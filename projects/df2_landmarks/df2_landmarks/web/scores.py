"""The section *Score*: submissions of teams, their scores, and the leaderboard of a board.

A submission is the body of its request, not a form: it goes to the disk as it comes in. Teams show
their own tokens (`df2 challenge team`); the leaderboard is for everyone who reaches the server.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from df2_landmarks.challenge.board import (
    FREE_BYTES,
    Board,
    DailyLimitError,
    DiskFullError,
    Entry,
    Submission,
    Team,
    TooLargeError,
)
from df2_landmarks.common import UserError
from df2_landmarks.web.openapi import COMMON_REFUSALS, answers, reference
from df2_landmarks.web.section import Section, json_answer, refusal
from df2_landmarks.web.tokens import bearer_token

NAME = "score"
SUBMISSIONS, DETAILS, LEADERBOARD = "/submissions", "/score", "/leaderboard"
STATUS = {TooLargeError: 413, DailyLimitError: 429, DiskFullError: 507}
"""Error -> status of HTTP; other mistakes of a user have 400."""
BUSY_SECONDS = 5

Query = TypeVar("Query", bound=msgspec.Struct)


class SubmissionFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a team says of a submission, as the page of 2019 asked.

    Attributes:
        phase: of the challenge, such as "validation".
        method_description: in words.
        external_data: "yes" or "no": was other data than the challenge's used?
    """

    phase: str
    method_description: str
    external_data: str


class DetailsQuery(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which submission.

    Attributes:
        submission: its id.
    """

    submission: Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]


class LeaderboardQuery(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which leaderboard.

    Attributes:
        phase: of the challenge.
    """

    phase: str


class Accepted(msgspec.Struct, kw_only=True):
    """The answer to a submission: it is on the disk and will be scored."""

    id: int


class History(msgspec.Struct, kw_only=True):
    """All submissions of a team, the newest first."""

    team: str
    submissions: list[Submission]


class Leaderboard(msgspec.Struct, kw_only=True):
    """The best submission of each team in a phase."""

    phase: str
    ground_truth_sha256: str
    entries: list[Entry]


class ScoreDetails(msgspec.Struct, kw_only=True):
    """All that was computed of a submission.

    Attributes:
        scorer: name and version of the package.
        ground_truth_sha256: of the file that was scored against.
        submission: its counts.
        scores: by protocol, as ``df2 score --json`` writes them.
        diagnosis: why the score is what it is, as ``df2 score --diagnose`` prints it; None in the
            test phase.
    """

    scorer: str
    ground_truth_sha256: str
    submission: dict[str, Any]
    scores: dict[str, dict[str, Any]]
    diagnosis: str | None


def score_section(board: Board) -> Section:
    """Return the section of an open board."""

    async def team_of(request: Request) -> Team:
        with refusals():
            team = await run_in_threadpool(
                board.store.team_of, bearer_token(request.headers.get("authorization", ""))
            )
        if team is None:
            raise refusal(401, "this needs a team's token: the header Authorization: Bearer TOKEN")
        return team

    async def submit(request: Request) -> Response:
        team = await team_of(request)
        fields = msgspec.structs.asdict(_query(request, SubmissionFields))
        with refusals():
            board.check(**fields)
            _refuse_form(request)
            with board.new_upload() as upload:
                async for data in request.stream():
                    upload.write(data)
                submission_id = await run_in_threadpool(board.accept, upload, team, **fields)
        return json_answer(Accepted(id=submission_id), 202)

    async def history(request: Request) -> Response:
        team = await team_of(request)
        with refusals():
            submissions = await run_in_threadpool(board.store.history, team)
        return json_answer(History(team=team.name, submissions=submissions))

    async def details(request: Request) -> Response:
        team = await team_of(request)
        number = _query(request, DetailsQuery).submission
        with refusals():
            text = await run_in_threadpool(board.store.details, team, number)
        if text is None:
            raise refusal(404, f"{team.name} has no submission {number} with a score")
        return Response(text, media_type="application/json")

    async def leaderboard(request: Request) -> Response:
        phase = _query(request, LeaderboardQuery).phase
        with refusals():
            entries = await run_in_threadpool(board.leaderboard, phase)
        sha256 = board.phases[phase].sha256
        return json_answer(Leaderboard(phase=phase, ground_truth_sha256=sha256, entries=entries))

    def about() -> dict[str, Any]:
        return {
            "phases": list(board.phases),
            "daily_limit": board.daily_limit,
            "max_mb": board.max_bytes / 1e6,
        }

    def health() -> dict[str, Any]:
        free_bytes = shutil.disk_usage(board.folder).free
        try:
            num_waiting = board.store.num_waiting()
        except sqlite3.Error:
            return {"ok": False, "error": "the database does not answer"}
        return {
            "ok": board.worker.is_alive() and free_bytes > board.max_bytes + FREE_BYTES,
            "scoring": board.worker.is_alive(),
            "waiting": num_waiting,
            "free_bytes": free_bytes,
        }

    return Section(
        name=NAME,
        routes=[
            Route(SUBMISSIONS, submit, methods=["POST"]),
            Route(SUBMISSIONS, history),
            Route(DETAILS, details),
            Route(LEADERBOARD, leaderboard),
        ],
        open_paths=frozenset((SUBMISSIONS, DETAILS, LEADERBOARD)),
        body_limits={SUBMISSIONS: board.max_bytes},
        about=about,
        health=health,
        paths=OPERATIONS,
        structs=(Accepted, History, Leaderboard, ScoreDetails),
    )


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the board refuses into the answer of a request.

    Raises:
        HTTPException: the reason, or that the database is busy.
    """
    try:
        yield
    except UserError as error:
        raise refusal(STATUS.get(type(error), 400), str(error)) from None
    except sqlite3.OperationalError:
        raise refusal(503, "busy: try again", retry_after=BUSY_SECONDS) from None


def _query(request: Request, struct: type[Query]) -> Query:
    """Return the query of a request as a struct.

    Raises:
        HTTPException: a field is missing, unknown or wrong.
    """
    try:
        return msgspec.convert(dict(request.query_params), struct, strict=False)
    except msgspec.ValidationError as error:
        raise refusal(400, f"the query: {error}") from None


def _refuse_form(request: Request) -> None:
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise refusal(
            415,
            "the body must be the zip itself, but is a form; with curl: --data-binary @FILE.zip",
        )


def _operation(
    summary: str, answer: type, *, query: type | None = None, needs_token: bool = True
) -> dict[str, Any]:
    parameters = []
    if query is not None:
        _, schemas = msgspec.json.schema_components([query])
        parameters = [
            {"name": name, "in": "query", "required": True, "schema": schema}
            for name, schema in schemas[query.__name__]["properties"].items()
        ]
    return {
        "summary": summary,
        "security": [{"token": []}] if needs_token else [],
        "parameters": parameters,
        "responses": answers({"application/json": reference(answer)}, REFUSALS),
    }


def _submit_operation() -> dict[str, Any]:
    operation = _operation("Submit a zip.", Accepted, query=SubmissionFields)
    zip_schema = {"schema": {"type": "string", "contentMediaType": "application/zip"}}
    operation["requestBody"] = {"required": True, "content": {"application/zip": zip_schema}}
    operation["responses"]["202"] = operation["responses"].pop("200")
    return operation


REFUSALS = {
    **COMMON_REFUSALS,
    404: "The team has no such submission, or it has no score yet.",
    413: "The zip is too large.",
    415: "The body is a form.",
    429: "The team has used its submissions of this day (UTC).",
    507: "The disk is full.",
}
OPERATIONS: Mapping[str, Any] = {
    SUBMISSIONS: {
        "post": _submit_operation(),
        "get": _operation("All submissions of the team.", History),
    },
    DETAILS: {"get": _operation("All numbers of a submission.", ScoreDetails, query=DetailsQuery)},
    LEADERBOARD: {
        "get": _operation(
            "The best submission of each team.",
            Leaderboard,
            query=LeaderboardQuery,
            needs_token=False,
        )
    },
}
