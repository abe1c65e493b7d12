"""Every target of the Makefile runs the command that the README promises."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

COMMANDS = {
    "install": "tools/check_environment.py",
    "synth": "datasets/make_synthetic.py --preset small",
    "synth PRESET=benchmark": "datasets/make_synthetic.py --preset benchmark",
    "check DATA=some/where": "-m converters.check_dataset some/where",
    "score OUTPUT=out": "-m df2_landmarks.cli.score --gt "
    "datasets/deepfashion2/annotations/validation.json --results out/landmark_results.json",
    "report OUTPUT=out": "-m df2_landmarks.cli.report --gt datasets/deepfashion2/annotations/"
    "validation.json --results out/landmark_results.json --run out",
    "submit RESULTS=r.json GT=g.json ZIP=z.zip": "pack --gt g.json --results r.json --output z.zip",
    "convert DATA=some/where": "-m converters.deepfashion2_to_coco --root some/where",
    "view": "-m df2_landmarks.cli.view datasets/deepfashion2 --output output/view",
    "view DATA=some/where OUTPUT=out FLAGS=--suspicious": "-m df2_landmarks.cli.view some/where "
    "--output out --suspicious",
    "train GPUS=8": "train_net.py --num-gpus 8 --config-file projects/df2_landmarks/configs/"
    "df2_landmark_rcnn_R_50_FPN_1x.yaml",
    "train GPUS=0 CONFIG=a.yaml OUTPUT=out": "--num-gpus 0 --config-file a.yaml OUTPUT_DIR out",
    "train GPUS=0 FLAGS=--dry-run": "train_net.py --dry-run --num-gpus 0",
    "train GPUS=8 NODES=4 NODE_RANK=1 MASTER=node0:29500": "train_net.py --num-gpus 8 "
    "--num-machines 4 --machine-rank 1 --dist-url tcp://node0:29500 --config-file",
    "eval GPUS=0 NODES=2 NODE_RANK=0 MASTER=node0:29500": "train_net.py --eval-only --num-gpus 0 "
    "--num-machines 2 --machine-rank 0 --dist-url tcp://node0:29500 --config-file",
    "eval GPUS=0 OUTPUT=out": "train_net.py --eval-only --num-gpus 0",
    "curves RUNS='a b' CURVES=c.pdf": "-m df2_landmarks.cli.training.curves a b --output c.pdf",
    "curves OUTPUT=out": "-m df2_landmarks.cli.training.curves out --output curves.svg",
    "demo": "-m df2_landmarks.cli.training.demo",
    "export": "-m df2_landmarks.cli.export output/demo --format onnx",
    "export WEIGHTS=a.pth FORMAT=torchscript OUTPUT=a.ts": "-m df2_landmarks.cli.export a.pth "
    "--format torchscript --output a.ts",
    "web": "-m df2_landmarks.cli.web output/demo",
    "web WEIGHTS=a.onnx FLAGS='--port 9000'": "-m df2_landmarks.cli.web a.onnx --port 9000",
    "docs": "-m mkdocs build --strict",
    "test": "-m pytest",
    "lint": "-m mypy",
    "format": "-m ruff format .",
    "clean": "rm -rf .venv",
}


def make(root, *arguments):
    # make hands its own variables down to the tests
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=root, capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize("target", COMMANDS)
def test_dry_run(root, target):
    done = make(root, "--dry-run", "PYTHON=mypython", *shlex.split(target))
    assert done.returncode == 0, done.stderr
    assert COMMANDS[target] in " ".join(done.stdout.split())
    assert "venv" not in done.stdout or target == "clean"  # PYTHON= installs nothing


def test_options_are_passed_on(root):
    done = make(root, "--dry-run", "PYTHON=mypython", "train", "OPTS=SOLVER.MAX_ITER 7")
    assert "SOLVER.MAX_ITER 7" in done.stdout


@pytest.mark.parametrize("target", ["train", "eval"])
def test_data_is_refused_where_it_would_be_ignored(root, target):
    done = make(root, "--dry-run", "PYTHON=mypython", target, "DATA=some/where")
    assert done.returncode == 2
    assert f"make {target} takes no DATA=" in done.stderr and "DETECTRON2_DATASETS" in done.stderr


def test_several_machines_need_a_number_and_an_address(root):
    done = make(root, "--dry-run", "PYTHON=mypython", "train", "NODES=2", "NODE_RANK=1")
    assert done.returncode == 2
    assert (
        "make train NODES=2 needs NODE_RANK=" in done.stderr and "MASTER=HOST:PORT" in done.stderr
    )


def test_without_an_environment_targets_build_one_first(root):
    done = make(root, "--dry-run", "VENV=not-there", "PYTHON=not-there/bin/python", "test")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("--make not-there") < done.stdout.index("-m pytest")
    assert "tools/install_detectron2.py" in done.stdout


@pytest.fixture
def installed(tmp_path):
    """VENV= of an environment that make takes for installed: a script stands for its Python."""
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    stamp = tmp_path / "venv/.installed"
    stamp.touch()
    os.utime(stamp, (2**32, 2**32))  # newer than every file of the checkout
    return f"VENV={tmp_path}/venv"


def test_an_environment_that_works_is_not_made_again(root, installed):
    assert "--make" not in make(root, "--dry-run", installed, "test").stdout


def test_an_environment_whose_python_broke_is_made_again(root, installed):
    python = Path(installed.removeprefix("VENV="), "bin/python")
    python.write_text("#!/bin/sh\nexit 1\n")
    assert "--make" in make(root, "--dry-run", installed, "test").stdout
    python.unlink()
    python.symlink_to("python3.7-of-last-year")
    assert "--make" in make(root, "--dry-run", installed, "test").stdout


def test_a_machine_without_the_python_is_told_what_to_install(root, tmp_path):
    done = make(root, "install", f"VENV={tmp_path}/venv", "BASE_PYTHON=python3.not-there")
    assert done.returncode == 2
    assert "There is no python3.not-there here. Debian, Ubuntu: apt install" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_makefile_and_script_name_the_same_packages(root):
    packages = re.search(r"^PACKAGES +:= (.*)$", (root / "Makefile").read_text(), re.MULTILINE)[1]
    script = (root / "tools/check_environment.py").read_text()
    assert packages in re.sub(r'"\n +"', "", script)


def test_make_alone_lists_every_target_with_a_line(root):
    listed = make(root).stdout
    targets = re.findall(r"^([a-z_]+):", (root / "Makefile").read_text(), re.MULTILINE)
    assert len(targets) >= 10
    for target in targets:
        assert re.search(rf"^  {target} +\S+", listed, re.MULTILINE), target
