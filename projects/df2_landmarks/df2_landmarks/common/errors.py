"""The one error that is a user's mistake. Everything else is a bug and keeps its traceback."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake of the user: a wrong file, a wrong value, a command that cannot be carried out.

    The message is one line: where, what was expected, what was found, what to do. A command prints
    it without a traceback and ends with ``exit_code`` (`run_command`).

    Attributes:
        exit_code: 1 for wrong data, 2 for a command that cannot be carried out as given.

    Example:
        >>> raise UserError("train.json, annotations[3]: category_id must be 1..13, but got 0")
        Traceback (most recent call last):
        df2_landmarks.common.errors.UserError: train.json, annotations[3]: category_id must be \
1..13, but got 0
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
