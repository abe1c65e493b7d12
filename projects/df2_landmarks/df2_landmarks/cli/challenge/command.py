"""Hold a challenge with this scorer.

    df2 challenge bundle --title "Foxes 2027" --val val.json --test test.json \\
        --start 2027-01-01 --test-start 2027-03-01 --end 2027-04-01 --output foxes.zip
    df2 challenge check foxes.zip
    df2 challenge team DATA tailors [--new-token]

``bundle`` writes a competition for Codabench, ``check`` says what its server would refuse, ignore
or misunderstand. ``team`` makes a team of the board in the folder DATA, that of ``df2 web --gt``,
and prints the token that the team submits with; the server may be running.
docs/how-to/challenge.md describes it all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from df2_landmarks.cli.challenge import bundle, team
from df2_landmarks.common import run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0, 1 (wrong data), 2 (wrong usage) or 130 (interrupted)."""
    args = parse_args(argv)
    return run_command(lambda: args.run(args), "df2 challenge")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 challenge",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    bundle.add_bundle(commands)
    bundle.add_check(commands)
    team.add_team(commands)
    return parser.parse_args(argv)
