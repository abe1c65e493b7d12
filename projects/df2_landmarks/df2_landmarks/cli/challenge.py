"""Hold a challenge of your own.

    df2 challenge team DATA tailors
    df2 challenge team DATA tailors --new-token

``team`` makes a team of the board in the folder DATA, that of ``df2 web --gt ... --data DATA``, and
prints the token that the team submits with. The server may be running.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from df2_landmarks.common import run_command, say


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0, 1 (wrong data), 2 (wrong usage) or 130 (interrupted)."""
    args = parse_args(argv)
    command = {"team": team}[args.command]
    return run_command(lambda: command(args), "df2 challenge")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 challenge",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add_team(commands.add_parser("team", help="make a team of a board, and print its token"))
    return parser.parse_args(argv)


def add_team(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of the board")
    parser.add_argument("name", metavar="NAME", help="of the team, as the leaderboard shows it")
    parser.add_argument(
        "--new-token", action="store_true", help="of a team that exists; its old one ends"
    )


def team(args: argparse.Namespace) -> None:
    from df2_landmarks.challenge.board import open_store

    with open_store(args.data) as store:
        token = store.replace_token(args.name) if args.new_token else store.add_team(args.name)
    say(token)
    say(f"This token of the team {args.name} is stored nowhere else: it is not shown again.")


if __name__ == "__main__":
    sys.exit(main())
