"""Export a trained model, so that it runs without Detectron2, or without torch.

    df2 export output/demo
    df2 export output/demo/model_final.pth --format torchscript --output model.ts
    df2 predict photos --weights output/demo/model.onnx

The whole model is in the file: a resized picture of any size in, garments with named landmarks
out. The file is compared with the model on drawn pictures; where it differs, the command fails and
leaves no file. The table of differences is printed, and written beside the file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from df2_landmarks.common import check_output_file, run_command, say
from df2_landmarks.export import FORMATS, find_format


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code: 0, 1 (it differs), 2 (wrong usage)."""
    parser = argparse.ArgumentParser(
        prog="df2 export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", type=Path, help="checkpoint, or output folder of a training")
    parser.add_argument(
        "--format", default="onnx", metavar="NAME", help=f"{' or '.join(FORMATS)} (default: onnx)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="(default: model.onnx beside the weights)"
    )
    parser.add_argument("--config", metavar="FILE", help="YAML, for weights without their own")
    parser.add_argument(
        "--opts", nargs="*", default=[], metavar="KEY VALUE", help="of the configuration"
    )
    parser.add_argument(
        "--pictures", nargs="*", default=[], metavar="FILE", help="to be compared, with the drawn"
    )
    args = parser.parse_args(argv)
    return run_command(lambda: run(args), "df2 export")


def run(args: argparse.Namespace) -> None:
    file_format = find_format(args.format)
    folder = args.weights if args.weights.is_dir() else args.weights.parent
    output = args.output or folder / f"model{file_format.suffix}"
    check_output_file("--output", output)
    from df2_landmarks.export import export_model  # imports torch: seconds

    table = export_model(
        args.weights,
        output,
        format_name=args.format,
        config=args.config,
        opts=args.opts,
        pictures=args.pictures,
        report=lambda parity: say(parity.text()),
    )
    megabytes = output.stat().st_size / 1e6
    say(f"Written to {output} ({megabytes:.1f} MB) and {table}; it runs with {file_format.runs_on}")


if __name__ == "__main__":
    sys.exit(main())
