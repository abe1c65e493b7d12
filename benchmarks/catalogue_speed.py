"""Catalogues: pictures per second of `df2 predict` alone and under Ray, bytes, memory.

    python benchmarks/catalogue_speed.py --pictures datasets/deepfashion2_synthetic/validation/image
    python benchmarks/catalogue_speed.py --pictures FOLDER --memory 500 2000 --repeats 0
    python benchmarks/catalogue_speed.py --pictures FOLDER --device cuda --batch 16

Each run is the command itself in a process of its own, on the pictures of the folder again and
again. Each case runs with a few pictures (its start) and with many, in turns with the other cases;
seconds per picture are from the difference. On a busy machine, read the seconds of processors:
they depend less on what else runs. Bytes are of `predictions.jsonl` and of the Parquet table, with
masks and without. Memory is the proportional set size (a page that n processes share counts 1/n in
each) of all processes of a run, of the command's process and of its largest actor: medians over
the second half of the run, so that growth with the number of pictures shows, and the largest sum.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "DF2_CATALOGUE_SPEED"
PARTS = {"all": 0.0, "command": 0.0, "actor": 0.0}
RAY = ("--engine", "ray", "--actors")
SECONDS_BETWEEN_SAMPLES = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--pictures", type=Path, required=True, help="folder")
    add("--weights", type=Path, default=Path("output/demo"))
    add("--config", help="YAML, for weights that do not contain their own")
    add("--opts", nargs="*", default=[], help="of the configuration")
    add("--device", default="cpu")
    add("--batch", default="8")
    add("--few", type=int, default=16)
    add("--many", type=int, default=200)
    add("--repeats", type=int, default=3)
    add("--actors", type=int, nargs="+", default=[1, 2])
    add("--memory", type=int, nargs="*", default=[], help="numbers of pictures")
    add("--json", type=Path, help="write the measurements to this file")
    args = parser.parse_args()
    report: dict[str, Any] = {"load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as work:
        if args.repeats:
            report["speed"] = measure_speed(args, Path(work))
            report["bytes_per_garment"] = measure_bytes(args, Path(work))
        report["memory"] = measure_memory(args, Path(work))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def measure_speed(args: argparse.Namespace, work: Path) -> dict[str, Any]:
    cases: dict[str, tuple[tuple[str, ...], int | None]]
    cases = {"plain": ((), None), "plain, one core": ((), 1)}
    cases |= {f"ray, actors: {n}": ((*RAY, str(n)), None) for n in args.actors}
    few, many = list_of(args, work, args.few), list_of(args, work, args.many)
    rows: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in cases}
    for _ in range(args.repeats):
        for name, (options, cores) in cases.items():
            start = run(args, few, work / "out", *options, cores=cores)
            whole = run(args, many, work / "out", *options, cores=cores)
            for unit, first, last in (
                ("seconds", start.seconds, whole.seconds),
                ("cpu_seconds", start.cpu_seconds, whole.cpu_seconds),
            ):
                each = (last - first) / (args.many - args.few)
                rows[name][f"{unit}_per_picture"].append(each)
                rows[name][f"{unit}_to_start"].append(first - args.few * each)
            print(f"    load {os.getloadavg()[0]:.1f}: {name} {start}, {whole}", flush=True)
    columns = list(rows["plain"])
    print(" | ".join(["medians", *columns]))
    for name in cases:
        medians = (statistics.median(rows[name][column]) for column in columns)
        print(" | ".join([name, *(f"{value:.3f}" for value in medians)]))
    return rows


def measure_bytes(args: argparse.Namespace, work: Path) -> dict[str, float]:
    rows: dict[str, float] = {}
    count = min(args.many, len(pictures_of(args)))
    listed = list_of(args, work, count)
    for masks, options in (("with masks", ()), ("without masks", ("--no-masks",))):
        out = work / "out"
        run(args, listed, out, *options, "--format", "parquet")
        with open(out / "predictions.jsonl", "rb") as file:
            garments = sum(len(json.loads(line).get("garments", [])) for line in file)
        for name in ("predictions.jsonl", "predictions.parquet"):
            rows[f"{name}, {masks}"] = (out / name).stat().st_size / garments
            print(f"  {name}, {masks}: {rows[f'{name}, {masks}']:.0f} bytes per garment")
        print(f"  {garments / count:.2f} garments per picture", flush=True)
    return rows


def measure_memory(args: argparse.Namespace, work: Path) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for count in args.memory:
        listed = list_of(args, work, count)
        for name, options in {"plain": (), "ray": (*RAY, str(max(args.actors)))}.items():
            ended = run(args, listed, work / "out", *options, with_memory=True)
            rows[f"{name}, {count}"] = asdict(ended)
            parts = ", ".join(f"{part} {size:.0f}" for part, size in ended.memory_mb.items())
            print(f"  {name}, {count} pictures: MB: {parts}; {ended}", flush=True)
    return rows


@dataclass
class Ended:
    """A run: seconds on the clock, of processors, and memory: of all processes together, of the
    command's own, and of its largest actor."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_mb: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s (cpu {self.cpu_seconds:.1f} s)"


def pictures_of(args: argparse.Namespace) -> list[Path]:
    return sorted(p for p in args.pictures.iterdir() if p.suffix in (".jpg", ".png"))


def list_of(args: argparse.Namespace, work: Path, count: int) -> Path:
    """Write a list with pictures of the folder, again and again."""
    path = work / f"{count}.txt"
    path.write_text("".join(f"{p.resolve()}\n" for p in islice(cycle(pictures_of(args)), count)))
    return path


def run(
    args: argparse.Namespace,
    listed: Path,
    out: Path,
    *options: str,
    cores: int | None = None,
    with_memory: bool = False,
) -> Ended:
    """Run the command, on some cores only where it says so, and watch its processes."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "df2_landmarks.cli.predict", listed, "--output", out]
    command += ["--weights", args.weights, "--device", args.device, "--batch", args.batch]
    command += ["--config", args.config] if args.config else []
    command += ["--opts", *args.opts, "--no-pictures", *options]

    def on_cores() -> None:
        if cores is not None:
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

    ended, stop, token = Ended(), threading.Event(), str(time.time_ns())
    started = time.perf_counter()
    process = subprocess.Popen(
        [*map(str, command)],
        cwd=ROOT,
        env={**os.environ, TOKEN: token},
        stdout=subprocess.DEVNULL,
        preexec_fn=on_cores,
    )
    watching = threading.Thread(target=watch, args=(process.pid, token, ended, stop, with_memory))
    watching.start()
    code = process.wait()
    ended.seconds = time.perf_counter() - started
    stop.set()
    watching.join()
    if code:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {code}")
    return ended


def watch(command: int, token: str, ended: Ended, stop: threading.Event, with_memory: bool) -> None:
    """Sample processor time, and memory, of all processes that have the token."""
    ticks: dict[int, int] = {}
    samples: list[dict[str, float]] = []
    while not stop.wait(SECONDS_BETWEEN_SAMPLES):
        now = dict(PARTS)
        for process in processes(f"{TOKEN}={token}"):
            try:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                ticks[int(process.name)] = int(fields[11]) + int(fields[12])
                megabytes = proportional_mb(process) if with_memory else 0.0
                is_actor = b"Actor" in (process / "cmdline").read_bytes()
            except OSError:  # it has ended
                continue
            now["all"] += megabytes
            if int(process.name) == command:
                now["command"] = megabytes
            elif is_actor:
                now["actor"] = max(now["actor"], megabytes)
        samples.append(now)
    second_half = samples[len(samples) // 2 :]
    for part in PARTS if second_half else ():
        ended.memory_mb[part] = statistics.median(now[part] for now in second_half)
    ended.memory_mb["all at most"] = max((now["all"] for now in samples), default=0.0)
    ended.cpu_seconds = sum(ticks.values()) / os.sysconf("SC_CLK_TCK")


def processes(token: str) -> Iterator[Path]:
    """Yield the folders in /proc of processes with a variable."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or it is of another user
            if token.encode() in (folder / "environ").read_bytes().split(b"\0"):
                yield folder


def proportional_mb(process: Path) -> float:
    """Return the memory of a process; a page that n processes share counts 1/n."""
    lines = (process / "smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    main()
