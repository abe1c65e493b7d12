"""``df2``: the list of commands, and the way to each of them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from df2_landmarks.common import say

COMMANDS = {
    "predict": "find the garments in pictures and videos: named landmarks as JSON, and drawings",
    "export": "write a trained model as ONNX, which runs without torch, or as TorchScript",
    "web": "try a model in the browser: drop photos, see garments; the same as an HTTP API",
    "check": "check a COCO file before hours of training go into it",
    "view": "draw annotated pictures: as in the file, as the training gets them, with errors",
    "taxonomy": "print and check the categories and landmarks of a data set of your own",
    "score": "score a results file or a submission, break it down, diagnose or compare it",
    "report": "write one HTML file with scores, errors, curves and the costliest pictures",
    "submission": "pack, check and score a submission of the challenge",
    "challenge": "make teams of a board; write and check a competition for Codabench",
    "curves": "draw losses, learning rate and scores of trainings",
    "demo": "draw data, train on the CPU, evaluate: the whole job in ten minutes",
    "convert-checkpoint": "convert a checkpoint between a stock head and one head per category",
}
"""Command -> what it does. The module has the command's name, with underscores."""
ROOMS = dict.fromkeys(("curves", "demo", "convert-checkpoint"), "training.")
"""Command -> where its module is, for those that are not in this folder."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``df2 COMMAND ...`` and return its exit code; without a command, list them all."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        say(_usage())
        return 0
    command, *rest = words
    if command not in COMMANDS:
        sys.stderr.write(f"df2: there is no command {command!r}\n{_usage()}\n")
        return 2
    module = importlib.import_module(
        f"df2_landmarks.cli.{ROOMS.get(command, '')}{command.replace('-', '_')}"
    )
    code: int = module.main(rest)
    return code


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        ["usage: df2 COMMAND ...", *lines, "`df2 COMMAND --help` describes a command."]
    )


if __name__ == "__main__":
    sys.exit(main())
