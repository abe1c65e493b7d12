"""Pictures per second and core that the synthetic data set is drawn at, JPEG writing included.

    python benchmarks/synthetic/speed.py [--preset benchmark] [--pictures N]

One process, one thread. Prints CPU and wall time, and the memory that more pictures take.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2

from df2_landmarks.synthetic import PRESETS, write_dataset


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=PRESETS, default="benchmark")
    parser.add_argument("--pictures", type=int, default=400)
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    recipe = PRESETS[args.preset].recipe
    memory = [_draw(args.preset, 20)[2]]
    wall, cpu, peak = _draw(args.preset, args.pictures)
    memory.append(peak)
    print(f"{args.preset}, {recipe.size_px} px: {args.pictures} pictures on one core")
    print(
        f"{args.pictures / cpu:.1f} pictures/s of CPU time, {args.pictures / wall:.1f} of wall time"
    )
    print(f"peak memory {memory[0]:.0f} MB after 20 pictures, {memory[1]:.0f} MB after all")
    return 0


def _draw(preset: str, pictures: int) -> tuple[float, float, float]:
    """Wall and CPU seconds, and the peak memory of the process so far in MB."""
    recipe = PRESETS[preset].recipe
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        write_dataset(
            Path(folder) / "data",
            {"train": pictures},
            size_px=recipe.size_px,
            balance=recipe.balance,
            difficulty=recipe.difficulty,
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
