"""A board: it accepts submissions of teams, scores them in a child process, and ranks the teams.

* ``store``: teams, submissions and scores in SQLite; every change is one transaction.
* ``records``: what the store gives out.
* ``upload``: a file that is counted and hashed while it comes in.
* ``phases``: the ground truth that is scored against.
* ``scoring``: starts ``scorer``, the program that scores a submission, within limits.
* ``worker``: the thread that has what is queued scored.
* ``board``: all of them on one folder.

A crash at any moment loses no accepted submission and shows no half score: a submission is on the
disk, then in the store, and only then accepted; a score is one transaction; what was being scored
is scored again after a restart.
"""

from df2_landmarks.challenge.board.board import Board, open_board
from df2_landmarks.challenge.board.phases import Phase, read_phase
from df2_landmarks.challenge.board.records import Entry, Submission, SubmissionScore, Team
from df2_landmarks.challenge.board.scoring import Limits
from df2_landmarks.challenge.board.store import Store, open_store
from df2_landmarks.challenge.board.upload import (
    FREE_BYTES,
    DailyLimitError,
    DiskFullError,
    TooLargeError,
    Upload,
)

__all__ = [
    "FREE_BYTES",
    "Board",
    "DailyLimitError",
    "DiskFullError",
    "Entry",
    "Limits",
    "Phase",
    "Store",
    "Submission",
    "SubmissionScore",
    "Team",
    "TooLargeError",
    "Upload",
    "open_board",
    "open_store",
    "read_phase",
]
