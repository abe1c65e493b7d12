"""The zips of a bundle: the scoring program with what it needs, and the reference data."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

from df2_landmarks.challenge.bundle import program
from df2_landmarks.common import UserError, open_input, write_zip
from df2_landmarks.formats import GroundTruth, code_version
from df2_landmarks.taxonomy import category_rows

ROOMS = ("common", "taxonomy", "formats", "evaluation")
"""Of this package: all that a score needs, without torch."""
COMMAND = "python3 score.py"
WHEEL_NAME = re.compile(r"msgspec-[^-]+-cp312-cp312-.*manylinux.*x86_64.*\.whl")
PIP = (
    *("--only-binary=:all:", "--no-deps", "--python-version", "3.12", "--implementation", "cp"),
    *("--platform", "manylinux2014_x86_64"),
)


def write_program(path: Path, wheel: Path) -> None:
    """Write the zip of the scoring program: score.py, this package's rooms, and msgspec.

    Args:
        path: the zip.
        wheel: msgspec's for Python 3.12.

    Raises:
        UserError: the wheel is damaged.
    """
    source = Path(program.__file__)
    package = source.parents[2]
    files = [package / "__init__.py"]
    files += [file for room in ROOMS for file in sorted((package / room).rglob("*.py"))]
    version = code_version()
    members: dict[str, bytes | str | Path] = {
        "metadata.yaml": f"command: {COMMAND}\n",
        "score.py": source,
        **{file.relative_to(package.parent).as_posix(): file for file in files},
        # so that the program knows its version as an installed package does
        f"df2_landmarks-{version}.dist-info/METADATA": (
            f"Metadata-Version: 2.1\nName: df2_landmarks\nVersion: {version}\n"
        ),
    }
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = sorted(name for name in archive.namelist() if not name.endswith("/"))
            members |= {name: archive.read(name) for name in names}
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{wheel}: must be a wheel of msgspec, but: {error}") from None
    if "msgspec/__init__.py" not in members:
        raise UserError(f"{wheel}: must be a wheel of msgspec, but has no msgspec/__init__.py")
    write_zip(path, members)


def write_reference(
    path: Path, ground_truth: GroundTruth, annotations: Path, split: str, *, has_details: bool
) -> None:
    """Write the zip of a phase's reference data, which only the scoring program sees.

    Args:
        path: the zip.
        ground_truth: of the phase.
        annotations: its file, unpacked.
        split: "val" or "test".
        has_details: the program shows and writes the score of each category.
    """
    task = {
        "split": split,
        "has_details": has_details,
        "taxonomy": ground_truth.taxonomy.name,
        "categories": category_rows(ground_truth.taxonomy),
    }
    members: dict[str, str | Path] = {
        program.TASK_FILE: json.dumps(task, indent=1) + "\n",
        program.TRUTH_FILE: annotations,
    }
    write_zip(path, members)


def unpack(annotations: Path, path: Path) -> Path:
    """Write the content of a plain, gzipped or zipped file; return where."""
    with open_input(annotations) as (stream, _), path.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    return path


def checked_wheel(wheel: Path) -> Path:
    """Return a wheel if its name is that of msgspec for Python 3.12 on Linux.

    Raises:
        UserError: it is another one, or there is no such file.
    """
    if not wheel.is_file():
        raise UserError(f"--msgspec-wheel {wheel}: there is no such file")
    if not WHEEL_NAME.fullmatch(wheel.name):
        raise UserError(
            f"--msgspec-wheel {wheel}: must be of Python 3.12 on Linux, as "
            f"msgspec-...-cp312-cp312-manylinux..._x86_64.whl; get it by {download_command()}"
        )
    return wheel


def download_command() -> str:
    """Return the command that gets the wheel."""
    return f"`pip download {_requirement()} {' '.join(PIP)}`"


def download_wheel(folder: Path) -> Path:
    """Get the wheel of msgspec for Python 3.12, in this environment's version, by pip.

    Raises:
        UserError: pip cannot get it.
    """
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, *PIP, "--dest", str(folder), _requirement()],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(folder.glob("msgspec-*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise UserError(
            f"the wheel of msgspec cannot be downloaded ({reason}); where there is a network, run "
            f"{download_command()}, and give the file by --msgspec-wheel",
            exit_code=2,
        )
    return wheels[0]


def _requirement() -> str:
    return f"msgspec=={metadata.version('msgspec')}"
