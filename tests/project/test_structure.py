"""The rules of the house: doors, floors, a dozen files per folder, numbers written once."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGE = "projects/df2_landmarks/df2_landmarks"
FLOORS = {
    "common": 0,
    "taxonomy": 1,
    "config": 2,
    "formats": 2,
    "modeling": 2,
    "synthetic": 2,
    "data": 3,
    "evaluation": 3,
    "visualization": 4,
    "engine": 5,
    "challenge": 6,
    "predict": 6,
    "report": 6,
    "export": 7,
    "web": 7,
    "cli": 8,
}
"""Room -> floor. A room imports from lower floors only."""
CONVERTERS_IMPORT = {"common", "taxonomy", "formats"}
MAX_FILES = 12
HEAVY = ("torch", "torchvision", "detectron2", "fvcore")
WITHOUT_TORCH = (
    "df2_landmarks",
    "df2_landmarks.common",
    "df2_landmarks.taxonomy",
    "df2_landmarks.formats",
    "df2_landmarks.evaluation",
    "df2_landmarks.evaluation.diagnosis",
    "df2_landmarks.challenge.board",
    "df2_landmarks.report",
    "df2_landmarks.predict",
    "df2_landmarks.export",
    "df2_landmarks.web",
    "df2_landmarks.synthetic",
    "df2_landmarks.challenge.bundle",
    "df2_landmarks.cli.challenge",
    "df2_landmarks.cli.main",
    "df2_landmarks.cli.check",
    "df2_landmarks.cli.report",
    "df2_landmarks.cli.training.curves",
    "df2_landmarks.cli.export",
    "df2_landmarks.cli.predict",
    "df2_landmarks.cli.score",
    "df2_landmarks.cli.submission",
    "df2_landmarks.cli.taxonomy",
    "df2_landmarks.cli.view",
    "df2_landmarks.cli.web",
    "converters.deepfashion2_to_coco",
    "converters.check_dataset",
    "converters.make_subset",
)


def tracked(pattern: str) -> list[Path]:
    """Files of the repository that are committed or will be, relative to its root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return [Path(name) for name in listed if (ROOT / name).is_file()]


def module_name(path: Path) -> str:
    """``projects/df2_landmarks/df2_landmarks/data/cache.py`` -> ``df2_landmarks.data.cache``."""
    parts = path.with_suffix("").parts
    if parts[:2] == ("projects", "df2_landmarks"):
        parts = parts[2:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path
    for path in tracked("*.py")
    if path.parts[0] in ("projects", "converters", "benchmarks", "datasets")
}
PACKAGES = {name for name, path in SOURCES.items() if path.name == "__init__.py"}
COMMANDS = {n for n, path in SOURCES.items() if "__main__" in (ROOT / path).read_text("utf-8")}
"""Modules that are run as programs; they may be imported by their name."""


@cache
def exported(package: str) -> frozenset[str]:
    """What a door hands out: its ``__all__``."""
    tree = ast.parse((ROOT / SOURCES[package]).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def imports(path: Path) -> Iterator[str]:
    """Modules that a file imports, anywhere in it.

    ``from a import b`` imports the module a.b, unless the door of a hands out a b of its own.
    """
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}: relative import"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                is_file = submodule in SOURCES and (
                    node.module not in PACKAGES or alias.name not in exported(node.module)
                )
                yield submodule if is_file else node.module


def test_everyone_enters_a_package_through_its_door() -> None:
    assert len(SOURCES) > 100
    for name, path in SOURCES.items():
        for module in imports(path):
            if module not in SOURCES or module in PACKAGES | COMMANDS:
                continue
            package = module.rpartition(".")[0]
            if package in PACKAGES:  # the folder of the benchmarks is none
                inside = name == package or name.startswith(f"{package}.")
                assert inside, f"{path} imports {module}: import {package} instead"


def test_every_folder_of_the_package_and_the_converters_has_a_door() -> None:
    for name, path in SOURCES.items():
        if name.startswith(("df2_landmarks", "converters")) and name not in PACKAGES:
            assert name.rpartition(".")[0] in PACKAGES, path


def room(module: str) -> str:
    """The room of a module of the package, "" for the package itself."""
    return (module.split(".") + [""])[1]


def test_a_room_imports_from_lower_floors_only() -> None:
    rooms = {room(name) for name in SOURCES if name.startswith("df2_landmarks.")}
    assert rooms == set(FLOORS)
    for name, path in SOURCES.items():
        for module in imports(path):
            if not module.startswith("df2_landmarks."):
                continue
            if name.startswith("converters"):
                assert room(module) in CONVERTERS_IMPORT, f"{path} imports {module}"
            elif name.startswith("df2_landmarks.") and room(module) != room(name):
                lower = FLOORS[room(module)] < FLOORS[room(name)]
                assert lower, f"{path} imports {module}, which is not on a lower floor"


def test_the_package_imports_no_converter() -> None:
    for name, path in SOURCES.items():
        if name.startswith("df2_landmarks"):
            assert not [m for m in imports(path) if m.startswith("converters")], path


def test_no_folder_imports_in_a_circle() -> None:
    """In each folder the files and the folders in it can be put in an order."""
    graphs: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, path in SOURCES.items():
        for module in imports(path):
            if module not in SOURCES or name in PACKAGES:
                continue
            here, there = name.split("."), module.split(".")
            depth = 0
            while depth < min(len(here), len(there)) and here[depth] == there[depth]:
                depth += 1
            if depth < min(len(here), len(there)):
                graphs[".".join(here[:depth])][here[depth]].add(there[depth])
    assert len(graphs) > 8
    for folder, graph in graphs.items():
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            pytest.fail(f"{folder or 'the repository'}: {' -> '.join(error.args[1])}")


def test_no_folder_holds_more_than_a_dozen_files() -> None:
    counts: dict[Path, int] = defaultdict(int)
    for path in SOURCES.values():
        counts[path.parent] += path.name != "__init__.py"
    assert not {str(folder): n for folder, n in counts.items() if n > MAX_FILES}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_door_says_what_is_in_the_room(package: str) -> None:
    path = SOURCES[package]
    docstring = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    assert docstring and len(docstring) > 20, path


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_what_works_without_torch_starts_without_it(module: str) -> None:
    """Alone in a process: another test may have imported torch."""
    program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    path = f"{ROOT}:{ROOT / 'projects/df2_landmarks'}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": path, "PATH": ""},
    )
    loaded = set(done.stdout.split())
    assert not loaded & set(HEAVY)
    if module in ("df2_landmarks", "df2_landmarks.cli.main"):
        assert not loaded & {"numpy", "cv2", "msgspec"}


def test_the_package_leaves_the_import_path_alone() -> None:
    for name, path in SOURCES.items():
        if name.startswith("df2_landmarks"):
            assert "sys.path" not in (ROOT / path).read_text(encoding="utf-8"), path


def test_the_numbers_of_the_taxonomy_are_written_nowhere_else() -> None:
    for name, path in SOURCES.items():
        if name.startswith("df2_landmarks.taxonomy"):
            continue
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant):
                assert node.value not in (294, 882), f"{path}:{node.lineno}"
