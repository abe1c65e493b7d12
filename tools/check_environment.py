#!/usr/bin/env python3
"""Make the environment that the project runs in, or say what one lacks.

python tools/check_environment.py               # after an installation: is everything there?
python tools/check_environment.py --python-only # can this Python build an environment?
python tools/check_environment.py --make .venv  # build .venv, unless a working one is there

This file must run on Python 3.6 as well, to say there that a newer one is needed.
"""

import glob
import importlib.util
import os
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 14)
MODULES = ("torch", "torchvision", "detectron2", "pycocotools", "fvcore", "numpy", "cv2", "msgspec")
PACKAGES = (
    "Debian, Ubuntu: apt install python3-venv make. Fedora: dnf install python3 make. "
    "macOS: xcode-select --install; brew install python"
)
PROBE = "import sys, pip; print(*sys.version_info[:2], sys.prefix != sys.base_prefix)"


class UnfitError(Exception):
    """The environment cannot be built or used; the message says why and what to do."""


def check_version(variable: str) -> None:
    """Refuse Windows, and a Python that is too old or too new.

    `variable` of make names another one.
    """
    if os.name == "nt":
        raise UnfitError(
            "Linux or macOS is needed; on Windows use WSL: `wsl --install`, then this project's "
            "README in its shell"
        )
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        raise UnfitError(
            f"Python 3.{OLDEST[1]} to 3.{NEWEST[1]} is needed, but {sys.executable} is "
            f"{sys.version.split()[0]}. Name another one: make install {variable}=python3.12"
        )


def check_can_build() -> None:
    """Refuse a Python that cannot build an environment: the wrong version, or without ensurepip."""
    check_version("BASE_PYTHON")
    try:
        import ensurepip  # noqa: F401  (a package of its own in Debian and Ubuntu)
        import venv  # noqa: F401
    except ImportError as error:
        packages = PACKAGES
        if os.path.realpath(sys.executable) != os.path.realpath("/usr/bin/python3"):
            packages = packages.replace("python3-venv", f"python3.{sys.version_info[1]}-venv")
        raise UnfitError(
            f"{sys.executable} cannot build a virtual environment, it lacks the module "
            f"{error.name}. {packages}. Then run `make install` again"
        ) from None


def defect(folder: str) -> "str | None":
    """Why an environment cannot be used, or None."""
    python = os.path.join(folder, "bin", "python")
    try:
        answer = subprocess.check_output([python, "-I", "-c", PROBE], stderr=subprocess.STDOUT)
    except OSError:
        return "its Python does not start"
    except subprocess.CalledProcessError as error:
        no_pip = b"No module named" in error.output
        return "it has no pip" if no_pip else "its Python does not run"
    major, minor, is_own = answer.decode().split()
    if not OLDEST <= (int(major), int(minor)) <= NEWEST:
        return f"it has Python {major}.{minor}"
    if is_own != "True":
        return "its pyvenv.cfg is missing"
    if any(name.startswith("pip-") for name in map(os.path.basename, half_installed(folder))):
        return "its pip is incomplete"
    return None


def half_installed(folder: str) -> "list[str]":
    """Metadata of packages whose installation was cut off: pip writes INSTALLER after the files."""
    found = glob.glob(os.path.join(folder, "lib", "python3*", "site-packages", "*.dist-info"))
    return [path for path in found if not os.path.exists(os.path.join(path, "INSTALLER"))]


def check_may_be_replaced(folder: str) -> None:
    """Refuse to clear a folder that holds files, but is no virtual environment."""
    if os.path.isfile(os.path.join(folder, "pyvenv.cfg")):
        return
    files = {name for _, _, names in os.walk(folder) for name in names}
    if files - {".gitignore"}:
        raise UnfitError(
            f"VENV={folder} must name a virtual environment or a new folder, but this folder holds "
            "other files (and no pyvenv.cfg). Remove it, or name another one: make install VENV=..."
        )


def make_environment(folder: str) -> None:
    """Build an environment in `folder`, or keep a working one there, ready for pip to go on.

    Raises:
        UnfitError: this Python or this folder will not do, or the building failed.
    """
    problem = defect(folder)
    if problem is None:
        for path in half_installed(folder):  # pip takes its package for installed otherwise
            shutil.rmtree(path)
        return
    check_can_build()
    check_may_be_replaced(folder)
    if os.path.exists(folder):
        print(f"{folder} cannot be used ({problem}): making it again", flush=True)
    if subprocess.call([sys.executable, "-m", "venv", "--clear", folder]) != 0:
        raise UnfitError(f"{sys.executable} could not build {folder}; its messages stand above")


def check_modules() -> str:
    """Refuse an environment that lacks a module; return a line with the versions."""
    check_version("PYTHON")
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise UnfitError(
            f"{sys.executable} lacks {', '.join(missing)}. Without PYTHON=, `make install` builds "
            "an environment that has everything; in one of your own: pip install -c "
            "constraints.txt -e '.[detectron2,test]' && python tools/install_detectron2.py"
        )
    from importlib.metadata import version  # new in Python 3.8

    versions = (f"{name} {version(name)}" for name in MODULES[:3])
    return f"Ready: Python {sys.version.split()[0]}, {', '.join(versions)}"


def main(argv: "list[str]") -> int:
    try:
        if argv[:1] == ["--make"] and len(argv) == 2:
            make_environment(argv[1])
        elif argv == ["--python-only"]:
            check_can_build()
        elif not argv:
            print(check_modules())
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except UnfitError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
