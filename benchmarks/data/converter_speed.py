"""Measure time and memory of the converter and of a plain loop in one run.

    python benchmarks/data/converter_speed.py   # 10,000 images, medians of 5
    python benchmarks/data/converter_speed.py --images 191961 --repeats 1 # a train set of full size
    python benchmarks/data/converter_speed.py --official deepfashion2_to_coco.py

Contenders take turns, each in a process of its own; the time is that of the whole process, start
included, with the files in the page cache. Memory is the peak resident size of the process (with
``--jobs 2``, of the one that writes). The official script is not part of this repository; a copy
from https://github.com/switchablenorms/DeepFashion2 takes part when it is given.
"""

from __future__ import annotations

# Only the standard library: a child's peak memory never reads below that of the process it was
# started from.
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SMALL_SHARE = 5  # memory growth is measured between 1/5 of the images and all of them


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description="Time and memory of the converter.")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--official", type=Path, help="a copy of the official script")
    parser.add_argument("--skip-plain", action="store_true", help="measure the converter only")
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    parser.add_argument("--work", type=Path, help="folder for the generated files (temporary)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.work, prefix="converter_speed_") as work:
        raw = Path(work) / "raw"
        subprocess.run(
            [sys.executable, HERE / "raw_folder.py", raw, str(args.images)],
            check=True,
            env=environment(),
        )
        rows = measure(contenders(args, raw, Path(work)), args.images, args.repeats)
        report = {"images": args.images, "repeats": args.repeats, "cpus": os.cpu_count()}
        if args.json:
            args.json.write_text(json.dumps({**report, "rows": rows}, indent=2) + "\n")
        print_table(rows, args)


Commands = dict[str, dict[str, list[str]]]


def contenders(args: argparse.Namespace, raw: Path, work: Path) -> Commands:
    """Return name -> command for all images ("full") and, in some, for a part of them ("part")."""
    annos, images, output = str(raw / "annos"), str(raw / "image"), str(work / "out.json")
    part = str(args.images // SMALL_SHARE)
    commands: Commands = {}
    for jobs in (1, 2):
        command = [sys.executable, "-m", "converters.deepfashion2_to_coco", "--jobs", str(jobs)]
        command += ["--annos", annos, "--images", images, "--output", output]
        commands[f"converter, --jobs {jobs}"] = {
            "full": command,
            "part": [*command, "--limit", part],
        }
    if not args.skip_plain:
        plain = [
            sys.executable,
            str(HERE.parent / "baselines" / "plain_converter.py"),
            annos,
            images,
            output,
        ]
        commands["plain loop"] = {"full": plain}
    if args.official:
        text = args.official.read_text()
        for old, new in (
            ("/.../val_annos", annos),
            ("/.../val", images),
            ("/.../deepfashion2.json", output),
        ):
            text = text.replace(old, new)
        script = work / "official.py"
        lines = [line for line in text.splitlines() if not line.startswith("num_images")]
        script.write_text("\n".join([f"num_images = {args.images}", *lines]))
        commands["official script"] = {"full": [sys.executable, str(script)]}
    return commands


def measure(commands: Commands, num_images: int, repeats: int) -> list[dict]:
    """Return the medians of each contender, which take turns."""
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            runs[name].append(run(command["full"]))
    rows = []
    for name, command in commands.items():
        seconds, cpu_seconds, peak_mb = map(statistics.median, zip(*runs[name], strict=True))
        growth = None
        if "part" in command:
            _, _, part_mb = run(command["part"])
            growth = (peak_mb - part_mb) / (num_images * (1 - 1 / SMALL_SHARE) / 1000)
        rows.append(
            {
                "name": name,
                "seconds": round(seconds, 3),
                "all_seconds": [round(seconds, 3) for seconds, _, _ in runs[name]],
                "cpu_seconds": round(cpu_seconds, 3),
                "peak_mb": round(peak_mb, 1),
                "growth_mb_per_1000_images": None if growth is None else round(growth, 3),
            }
        )
    return rows


def run(command: list[str]) -> tuple[float, float, float]:
    """Return seconds, processor seconds and peak resident MB of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"error: {' '.join(command)} ended with code {process.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def environment() -> dict[str, str]:
    """Return the environment of this process, with the project's package in the path."""
    package = str(ROOT / "projects" / "df2_landmarks")
    return {**os.environ, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"}


def print_table(rows: list[dict], args: argparse.Namespace) -> None:
    """Print the rows as Markdown."""
    plain = next((row["seconds"] for row in rows if row["name"] == "plain loop"), None)
    print(f"{args.images:,} images, median of {args.repeats}, {os.cpu_count()} CPUs\n")
    print("| | s | images/s | x plain loop | processor s | peak MB | MB per 1,000 images |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        ratio = f"{plain / row['seconds']:.2f}" if plain else ""
        growth = row["growth_mb_per_1000_images"]
        growth_text = "" if growth is None else f"{growth:.2f}"
        print(
            f"| {row['name']} | {row['seconds']:.2f} | {args.images / row['seconds']:,.0f} "
            f"| {ratio} | {row['cpu_seconds']:.2f} | {row['peak_mb']:.0f} | {growth_text} |"
        )


if __name__ == "__main__":
    main()
