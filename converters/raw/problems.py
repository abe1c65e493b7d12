"""What can be wrong with a raw file: one record type, and the error that carries it."""

from __future__ import annotations

from typing import NamedTuple

from df2_landmarks.common import UserError


class Problem(NamedTuple):
    """Something in a file that had to be repaired or left out.

    Attributes:
        reason: short name of the rule, the key of the summary ("wrong_landmark_count").
        file: path of the raw file.
        item: key of the item in the file ("item2"), None for a problem of the whole file.
        message: field, expected, got.
    """

    reason: str
    file: str
    item: str | None
    message: str

    def line(self) -> str:
        """Return the problem as one line: where, what."""
        where = self.file if self.item is None else f"{self.file}, {self.item}"
        return f"{where}: {self.message}"


class RawFileError(UserError):
    """A raw file that cannot be converted.

    Args:
        problem: what is wrong, and where.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.line())
        self.problem = problem

    def __reduce__(self) -> tuple[type[RawFileError], tuple[Problem]]:
        return type(self), (self.problem,)  # a worker process sends it to its parent
