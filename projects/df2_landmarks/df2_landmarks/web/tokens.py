"""Tokens: who may use a server that more than its own machine can reach."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from df2_landmarks.common import UserError, check_input_file

TOKEN_BYTES = 32
LINE = re.compile(r"(?P<name>\S+)\s+(?P<digest>[0-9a-f]{64})")


def token_digest(token: str) -> str:
    """Return the SHA-256 of a token, in hexadecimal digits: the form in which it is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def new_token(name: str) -> tuple[str, str]:
    """Return a new token, and the line for the file of tokens, which does not contain it.

    Args:
        name: of who gets it; without spaces.

    Raises:
        UserError: the name is empty or has spaces.

    Example:
        >>> from df2_landmarks.web import Tokens, new_token
        >>> token, line = new_token("anna")
        >>> Tokens.from_text(line).holder(token)
        'anna'
    """
    if not name or re.search(r"\s", name) or not name.isprintable() or name.startswith("#"):
        raise UserError(f"the name of a token must be a word, but got {name!r}", exit_code=2)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return token, f"{name} {token_digest(token)}"


def bearer_token(authorization: str) -> str:
    """Return the token in a header ``Authorization: Bearer TOKEN``; "" if there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class Tokens:
    """The tokens that a server accepts, by their SHA-256."""

    def __init__(self, holders: Mapping[str, str]) -> None:
        """
        Args:
            holders: SHA-256 of a token, in hexadecimal digits -> name of who has it.
        """
        self._holders = dict(holders)

    @classmethod
    def from_text(cls, text: str, where: str = "tokens") -> Tokens:
        """Read lines as `new_token` gives them; empty ones and those that begin with # are skipped.

        Raises:
            UserError: a line is another thing, or there is none.
        """
        holders = {}
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = LINE.fullmatch(line.strip())
            if match is None:
                raise UserError(
                    f"{where}, line {number}: must be a name and the SHA-256 of a token, as "
                    "`df2 web --new-token NAME` prints it"
                )
            holders[match["digest"]] = match["name"]
        if not holders:
            raise UserError(f"{where}: has no token; `df2 web --new-token NAME` makes one")
        return cls(holders)

    @classmethod
    def read(cls, file: Path) -> Tokens:
        """Read a file of tokens (`from_text`).

        Raises:
            UserError: it cannot be read, or `from_text` refuses.
        """
        check_input_file(file)
        return cls.from_text(file.read_text(encoding="utf-8", errors="replace"), str(file))

    def holder(self, token: str) -> str | None:
        """Return the name of who has a token, None if it is unknown.

        All of them are compared, each in constant time: the time of the answer says nothing.
        """
        digest, name = token_digest(token), None
        for known, holder in self._holders.items():
            if hmac.compare_digest(known, digest):
                name = holder
        return name
