"""Try a model in the browser, and as an HTTP API: photos in, garments with named landmarks out.

    df2 web output/demo/model_final.pth
    df2 web model.onnx --port 9000
    df2 web --new-token anna --tokens tokens.txt
    df2 web model.onnx --host 0.0.0.0 --tokens tokens.txt --name df2.example.org
    df2 web --gt validation=val.json --gt test=test.json --data board

With --gt it is a challenge, too: teams (`df2 challenge team`) submit zips as the page of 2019 asks,
and see their scores and the leaderboard.

Only this machine can reach the page, unless --host says otherwise; then tokens are needed. What
goes over the network is not encrypted: put a proxy with TLS before it (docs/how-to/web.md).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from df2_landmarks.common import UserError, atomic_write, positive, run_command, say

if TYPE_CHECKING:
    from df2_landmarks.web import Limits, Section

PACKAGES = ("starlette", "uvicorn", "python_multipart")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    args = parse_arguments(argv)
    return run_command(lambda: run(args), "df2 web", interrupted="stopped")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 web", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("weights", nargs="?", type=Path, help="checkpoint, output folder, or exported file (.onnx)")
    add("--config", metavar="FILE", help="YAML, for weights that do not contain their own")
    add("--device", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    add("--half", action="store_true", help="compute in bfloat16")
    reach = parser.add_argument_group("who can reach it")
    add = reach.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add("--port", type=_port, default=8000, help="0: a free one (default: 8000)")
    add("--name", nargs="+", default=[], help="of the server, as others ask for it")
    add("--tokens", type=Path, metavar="FILE", help="who may use it: names and hashes of tokens")
    add("--new-token", metavar="NAME", help="add a token to the file, print it, and end")
    challenge = parser.add_argument_group("a challenge")
    add = challenge.add_argument
    phases = "validation=FILE or test=FILE, COCO JSON with all landmarks; twice for both"
    add("--gt", action="append", default=[], metavar="PHASE=FILE", help=phases)
    data = Path("output/board")
    add("--data", type=Path, default=data, metavar="FOLDER", help=f"of the board ({data})")
    add("--taxonomy", type=Path, metavar="FILE", help="categories (default: DeepFashion2's)")
    limit = "submissions of a team to a phase per day, UTC (5)"
    add("--daily-limit", type=positive, default=5, metavar="N", help=limit)
    add("--rescore", action="store_true", help="what was scored against a replaced ground truth")
    limits = parser.add_argument_group("limits")
    add = limits.add_argument
    add("--upload-mb", type=float, default=32, metavar="MB", help="of a photo's file (32)")
    add("--megapixels", type=float, default=50, metavar="N", help="of a photo (50)")
    add("--seconds", type=float, default=60, metavar="S", help="for a photo (60)")
    add("--memory-gb", type=float, default=4, metavar="GB", help="for a photo (4)")
    add("--queue", type=int, default=8, metavar="N", help="photos that wait (8)")
    return parser.parse_args(argv)


def _port(text: str) -> int:
    """Argument type: the number of a port."""
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be 0..65535, but got {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> None:
    if missing := [name for name in PACKAGES if not find_spec(name)]:
        raise UserError(
            f"df2 web needs {', '.join(missing)}: `pip install 'df2_landmarks[web]'`", exit_code=2
        )
    from df2_landmarks.web import Limits, Tokens, create_app, is_loopback, listen, serve

    if args.new_token is not None:
        add_token(args)
        return
    if args.weights is None and not args.gt:
        raise UserError(
            "give the WEIGHTS of a model (a checkpoint or an exported file), --gt PHASE=FILE, or "
            "both",
            exit_code=2,
        )
    if args.weights is not None and args.tokens is None and not is_loopback(args.host):
        raise UserError(
            f"--host {args.host}: others can reach this address, so --tokens FILE is needed; "
            "`df2 web --new-token NAME --tokens FILE` makes a token",
            exit_code=2,
        )
    limits = Limits(
        upload_mb=args.upload_mb,
        megapixels=args.megapixels,
        seconds=args.seconds,
        memory_gb=args.memory_gb,
        queue=args.queue,
    )
    tokens = None if args.tokens is None else Tokens.read(args.tokens)
    with ExitStack() as stack:
        listener = stack.enter_context(listen(args.host, args.port))  # before the model: it is slow
        sections: list[Section] = []
        if args.gt:
            sections.append(open_challenge(args, stack))
        if args.weights is not None:
            sections.insert(0, open_model(args, limits, stack))
        app = create_app(sections, limits=limits, names=args.name, tokens=tokens)
        serve(app, listener, lambda url: say(f"{url} (Ctrl-C ends it)"))


def open_model(args: argparse.Namespace, limits: Limits, stack: ExitStack) -> Section:
    """Load the model and return the section *Try*."""
    from df2_landmarks.web import Worker, photo_section

    # As in `df2 predict`: numpy's own threads only take processors from the model.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    worker = Worker(
        partial(load, args.weights, config=args.config, device=args.device, half=args.half), limits
    )
    say(f"Loading {args.weights} ...")
    worker.start()
    stack.callback(worker.close)
    return photo_section(worker)


def open_challenge(args: argparse.Namespace, stack: ExitStack) -> Section:
    """Read the ground truth, open the board and return the section *Score*.

    Raises:
        UserError: a phase is named twice, its file cannot be scored against, or another server has
            the folder.
    """
    from df2_landmarks.challenge.board import open_board, read_phase
    from df2_landmarks.web import score_section

    phases = [read_phase(text, taxonomy=args.taxonomy) for text in args.gt]
    if len({phase.name for phase in phases}) < len(phases):
        raise UserError(f"--gt: a phase is named twice: {' '.join(args.gt)}", exit_code=2)
    board = stack.enter_context(
        open_board(args.data, phases, daily_limit=args.daily_limit, rescore=args.rescore)
    )
    return score_section(board)


def load(*args, **kwargs):  # type: ignore[no-untyped-def]
    """Load the model, in the process that uses it."""
    from df2_landmarks.predict import Predictor

    return Predictor.load(*args, **kwargs)


def add_token(args: argparse.Namespace) -> None:
    """Make a token, add its hash to the file, and print it.

    Raises:
        UserError: there is no file named, it is damaged, or the name is taken or wrong.
    """
    from df2_landmarks.web import Tokens, new_token

    if args.tokens is None:
        raise UserError("--new-token: --tokens FILE is needed: where its hash is kept", exit_code=2)
    old = ""
    if args.tokens.exists():
        Tokens.read(args.tokens)
        old = args.tokens.read_text(encoding="utf-8").rstrip("\n") + "\n"
    token, line = new_token(args.new_token)
    with atomic_write(args.tokens) as file:
        file.write(f"{old}{line}\n".encode())
    say(token)
    say(f"{args.tokens} has its hash. It is shown only now: give it to {args.new_token}.")


if __name__ == "__main__":
    sys.exit(main())
