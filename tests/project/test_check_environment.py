"""An environment is built, kept, or made again; a machine that cannot build one is told why."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

OLD_PYTHONS = sorted(
    path
    for path in Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(
        "versions/3.*/bin/python3"
    )
    if int(path.parts[-3].split(".")[1]) < 11
)


@pytest.fixture
def script(root):
    return root / "tools/check_environment.py"


@pytest.fixture
def checker(script):
    spec = importlib.util.spec_from_file_location("checker", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(script):
    def run(*arguments, python=sys.executable, **environment):
        return subprocess.run(
            [python, script, *map(str, arguments)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def fake(tmp_path):
    """An environment whose Python is a shell script: `fake("echo 3 11 True")`."""

    def make(command):
        python = tmp_path / "venv/bin/python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(f"#!/bin/sh\n{command}\n")
        python.chmod(0o755)
        (tmp_path / "venv/pyvenv.cfg").touch()
        return tmp_path / "venv"

    return make


def metadata(venv, name, *files):
    folder = venv / "lib/python3.11/site-packages" / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).touch()
    return folder


def test_windows_is_told_of_wsl(checker, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checker.os, "name", "nt")
        with pytest.raises(checker.UnfitError, match="on Windows use WSL"):
            checker.check_version("PYTHON")


def test_versions_are_those_of_setup_py(root, checker):
    oldest, newest = checker.OLDEST[1], checker.NEWEST[1]
    assert f'python_requires=">=3.{oldest},<3.{newest + 1}"' in (root / "setup.py").read_text()
    first_line = (root / "constraints.txt").read_text().splitlines()[0]
    assert f"for Python 3.{oldest} to 3.{newest}." in first_line


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 15, 0), (4, 0, 0)])
@pytest.mark.parametrize(
    ("arguments", "variable"), [([], "PYTHON"), (["--python-only"], "BASE_PYTHON")]
)
def test_another_python_is_refused(checker, monkeypatch, capsys, version, arguments, variable):
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(sys, "version", f"{'.'.join(map(str, version))} (main)")
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert checker.main(arguments) == 1
    assert capsys.readouterr().err == (
        f"Python 3.11 to 3.14 is needed, but /usr/bin/python3 is {'.'.join(map(str, version))}. "
        f"Name another one: make install {variable}=python3.12\n"
    )


def test_old_pythons_can_read_the_script(script):
    tree = ast.parse(script.read_text(), feature_version=(3, 6))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "__future__" not in imported  # its annotations are new in 3.7


@pytest.mark.skipif(not OLD_PYTHONS, reason="pyenv has no old Python here")
def test_old_pythons_say_that_a_newer_one_is_needed(run, tmp_path):
    for python in OLD_PYTHONS:
        for arguments in ([], ["--python-only"], ["--make", tmp_path / "venv"]):
            done = run(*arguments, python=python)
            assert done.returncode == 1
            assert re.fullmatch(r"Python 3\.11 to 3\.14 is needed, .*\n", done.stderr)
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_without_venv_the_packages_are_named_and_nothing_is_made(run, tmp_path, module):
    (tmp_path / f"{module}.py").write_text(f"raise ImportError('x', name='{module}')")
    done = run("--make", tmp_path / "new", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert f"it lacks the module {module}. Debian, Ubuntu: apt install python3" in done.stderr
    assert "dnf install python3" in done.stderr and "brew install python" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("command", "defect"),
    [
        ("echo 3 11 True", None),
        ("echo 3 14 True", None),
        ("echo 3 10 True", "it has Python 3.10"),
        ("echo 3 11 False", "its pyvenv.cfg is missing"),
        ('echo "ModuleNotFoundError: No module named pip" >&2; exit 1', "it has no pip"),
        ("exit 1", "its Python does not run"),
    ],
)
def test_defects_are_recognised(checker, fake, command, defect):
    assert checker.defect(str(fake(command))) == defect


def test_a_python_that_has_gone_is_recognised(checker, fake):
    python = fake("") / "bin/python"
    python.unlink()
    python.symlink_to("python3.7-of-last-year")
    assert checker.defect(str(python.parents[1])) == "its Python does not start"


def test_a_pip_that_was_cut_off_is_recognised(checker, fake):
    venv = fake("echo 3 11 True")
    metadata(venv, "pip", "METADATA", "RECORD")
    assert checker.defect(str(venv)) == "its pip is incomplete"


def test_packages_that_were_cut_off_are_installed_again(checker, fake):
    venv = fake("echo 3 11 True")
    whole = metadata(venv, "whole", "METADATA", "RECORD", "INSTALLER")
    half = metadata(venv, "half", "METADATA", "RECORD")
    assert checker.main(["--make", str(venv)]) == 0
    assert whole.exists() and not half.exists()


def test_a_working_environment_is_kept_whatever_the_base_python(checker, fake, monkeypatch):
    monkeypatch.setattr(checker, "check_can_build", pytest.fail)
    assert checker.main(["--make", str(fake("echo 3 11 True"))]) == 0


def test_a_half_made_environment_is_made_again(run, tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    done = run("--make", venv)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{venv} cannot be used (it has no pip): making it again\n"
    subprocess.run([venv / "bin/python", "-m", "pip", "--version"], check=True)
    assert run("--make", venv).stdout == ""


def test_a_folder_of_other_files_is_left_alone(run, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mine").touch()
    done = run("--make", tmp_path)
    assert done.returncode == 1
    assert f"VENV={tmp_path} must name a virtual environment or a new folder" in done.stderr
    assert (tmp_path / "bin/mine").exists()


def test_empty_folders_that_an_interruption_left_are_used(checker, tmp_path):
    (tmp_path / "bin").mkdir()
    checker.check_may_be_replaced(str(tmp_path))


def test_the_environment_that_runs_this_is_ready(run):
    done = run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ready: Python 3.") and "detectron2" in done.stdout
