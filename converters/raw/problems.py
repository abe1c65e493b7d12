"""What can be wrong with a raw file: one record type, and the exception that carries it."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """Something about a file or one of its items that had to be repaired or left out.

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
        """The problem as one line: where, what."""
        where = self.file if self.item is None else f"{self.file}, {self.item}"
        return f"{where}: {self.message}"


class DataError(ValueError):
    """A raw file that cannot be converted. Its text is one line for the user.

    Args:
        problem: what is wrong, and where.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)  # as the only argument: so it can be sent between processes
        self.problem = problem

    def __str__(self) -> str:
        return self.problem.line()


class UsageError(Exception):
    """A command that cannot be carried out as given. Its text is one line for the user."""
