"""``df2 challenge team``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from df2_landmarks.challenge.board import open_store
from df2_landmarks.common import say


def add_team(commands: Any) -> None:
    """Add the subcommand ``team`` to the subparsers of ``df2 challenge``."""
    parser = commands.add_parser("team", help="make a team of a board, and print its token")
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of the board")
    parser.add_argument("name", metavar="NAME", help="of the team, as the leaderboard shows it")
    parser.add_argument(
        "--new-token", action="store_true", help="of a team that exists; its old one ends"
    )
    parser.set_defaults(run=run_team)


def run_team(args: argparse.Namespace) -> None:
    """Make a team, or a new token for one, and print the token."""
    with open_store(args.data) as store:
        token = store.replace_token(args.name) if args.new_token else store.add_team(args.name)
    say(token)
    say(f"This token of the team {args.name} is stored nowhere else: it is not shown again.")
