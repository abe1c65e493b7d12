#!/usr/bin/env python3
"""Say whether an environment can run the project, and what is missing if not.

python tools/check_environment.py                # after an installation
python tools/check_environment.py --python-only  # only the version of Python
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys

OLDEST, NEWEST = (3, 10), (3, 12)
MODULES = ("torch", "torchvision", "detectron2", "pycocotools", "fvcore", "numpy", "cv2", "msgspec")


def main(argv: list[str]) -> int:
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        print(
            f"Python 3.{OLDEST[1]} to 3.{NEWEST[1]} is needed, but {sys.executable} is "
            f"{sys.version.split()[0]}. Name another one: make install BASE_PYTHON=python3.11",
            file=sys.stderr,
        )
        return 1
    if "--python-only" in argv:
        return 0
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"{sys.executable} lacks {', '.join(missing)}. Without PYTHON=, `make install` builds "
            "an environment that has everything; in one of your own: pip install -c "
            "constraints.txt -e '.[detectron2,test]' && python tools/install_detectron2.py",
            file=sys.stderr,
        )
        return 1
    versions = (f"{name} {importlib.metadata.version(name)}" for name in MODULES[:3])
    print(f"Ready: Python {sys.version.split()[0]}, {', '.join(versions)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
