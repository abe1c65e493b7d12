"""Exported files in a process without torch, and files that are none, are damaged or are newer."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from detectron2.data import transforms as T
from onnx import TensorProto, helper
from PIL import Image

from df2_landmarks import Predictor
from df2_landmarks.common import UserError
from df2_landmarks.export.parity import BOX_PX, SCORE, compare
from df2_landmarks.formats import RECORD_KEY
from df2_landmarks.predict.models.resizing import resized
from tests.support import ROOT, run_python

RUNNER = ROOT / "docs/examples/onnx_runner.py"
WITHOUT_TORCH = """
import runpy, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
sys.argv = sys.argv[1:]
{run}
"""
TRAINING = ("torch", "torchvision", "detectron2", "fvcore", "iopath", "yacs", "matplotlib")


def run_without(blocked, run, *arguments):
    """Run a line in a process in which some packages cannot be imported."""
    return run_python("-c", WITHOUT_TORCH.format(blocked=blocked, run=run), "", *arguments)


@pytest.fixture(scope="module")
def picture_files(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for index, photo in enumerate(photos):
        Image.fromarray(photo).save(folder / f"{index}.png")
    return folder


def lines_of(folder):
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_bytes().splitlines()]


def test_df2_predict_runs_without_torch(onnx_file, model_file, picture_files, tmp_path):
    """And writes what it writes with the checkpoint."""
    run = "from df2_landmarks.cli.predict import main; sys.exit(main(sys.argv[1:]))"
    options = ["--min-score", "0.1", "--measure", "--format", "coco", "csv"]
    done = run_without(
        TRAINING, run, picture_files, "--weights", onnx_file, "--output", tmp_path / "a", *options
    )
    assert done.returncode == 0, done.stderr
    command = ["-m", "df2_landmarks.cli.predict", picture_files, "--weights", model_file]
    assert run_python(*command, "--output", tmp_path / "b", *options).returncode == 0
    written, expected = lines_of(tmp_path / "a"), lines_of(tmp_path / "b")
    assert len(written) == len(expected) == len(list(picture_files.iterdir()))
    num_garments = 0
    for a, b in zip(written, expected, strict=True):
        assert {k: v for k, v in a.items() if k != "garments"} == pytest.approx(
            {k: v for k, v in b.items() if k != "garments"}, abs=1e-4
        )
        num_garments += len(a["garments"])
        for garment, other in zip(a["garments"], b["garments"], strict=True):
            assert garment["category"] == other["category"]
            assert garment["score"] == pytest.approx(other["score"], abs=1e-4)
            assert garment["box_xyxy"] == pytest.approx(other["box_xyxy"], abs=0.05)
            assert list(garment["landmarks"]) == list(other["landmarks"])
    assert num_garments > 10
    for name in ("predictions.coco.json", "predictions.csv", "measurements.csv", "pictures"):
        assert (tmp_path / "a" / name).exists()


def test_the_runner_of_the_documentation_needs_three_packages(onnx_file, picture_files):
    """It finds what `Predictor` finds, and has fewer than 150 lines."""
    assert RUNNER.read_text().count("\n") < 150
    ours = ("df2_landmarks", "cv2", "pycocotools", "msgspec", *TRAINING)
    pictures = sorted(picture_files.iterdir())
    run = f"runpy.run_path({str(RUNNER)!r}, run_name='__main__')"
    done = run_without(ours, run, onnx_file, *pictures)
    assert done.returncode == 0, done.stderr
    predictor = Predictor.load(onnx_file, min_score=0.3)
    num_garments = 0
    for line, path in zip(map(json.loads, done.stdout.splitlines()), pictures, strict=True):
        expected = predictor(path).to_dict(with_masks=False)["garments"]
        assert [g["category"] for g in line["garments"]] == [g["category"] for g in expected]
        num_garments += len(expected)
        for garment, other in zip(line["garments"], expected, strict=True):
            assert garment["box_xyxy"] == pytest.approx(other["box_xyxy"], abs=0.01)
            assert list(garment["landmarks"]) == list(other["landmarks"])
            for name, landmark in garment["landmarks"].items():
                for key, value in landmark.items():
                    assert value == pytest.approx(other["landmarks"][name][key], abs=0.01), key
    assert num_garments > 3


@pytest.fixture(scope="module")
def runner_module():
    spec = importlib.util.spec_from_file_location("onnx_runner", RUNNER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_runner_makes_the_same_masks(onnx_file, photos, runner_module):
    runner, predictor = runner_module.Runner(str(onnx_file)), Predictor.load(onnx_file)
    garments = runner(Image.fromarray(photos[0]), min_score=predictor.min_score)
    expected = predictor(photos[0], channels="RGB")
    assert len(garments) == len(expected) > 0
    for garment, other in zip(garments, expected, strict=True):
        assert (garment["mask"] != other.mask.array).mean() < 1e-3


@pytest.mark.parametrize("sizes", [(800, 1333), (192, 320), (0, 1333), (96, 100)])
def test_every_runner_resizes_as_detectron2(sizes, runner_module):
    stock = T.ResizeShortestEdge([sizes[0], sizes[0]], sizes[1])
    random = np.random.default_rng(0)
    shapes = random.integers(1, 900, (40, 2)).tolist() + [[1, 1], [4, 3], [333, 555], [600, 1000]]
    for height, width in shapes:
        image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        got = resized(image, *sizes)
        embedded = np.asarray(runner_module.resized(Image.fromarray(image), *sizes))
        np.testing.assert_array_equal(got, embedded)
        if max(height, width) <= sizes[1] * min(height, width):  # else the stock one fails
            np.testing.assert_array_equal(got, stock.get_transform(image).apply_image(image))


def error_of(file, **options):
    with pytest.raises(UserError) as caught:
        Predictor.load(file, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def with_metadata(file, target, change):
    """Copy an exported file with a change to its record, which is the last of its messages."""
    proto = onnx.load_model(file)
    record = json.loads(proto.metadata_props[0].value)
    graph = file.read_bytes()[: record["export"]["graph_bytes"]]
    metadata = onnx.ModelProto()
    text = change(record)
    helper.set_model_props(metadata, {RECORD_KEY: text if text else json.dumps(record)})
    target.write_bytes(graph + metadata.SerializeToString())
    return target


def foreign(target, *, opset=17):
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", value[:1], value[1:])
    imports = [helper.make_opsetid("", opset)]
    target.write_bytes(
        helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString()
    )
    return target


def test_a_file_of_another_model_is_refused(tmp_path):
    message = error_of(foreign(tmp_path / "other.onnx"))
    assert "other.onnx: not a file of df2 export" in message
    torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.ones(1)), str(tmp_path / "other.ts"))
    assert "other.ts: not a file of df2 export" in error_of(tmp_path / "other.ts")


def test_another_opset_is_refused(tmp_path):
    message = error_of(foreign(tmp_path / "new.onnx", opset=999))
    assert "new.onnx: ONNX Runtime" in message and "cannot read it" in message


@pytest.mark.parametrize("name", ["onnx_file", "torchscript_file"])
def test_a_damaged_file_is_refused(name, request, tmp_path):
    file = request.getfixturevalue(name)
    content = file.read_bytes()
    target = tmp_path / f"damaged{file.suffix}"
    for damaged in (b"", b"no model", content[: len(content) // 2], content[:-10]):
        target.write_bytes(damaged)
        assert target.name in error_of(target)
    assert "no such file" in error_of(tmp_path / f"missing{file.suffix}").lower()
    (tmp_path / f"folder{file.suffix}").mkdir()
    assert error_of(tmp_path / f"folder{file.suffix}")


def test_a_flipped_bit_in_the_weights_is_noticed(onnx_file, tmp_path):
    content = bytearray(onnx_file.read_bytes())
    weight = max(onnx.load_model(onnx_file).graph.initializer, key=lambda w: len(w.raw_data))
    content[content.index(weight.raw_data) + 100] ^= 1
    (tmp_path / "model.onnx").write_bytes(content)
    assert "damaged since it was written" in error_of(tmp_path / "model.onnx")


def test_damaged_and_newer_metadata_are_refused(onnx_file, tmp_path):
    target = tmp_path / "model.onnx"

    def newer(record):
        record["export"]["layout"] = 99

    assert "newer df2_landmarks (layout 99" in error_of(with_metadata(onnx_file, target, newer))
    for change, text in (
        (lambda record: "{", "is damaged: no JSON object"),
        (lambda record: "[]", "is damaged: no JSON object"),
        (lambda record: record.pop("export") and None, "is damaged"),
        (lambda record: record["export"].pop("input") and None, "missing required field `input`"),
        (lambda record: record.pop("categories") and None, "categories"),
        (lambda record: record["categories"][0].pop("keypoints") and None, "categories"),
        (lambda record: record["export"].update(graph_sha256="0"), "damaged since"),
    ):
        assert text in error_of(with_metadata(onnx_file, target, change))
    same = Predictor.load(with_metadata(onnx_file, target, lambda record: None))
    assert same.fingerprint == Predictor.load(onnx_file).fingerprint


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tta": True}, "tta: an exported file has its configuration"),
        ({"opts": ["MODEL.MASK_ON", "False"]}, "opts"),
        ({"config": "a.yaml"}, "config"),
        ({"device": "cuda"}, "device cuda: an exported file runs on the CPU"),
    ],
    ids=str,
)
def test_what_an_exported_file_cannot_do_is_said(options, text, onnx_file):
    assert text in error_of(onnx_file, **options)


def test_a_missing_runtime_is_named(onnx_file, torchscript_file, monkeypatch):
    monkeypatch.setattr("df2_landmarks.predict.models.loading.find_spec", lambda name: None)
    for name in ("onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "`pip install onnxruntime`" in error_of(onnx_file)
    assert "`pip install openvino`" in error_of(onnx_file, half=True)
    assert "half: a TorchScript file computes in float32" in error_of(torchscript_file, half=True)


@pytest.fixture
def without_onnxruntime(monkeypatch):
    pytest.importorskip("openvino")
    names = {"openvino"}
    monkeypatch.setattr("df2_landmarks.predict.models.loading.find_spec", names.__contains__)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)


def test_openvino_runs_an_onnx_file(onnx_file, predictor, photos, without_onnxruntime, tmp_path):
    """Its visibility of landmarks may differ more than that of ONNX Runtime."""
    exported = Predictor.load(onnx_file, min_score=0.0)
    pictures = [(str(index), photo) for index, photo in enumerate(photos[:4])]
    parity = compare(predictor.model, exported.model, pictures, step=1 / 8 / 56)
    assert parity.num_compared > 20
    for row in parity.rows:
        assert row.counts[0] == row.counts[1] and not row.unmatched
        assert row.box_px <= BOX_PX and row.score <= SCORE and row.visible < 0.02
        assert row.landmark_px < 0.5  # of two equal places, either
    half = Predictor.load(onnx_file, min_score=0.0, half=True)
    assert half.fingerprint != exported.fingerprint == predictor.fingerprint
    assert len(half(photos[0], channels="RGB")) > 0
    assert "not a file of df2 export" in error_of(foreign(tmp_path / "other.onnx"))
    (tmp_path / "damaged.onnx").write_bytes(onnx_file.read_bytes()[:5000])
    assert "damaged.onnx: OpenVINO" in error_of(tmp_path / "damaged.onnx")


def test_the_minimal_install_is_enough(onnx_file, picture_files, tmp_path):
    """The packages of the command in docs/how-to/export.md, with what they need, are enough."""
    page = (ROOT / "docs/how-to/export.md").read_text()
    command = next(line for line in page.splitlines() if line.startswith("pip install numpy"))
    modules = {"opencv-python-headless": "cv2", "Pillow": "PIL", "PyYAML": "yaml"}
    allowed = {modules.get(name, name) for name in command.split()[2:]}
    program = tmp_path / "imported.py"
    program.write_text(
        "import sys\nfrom df2_landmarks.cli.predict import main\ncode = main(sys.argv[1:])\n"
        "names = {m.__name__: getattr(m, '__file__', None) for m in list(sys.modules.values())}\n"
        "print(*sorted({n.partition('.')[0] for n, f in names.items() if 'site-packages' in str(f)}"
        "))\nsys.exit(code)\n"
    )
    options = ["--weights", onnx_file, "--output", tmp_path / "out", "--measure", "--format", "csv"]
    done = run_python(program, picture_files, *options)
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.splitlines()[-1].split())
    needed_by_runtime = {"flatbuffers", "google", "packaging"}
    used_if_there = {"typing_extensions"}
    assert {"numpy", "onnxruntime"} <= imported
    others = {name for name in imported if not name.startswith("_")}
    assert others - allowed - needed_by_runtime - used_if_there == set()
    assert Path(ROOT / "setup.py").read_text().count('"onnx-runtime": ["onnxruntime"]') == 1
